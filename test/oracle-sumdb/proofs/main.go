// Command proofs prints proofs that golang.org/x/mod/sumdb/tlog makes, as one JSON document:
//
//	go run ./proofs >../../src/protocol/testdata/tree-proof-vectors.json
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"

	"golang.org/x/mod/sumdb/tlog"
)

type proofCase struct {
	Size, Of int64 // of the tree; the record's number or the older tree's size
	Hashes   []tlog.Hash
}

type vectors struct {
	Origin      string
	Records     int64
	Inclusion   []proofCase
	Consistency []proofCase
}

type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, h[i])
	}
	return out, nil
}

func main() {
	v := vectors{Origin: "made by test/oracle-sumdb/proofs with golang.org/x/mod/sumdb/tlog; record i is the text \"record i\\n\"", Records: 66_311}
	var stored hashes
	for i := int64(0); i < v.Records; i++ {
		add, err := tlog.StoredHashes(i, fmt.Appendf(nil, "record %d\n", i), stored)
		if err != nil {
			log.Fatal(err)
		}
		stored = append(stored, add...)
	}
	sizes := []int64{1, 2, 3, 4, 5, 6, 7, 8, 11, 255, 256, 257, 511, 513, 4_099, 65_535, 65_536, 65_537, 65_793, v.Records}
	for _, size := range sizes {
		for _, of := range sizes {
			if of > size || size > 11 && of < size-1 && of%4 == 2 {
				continue
			}
			p, err := tlog.ProveRecord(size, of-1, stored)
			if err != nil {
				log.Fatal(err)
			}
			v.Inclusion = append(v.Inclusion, proofCase{size, of - 1, p})
			t, err := tlog.ProveTree(size, of, stored)
			if err != nil {
				log.Fatal(err)
			}
			v.Consistency = append(v.Consistency, proofCase{size, of, t})
		}
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(v); err != nil {
		log.Fatal(err)
	}
}
