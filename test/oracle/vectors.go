package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	"golang.org/x/mod/sumdb/tlog"
)

// cases is a file of vectors: one JSON array a line, its last item being what Go answered.
type cases struct{ bytes.Buffer }

func (c *cases) add(items ...any) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(items); err != nil {
		panic(err)
	}
	c.Write(line.Bytes())
}

func writeVectors(dir string) error {
	for name, make := range map[string]func(*cases){
		"module_path": modulePaths, "escaped_path": escapedPaths, "file_path": filePaths, "fold": folds, "letters": letters, "version": versions,
		"escaped_version": escapedVersions, "path_version": pathVersions, "version_order": versionOrder, "version_compare": versionPairs,
		"pseudo_version": pseudoVersions, "made_pseudo_version": madePseudoVersions, "pattern": patterns, "tile": tiles, "go_mod": goMods,
	} {
		var c cases
		make(&c)
		if err := os.WriteFile(filepath.Join(dir, name+".jsonl"), c.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// modulePaths: [path, null | [escaped, prefix, path major]]
func modulePaths(c *cases) {
	m := newMaker(1)
	for _, path := range append(distinct(3000, m.modulePath), distinct(300, m.legalModulePath)...) {
		escaped, err := module.EscapePath(path)
		if err != nil {
			c.add(path, nil)
			continue
		}
		prefix, pathMajor, _ := module.SplitPathVersion(path)
		c.add(path, []string{escaped, prefix, pathMajor})
	}
}

// escapedPaths: [escaped, null | path]
func escapedPaths(c *cases) {
	m := newMaker(2)
	for _, escaped := range distinct(1200, func() string {
		path := strings.NewReplacer("A", "!a", "S", "!s", "D", "!d", "K", "!k").Replace(m.legalModulePath())
		return m.spoil(path, 2, "!", "!!", "A", "!A", "!1", "!a", "!é", "é", "!z", "%21a")
	}) {
		if path, err := module.UnescapePath(escaped); err == nil {
			c.add(escaped, path)
		} else {
			c.add(escaped, nil)
		}
	}
}

// filePaths: [path, is legal]
func filePaths(c *cases) {
	m := newMaker(3)
	for _, path := range distinct(4000, m.filePath) {
		c.add(path, module.CheckFilePath(path) == nil)
	}
}

// folds: one class of code points that are equal under simple folding a line, if it has more than one
func folds(c *cases) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		class := []any{int(r)}
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			class = append(class, int(f))
			if f < r {
				class = nil
				break
			}
		}
		if len(class) > 1 {
			c.add(class...)
		}
	}
}

// letters: [first, last] of each range of letters
func letters(c *cases) {
	start := -1
	for r := 0; r <= unicode.MaxRune+1; r++ {
		is := r <= unicode.MaxRune && unicode.IsLetter(rune(r))
		if is && start < 0 {
			start = r
		} else if !is && start >= 0 {
			c.add(start, r-1)
			start = -1
		}
	}
}

// versions: [text, canonical form or ""]
func versions(c *cases) {
	m := newMaker(4)
	for _, v := range append(distinct(2500, m.version), distinct(500, m.pseudo)...) {
		c.add(v, module.CanonicalVersion(v))
	}
}

// escapedVersions: [escaped, null | version]
func escapedVersions(c *cases) {
	m := newMaker(5)
	for _, escaped := range distinct(1500, func() string {
		text := m.pick(m.version(), m.element(), m.pick("main", "release-1.2", "!feature", "a1b2c3d", "v1.0.0-!r!c1", "@latest", "#1", "a b", "x~1", "-x", "..", "con", "nul.x"))
		return m.spoil(strings.ToLower(text), 3, "!", "!a", "A", "!!", "/", "é", "~1", " ", "\\")
	}) {
		if v, err := module.UnescapeVersion(escaped); err == nil {
			c.add(escaped, v)
		} else {
			c.add(escaped, nil)
		}
	}
}

// pathVersions: [path, version, agree and canonical]
func pathVersions(c *cases) {
	m := newMaker(6)
	for _, pair := range distinct(3000, func() string {
		version := m.pick(m.version(), m.pseudo(), m.pick("v0.1.0", "v1.2.3", "v2.0.0", "v3.1.4", "v10.0.1", "v0.0.0-20161208181325-20d25e280405")) + m.pick("", "", "+incompatible")
		return m.legalModulePath() + "\x00" + version
	}) {
		path, version, _ := strings.Cut(pair, "\x00")
		c.add(path, version, module.Check(path, version) == nil && module.CanonicalVersion(version) == version)
	}
}

func canonicalVersions(m maker, n int) []string {
	return distinct(n, func() string {
		v := m.version()
		if m.chance(4) {
			v = m.pseudo()
		}
		if module.CanonicalVersion(v) == v {
			return v
		}
		return "v1.2.3"
	})
}

// versionOrder: [version], in the order of semver.Sort
func versionOrder(c *cases) {
	list := canonicalVersions(newMaker(7), 1500)
	semver.Sort(list)
	for _, v := range list {
		c.add(v)
	}
}

// versionPairs: [a, b, semver.Compare]
func versionPairs(c *cases) {
	m := newMaker(8)
	list := canonicalVersions(m, 800)
	for range 3000 {
		a, b := m.pick(list...), m.pick(list...)
		c.add(a, b, semver.Compare(a, b))
	}
}

