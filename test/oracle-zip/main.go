// Command oracle-zip says what the Go code itself thinks of module zips.
//
//	go run . verdicts < zips.json     each zip of the input, judged by zip.CheckZip, zip.Unzip and dirhash.HashZip
//	go run . made                     zips made by zip.Create, with their hashes
//
// Both are called by update.sh, which writes the vectors in src/protocol/testdata.
package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sort"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"
)

type question struct {
	Name    string `json:"name"`
	Module  string `json:"module"`
	Version string `json:"version"`
	Zip     []byte `json:"zip"`
}

// A verdict is empty where Go accepts; Listed are the names that archive/zip reads, when it reads the file at all.
type verdict struct {
	Check  string `json:"check,omitempty"`
	Unzip  string `json:"unzip,omitempty"`
	Hash   string `json:"hash,omitempty"`
	H1     string `json:"h1,omitempty"`
	Listed int    `json:"listed"`
}

func main() {
	var data any
	switch strings.Join(os.Args[1:], " ") {
	case "verdicts":
		data = verdicts(os.Stdin)
	case "made":
		data = made()
	default:
		fatal(fmt.Errorf("usage: oracle-zip verdicts|made"))
	}
	text, err := json.MarshalIndent(output{origin(), data}, "", "  ")
	fatal(err)
	fmt.Println(string(text))
}

type output struct {
	Origin string `json:"origin"`
	Data   any    `json:"data"`
}

// origin says which code gave the answers.
func origin() string {
	said := "test/oracle-zip/update.sh, " + runtime.Version()
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range build.Deps {
			said += ", " + dep.Path + " " + dep.Version
		}
	}
	return said
}

func verdicts(r io.Reader) map[string]verdict {
	var questions []question
	fatal(json.NewDecoder(r).Decode(&questions))
	answers := make(map[string]verdict)
	for _, q := range questions {
		answers[q.Name] = judge(q)
	}
	return answers
}

func judge(q question) (v verdict) {
	dir, err := os.MkdirTemp("", "oracle-zip")
	fatal(err)
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "m.zip")
	fatal(os.WriteFile(file, q.Zip, 0o600))
	m := module.Version{Path: q.Module, Version: q.Version}
	say := func(err error) string {
		if err == nil {
			return ""
		}
		return strings.ReplaceAll(err.Error(), dir, "")
	}
	if z, err := zip.NewReader(bytes.NewReader(q.Zip), int64(len(q.Zip))); err == nil {
		v.Listed = len(z.File)
	}
	_, err = modzip.CheckZip(m, file)
	v.Check = say(err)
	v.Unzip = say(modzip.Unzip(filepath.Join(dir, "unzipped"), m, file))
	v.H1, err = dirhash.HashZip(file, dirhash.Hash1)
	v.Hash = say(err)
	return v
}

type file struct {
	path    string
	content string
}

func (f file) Path() string                 { return f.path }
func (f file) Lstat() (os.FileInfo, error)  { return info{f}, nil }
func (f file) Open() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(f.content)), nil }

type info struct{ f file }

func (i info) Name() string       { return filepath.Base(i.f.path) }
func (i info) Size() int64        { return int64(len(i.f.content)) }
func (i info) Mode() os.FileMode  { return 0o644 }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }

type vector struct {
	question
	H1     string            `json:"h1"`
	Files  map[string]string `json:"files"`
	GoMod  string            `json:"goMod,omitempty"`
	ModSum string            `json:"modSum,omitempty"`
}

func made() []vector {
	sets := []struct {
		name, path, version string
		files               map[string]string
	}{
		{"empty", "example.com/empty", "v1.0.0", nil},
		{"one file", "example.com/one", "v1.0.0", map[string]string{"go.mod": "module example.com/one\n"}},
		{"capitals", "github.com/Azure/SDK", "v0.0.0-20200101000000-abcdefabcdef", map[string]string{"go.mod": "module github.com/Azure/SDK\n", "A/B.go": "package a\n", "README.md": ""}},
		{"incompatible", "example.com/inc", "v2.0.0+incompatible", map[string]string{"x.go": "package x\n", "vendor/modules.txt": "#\n"}},
		{"order of bytes, not of UTF-16", "example.com/order/v2", "v2.1.0", map[string]string{
			"\U00010400.txt": "DESERET CAPITAL LETTER LONG I, in UTF-16 below U+E000",
			"\uFF21.txt":     "FULLWIDTH LATIN CAPITAL LETTER A, above U+E000",
			"\uFB03.txt":     "LATIN SMALL LIGATURE FFI",
			"z.txt":          "z",
			"a/b.txt":        "a slash sorts before letters",
			"a-b.txt":        "and after a dash",
			"a b.txt":        "a space first",
		}},
		{"letters that do not fold", "example.com/letters", "v1.0.0", map[string]string{
			"stra\u00dfe": "1", "strasse": "2", "\ufb01": "3", "fi": "4", "i": "5", "\u0131": "6", "\u0130x": "7", "ix": "8", "\u4e2d\u6587.txt": "9",
		}},
		{"long content", "example.com/long", "v1.2.3-pre", map[string]string{"LICENSE": strings.Repeat("MIT ", 300_000), "z.bin": "\x00\x01\x02"}},
	}
	var vectors []vector
	for _, set := range sets {
		var files []modzip.File
		for path, content := range set.files {
			files = append(files, file{path, content})
		}
		sort.Slice(files, func(i, j int) bool { return files[i].Path() < files[j].Path() })
		m := module.Version{Path: set.path, Version: set.version}
		var buf bytes.Buffer
		fatal(modzip.Create(&buf, m, files))
		q := question{set.name, set.path, set.version, buf.Bytes()}
		v := judge(q)
		if v.Check+v.Unzip+v.Hash != "" {
			fatal(fmt.Errorf("%s: Go refuses what Go made: %+v", set.name, v))
		}
		var goMod, modSum string
		if content, ok := set.files["go.mod"]; ok {
			sum, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil })
			fatal(err)
			goMod, modSum = content, sum
		}
		short := set.files
		if set.name == "long content" {
			short = nil
		}
		vectors = append(vectors, vector{q, v.H1, short, goMod, modSum})
	}
	return vectors
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "oracle-zip:", err)
		os.Exit(1)
	}
}
