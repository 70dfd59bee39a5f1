// Command client looks modules up with the checksum-database client of golang.org/x/mod, the one in the go command.
// Its arguments are a verifier key and the address of a database. It reads commands, one a line, and answers each with one line:
//
//	lookup PATH VERSION    the go.sum lines, joined by "|", or "error: …"
//	forget                 "ok": the next look-up begins with an empty cache, but with the newest tree seen so far, as after `go clean -modcache`
package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb"
)

type ops struct {
	key, url string
	mu       sync.Mutex
	latest   []byte
	cache    map[string][]byte
}

func (o *ops) ReadRemote(path string) ([]byte, error) {
	resp, err := http.Get(o.url + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("%s: %s", path, resp.Status)
	}
	return body, err
}

func (o *ops) ReadConfig(file string) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if file == "key" {
		return []byte(o.key), nil
	}
	return o.latest, nil
}

func (o *ops) WriteConfig(file string, old, new []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if string(o.latest) != string(old) {
		return sumdb.ErrWriteConflict
	}
	o.latest = new
	return nil
}

func (o *ops) ReadCache(file string) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if data, ok := o.cache[file]; ok {
		return data, nil
	}
	return nil, os.ErrNotExist
}

func (o *ops) WriteCache(file string, data []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cache[file] = data
}

func (o *ops) Log(string)           {}
func (o *ops) SecurityError(string) {}

func main() {
	o := &ops{key: os.Args[1], url: os.Args[2], cache: map[string][]byte{}}
	client := sumdb.NewClient(o)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		f := strings.Fields(in.Text())
		switch {
		case len(f) == 3 && f[0] == "lookup":
			lines, err := client.Lookup(f[1], f[2])
			if err != nil {
				fmt.Println(strings.ReplaceAll(fmt.Sprintf("error: %v", err), "\n", " "))
				continue
			}
			fmt.Println(strings.Join(lines, "|"))
		case len(f) == 1 && f[0] == "forget":
			o.cache = map[string][]byte{}
			client = sumdb.NewClient(o)
			fmt.Println("ok")
		default:
			fmt.Println("error: unknown command")
		}
	}
}
