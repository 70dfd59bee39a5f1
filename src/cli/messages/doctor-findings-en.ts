import type { FindingId, FindingText } from '../doctor/finding.ts';

export const findings: Readonly<Record<FindingId, FindingText>> = {
  'go-missing': {
    title: () => 'there is no go command in PATH',
    why: 'Nothing can be built without it.',
    todo: 'Install Go, or add its folder to PATH where it is installed already:',
  },
  'go-too-old': {
    title: (subject) => `${subject} is too old to follow a go.mod that asks for a newer Go`,
    why: 'From 1.21 on the go command fetches the toolchain that a go.mod names; an older one fails with puzzling errors.',
    todo: 'Install a current Go:',
  },
  'go-line-invalid': {
    title: (subject) => `go.mod cannot be read: ${subject}`,
    why: 'The go command refuses a go.mod with a line that it does not understand.',
    todo: 'Correct the line:',
  },
  'toolchain-needed': {
    title: (subject) => `the project needs ${subject}, and GOTOOLCHAIN=local forbids to fetch it`,
    why: 'With `local` the go command uses the installed toolchain only and stops when go.mod asks for a newer one. It finds no tools offline and speeds nothing up.',
    todo: 'Let it fetch the toolchain, which is checked against the checksum database:',
  },
  'toolchain-absent': {
    title: (subject) => `no proxy has the toolchain ${subject}`,
    why: 'The go command would fetch it as a module from GOPROXY. Either this release does not exist or the proxies do not carry golang.org/toolchain.',
    todo: 'See which releases there are, and correct the go or toolchain line or GOTOOLCHAIN:',
  },
  'variable-shadowed': {
    title: (subject) => `the environment says ${subject}, and what go env -w wrote has no effect`,
    why: 'A variable of the environment goes before the file of `go env -w`, so changes there are silently ignored.',
    todo: 'Take it out of the place that sets it and start a new shell:',
  },
  'value-quoted': {
    title: (subject) => `the quote marks in ${subject} are part of the value`,
    why: 'The file of `go env -w` has no quoting: what stands after = is taken as it is.',
    todo: 'Write the value without them:',
  },
  'setting-ignored': {
    title: (subject) => `the go command passes over a line of its settings: ${subject}`,
    why: 'The file of `go env -w` holds lines NAME=VALUE and nothing else: no export, no small letters, no blanks in front.',
    todo: 'Take the line out, and write it so if it is wanted:',
  },
  'goflags-insecure': {
    title: (subject) => `${subject} has a flag that no go command since 1.17 accepts`,
    why: '`-insecure` was removed; go get fails with it. GOINSECURE allows plain http for chosen modules, and checksums stay checked.',
    todo: 'Take the flag out:',
  },
  'sumdb-malformed': {
    title: (subject) => `${subject} is no checksum database`,
    why: 'It must be NAME, NAME+HASH+KEY, or either of them, a blank and an address. As it is every download fails with "invalid GOSUMDB".',
    todo: 'Use the default, or the line that your hub shows:',
  },
  'sumdb-off': {
    title: () => 'GOSUMDB=off: nothing that is new to go.sum is checked',
    why: 'A moved tag, a poisoned cache or a lying mirror would be built without a word. A mismatch is never mended by switching the check off.',
    todo: 'Switch it on again:',
  },
  'nosumdb-everything': {
    title: (subject) => `${subject} takes every module out of the checksum database's sight`,
    why: 'A pattern that fits everything is the same as GOSUMDB=off.',
    todo: 'Name only your own hosts and groups:',
  },
  'private-too-wide': {
    title: (subject) => `${subject} covers public modules`,
    why: 'Modules that match are not checked against the database, and without GONOPROXY=none they are fetched past every proxy.',
    todo: 'Name only your own hosts and groups, such as:',
  },
  'pattern-malformed': {
    title: (subject) => `a pattern in ${subject} is malformed`,
    why: 'The go command passes over such a pattern without a word. Patterns are globs by path element, no regular expressions.',
    todo: 'Take it out or correct it:',
  },
  'proxy-entry-invalid': {
    title: (subject) => `GOPROXY has an entry that is no address: ${subject}`,
    why: 'The go command refuses the whole list because of it.',
    todo: 'Correct it:',
  },
  'credentials-over-http': {
    title: (subject) => `GOPROXY has a password in an http address: ${subject}`,
    why: 'The go command sends credentials by https only, from the address as from ~/.netrc and GOAUTH, and stops with "refusing to pass credentials to insecure URL".',
    todo: 'Use https, with the password in ~/.netrc; or take it out where none is asked for:',
  },
  'proxy-pipe-direct': {
    title: () => 'GOPROXY goes on to direct after any error',
    why: 'After | the next entry is tried even when the proxy refuses a module (403) or is down for a moment: rules of the proxy are bypassed, and on a closed network every trouble ends in a time-out.',
    todo: 'Use a comma, which goes on after 404 and 410 only:',
  },
  'proxy-unreachable': {
    title: (subject) => `the module proxy ${subject} cannot be reached`,
    why: 'The go command stops there, unless | follows in GOPROXY.',
    todo: 'Look at address, network and outbound proxy:',
  },
  'proxy-slow': {
    title: (subject) => `the module proxy ${subject} answers slowly`,
    why: 'The go command asks hundreds of small questions; each takes that long.',
    todo: 'Measure again, and take a nearer proxy if it stays so:',
  },
  'proxy-certificate': {
    title: (subject) => `the certificate of ${subject} is not trusted`,
    why: "It is expired, made for another name, or signed by an authority that this machine does not know: a company's own, or that of a box that opens TLS on the way.",
    todo: 'Install the authority of your company, never switch the check off:',
  },
  'proxy-not-tls': {
    title: (subject) => `${subject} is asked by https but speaks plain http`,
    why: 'TLS was offered and something else came back.',
    todo: 'Write http in GOPROXY, or give the proxy a certificate:',
  },
  'proxy-error': {
    title: (subject) => `the module proxy ${subject} has trouble of its own`,
    why: 'It answers with 5xx. The go command does not try again.',
    todo: 'Tell who runs it, with this:',
  },
  'proxy-credentials': {
    title: (subject) => `${subject} wants credentials`,
    why: 'It answers 401. The go command sends those of ~/.netrc or GOAUTH, to https addresses only.',
    todo: 'Get a token and put it there:',
  },
  'database-unreachable': {
    title: (subject) => `the checksum database ${subject} cannot be reached`,
    why: 'No proxy in GOPROXY relays it, and the direct way is closed. New modules cannot be checked and are refused. This is a matter of network: do not switch the check off.',
    todo: 'Use a proxy that relays the database, or an address that can be reached:',
  },
  'database-certificate': {
    title: (subject) => `the certificate on the way to ${subject} is not trusted`,
    why: 'The go command does not accept the answer.',
    todo: 'Install the authority of your company:',
  },
  'database-other-key': {
    title: (subject) => `what answers for ${subject} has another key`,
    why: 'Its head is not signed by the key that GOSUMDB names: another database, a key that was changed, or somebody in between.',
    todo: 'Compare the key with the one that its owner published:',
  },
  'database-slow': {
    title: (subject) => `the checksum database ${subject} answers slowly`,
    why: 'Every module that is new to go.sum is looked up there, each look-up with several questions.',
    todo: 'Use a proxy that relays the database, or a nearer address:',
  },
  'outbound-proxy-invalid': {
    title: (subject) => `${subject} cannot be understood`,
    why: 'Go silently goes without a proxy then, or fails.',
    todo: 'Write it so:',
  },
  'outbound-proxy-tls': {
    title: (subject) => `${subject} speaks no TLS`,
    why: 'The scheme says how to talk to the proxy itself, not what goes through it. An ordinary proxy is http:// in both variables.',
    todo: 'Write http:',
  },
  'outbound-proxy-unreachable': {
    title: (subject) => `the outbound proxy does not answer: ${subject}`,
    why: 'Everything that goes through it fails.',
    todo: 'Look at the address, or go without it:',
  },
  'no-proxy-entry': {
    title: (subject) => `NO_PROXY has an entry that matches nothing: ${subject}`,
    why: 'Go knows exact names, domains, addresses and ranges such as 10.0.0.0/8, between commas: no regular expressions, no 10.*, no blanks.',
    todo: 'Write it so:',
  },
  'clock-skew': {
    title: (subject) => `the clock of this machine is wrong by ${subject}`,
    why: 'Certificates look expired or not yet valid, and build caches go wrong.',
    todo: 'Set it:',
  },
  'authorities-missing': {
    title: (subject) => `there are no certificate authorities: ${subject}`,
    why: 'Go trusts what the system trusts; without that file every https address is refused.',
    todo: 'Install them:',
  },
  'go-sum-wrong': {
    title: (subject) => `go.sum is wrong about ${subject}`,
    why: 'The others agree with each other, and where the checksum database answered its signed log says so: the line in go.sum is the one that differs.',
    todo: 'Look into who changed the line, then correct it:',
  },
  'go-sum-malformed': {
    title: (subject) => `${subject} cannot be read`,
    why: 'A line is not MODULE VERSION HASH, often what a merge left behind.',
    todo: 'Remove the line, then:',
  },
  'cache-altered': {
    title: (subject) => `the module cache has other bytes of ${subject}`,
    why: 'go.sum and the others agree; the copy on this machine is the one that differs. This is what "checksum mismatch" means here.',
    todo: 'Remove this copy, so that it is fetched and checked again:',
  },
  'cache-damaged': {
    title: (subject) => `the copy of ${subject} in the module cache is damaged`,
    why: 'Zip or unpacked files are not what was put there: changed by hand, or a disk that failed. Builds do not notice.',
    todo: 'Remove this copy, so that it is fetched and checked again:',
  },
  'proxy-altered': {
    title: (subject) => `the proxy serves other bytes of ${subject}`,
    why: 'go.sum or the checksum database says otherwise. The tag was moved and the proxy kept, or took, the other content; or somebody changed it.',
    todo: 'Do not build with it. Tell who runs the proxy, and compare with another one:',
  },
  'database-differs': {
    title: (subject) => `what you have of ${subject} is not what the checksum database recorded`,
    why: 'go.sum, cache and proxy agree with each other and the signed log says otherwise: the content was changed after it was published, and go.sum was made without a check.',
    todo: 'Find out where it comes from before you build with it:',
  },
  'module-refused': {
    title: (subject) => `a proxy refuses ${subject}`,
    why: 'After a refusal (403 and the like) the go command stops where , follows in GOPROXY, and asks the next entry where | follows. Public proxies know no module of your own: for one of those the hub wants a rule (`private`), or this machine GOPRIVATE.',
    todo: 'The reason above is the proxy’s own; ask who runs it:',
  },
  'module-absent': {
    title: (subject) => `no entry of GOPROXY has ${subject}`,
    why: 'All answered 404 or 410. The go command went on from one to the next until the list ended. Name and version may be misspelt; a private module needs the hub, or GOPRIVATE and a repository.',
    todo: 'See which versions there are:',
  },
  'module-error': {
    title: (subject) => `a proxy fails on ${subject}`,
    why: 'It answered with an error of its own; the go command stops there and does not try again.',
    todo: 'Try again later, or tell who runs it:',
  },
  'private-credentials': {
    title: (subject) => `Git does not let you read ${subject}`,
    why: 'The go command runs git without a terminal, so nobody is asked for a password: a key, a token in ~/.netrc or a credential helper must be there.',
    todo: 'Use SSH for this host, or give a token:',
  },
  'private-host-unreachable': {
    title: (subject) => `the host of ${subject} cannot be reached`,
    why: 'Modules that no proxy serves are fetched from their repository, past GOPROXY.',
    todo: 'Look at the network and at NO_PROXY:',
  },
  'private-vanity': {
    title: (subject) => `nothing says where the repository of ${subject} is`,
    why: 'The go command asks https://PATH?go-get=1 for a <meta name="go-import">, and the page has none for this path.',
    todo: 'Look at the page; some servers need a path that ends in .git:',
  },
  'private-pattern-missing': {
    title: (subject) => `${subject} is private, and GOPRIVATE does not say so`,
    why: 'The repository answers and the public checksum database has no record, so the check fails.',
    todo: 'Name your host:',
  },
  'git-missing': {
    title: (subject) => `git is not installed, and modules of ${subject} come from repositories`,
    why: 'The go command runs git for every module that no proxy serves.',
    todo: 'Install it, or let the hub serve private modules:',
  },
  'case-collision': {
    title: (subject) => `two modules differ in nothing but capitals: ${subject}`,
    why: 'To Go they are two modules, to many disks one folder; builds fail with "case-insensitive import collision".',
    todo: 'See who needs which, and use the spelling of the module’s own go.mod:',
  },
  'path-declared-otherwise': {
    title: (subject) => `${subject} calls itself otherwise`,
    why: 'Its go.mod declares another path (a fork, a renamed project, other capitals), and the go command refuses it.',
    todo: 'Use the declared path, or replace it:',
  },
  'major-version-path': {
    title: (subject) => `path and version do not fit: ${subject}`,
    why: 'From v2 on the path ends in /vN; only old code without go.mod has +incompatible versions instead.',
    todo: 'Take the path of that major version, or a version of this path:',
  },
  'modules-off': {
    title: () => 'GO111MODULE=off: modules are switched off',
    why: 'go.mod, GOPROXY and checksums are ignored, and code is looked for in GOPATH.',
    todo: 'Switch them on:',
  },
  'vendor-mismatch': {
    title: (subject) => `${subject} does not agree with go.mod`,
    why: 'The go command compares them and stops with "inconsistent vendoring".',
    todo: 'Make the folder anew:',
  },
  'vendor-missing': {
    title: (subject) => `${subject}, and there is no vendor folder`,
    why: 'The build looks for every dependency in a folder that is not there.',
    todo: 'Take the flag out, or run go mod vendor:',
  },
  'gopath-project': {
    title: (subject) => `this project has no go.mod, but ${subject}`,
    why: 'Files of older tools are not read by the go command any more.',
    todo: 'Make it a module:',
  },
  'tmp-noexec': {
    title: (subject) => `programs may not run in ${subject}`,
    why: 'go run and go test build there and run what they built: "fork/exec …: permission denied".',
    todo: 'Give the go command another folder:',
  },
  'tmp-full': {
    title: (subject) => `${subject} is full`,
    why: 'Compiler and linker write there.',
    todo: 'Make room, or give the go command another folder:',
  },
  'folder-unwritable': {
    title: (subject) => `${subject} cannot be written`,
    why: 'Caches must belong to whoever builds; one `sudo go build` is enough to change that.',
    todo: 'Take it back:',
  },
};
