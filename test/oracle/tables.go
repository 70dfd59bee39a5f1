package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// run is a stretch of equally spaced code points.
type run struct{ start, count, stride, delta int }

// letterRanges lists the ranges of unicode.IsLetter, each as the gap since the last end and the length.
func letterRanges() string {
	var fields []string
	last, start := 0, -1
	for r := 0; r <= unicode.MaxRune+1; r++ {
		is := r <= unicode.MaxRune && unicode.IsLetter(rune(r))
		if is && start < 0 {
			start = r
		} else if !is && start >= 0 {
			fields = append(fields, base36(start-last), base36(r-start))
			last, start = r, -1
		}
	}
	return strings.Join(fields, " ")
}

// representative is the code point that stands for all that fold to each other: the small ASCII letter if there is one, else the least.
func representative(r rune) rune {
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	if 'A' <= least && least <= 'Z' {
		least += 'a' - 'A'
	}
	return least
}

// foldRuns lists every code point that is not its own representative, in runs of equal stride and equal distance to the representative.
func foldRuns() string {
	var runs []run
	for r := rune(0); r <= unicode.MaxRune; r++ {
		to := representative(r)
		if to == r {
			continue
		}
		delta := int(to - r)
		if n := len(runs); n > 0 && runs[n-1].delta == delta {
			last := &runs[n-1]
			gap := int(r) - (last.start + (last.count-1)*last.stride)
			if last.count == 1 && gap <= 2 {
				last.stride, last.count = gap, 2
				continue
			}
			if last.count > 1 && gap == last.stride {
				last.count++
				continue
			}
		}
		runs = append(runs, run{int(r), 1, 1, delta})
	}
	var fields []string
	for _, s := range runs {
		fields = append(fields, base36(s.start), base36(s.count), base36(s.stride), base36(s.delta))
	}
	return strings.Join(fields, " ")
}

func base36(n int) string { return strconv.FormatInt(int64(n), 36) }

// wrap breaks a list of fields into quoted lines of a TypeScript array.
func wrap(fields string) string {
	var b strings.Builder
	line := ""
	for _, f := range strings.Fields(fields) {
		if len(line)+1+len(f) > 130 {
			fmt.Fprintf(&b, "  '%s',\n", line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += f
	}
	fmt.Fprintf(&b, "  '%s',\n", line)
	return b.String()
}

func tables() string {
	return fmt.Sprintf(`// Generated from Go's package unicode: go -C test/oracle run . tables > src/protocol/unicode-tables.ts

/** The Unicode version that the go command judges names by; a JavaScript engine has its own, mostly a newer one. */
export const UNICODE_VERSION = '%s';

/** Ranges of category L*: for each, in base 36, the gap since the end of the last and the length. */
export const LETTER_RANGES: string = [
%s].join(' ');

/**
 * Every code point that does not stand for itself under simple case folding, in runs of four base-36 numbers:
 * first code point, how many, their distance, and what to add to each to reach the one that stands for it.
 */
export const FOLD_RUNS: string = [
%s].join(' ');
`, unicode.Version, wrap(letterRanges()), wrap(foldRuns()))
}
