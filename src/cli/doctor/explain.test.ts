import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ExplanationId, explainLog, explanationIds } from './explain.ts';

/** As the go command of 1.26 and git print them; test/doctor-explain.test.ts makes those for real that a machine without internet can make. */
const samples: Readonly<Record<ExplanationId, readonly string[]>> = {
  'database-misbehaves': ['go.sum database server misbehavior detected!'],
  'checksum-mismatch': ['verifying rsc.io/quote@v1.5.2: checksum mismatch', 'verifying rsc.io/quote@v1.5.2/go.mod: checksum mismatch'],
  'unknown-to-database': [
    'go: git.corp.example/a/b@v1.0.0: verifying module: git.corp.example/a/b@v1.0.0: reading https://sum.golang.org/lookup/git.corp.example/a/b@v1.0.0: 404 Not Found',
  ],
  'database-malformed': ['go: rsc.io/quote@v1.5.2: verifying module: invalid GOSUMDB: malformed verifier id'],
  'database-off': ['go: golang.org/toolchain@v0.0.1-go1.99.0.linux-amd64: verifying module: checksum database disabled by GOSUMDB=off'],
  'database-unreachable': [
    'go: x.example/a@v1.0.0: verifying module: x.example/a@v1.0.0: Get "https://sum.golang.org/lookup/x.example/a@v1.0.0": dial tcp 192.0.2.1:443: i/o timeout',
  ],
  'credentials-over-http': [
    'go: module rsc.io/quote: refusing to pass credentials to insecure URL: http://u:xxxxx@hub/rsc.io/quote/@v/list',
  ],
  'proxy-address-invalid': ['go: rsc.io/quote@latest: invalid proxy URL scheme (must be https, http, file): htps://x.example'],
  'proxy-off': ['go: rsc.io/quote@v1.5.3: module lookup disabled by GOPROXY=off'],
  'terminal-prompts': [
    "fatal: could not read Username for 'https://git.corp.example': terminal prompts disabled",
    'fatal: Authentication failed for',
  ],
  'no-secure-protocol': ['go: no secure protocol found for repository'],
  'ssh-refused': ['git@git.corp.example: Permission denied (publickey).', 'Host key verification failed.'],
  'certificate-unknown': [
    'go: x@v1: Get "https://hub/x/@v/v1.info": tls: failed to verify certificate: x509: certificate signed by unknown authority',
  ],
  'certificate-expired': [
    'tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-01-01T00:00:00Z',
  ],
  'certificate-name': ['tls: failed to verify certificate: x509: certificate is valid for localhost, not hub.corp.example'],
  'plain-http': ['Get "https://127.0.0.1:3000/x/@v/list": http: server gave HTTP response to HTTPS client'],
  'name-unknown': [
    'dial tcp: lookup hub.corp.example on 10.0.0.2:53: no such host',
    'fatal: unable to access: Could not resolve host: git.corp.example',
  ],
  'connection-refused': ['Get "http://127.0.0.1:1/x/@v/list": dial tcp 127.0.0.1:1: connect: connection refused'],
  'time-out': ['Get "https://192.0.2.1/x/@v/list": dial tcp 192.0.2.1:443: i/o timeout', 'net/http: TLS handshake timeout'],
  'module-path-major': [
    'go: x.example/a@v2.0.0: invalid version: module contains a go.mod file, so module path must match major version ("x.example/a/v2")',
    'go.mod:5:2: require x.example/a: version "v2.0.0" invalid: should be v0 or v1, not v2',
  ],
  'toolchain-unavailable': ['go: download go1.99.0 for linux/amd64: toolchain not available'],
  'proxy-absent': ['go: x.example/a@v1.0.1: reading https://hub/x.example/a/@v/v1.0.1.info: 404 Not Found'],
  'proxy-refused': ['go: x.example/a@v1.0.1: reading https://hub/x.example/a/@v/v1.0.1.zip: 403 Forbidden'],
  'proxy-broken': ['go: x.example/a@v1.0.1: reading https://hub/x.example/a/@v/v1.0.1.zip: 502 Bad Gateway'],
  'import-path-unrecognized': [
    'go: git.corp.example/a: unrecognized import path "git.corp.example/a": reading https://git.corp.example/a?go-get=1: 404 Not Found',
  ],
  'revision-unknown': [
    'go: rsc.io/quote@v9.9.9: invalid version: unknown revision v9.9.9',
    'go: module rsc.io/quote: no matching versions for query "v9"',
  ],
  'go-sum-missing': ['main.go:3:8: missing go.sum entry for module providing package x.example/a; to add:'],
  'go-newer-needed': ['go: go.mod requires go >= 1.99.0 (running go 1.26.8; GOTOOLCHAIN=local)'],
  'go-line-malformed': ["go.mod:3: invalid go version '1.x': must match format 1.23"],
  'no-module-provides': ['main.go:3:8: no required module provides package x.example/a; to add it:'],
  'no-go-mod': ["go: go.mod file not found in current directory or any parent directory; see 'go help modules'"],
  'modules-disabled': ['go: list -m cannot be used with GO111MODULE=off'],
  'vendor-inconsistent': ['go: inconsistent vendoring in /src/app:'],
  'path-mismatch': ['\tmodule declares its path as: original.example/m'],
  'case-clash': ['case-insensitive import collision: "x.example/A" and "x.example/a"'],
  'go-mod-outdated': ['go: updates to go.mod needed; to update it:'],
  'import-ambiguous': ['main.go:3:8: ambiguous import: found package x.example/a/b in multiple modules:'],
  'not-in-std': ['main.go:3:8: package slicez is not in std (/usr/lib/go/src/slicez)'],
  'internal-package': ['package x: use of internal package x.example/a/internal/b not allowed'],
  'disk-full': ['go: writing stat cache: write /cache: no space left on device'],
  'not-executable': ['fork/exec /tmp/go-build1/b001/exe/main: permission denied'],
  'no-permission': ['go: could not create module cache: mkdir /go/pkg: permission denied'],
  'insecure-flag': ['go: -insecure flag is no longer supported; use GOINSECURE instead'],
  'vcs-disallowed': ['go: GOVCS disallows using svn for public x.example/a; see "go help vcs"'],
  'vcs-stamp': ['error obtaining VCS status: exit status 128'],
  'dubious-ownership': ["fatal: detected dubious ownership in repository at '/src'"],
  'zip-broken': ['go: x.example/a@v1.0.0: zip: not a valid zip file'],
  'git-missing': ['go: x.example/a@v1.0.0: exec: "git": executable file not found in $PATH'],
  'compiler-missing': ['# runtime/cgo\ncgo: C compiler "gcc" not found: exec: "gcc": executable file not found in $PATH'],
};

