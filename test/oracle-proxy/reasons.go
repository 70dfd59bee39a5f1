package main

import (
	"bufio"
	"encoding/json"
	"log"
	"net/url"
	"os"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// reason is why one address goes direct under one NO_PROXY: found by asking with each of its entries alone.
type reason struct {
	NoProxy string `json:"noProxy"`
	URL     string `json:"url"`
	Direct  bool   `json:"direct"`
	// Without any NO_PROXY it goes direct as well.
	Loopback bool `json:"loopback"`
	// Entries that suffice by themselves, as they are written.
	Entries []string `json:"entries"`
}

// environment is what a whole environment means for one address.
type environment struct {
	Env map[string]string `json:"env"`
	URL string            `json:"url"`
	// Empty: direct.
	Proxy string `json:"proxy"`
	// Refuses to choose.
	Refused bool `json:"refused"`
}

var environments = []map[string]string{
	{},
	{"HTTP_PROXY": "http://p.test:1"},
	{"http_proxy": "http://p.test:1"},
	{"HTTP_PROXY": "http://upper.test:1", "http_proxy": "http://lower.test:1"},
	{"HTTP_PROXY": "", "http_proxy": "http://lower.test:1"},
	{"HTTPS_PROXY": "http://p.test:1"},
	{"https_proxy": "p.test:1"},
	{"HTTPS_PROXY": "https://p.test"},
	{"HTTPS_PROXY": "p.test"},
	{"HTTPS_PROXY": "socks5://p.test:1080"},
	{"HTTPS_PROXY": "socks5h://u:p@p.test:1080"},
	{"ALL_PROXY": "http://p.test:1"},
	{"all_proxy": "http://p.test:1"},
	{"HTTPS_PROXY": "http://p.test:1", "NO_PROXY": "foo.test"},
	{"HTTPS_PROXY": "http://p.test:1", "no_proxy": "foo.test"},
	{"HTTPS_PROXY": "http://p.test:1", "NO_PROXY": "other.test", "no_proxy": "foo.test"},
	{"HTTPS_PROXY": "http://p.test:1", "NO_PROXY": "", "no_proxy": "foo.test"},
	{"HTTP_PROXY": "http://p.test:1", "REQUEST_METHOD": "GET"},
	{"http_proxy": "http://p.test:1", "REQUEST_METHOD": "GET"},
	{"HTTP_PROXY": "http://p.test:1", "REQUEST_METHOD": "GET", "NO_PROXY": "*"},
	{"HTTPS_PROXY": "http://p.test:1", "REQUEST_METHOD": "GET"},
	{"HTTPS_PROXY": "http://p.test:99999x"},
	{"HTTPS_PROXY": "http://p .test:1"},
	{"HTTPS_PROXY": "[::1]:3128"},
	{"HTTPS_PROXY": "::1:3128"},
	{"HTTPS_PROXY": "http://u:p%zz@p.test:1"},
	{"HTTP_PROXY": "http://p.test:1", "HTTPS_PROXY": "http://s.test:2", "NO_PROXY": "10.0.0.0/8,.corp.test"},
}

var environmentAddresses = []string{"http://foo.test/", "https://foo.test/", "https://localhost/", "http://localhost/", "https://10.1.2.3/", "https://a.corp.test/", "https://corp.test/", "ftp://foo.test/"}

func writeReasons() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	goesDirect := func(noProxy string, target *url.URL) bool {
		config := httpproxy.Config{HTTPProxy: "http://p.test:1", HTTPSProxy: "http://p.test:1", NoProxy: noProxy}
		proxy, err := config.ProxyFunc()(target)
		if err != nil {
			log.Fatal(err)
		}
		return proxy == nil
	}
	for _, noProxy := range append(noProxies, longer...) {
		for _, address := range addresses {
			target, err := url.Parse(address)
			if err != nil {
				log.Fatal(err)
			}
			r := reason{NoProxy: noProxy, URL: address, Direct: goesDirect(noProxy, target), Loopback: goesDirect("", target), Entries: []string{}}
			for _, part := range strings.Split(noProxy, ",") {
				if entry := strings.TrimSpace(part); entry != "" && goesDirect(entry, target) {
					r.Entries = append(r.Entries, entry)
				}
			}
			if err := encoder.Encode(r); err != nil {
				log.Fatal(err)
			}
		}
	}
}

var longer = []string{
	"localhost,127.0.0.1,::1,corp.test,foo.test,10.0.0.0/8",
	"a.foo.test,.foo.test,foo.test", "192.168.0.0/16, 10.1.2.0/24 ,10.1.2.3", "FOO.test:8080,foo.test:443,test", "2001:db8::/32,[2001:db8::1]:443,2001:db8::1",
	".test,*.test,test", "bad entry,10.0.0.0/40,foo.test/,foo.test", "::/0,0.0.0.0/0",
}

func writeEnvironments() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for _, env := range environments {
		os.Clearenv()
		for name, value := range env {
			os.Setenv(name, value)
		}
		choose := httpproxy.FromEnvironment().ProxyFunc()
		for _, address := range environmentAddresses {
			target, err := url.Parse(address)
			if err != nil {
				log.Fatal(err)
			}
			proxy, err := choose(target)
			e := environment{Env: env, URL: address, Refused: err != nil}
			if proxy != nil {
				e.Proxy = proxy.String()
			}
			if err := encoder.Encode(e); err != nil {
				log.Fatal(err)
			}
		}
	}
}
