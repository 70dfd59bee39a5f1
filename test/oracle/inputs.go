package main

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// maker makes inputs that are mostly near the edge between legal and illegal: whole pieces that mean something to the rules, glued and spoiled.
type maker struct{ *rand.Rand }

func newMaker(seed uint64) maker { return maker{rand.New(rand.NewPCG(seed, 0x676f7969))} }

func (m maker) pick(from ...string) string { return from[m.IntN(len(from))] }

// chance is true once in n times.
func (m maker) chance(n int) bool { return m.IntN(n) == 0 }

func (m maker) repeat(least, most int, separator string, one func() string) string {
	var parts []string
	for range least + m.IntN(most-least+1) {
		parts = append(parts, one())
	}
	return strings.Join(parts, separator)
}

// spoil changes, adds or drops a character once in n times.
func (m maker) spoil(text string, n int, with ...string) string {
	if !m.chance(n) {
		return text
	}
	runes := []rune(text)
	i := m.IntN(len(runes) + 1)
	switch m.IntN(3) {
	case 0:
		return string(runes[:i]) + m.pick(with...) + string(runes[i:])
	case 1:
		if i < len(runes) {
			return string(runes[:i]) + string(runes[i+1:])
		}
	}
	if i < len(runes) {
		return string(runes[:i]) + m.pick(with...) + string(runes[i+1:])
	}
	return text + m.pick(with...)
}

var spoilers = strings.Split(" |!|\"|#|$|%|&|'|(|)|*|+|,|-|.|..|/|//|:|;|<|=|>|?|@|[|\\|]|^|_|`|{|}|~|~1|\x00|\x01|\t|\n|\r|\x1b|\x7f|\u0080|"+
	"A|Z|a|0|9|é|ß|ẞ|ſ|K|Σ|ς|Ǆ|ǅ|ǆ|İ|ı|ﬁ|ª|º|µ|²|٣|५|１|ａ|Ａ|中|漢|語|한|あ|ア|א|ا|Ж|ж|Ω|Ω|Å|𝒜|𐐀|𐐨|𞤀|𠀀|🙂|\u0301|\u200b|\u202e|\u2028|\ufeff|\ufffd|\u00a0|\u3000|"+
	"\U0001e922|\U00010d50|\ua7cb|\u1c89", "|")

var devices = []string{"con", "CON", "prn", "Prn", "aux", "AUX", "nul", "NUL", "com1", "COM9", "com0", "com10", "lpt1", "LPT5", "lpt0", "comx", "con.txt",
	"aux.go", "nul.tar.gz", "CoM3.x", "cons", "xcon", "com¹", "con~1", "conin$", "com1~x", "con ", "nul-"}

var elements = []string{"quote", "Azure", "sdk", "go-sql", "v2", "v1", "v0", "v02", "v10", "v2.0", "v", "V2", "vv2", "v2-unstable", "yaml.v2", "yaml.v0", "yaml.v00",
	"check.v1", "x.v1-unstable", "x.v-unstable", "...", "..", ".", ".git", "a.", ".a", "a..b", "a~1", "a~12.go", "a~", "a~b", "~", "~1", "~1.x", "a~1~", "x~1y", "-", "-a", "a-",
	"_", "_a", "a_b", "vendor", "go.mod", "GO.MOD", "LICENSE", "testdata", "@v", "list", "latest", "a+b", "c++", "a b", "!a", "%41", "1", "007", "A"}

var hosts = []string{"rsc.io", "github.com", "golang.org", "gopkg.in", "example.com", "git.corp.example", "GitHub.com", "localhost", "1.2", "a.b", "-a.b", "a-.b", "a_b.c",
	"a~b.c", "xn--bcher-kva.example", "bücher.example", "example.com.", ".example.com", "con.example", "com1", "com1.example", "a~1.b", "127.0.0.1", "example.com:8080", "x.v2", "k8s.io"}

func (m maker) element() string {
	switch m.IntN(8) {
	case 0:
		return m.pick(devices...)
	case 1:
		return m.repeat(1, 4, "", func() string { return m.pick(spoilers...) })
	default:
		return m.spoil(m.pick(elements...), 4, spoilers...)
	}
}

func (m maker) modulePath() string {
	path := m.pick(hosts...)
	if !m.chance(8) {
		path += "/" + m.repeat(1, 3, "/", m.element)
	}
	return m.spoil(path, 8, spoilers...)
}

// legalModulePath is one that the rules mostly accept, with and without a major version.
func (m maker) legalModulePath() string {
	path := m.pick("rsc.io", "github.com", "example.com", "gopkg.in", "a.b") + "/" + m.repeat(1, 2, "/", func() string { return m.pick("quote", "Azure", "SDK", "x_y", "a-b", "c.d") })
	if strings.HasPrefix(path, "gopkg.in/") {
		return path + m.pick(".v0", ".v1", ".v2", ".v10", ".v1-unstable", ".v3-unstable", "")
	}
	return path + m.pick("", "", "/v2", "/v3", "/v10", "/v1", "/v0")
}

func (m maker) filePath() string {
	path := m.repeat(1, 4, "/", m.element)
	return m.spoil(path, 6, spoilers...)
}

func (m maker) number() string {
	return m.pick("0", "1", "2", "3", "9", "10", "11", "19", "99", "100", "123", "00", "01", "9007199254740991", "9007199254740992", "9007199254740993",
		"18446744073709551616", "99999999999999999999999999", "100000000000000000000000000", strconv.Itoa(m.IntN(20)))
}

