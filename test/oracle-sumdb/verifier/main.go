// Command verifier audits a whole checksum database with golang.org/x/mod/sumdb, as anybody outside could.
//
//	verifier KEY PLACE [NOTES]
//
// PLACE is the database's address or a folder with its files. It checks that the latest tree is signed by KEY, that every tile fits under
// it, that every record hashes to its leaf and no module version has two, and that each signed note in the file NOTES (JSON strings, one a
// line) is a beginning of that tree. It prints {"size":…,"root":…,"records":…,"notes":…}, or what is wrong and ends with 1.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var errAbsent = errors.New("absent")

type place string

func (p place) read(path string) ([]byte, error) {
	if !strings.HasPrefix(string(p), "http") {
		data, err := os.ReadFile(filepath.Join(string(p), filepath.FromSlash(path)))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errAbsent
		}
		return data, err
	}
	resp, err := http.Get(string(p) + "/" + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == 404 {
		return nil, errAbsent
	}
	if resp.StatusCode != 200 {
		return nil, fmt.Errorf("%s: %s: %s", path, resp.Status, data)
	}
	return data, nil
}

// readTile falls back to the full tile, as clients do.
func (p place) readTile(t tlog.Tile) ([]byte, error) {
	data, err := p.read(t.Path())
	if !errors.Is(err, errAbsent) || t.W == 1<<t.H {
		return data, err
	}
	full := t
	full.W = 1 << t.H
	return p.read(full.Path())
}

func (p place) Height() int { return 8 }

func (p place) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range tiles {
		data, err := p.readTile(t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Path(), err)
		}
		if len(data) < t.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes", t.Path(), len(data))
		}
		all = append(all, data[:t.W*tlog.HashSize])
	}
	return all, nil
}

func (p place) SaveTiles([]tlog.Tile, [][]byte) {}

func open(msg []byte, verifiers note.Verifiers) (tlog.Tree, error) {
	n, err := note.Open(msg, verifiers)
	if err != nil {
		return tlog.Tree{}, err
	}
	return tlog.ParseTree([]byte(n.Text))
}

func records(p place, tree tlog.Tree, hashes tlog.HashReader) (int64, error) {
	seen := map[string]int64{}
	var id int64
	for id < tree.N {
		t := tlog.Tile{H: 8, L: -1, N: id / 256, W: int(min(256, tree.N-id))}
		data, err := p.readTile(t)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", t.Path(), err)
		}
		texts := strings.SplitAfter(string(data), "\n\n")
		if len(texts) < t.W {
			return 0, fmt.Errorf("%s has %d records", t.Path(), len(texts)-1)
		}
		for _, text := range texts[:t.W] {
			text = strings.TrimSuffix(text, "\n")
			leaves, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, id)})
			if err != nil {
				return 0, err
			}
			if leaves[0] != tlog.RecordHash([]byte(text)) {
				return 0, fmt.Errorf("record %d is not what its leaf says", id)
			}
			f := strings.Fields(text)
			if len(f) != 6 || f[0] != f[3] || f[1]+"/go.mod" != f[4] || strings.Count(text, "\n") != 2 {
				return 0, fmt.Errorf("record %d is malformed: %q", id, text)
			}
			if other, ok := seen[f[0]+"@"+f[1]]; ok {
				return 0, fmt.Errorf("records %d and %d are both of %s@%s", other, id, f[0], f[1])
			}
			seen[f[0]+"@"+f[1]] = id
			id++
		}
	}
	return id, nil
}

func notes(file string, verifiers note.Verifiers, tree tlog.Tree, hashes tlog.HashReader) (int, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	count := 0
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var msg string
		if err := json.Unmarshal(in.Bytes(), &msg); err != nil {
			return 0, err
		}
		shown, err := open([]byte(msg), verifiers)
		if err != nil {
			return 0, err
		}
		if shown.N > tree.N {
			return 0, fmt.Errorf("a tree of %d was shown, the latest has %d", shown.N, tree.N)
		}
		if root, err := tlog.TreeHash(shown.N, hashes); err != nil || root != shown.Hash {
			return 0, fmt.Errorf("fork: the tree of %d that was shown is not how the latest begins (%v)", shown.N, err)
		}
		count++
	}
	return count, in.Err()
}

func audit() error {
	verifier, err := note.NewVerifier(os.Args[1])
	if err != nil {
		return err
	}
	verifiers := note.VerifierList(verifier)
	p := place(strings.TrimSuffix(os.Args[2], "/"))
	latest, err := p.read("latest")
	if err != nil {
		return fmt.Errorf("latest: %w", err)
	}
	tree, err := open(latest, verifiers)
	if err != nil {
		return fmt.Errorf("latest: %w", err)
	}
	hashes := tlog.TileHashReader(tree, p)
	root, err := tlog.TreeHash(tree.N, hashes)
	if err != nil || root != tree.Hash {
		return fmt.Errorf("the tiles do not make the root: %v", err)
	}
	held, err := records(p, tree, hashes)
	if err != nil {
		return err
	}
	shown := 0
	if len(os.Args) > 3 {
		if shown, err = notes(os.Args[3], verifiers, tree, hashes); err != nil {
			return err
		}
	}
	fmt.Printf("{\"size\":%d,\"root\":%q,\"records\":%d,\"notes\":%d}\n", tree.N, tree.Hash, held, shown)
	return nil
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "verifier KEY PLACE [NOTES]")
		os.Exit(2)
	}
	if err := audit(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
