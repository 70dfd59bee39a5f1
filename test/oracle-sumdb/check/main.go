// Command check reads a JSON array of claims on standard input and prints for each "ok" or what is wrong with it, one a line. Proofs are
// checked by golang.org/x/mod/sumdb/tlog and notes opened by golang.org/x/mod/sumdb/note; cosignatures and proof files, which those do not
// know, by what their specifications say.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type claim struct {
	Kind          string // note, cosigned, inclusion, consistency, proof
	Key, Cosigner string
	Message       string // note or proof file
	Size, Of      int64
	Root, Other   tlog.Hash // Other: the leaf, or the older root
	Hashes        []tlog.Hash
}

func main() {
	var claims []claim
	if err := json.NewDecoder(os.Stdin).Decode(&claims); err != nil {
		log.Fatal(err)
	}
	for _, c := range claims {
		if err := c.check(); err != nil {
			fmt.Println(strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Println("ok")
		}
	}
}

func (c claim) check() error {
	switch c.Kind {
	case "note":
		_, err := openTree(c.Message, c.Key)
		return err
	case "cosigned":
		v, err := newCosigner(c.Cosigner)
		if err != nil {
			return err
		}
		n, err := note.Open([]byte(c.Message), note.VerifierList(v))
		if err == nil && len(n.Sigs) != 1 {
			err = errors.New("not exactly one cosignature")
		}
		return err
	case "inclusion":
		return tlog.CheckRecord(c.Hashes, c.Size, c.Root, c.Of, c.Other)
	case "consistency":
		return tlog.CheckTree(c.Hashes, c.Size, c.Root, c.Of, c.Other)
	case "proof":
		return c.checkProofFile()
	}
	return fmt.Errorf("unknown kind %q", c.Kind)
}

func openTree(message, key string) (tlog.Tree, error) {
	v, err := note.NewVerifier(key)
	if err != nil {
		return tlog.Tree{}, err
	}
	n, err := note.Open([]byte(message), note.VerifierList(v))
	if err != nil {
		return tlog.Tree{}, err
	}
	return tlog.ParseTree([]byte(n.Text))
}

// c2sp.org/tlog-proof
func (c claim) checkProofFile() error {
	head, checkpoint, ok := strings.Cut(c.Message, "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("no proof file")
	}
	tree, err := openTree(checkpoint, c.Key)
	if err != nil {
		return err
	}
	record, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return err
	}
	var index int64
	if _, err := fmt.Sscanf(lines[2], "index %d", &index); err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, h)
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(record))
}

// cosigner is a note.Verifier of cosignature/v1, c2sp.org/tlog-cosignature.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }
func (c cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	signed := fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(sig), msg)
	return ed25519.Verify(c.key, signed, sig[8:])
}

func newCosigner(text string) (note.Verifier, error) {
	parts := strings.SplitN(text, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("no verifier key")
	}
	material, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(material) != 33 || material[0] != 4 {
		return nil, errors.New("no key of a cosigner")
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), material...))
	hash := binary.BigEndian.Uint32(sum[:])
	if fmt.Sprintf("%08x", hash) != parts[1] {
		return nil, errors.New("the hash is not that of the key")
	}
	return cosigner{parts[0], hash, material[1:]}, nil
}
