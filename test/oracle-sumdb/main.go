// Command oracle-sumdb prints what golang.org/x/mod/sumdb makes of notes, trees, tiles and records, as one JSON document:
//
//	go run . >../../src/protocol/testdata/checksum-vectors.json
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type keyCase struct{ Signer, Verifier string }

type textCase struct {
	Name, Text string
	OK         bool
}

type noteCase struct {
	Name, Message string
	OK            bool
	Text          string
}

type treeCase struct {
	Size int64
	Root string
}

type tileCase struct {
	Level, Index int64
	Width        int
	Sha256       string
}

type growthCase struct {
	From, To int64
	Root     string
	Tiles    []tileCase
}

type recordCase struct {
	Name, Body string
	OK         bool
	ID         int64
	Text       string
}

type treeNoteCase struct {
	Name, Text string
	OK         bool
	Size       int64
	Root       string
}

type vectors struct {
	Origin       string
	Keys         []keyCase
	VerifierKeys []textCase
	SignerKeys   []textCase
	Notes        []noteCase
	Trees        []treeCase
	Tiles        []tileCase
	Growth       []growthCase
	Records      []recordCase
	TreeNotes    []treeNoteCase
	TreeSize     int64
	Leaf0        string
}

func main() {
	v := &vectors{Origin: "made by test/oracle-sumdb with golang.org/x/mod/sumdb; record i of the tree is the text \"record i\\n\""}
	v.keys()
	v.notes()
	v.trees()
	v.records()
	v.treeNotes()
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	out.SetIndent("", " ")
	if err := out.Encode(v); err != nil {
		log.Fatal(err)
	}
}

func keyPair(name string, fill byte) (string, string) {
	skey, vkey, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{fill}, 64)), name)
	if err != nil {
		log.Fatal(err)
	}
	return skey, vkey
}

func (v *vectors) keys() {
	for i, name := range []string{"sum.test.example", "localhost.localdev/sumdb", "驿.example", "a"} {
		skey, vkey := keyPair(name, byte(i+1))
		v.Keys = append(v.Keys, keyCase{skey, vkey})
	}
	_, vkey := keyPair("sum.test.example", 1)
	skey, _ := keyPair("sum.test.example", 1)
	other := func(name string, material []byte) string {
		h := sha256.Sum256(append([]byte(name+"\n"), material...))
		return fmt.Sprintf("%s+%s+%s", name, hex.EncodeToString(h[:4]), base64.StdEncoding.EncodeToString(material))
	}
	for _, c := range [][2]string{
		{"plain", vkey},
		{"hash in capitals", strings.Replace(vkey, strings.Split(vkey, "+")[1], strings.ToUpper(strings.Split(vkey, "+")[1]), 1)},
		{"empty", ""},
		{"name only", "sum.test.example"},
		{"no key", strings.Join(strings.Split(vkey, "+")[:2], "+")},
		{"other name", "x" + vkey},
		{"space in the name", other("a b", append([]byte{1}, make([]byte, 32)...))},
		{"unknown algorithm", other("a", append([]byte{9}, make([]byte, 32)...))},
		{"short key", other("a", append([]byte{1}, make([]byte, 31)...))},
		{"long key", other("a", append([]byte{1}, make([]byte, 33)...))},
		{"empty key", other("a", nil)},
		{"short hash", strings.Replace(vkey, "+", "+0", 1)},
		{"not base64", vkey + "!"},
		{"signer key", skey},
	} {
		_, err := note.NewVerifier(c[1])
		v.VerifierKeys = append(v.VerifierKeys, textCase{c[0], c[1], err == nil})
	}
	for _, c := range [][2]string{
		{"plain", skey},
		{"verifier key", vkey},
		{"other name", strings.Replace(skey, "+sum.", "+som.", 1)},
		{"no private", strings.Replace(skey, "PRIVATE", "PUBLIC", 1)},
		{"short", skey[:len(skey)-8]},
	} {
		_, err := note.NewSigner(c[1])
		v.SignerKeys = append(v.SignerKeys, textCase{c[0], c[1], err == nil})
	}
}

func sign(text string, skeys ...string) string {
	var signers []note.Signer
	for _, skey := range skeys {
		s, err := note.NewSigner(skey)
		if err != nil {
			log.Fatal(err)
		}
		signers = append(signers, s)
	}
	msg, err := note.Sign(&note.Note{Text: text}, signers...)
	if err != nil {
		log.Fatal(err)
	}
	return string(msg)
}

