/** Recognises the go command's own error texts, and git's as it hands them on. The first pattern that fits a line counts. */
export interface Explanation {
  readonly id: ExplanationId;
  /** From 1. */
  readonly line: number;
  readonly text: string;
  /** What to type. */
  readonly type: readonly string[];
}

export interface ExplainedLog {
  readonly explained: readonly Explanation[];
  /** Lines that look like a failure and that no pattern fits. */
  readonly unknown: readonly { readonly line: number; readonly text: string }[];
}

interface Pattern {
  readonly id: ExplanationId;
  readonly pattern: RegExp;
  /** `$1` and so on stand for what the pattern caught. */
  readonly type: readonly string[];
}

export const LOG_LENGTH_MAX: number = 32 * 1024 * 1024;
const LINE_LENGTH_MAX = 4_000;
const EXPLAINED_MAX = 50;
const UNKNOWN_MAX = 20;

export const explanationIds = [
  'database-misbehaves',
  'checksum-mismatch',
  'unknown-to-database',
  'database-malformed',
  'database-off',
  'database-unreachable',
  'credentials-over-http',
  'proxy-address-invalid',
  'proxy-off',
  'terminal-prompts',
  'no-secure-protocol',
  'ssh-refused',
  'certificate-unknown',
  'certificate-expired',
  'certificate-name',
  'plain-http',
  'name-unknown',
  'connection-refused',
  'time-out',
  'module-path-major',
  'toolchain-unavailable',
  'proxy-absent',
  'proxy-refused',
  'proxy-broken',
  'import-path-unrecognized',
  'revision-unknown',
  'go-sum-missing',
  'go-newer-needed',
  'go-line-malformed',
  'no-module-provides',
  'no-go-mod',
  'modules-disabled',
  'vendor-inconsistent',
  'path-mismatch',
  'case-clash',
  'go-mod-outdated',
  'import-ambiguous',
  'not-in-std',
  'internal-package',
  'disk-full',
  'not-executable',
  'no-permission',
  'insecure-flag',
  'vcs-disallowed',
  'vcs-stamp',
  'dubious-ownership',
  'zip-broken',
  'git-missing',
  'compiler-missing',
] as const;

export type ExplanationId = (typeof explanationIds)[number];