func (m maker) identifier() string {
	return m.pick("0", "1", "2", "10", "01", "00", "alpha", "Alpha", "beta", "rc", "rc1", "rc.1", "rc10", "RC2", "-", "--", "0a", "a0", "0-0", "pre", "x", "X", "z", "Z", "9007199254740993",
		"9007199254740992", "go1.26.8.linux-amd64", "go1", "20190101000000", "20190101000000-abcdefabcdef", "0.20190101000000-abcdefabcdef", "")
}

var versionSpoilers = []string{"-", ".", "+", "v", "V", "0", "_", " ", "\n", "\t", "é", "incompatible", "+incompatible", "!", "/", "~", "A", "@"}

func (m maker) version() string {
	v := "v" + m.repeat(1, 3, ".", m.number)
	if m.chance(3) {
		v = "v" + m.number() + "." + m.number() + "." + m.number()
	}
	if m.chance(2) {
		v += "-" + m.repeat(1, 4, ".", m.identifier)
	}
	switch m.IntN(6) {
	case 0:
		v += "+incompatible"
	case 1:
		v += m.pick("+meta", "+meta.1", "+incompatible.1", "+", "+01", "+a+b", "+Incompatible")
	}
	return m.spoil(v, 6, versionSpoilers...)
}

func (m maker) stamp() string {
	return m.pick("20190101000000", "20240229235959", "20230229000000", "20191301000000", "20190132000000", "20190101240000", "20190101006000", "20190101000060", "00000101000000",
		"00010101000000", "00000000000000", "99991231235959", "2019010100000", "201901010000000", "20190431000000", "19000229000000", "20000229120000")
}

func (m maker) pseudo() string {
	core := m.pick("v0.0.0", "v1.0.0", "v2.0.0", "v10.0.0", "v1.2.3", "v1.2.0", "v1.0.1", "v2.3.10", "v0.0.99999999999999999999", "v1.0.0.0", "v1.2", "v1.10.100", "v1.2.01")
	middle := m.pick("-", "-0.", "-pre.0.", "-rc.1.0.", "-0.0.", "-pre-0.", "-pre.", "-1.0.", "-a.b.c.0.", "-00.", "-.0.", "-pre.00.", "--.0.", "-0.0.0.")
	revision := m.pick("abcdefabcdef", "000000000000", "ABCDEF", "zz", "a", "", "abc-def", "abc.def", "1234567890123456", "abc_def")
	build := m.pick("", "", "", "+incompatible", "+meta", "+incompatible.x")
	return m.spoil(core+middle+m.stamp()+"-"+revision+build, 10, versionSpoilers...)
}

func (m maker) pattern() string {
	piece := func() string {
		if m.chance(2) {
			return m.pick("*", "*", "?", "a", "b", "ab", "[a-c]", "[^x]", "c", "a*", "*c")
		}
		return m.pick("rsc.io", "*", "**", "?", "a", "b", "c", "*.corp.example", "git", "[abc]", "[^abc]", "[a-c]", "[c-a]", "[a-", "[", "]", "[]", "[]a]", "[^]a]", "[^]", "[-a]", "[a-]",
			"[.-0]", "[/]", "\\*", "\\a", "\\", "[\\]]", "[\\-a]", "[a\\-z]", "[*]", "[a*b", "[^^]", "é", "[à-ü]", "[!-~]", "x*y", "a?c", ".", "-", "")
	}
	return m.repeat(1, 3, ",", func() string {
		return m.repeat(1, 3, "/", func() string { return m.repeat(1, 3, "", piece) }) + m.pick("", "", "", "/")
	})
}

func (m maker) target() string {
	piece := func() string {
		return m.pick("rsc.io", "a", "b", "c", "ab", "bc", "abc", "git.corp.example", "git", "xzzy", "xy", "A", "a.c", "[", "]", "-", "*", "\\", ".", "ab/c")
	}
	return m.repeat(2, 4, "/", func() string { return m.repeat(1, 2, "", piece) })
}

func (m maker) tile() string {
	group := func() string {
		return m.pick("000", "001", "067", "234", "999", "x000", "x001", "x234", "x999", "1", "12", "1234", "x1", "-01", "+01", "0x1", "")
	}
	if m.chance(4) {
		path := m.pick("tile/8/0/", "tile/8/1/", "tile/8/data/", "tile/8/63/", "tile/8/64/") + m.repeat(0, 4, "", func() string { return m.pick("x001/", "x234/", "x999/", "x000/") })
		return path + m.pick("000", "001", "067", "999") + m.pick("", ".p/1", ".p/255", ".p/256", ".p/17")
	}
	path := m.pick("tile", "tile", "tile", "tiles", "") + "/" + m.pick("8", "8", "8", "8", "8", "8", "08", "-1", "") + "/" +
		m.pick("0", "1", "2", "3", "7", "data", "data", "63", "00", "01", "-1", "+1", "x0", "")
	for range m.IntN(3) {
		path += "/" + m.pick("x001", "x234", "x999", "x000", group())
	}
	path += "/" + m.pick("000", "001", "234", "999", group())
	if m.chance(2) {
		path += m.pick(".p/", ".p/", ".p/", ".p", "/p/", ".P/") + m.pick("1", "7", "128", "255", "256", "0", "01", "257", "-1", "+1", "1000", "", "1/", "1.p/1")
	}
	return m.spoil(path, 10, "/", ".", "x", "0", " ", "%", "p")
}

// distinct makes n different inputs.
func distinct(n int, one func() string) []string {
	seen := map[string]bool{}
	for tries := 0; len(seen) < n && tries < 40*n; tries++ {
		seen[one()] = true
	}
	list := make([]string, 0, len(seen))
	for text := range seen {
		list = append(list, text)
	}
	slices.Sort(list)
	return list
}