// badSignature is well formed and by the key of that name, but does not verify.
func badSignature(vkey string) string {
	parts := strings.SplitN(vkey, "+", 3)
	h, _ := hex.DecodeString(parts[1])
	return fmt.Sprintf("— %s %s\n", parts[0], base64.StdEncoding.EncodeToString(append(h, make([]byte, ed25519.SignatureSize)...)))
}

func (v *vectors) notes() {
	skey, vkey := keyPair("sum.test.example", 1)
	skey2, vkey2 := keyPair("other.example", 2)
	skey3, _ := keyPair("sum.test.example", 3) // same name, other key
	plain := sign("hello\n", skey)
	sigLine := plain[strings.LastIndex(plain, "\n\n")+2:]
	unknown := sign("hello\n", skey2)
	unknownLine := unknown[strings.LastIndex(unknown, "\n\n")+2:]
	short := func(n int) string {
		b := binary.BigEndian.AppendUint32(nil, 7)
		return "— x " + base64.StdEncoding.EncodeToString(append(b, make([]byte, n)...)) + "\n"
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range [][2]string{
		{"plain", plain},
		{"blank lines in the text", sign("a\n\nb\n\n\nc\n", skey)},
		{"empty line as text", sign("\n", skey)},
		{"two signers", sign("hello\n", skey2, skey)},
		{"unknown signer only", unknown},
		{"same name, other key", sign("hello\n", skey3)},
		{"known and same name with other key", sign("hello\n", skey3, skey)},
		{"bad signature", "hello\n\n" + badSignature(vkey)},
		{"bad signature after a good one", plain + badSignature(vkey)},
		{"bad signature before a good one", "hello\n\n" + badSignature(vkey) + sigLine},
		{"bad unknown signature", plain + badSignature(vkey2)},
		{"other text", strings.Replace(plain, "hello", "hallo", 1)},
		{"repeated", plain + sigLine},
		{"no signature", "hello\n\n"},
		{"no blank line", "hello\n" + sigLine},
		{"signature without its newline", strings.TrimSuffix(plain, "\n")},
		{"text after the signature", plain + "more\n"},
		{"hyphen for a dash", strings.Replace(plain, "— ", "- ", 1)},
		{"carriage return", strings.Replace(plain, "hello", "hello\r", 1)},
		{"tab", strings.Replace(plain, "hello", "he\tllo", 1)},
		{"nul", strings.Replace(plain, "hello", "he\x00llo", 1)},
		{"byte-order mark", sign("\ufeffhello\n", skey)},
		{"byte-order mark put before", "\ufeff" + plain},
		{"replacement character", sign("\ufffd\n", skey)},
		{"no name", strings.Replace(plain, "— sum.test.example ", "—  ", 1)},
		{"plus in the name", strings.Replace(plain, "— sum.test", "— sum+test", 1)},
		{"no-break space in a name", plain + strings.Replace(unknownLine, "other.", "other\u00a0", 1)},
		{"next line in a name", plain + strings.Replace(unknownLine, "other.", "other\u0085", 1)},
		{"zero width no-break space in a name", plain + strings.Replace(unknownLine, "other.", "other\ufeff", 1)},
		{"signature of no bytes", plain + short(0)},
		{"signature of one byte", plain + short(1)},
		{"not base64", plain + "— x !!!!\n"},
		{"base64 without padding", plain + "— x AAAAAAAA\n"},
		{"base64 url alphabet", plain + "— x AAAAA-_=\n"},
		{"two spaces", strings.Replace(plain, "example ", "example  ", 1)},
		{"100 signatures", plain + strings.Repeat(short(3), 99)},
		{"101 signatures", plain + strings.Repeat(short(3), 100)},
		{"empty", ""},
	} {
		nc := noteCase{Name: c[0], Message: c[1]}
		if n, err := note.Open([]byte(c[1]), note.VerifierList(verifier)); err == nil {
			nc.OK, nc.Text = true, n.Text
		}
		v.Notes = append(v.Notes, nc)
	}
}

type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, h[i])
	}
	return out, nil
}

