// Command oracle-witness is the witness of github.com/transparency-dev/witness, and its client, so that ours can talk to both:
//
//	oracle-witness serve LOG_KEY WITNESS_SECRET    listens on loopback, prints its address; its state is in memory
//	oracle-witness ask                             reads requests on standard input, a JSON value each, prints a line for each
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"

	f_note "github.com/transparency-dev/formats/note"
	client "github.com/transparency-dev/witness/client/http"
	"github.com/transparency-dev/witness/persistence/inmemory"
	"github.com/transparency-dev/witness/witness"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	if len(os.Args) == 4 && os.Args[1] == "serve" {
		log.Fatal(serve(os.Args[2], os.Args[3]))
	}
	in := json.NewDecoder(os.Stdin)
	for {
		var r request
		err := in.Decode(&r)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		if err := r.ask(); err != nil {
			fmt.Println("error:", err)
		} else {
			fmt.Println("cosigned")
		}
	}
}

func serve(logKey, secret string) error {
	verifier, err := note.NewVerifier(logKey)
	if err != nil {
		return err
	}
	signer, err := f_note.NewSignerForCosignatureV1(secret)
	if err != nil {
		return err
	}
	w, err := witness.New(context.Background(), witness.Opts{
		Persistence: inmemory.New(),
		Signers:     []note.Signer{signer},
		VerifierForLog: func(_ context.Context, origin string) (note.Verifier, bool, error) {
			return verifier, origin == "go.sum database tree", nil
		},
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", listener.Addr())
	http.HandleFunc("POST /add-checkpoint", witness.NewHTTPHandler(w).AddCheckpoint)
	return http.Serve(listener, nil)
}

type request struct {
	URL, Key, Note string
	Older          uint64
	Proof          [][]byte
}

func (r request) ask() error {
	u, err := url.Parse(r.URL)
	if err != nil {
		return err
	}
	lines, size, err := client.NewWitness(u, http.DefaultClient).Update(context.Background(), r.Older, []byte(r.Note), r.Proof)
	if err != nil {
		return fmt.Errorf("%d %w", size, err)
	}
	verifier, err := f_note.NewVerifierForCosignatureV1(r.Key)
	if err != nil {
		return err
	}
	_, err = note.Open(append([]byte(r.Note), lines...), note.VerifierList(verifier))
	return err
}
