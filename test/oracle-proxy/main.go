// Command oracle-proxy writes what golang.org/x/net/http/httpproxy answers for a wide table of settings and addresses,
// one JSON object a line, to standard output; with the word reasons or environments, why it answers so. update.sh writes all of it.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"net/url"
	"os"

	"golang.org/x/net/http/httpproxy"
)

type vector struct {
	HTTPProxy  string `json:"httpProxy"`
	HTTPSProxy string `json:"httpsProxy"`
	NoProxy    string `json:"noProxy"`
	URL        string `json:"url"`
	// Empty: direct.
	Proxy string `json:"proxy"`
}

var proxies = [][2]string{
	{"http://proxy.test:3128", "http://proxy.test:3128"},
	{"proxy.test:3128", "http://user:secret@secure.test:3129"},
	{"", "https://secure.test"},
	{"http://only-http.test:80", ""},
	{"10.9.8.7:3128", "[2001:db8::9]:3128"},
	{"proxy.test", "proxy.test/"},
}

var noProxies = []string{
	"", "*", "a.test,*", " * ", "*,foo.test", ",", " ", ",,foo.test,",
	"foo.test", ".foo.test", "*.foo.test", "*foo.test", "FOO.Test", " foo.test ", "foo.test bar.test", "foo.test.",
	"foo.test:8080", ".foo.test:8080", "*.foo.test:443", "foo.test:", ":8080", "foo.test:443", "foo.test:80,foo.test:443", "foo.test:http",
	"test", ".test", "a.foo.test", "foo.test/", "http://foo.test", "foo.test,bar.test", "*.", ".", "..foo.test",
	"10.0.0.0/8", "10.1.2.3", "10.1.2.3:8080", "10.1.2.3:443", "10.1.2.3/32", "10.1.2.3/0", "10.", "10.*", "10.0.0.0/33", "010.1.2.3", "10.1.2", "10.0.0.0/08", "10.0.0.0/",
	"192.168.0.0/16,10.1.0.0/16", `192\.168\..*`,
	"2001:db8::/32", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:8080", "[2001:db8::1]:443", "2001:DB8:0::1", "2001:db8::1/128", "::/0", "[2001:db8::]/32", "fe80::1%eth0",
	"::ffff:10.1.2.3", "::ffff:10.0.0.0/104", "::ffff:a01:203", "0.0.0.0/0",
	"localhost", "127.0.0.1", "!localhost", "b\u00fccher.test", ".b\u00fccher.test", "xn--bcher-kva.test",
}

var addresses = []string{
	"http://foo.test/", "https://foo.test/x", "https://foo.test:8080/", "http://foo.test:8080/", "https://a.foo.test/", "https://afoo.test/", "https://b.a.foo.test/",
	"https://foo.test./", "https://FOO.TEST/", "https://bar.test/", "https://test/", "https://foo.test:443/", "http://foo.test:443/",
	"https://10.1.2.3/", "http://10.1.2.3:8080/", "https://10.2.0.1:8443/", "https://11.1.2.3/", "https://192.168.1.1/", "https://10.test/",
	"https://[2001:db8::1]/", "https://[2001:db8::1]:8080/", "https://[2001:db9::1]/", "https://[::ffff:10.1.2.3]/", "https://[2001:db8:0:0:0:0:0:1]/",
	"http://localhost/", "https://localhost:8443/", "http://127.0.0.1/", "http://127.8.9.10:8080/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://sub.localhost/",
	"https://b\u00fccher.test/", "https://xn--bcher-kva.test/", "https://a.b\u00fccher.test/", "https://user:pass@foo.test/",
}

func main() {
	switch {
	case len(os.Args) < 2:
		writeVectors()
	case os.Args[1] == "reasons":
		writeReasons()
	case os.Args[1] == "environments":
		writeEnvironments()
	default:
		log.Fatalf("no such table: %s", os.Args[1])
	}
}

func writeVectors() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for i, pair := range proxies {
		for j, noProxy := range noProxies {
			// The rules for proxies and those for exceptions are independent: the full product is asked for the first pair alone.
			if i > 0 && j > 0 && noProxy != "foo.test" {
				continue
			}
			config := httpproxy.Config{HTTPProxy: pair[0], HTTPSProxy: pair[1], NoProxy: noProxy}
			choose := config.ProxyFunc()
			for _, address := range addresses {
				target, err := url.Parse(address)
				if err != nil {
					log.Fatal(err)
				}
				proxy, err := choose(target)
				if err != nil {
					log.Fatal(err)
				}
				v := vector{HTTPProxy: pair[0], HTTPSProxy: pair[1], NoProxy: noProxy, URL: address}
				if proxy != nil {
					v.Proxy = proxy.String()
				}
				if err := encoder.Encode(v); err != nil {
					log.Fatal(err)
				}
			}
		}
	}
}