// pseudoVersions: [version, is shaped as one, null | [base, unix seconds, revision]] for canonical versions
func pseudoVersions(c *cases) {
	m := newMaker(9)
	for _, v := range distinct(4000, m.pseudo) {
		if v == "" || module.CanonicalVersion(v) != v {
			continue
		}
		base, err1 := module.PseudoVersionBase(v)
		at, err2 := module.PseudoVersionTime(v)
		revision, err3 := module.PseudoVersionRev(v)
		if err1 != nil || err2 != nil || err3 != nil {
			c.add(v, module.IsPseudoVersion(v), nil)
		} else {
			c.add(v, module.IsPseudoVersion(v), []any{base, at.Unix(), revision})
		}
	}
}

// madePseudoVersions: [major, older version or "", unix seconds, revision, pseudo-version]
func madePseudoVersions(c *cases) {
	m := newMaker(10)
	for _, older := range append(canonicalVersions(m, 300), "", "", "") {
		at := time.Date(m.IntN(10000), time.January, 1+m.IntN(365), m.IntN(24), m.IntN(60), m.IntN(60), 0, time.UTC)
		major := semver.Major(older)
		if older == "" {
			major = m.pick("v0", "v1", "v2", "v17")
		}
		c.add(major, older, at.Unix(), "abcdef123456", module.PseudoVersion(major, older, at, "abcdef123456"))
	}
}

// patterns: [comma-separated patterns, path, matches]
func patterns(c *cases) {
	m := newMaker(11)
	for _, pair := range distinct(6000, func() string { return m.pattern() + "\x00" + m.target() }) {
		globs, target, _ := strings.Cut(pair, "\x00")
		c.add(globs, target, module.MatchPrefixPatterns(globs, target))
	}
}

// tiles: [path, null | [level, -1 being data; index; width]], null also for heights other than 8
func tiles(c *cases) {
	m := newMaker(12)
	for _, path := range distinct(4000, m.tile) {
		tile, err := tlog.ParseTilePath(path)
		if err != nil || tile.H != 8 || tile.L > 63 {
			c.add(path, nil)
		} else {
			c.add(path, []int64{int64(tile.L), tile.N, int64(tile.W)})
		}
	}
}

// goMods: [text, null | {module, go, require: [[path, version, indirect]]}] by ParseLax
func goMods(c *cases) {
	m := newMaker(13)
	for _, text := range distinct(1000, func() string { return goModText(m) }) {
		file, err := modfile.ParseLax("go.mod", []byte(text), nil)
		if err != nil || file.Module == nil || module.CheckPath(file.Module.Mod.Path) != nil {
			c.add(text, nil)
			continue
		}
		require := [][]any{}
		for _, r := range file.Require {
			if module.Check(r.Mod.Path, r.Mod.Version) == nil {
				require = append(require, []any{r.Mod.Path, r.Mod.Version, r.Indirect})
			}
		}
		version := ""
		if file.Go != nil {
			version = file.Go.Version
		}
		c.add(text, map[string]any{"module": file.Module.Mod.Path, "go": version, "require": require})
	}
}

func goModText(m maker) string {
	quote := func(text string) string { return m.pick(text, text, text, fmt.Sprintf("%q", text)) }
	comment := func() string {
		return m.pick("", "", "", " // indirect", " // indirect; why", "// indirect", " //indirect", " // not indirect", " // indirect why", " // see (below)", "\r")
	}
	requirement := func() string {
		return quote(m.pick("rsc.io/quote", "github.com/Azure/sdk", "example.com/m/v2", "gopkg.in/yaml.v2")) + m.pick(" ", "\t", "  ") + m.pick("v1.5.2", "v2.0.0", "v2.2.1", "v0.0.0-20190101000000-abcdefabcdef", "v3.0.0+incompatible") + comment()
	}
	blockLine := func() string {
		return "\t" + m.pick(requirement(), requirement(), "", "// a comment", "[v1.0.0, v1.1.0] // bad", "example.com/x => ../x") + comment()
	}
	statements := []string{"module " + quote(m.pick("rsc.io/quote", "example.com/m/v2", "github.com/Azure/sdk")) + comment()}
	for range m.IntN(6) {
		statements = append(statements, m.pick(
			"require "+requirement(), "require "+requirement(), "require (\n"+m.repeat(0, 4, "\n", blockLine)+"\n)"+comment(), "require ()", "go "+m.pick("1.21", "1.23.0", "1.24rc1", "v1.9", "1.9.x", "1"),
			"toolchain go1.23.4", "retract v1.0.0 // broken", "exclude rsc.io/quote v1.0.0", "replace (\n\ta.b/c => ../c\n)", "// Deprecated: use v2", "", "unknown (\n\tmodule x.y/z\n)",
			"tool example.com/m/v2/cmd/x", "godebug default=go1.21", "module (\n\trsc.io/other\n)", "ignore ./node_modules", "unknown \"(\" x", "require \"rsc.io/quote v1.0.0", "require(\n\trsc.io/quote v1.1.0\n)"))
	}
	if m.chance(3) {
		i := m.IntN(len(statements))
		statements[0], statements[i] = statements[i], statements[0]
	}
	return strings.Join(statements, m.pick("\n", "\n", "\r\n", "\n\n")) + m.pick("\n", "")
}