const patterns: readonly Pattern[] = [
  {
    id: 'database-misbehaves',
    pattern: /misbehav\w+|Go checksum database has misbehaved|inconsistent (?:trees?|timelines?)/,
    type: ['go env GOSUMDB GOPROXY'],
  },
  { id: 'checksum-mismatch', pattern: /verifying (\S+?)@(\S+?): checksum mismatch/, type: ['goyi doctor', 'go mod download -x $1@$2'] },
  { id: 'checksum-mismatch', pattern: /checksum mismatch/, type: ['goyi doctor'] },
  {
    id: 'unknown-to-database',
    pattern: /(\S+?)@\S+: verifying (?:module|go\.mod): .*(?:\/lookup\/\S+: (?:404|410)|not found|unknown revision)/,
    type: ['go env GOPRIVATE', 'go env -w GOPRIVATE=$1'],
  },
  { id: 'database-malformed', pattern: /(?:invalid|missing) GOSUMDB/, type: ['go env -w GOSUMDB=sum.golang.org'] },
  { id: 'database-off', pattern: /checksum database disabled by GOSUMDB=off/, type: ['go env -u GOSUMDB'] },
  {
    id: 'database-unreachable',
    pattern: /verifying (?:module|go\.mod): .*(?:dial tcp|timeout|refused|no such host|: 5\d\d )/,
    type: ['go env GOPROXY GOSUMDB', 'goyi doctor'],
  },
  { id: 'credentials-over-http', pattern: /refusing to pass credentials to insecure URL/, type: ['go env GOPROXY'] },
  { id: 'proxy-address-invalid', pattern: /invalid proxy URL|GOPROXY list is not the empty string/, type: ['go env GOPROXY'] },
  { id: 'proxy-off', pattern: /disabled by GOPROXY=off/, type: ['go env GOPROXY'] },
  {
    id: 'terminal-prompts',
    pattern: /could not read (?:Username|Password) for '(\w+):\/\/([^/']+)/,
    type: ['git config --global url."ssh://git@$2/".insteadOf "https://$2/"', '# ~/.netrc: machine $2 login USER password TOKEN'],
  },
  { id: 'terminal-prompts', pattern: /terminal prompts disabled|Authentication failed for/, type: ['goyi doctor'] },
  {
    id: 'no-secure-protocol',
    pattern: /no secure protocol found for repository/,
    type: ['git ls-remote https://REPOSITORY', 'goyi doctor'],
  },
  { id: 'ssh-refused', pattern: /Permission denied \(publickey|Host key verification failed/, type: ['ssh-add -l', 'ssh -T git@HOST'] },
  {
    id: 'certificate-unknown',
    pattern: /certificate signed by unknown authority|SSL certificate problem|certificate is not trusted|self[- ]signed certificate/,
    type: ['cp COMPANY-CA.crt /usr/local/share/ca-certificates/ && update-ca-certificates'],
  },
  { id: 'certificate-expired', pattern: /certificate has expired or is not yet valid/, type: ['date'] },
  { id: 'certificate-name', pattern: /x509: certificate is (?:valid for .*, not|not valid for)/, type: ['go env GOPROXY'] },
  {
    id: 'plain-http',
    pattern: /server gave HTTP response to HTTPS client|first record does not look like a TLS handshake/,
    type: ['go env GOPROXY', 'env | grep -i _proxy'],
  },
  {
    id: 'name-unknown',
    pattern: /lookup (\S+?)(?: on \S+)?: (?:no such host|server misbehaving|Temporary failure)|Could not resolve host/,
    type: ['go env GOPROXY', 'goyi doctor'],
  },
  { id: 'connection-refused', pattern: /connect: connection refused|Connection refused/, type: ['go env GOPROXY', 'env | grep -i _proxy'] },
  {
    id: 'time-out',
    pattern: /i\/o timeout|connection timed out|TLS handshake timeout|context deadline exceeded|no route to host|network is unreachable/i,
    type: ['go env GOPROXY', 'goyi doctor'],
  },
  {
    id: 'module-path-major',
    pattern:
      /module path must match major version|should be v0 or v1, not v|invalid: should be v\d+|go\.mod has (?:post-v\d+|non-\.{3}\/v\d+) module path/,
    type: ['go get MODULE/vN@latest'],
  },
  {
    id: 'toolchain-unavailable',
    pattern: /toolchain not available|download go[\d.a-z]+ for \S+: /,
    type: ['go list -m -versions go', 'go env GOPROXY GOTOOLCHAIN'],
  },
  {
    id: 'import-path-unrecognized',
    pattern: /unrecognized import path "([^"]+)"/,
    type: ["curl 'https://$1?go-get=1'", 'go env GOPRIVATE GONOPROXY'],
  },
  { id: 'import-path-unrecognized', pattern: /unrecognized import path/, type: ['go env GOPRIVATE GONOPROXY'] },
  { id: 'proxy-absent', pattern: /reading \S+: (?:404|410)\b/, type: ['go env GOPROXY GOPRIVATE', 'goyi doctor'] },
  { id: 'proxy-refused', pattern: /reading \S+: (?:401|403|407|451)\b/, type: ['go env GOPROXY', 'goyi doctor'] },
  { id: 'proxy-broken', pattern: /reading \S+: (?:429|5\d\d)\b/, type: ['goyi doctor'] },
  { id: 'revision-unknown', pattern: /(?:^|\s)(\S+)@\S+: invalid version: unknown revision/, type: ['go list -m -versions $1'] },
  {
    id: 'revision-unknown',
    pattern: /unknown revision|no matching versions for query|invalid version: git /,
    type: ['go list -m -versions MODULE'],
  },
  { id: 'go-sum-missing', pattern: /missing go\.sum entry/, type: ['go mod tidy'] },
  { id: 'go-newer-needed', pattern: /requires go >= (\d+\.\d+(?:\.\d+)?)/, type: ['go env -w GOTOOLCHAIN=auto', 'goyi sdk install $1'] },
  { id: 'go-newer-needed', pattern: /module requires Go (\d[\d.]*)|requires newer Go version/, type: ['go env -w GOTOOLCHAIN=auto'] },
  { id: 'go-line-malformed', pattern: /invalid go version '|unknown directive: toolchain/, type: ['go mod edit -go=1.26'] },
  {
    id: 'no-module-provides',
    pattern: /(?:no required module provides package|cannot find module providing package) ([^\s;:]+)/,
    type: ['go get $1'],
  },
  {
    id: 'no-go-mod',
    pattern: /go\.mod file not found|cannot find main module|no longer supported outside a module|no modules specified/,
    type: ['go mod init', 'go mod tidy'],
  },
  { id: 'modules-disabled', pattern: /GO111MODULE=off|in any of:/, type: ['go env -u GO111MODULE'] },
  {
    id: 'vendor-inconsistent',
    pattern: /inconsistent vendoring|is explicitly required in go\.mod, but not marked|-mod=vendor/,
    type: ['go mod vendor'],
  },
  { id: 'path-mismatch', pattern: /declares its path as: (\S+)/, type: ['go get $1@latest'] },
  { id: 'path-mismatch', pattern: /but was required as:|unexpected module path/, type: ['go mod edit -replace=OLD=NEW@VERSION'] },
  { id: 'case-clash', pattern: /case-insensitive import collision/, type: ['go mod graph | grep -i MODULE'] },
  { id: 'go-mod-outdated', pattern: /updates to go\.mod needed|updates to go\.sum needed/, type: ['go mod tidy'] },
  { id: 'import-ambiguous', pattern: /ambiguous import/, type: ['go mod tidy', 'go mod why -m MODULE'] },
  { id: 'not-in-std', pattern: /package (\S+) is not in (?:std|GOROOT)/, type: ['go get $1', 'go version'] },
  { id: 'internal-package', pattern: /use of internal package/, type: ['go list -deps ./...'] },
  {
    id: 'disk-full',
    pattern: /no space left on device|disk quota exceeded/,
    type: ['df -h "$(go env GOCACHE)" "$(go env GOMODCACHE)" /tmp', 'go clean -cache'],
  },
  { id: 'not-executable', pattern: /fork\/exec \S+: permission denied/, type: ['goyi doctor --fix'] },
  { id: 'no-permission', pattern: /permission denied|read-only file system/, type: ['ls -ld "$(go env GOMODCACHE)" "$(go env GOCACHE)"'] },
  {
    id: 'insecure-flag',
    pattern: /-insecure flag|unknown flag -insecure|flag provided but not defined: -insecure/,
    type: ['go env -u GOFLAGS', 'go env -w GOINSECURE=git.corp.example'],
  },
  { id: 'vcs-disallowed', pattern: /GOVCS disallows/, type: ['go env GOVCS GOPRIVATE'] },
  { id: 'vcs-stamp', pattern: /error obtaining VCS status/, type: ['go build -buildvcs=false'] },
  { id: 'dubious-ownership', pattern: /dubious ownership/, type: ['git config --global --add safe.directory "$PWD"'] },
  {
    id: 'zip-broken',
    pattern: /not a valid zip file|unexpected EOF|malformed zip|invalid zip/,
    type: ['goyi doctor', 'go clean -modcache'],
  },
  { id: 'git-missing', pattern: /"git": executable file not found/, type: ['apt-get install git', 'yum install git'] },
  { id: 'compiler-missing', pattern: /C compiler .* not found|"gcc": executable file not found/, type: ['CGO_ENABLED=0 go build ./...'] },
];