func (v *vectors) trees() {
	const size = 66_311 // levels 0, 1 and 2, each with an edge
	v.TreeSize = size
	v.Leaf0 = tlog.RecordHash([]byte("record 0\n")).String()
	var stored hashes
	for i := int64(0); i <= size; i++ {
		if i <= 20 || i%51 == 0 && i < 1100 || i%256 < 2 && i < 1100 || i%4099 == 0 || i >= 65_534 && i <= 65_539 || i >= 65_791 && i <= 65_793 || i == size {
			root, err := tlog.TreeHash(i, stored)
			if err != nil {
				log.Fatal(err)
			}
			v.Trees = append(v.Trees, treeCase{i, root.String()})
		}
		add, err := tlog.StoredHashes(i, fmt.Appendf(nil, "record %d\n", i), stored)
		if err != nil {
			log.Fatal(err)
		}
		stored = append(stored, add...)
	}
	v.growth(stored)
	for _, t := range append(tlog.NewTiles(8, size-600, size), tlog.Tile{H: 8, L: 0, N: 0, W: 256}, tlog.Tile{H: 8, L: 0, N: 100, W: 77}, tlog.Tile{H: 8, L: 1, N: 0, W: 256}, tlog.Tile{H: 8, L: 2, N: 0, W: 1}) {
		data, err := tlog.ReadTileData(t, stored)
		if err != nil {
			log.Fatal(err)
		}
		sum := sha256.Sum256(data)
		v.Tiles = append(v.Tiles, tileCase{int64(t.L), t.N, t.W, hex.EncodeToString(sum[:])})
	}
}

// growth says which tiles are new or wider when a tree grows, at and around every carry.
func (v *vectors) growth(stored hashes) {
	sizes := []int64{0, 1, 2, 3, 7, 255, 256, 257, 300, 511, 512, 513, 700, 1024, 65_535, 65_536, 65_537, 65_791, 65_792, 65_793, 66_311}
	for i, from := range sizes {
		for _, to := range sizes[i:min(i+4, len(sizes))] {
			root, err := tlog.TreeHash(to, stored)
			if err != nil {
				log.Fatal(err)
			}
			g := growthCase{From: from, To: to, Root: root.String(), Tiles: []tileCase{}}
			if to-from < 2000 {
				for _, t := range tlog.NewTiles(8, from, to) {
					data, err := tlog.ReadTileData(t, stored)
					if err != nil {
						log.Fatal(err)
					}
					sum := sha256.Sum256(data)
					g.Tiles = append(g.Tiles, tileCase{int64(t.L), t.N, t.W, hex.EncodeToString(sum[:])})
				}
				v.Growth = append(v.Growth, g)
			}
		}
	}
}

func (v *vectors) records() {
	good, err := tlog.FormatRecord(942, []byte("rsc.io/quote v1.5.2 h1:a\nrsc.io/quote v1.5.2/go.mod h1:b\n"))
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range [][2]string{
		{"plain", string(good) + "the note\n"},
		{"no note", string(good)},
		{"zero", "0\na\n\n"},
		{"three lines", "5\na\nb\nc\n\nrest"},
		{"no number", "a\n\n"},
		{"hexadecimal", "0x5\na\n\n"},
		{"number and space", "5 \na\n\n"},
		{"no newline after the number", "5"},
		{"no blank line", "5\na\n"},
		{"no text", "5\n\n"},
		{"no text, text later", "5\n\na\n\n"},
		{"too large a number", "9223372036854775808\na\n\n"},
		{"empty", ""},
		{"html", "<html><body>please log in</body></html>"},
	} {
		rc := recordCase{Name: c[0], Body: c[1]}
		if id, text, _, err := tlog.ParseRecord([]byte(c[1])); err == nil {
			rc.OK, rc.ID, rc.Text = true, id, string(text)
		}
		v.Records = append(v.Records, rc)
	}
}

func (v *vectors) treeNotes() {
	root := "nND/nri/U0xuHUrYSy0HtMeal2vzD9V4k/BO79C+QeI="
	for _, c := range [][2]string{
		{"plain", "go.sum database tree\n2\n" + root + "\n"},
		{"zero", "go.sum database tree\n0\n" + root + "\n"},
		{"further lines", "go.sum database tree\n2\n" + root + "\nmore\nand more\n"},
		{"no last newline", "go.sum database tree\n2\n" + root},
		{"version 2", "go.sum database tree v2\n2\n" + root + "\n"},
		{"leading zero", "go.sum database tree\n02\n" + root + "\n"},
		{"plus sign", "go.sum database tree\n+2\n" + root + "\n"},
		{"negative", "go.sum database tree\n-2\n" + root + "\n"},
		{"no size", "go.sum database tree\n\n" + root + "\n"},
		{"short root", "go.sum database tree\n2\nnND/\n"},
		{"no root", "go.sum database tree\n2\n"},
		{"not base64", "go.sum database tree\n2\n" + strings.Repeat("!", 44) + "\n"},
		{"empty", ""},
	} {
		tc := treeNoteCase{Name: c[0], Text: c[1]}
		if tree, err := tlog.ParseTree([]byte(c[1])); err == nil {
			tc.OK, tc.Size, tc.Root = true, tree.N, tree.Hash.String()
		}
		v.TreeNotes = append(v.TreeNotes, tc)
	}
}