for (const id of explanationIds)
  for (const sample of samples[id])
    test(`${id}: ${sample.slice(0, 80)}`, () => {
      const { explained, unknown } = explainLog(`go: downloading x.example/a v1.0.0\n${sample}\n`);
      assert.deepEqual(
        explained.map((one) => one.id),
        [id],
      );
      assert.deepEqual(unknown, []);
      assert.ok((explained[0]?.type.length ?? 0) > 0);
    });

test('unknown failures are handed back, and what is no failure is not', () => {
  const { explained, unknown } = explainLog('building…\ngo: something entirely new went wrong\nok  \tx.example/a\t0.1s\n');
  assert.deepEqual(explained, []);
  assert.deepEqual(unknown, [{ line: 2, text: 'go: something entirely new went wrong' }]);
});

test('the same failure is told once', () => {
  const line = 'go: x.example/a@v1: reading https://hub/x: 404 Not Found\n';
  assert.equal(explainLog(line.repeat(1000)).explained.length, 1);
});

test('nothing of a log gets into a line to type but plain words', () => {
  const { explained } = explainLog('main.go:3:8: no required module provides package x.example/$(reboot)`id`; to add it:\n');
  assert.deepEqual(explained[0]?.type, ['go get x.example/rebootid']);
});

test('a long hostile line takes no time', () => {
  const started = process.cpuUsage();
  explainLog(`${'reading verifying '.repeat(200_000)}\n`);
  assert.ok(process.cpuUsage(started).user < 5_000_000);
});