/** Lines that say that something failed, whoever wrote them. */
const FAILURE = /^(?:go: |go build |\S+\.go:\d+:\d+: |fatal: |error: |ERROR\b|panic: |SECURITY ERROR)|\berror\b|\bfailed\b/i;
/** Lines beside an error that say nothing more than it. */
const BESIDE = /^(?:SECURITY ERROR|This download does NOT match|The bits may have been replaced|For more information, see)/;
/** Said by the go command on its way. */
const PROGRESS = /^go: (?:downloading|finding|extracting|added|upgraded|downgraded|removed|creating new|to add module|warning)\b/;

export function explainLog(text: string): ExplainedLog {
  const explained = new Map<string, Explanation>();
  const unknown: { line: number; text: string }[] = [];
  for (const [index, whole] of text.split('\n').entries()) {
    const line = whole.replace(/\r$/, '').slice(0, LINE_LENGTH_MAX);
    if (line.trim() === '' || PROGRESS.test(line) || BESIDE.test(line)) continue;
    const found = explainLine(line, index + 1);
    if (found !== undefined) {
      const key = `${found.id} ${found.type.join(' ')}`;
      if (!explained.has(key) && explained.size < EXPLAINED_MAX) explained.set(key, found);
    } else if (FAILURE.test(line) && unknown.length < UNKNOWN_MAX) unknown.push({ line: index + 1, text: line.trim() });
  }
  return { explained: [...explained.values()], unknown };
}

function explainLine(line: string, number: number): Explanation | undefined {
  for (const { id, pattern, type } of patterns) {
    const match = pattern.exec(line);
    if (match === null) continue;
    const filled = type.map((text) => text.replace(/\$(\d)/g, (_, group: string) => safe(match[Number(group)] ?? '')));
    return { id, line: number, text: line.trim(), type: filled };
  }
  return undefined;
}

/** A log is somebody else's text: nothing of it may be more than a word of a line that a reader may paste into a shell. */
function safe(word: string): string {
  return word.replace(/[^\w./@:+~!-]/g, '').slice(0, 200);
}
