import type { ExplanationId } from '../doctor/explain.ts';

interface ExplanationText {
  readonly title: string;
  readonly why: string;
}

type Explanations = Readonly<Record<ExplanationId, ExplanationText>>;

export const en: Explanations = {
  'database-misbehaves': {
    title: 'the checksum database contradicts itself',
    why: 'Two signed heads do not fit together: a forked or rolled-back log, or somebody in between. Keep the output and tell security; do not delete the evidence.',
  },
  'checksum-mismatch': {
    title: 'the bytes are not those that were recorded',
    why: 'This is no network error: a tag was moved, a cache or a mirror has other content, or go.sum was edited. Find out which of the four differs; never set GOSUMDB=off.',
  },
  'unknown-to-database': {
    title: 'the public checksum database does not know this module',
    why: 'It is private, and the go command does not know that. Name your host in GOPRIVATE, or use a hub whose own database records it.',
  },
  'database-malformed': {
    title: 'GOSUMDB is not of a form that Go accepts',
    why: 'NAME, NAME+HASH+KEY, or either, a blank and an address.',
  },
  'database-off': {
    title: 'a check is needed that GOSUMDB=off forbids',
    why: 'Toolchains are checked always, modules whenever go.sum does not know them.',
  },
  'database-unreachable': {
    title: 'the checksum database cannot be reached',
    why: 'Use a proxy that relays it, or sum.golang.google.cn. It is a matter of network, not of content: leave the check on.',
  },
  'credentials-over-http': { title: 'GOPROXY has a password in an http address', why: 'The go command sends credentials by https only.' },
  'proxy-address-invalid': {
    title: 'GOPROXY has an entry that is no address',
    why: 'Entries are http, https or file addresses, `direct` and `off`, between commas.',
  },
  'proxy-off': { title: 'GOPROXY=off: nothing may be fetched', why: 'Only what the module cache or the vendor folder has can be built.' },
  'terminal-prompts': {
    title: 'Git has no credentials for this host',
    why: 'The go command runs git without a terminal: nobody can be asked. Use SSH, a token in ~/.netrc or a credential helper, or fetch private modules through the hub.',
  },
  'no-secure-protocol': {
    title: 'neither https nor ssh reaches the repository',
    why: 'The go command tried git over both; git did not get in, for want of credentials or of a way. git ls-remote says which.',
  },
  'ssh-refused': {
    title: 'the Git server does not accept your SSH key',
    why: 'There is no key in the agent, it is not registered there, or the server’s own key is not known yet.',
  },
  'certificate-unknown': {
    title: 'the certificate is signed by an authority that this machine does not know',
    why: 'A company’s own authority, or a box that opens TLS on the way. Install that authority; Go and git both read the system’s.',
  },
  'certificate-expired': {
    title: 'the certificate is not valid at this time',
    why: 'It has expired, or the clock of this machine is wrong.',
  },
  'certificate-name': {
    title: 'the certificate is for another name',
    why: 'The address in GOPROXY or the repository’s is not one that the certificate has.',
  },
  'plain-http': {
    title: 'TLS was offered to something that speaks plain http',
    why: 'https:// stands before the address of a plain server or of an ordinary outbound proxy: write http://.',
  },
  'name-unknown': {
    title: 'the host name cannot be resolved',
    why: 'Misspelt, an inner name outside the company network, or an address that the closed network does not know: then let GOPROXY be your hub alone.',
  },
  'connection-refused': { title: 'nothing listens at this address', why: 'Wrong host or port, or the server is down.' },
  'time-out': {
    title: 'no answer came in time',
    why: 'A blocked or slow way, often to a host that GOPROXY falls back to with `direct`. In a closed network end the list with the hub or with `off`.',
  },
  'module-path-major': {
    title: 'module path and major version do not fit',
    why: 'From v2 on the path ends in /vN, in go.mod and in every import.',
  },
  'toolchain-unavailable': {
    title: 'the toolchain that is asked for cannot be had',
    why: 'No such release, or GOPROXY does not carry golang.org/toolchain.',
  },
  'proxy-absent': {
    title: 'the proxy does not have it',
    why: 'After 404 and 410 the go command asks the next entry of GOPROXY; the last one said no as well. The name or version is wrong, or the module is private.',
  },
  'proxy-refused': {
    title: 'the proxy refuses',
    why: '403 is a rule of the proxy (its reason follows), 401 missing credentials. With , in GOPROXY the go command stops here.',
  },
  'proxy-broken': { title: 'the proxy has trouble of its own', why: 'The go command does not try again by itself.' },
  'import-path-unrecognized': {
    title: 'nothing says where this code lives',
    why: 'The host answered without a <meta name="go-import"> for this path, or not at all. For inner hosts look at GOPRIVATE and at the .git at the end of the path.',
  },
  'revision-unknown': {
    title: 'there is no such version, branch or commit',
    why: 'Misspelt, not pushed, deleted, or the tag of a module in a subfolder lacks its folder (sub/v1.2.3).',
  },
  'go-sum-missing': {
    title: 'go.sum lacks a line',
    why: 'A requirement was added without its checksum; builds do not change go.sum by themselves.',
  },
  'go-newer-needed': { title: 'go.mod asks for a newer Go', why: 'GOTOOLCHAIN=local, or a Go before 1.21, does not fetch it.' },
  'go-line-malformed': {
    title: 'this Go cannot read the go line of go.mod',
    why: 'Before 1.21 it is two numbers (1.20) and there is no toolchain line.',
  },
  'no-module-provides': {
    title: 'no module in go.mod has this package',
    why: 'It must be required first. Gopkg.lock and GOPATH are not looked at.',
  },
  'no-go-mod': {
    title: 'there is no go.mod here or above',
    why: 'Go to the folder of the module, or make one. `go install PKG@VERSION` works everywhere.',
  },
  'modules-disabled': { title: 'modules are switched off', why: 'GO111MODULE=off, and code is looked for in GOPATH.' },
  'vendor-inconsistent': { title: 'the vendor folder does not agree with go.mod', why: 'Make it anew, or build with -mod=mod.' },
  'path-mismatch': {
    title: 'the module calls itself otherwise',
    why: 'A fork, a renamed project or other capitals: use the path that its go.mod declares, or replace.',
  },
  'case-clash': { title: 'one import in two spellings', why: 'Two paths differ in capitals only; some dependency uses the old spelling.' },
  'go-mod-outdated': { title: 'go.mod is not complete', why: 'Builds do not change it by themselves (-mod=readonly).' },
  'import-ambiguous': { title: 'two modules have the same package', why: 'Often an old module and the one into which it was split.' },
  'not-in-std': {
    title: 'this import is taken for the standard library',
    why: 'A path without a dot in its first element, a package of a newer Go, or GOROOT of another version.',
  },
  'internal-package': {
    title: 'an internal package of another module',
    why: 'Only code below the parent of the internal folder may import it.',
  },
  'disk-full': { title: 'a disk is full', why: 'Build cache, module cache and the temporary folder grow.' },
  'not-executable': {
    title: 'a program that was just built may not run',
    why: 'The temporary folder is mounted noexec: set GOTMPDIR elsewhere.',
  },
  'no-permission': { title: 'a file or folder is not yours', why: 'Often a cache that `sudo go` or another container user made.' },
  'insecure-flag': { title: '-insecure is no flag any more', why: 'Removed in Go 1.17; GOINSECURE is for chosen modules.' },
  'vcs-disallowed': {
    title: 'GOVCS forbids this version control system',
    why: 'Public modules may use git and hg only; private ones, named in GOPRIVATE, any.',
  },
  'vcs-stamp': {
    title: 'the state of the repository cannot be read',
    why: 'go build writes the commit into the program; there is no git, no .git, or the folder belongs to somebody else.',
  },
  'dubious-ownership': {
    title: 'git does not trust a folder of another user',
    why: 'Common in containers, where the checkout belongs to another uid.',
  },
  'zip-broken': { title: 'a module zip is cut or damaged', why: 'A broken download, or a proxy or cache that keeps one.' },
  'git-missing': { title: 'git is not installed', why: 'Without a proxy that has the module the go command needs git.' },
  'compiler-missing': { title: 'there is no C compiler', why: 'cgo is on. Programs without C code build with CGO_ENABLED=0.' },
};

export const zh: Explanations = {
  'database-misbehaves': {
    title: '校验数据库自相矛盾',
    why: '两个签名树头互不相容：日志分叉或回滚，或中间有人。保留输出并通知安全人员，不要删除证据。',
  },
  'checksum-mismatch': {
    title: '内容与记录不符',
    why: '这不是网络错误：标签被移动、缓存或镜像内容不同，或 go.sum 被改动。查明四方中哪一方不同，切勿设置 GOSUMDB=off。',
  },
  'unknown-to-database': {
    title: '公共校验数据库不认识这个模块',
    why: '它是私有模块，而 go 命令不知道。把主机写入 GOPRIVATE，或使用自带数据库的本站。',
  },
  'database-malformed': { title: 'GOSUMDB 的写法 Go 不接受', why: '应为 NAME、NAME+HASH+KEY，或其后加空格和网址。' },
  'database-off': { title: '需要检查，而 GOSUMDB=off 禁止了检查', why: '工具链总要检查；模块在 go.sum 中没有记录时要检查。' },
  'database-unreachable': {
    title: '无法连接校验数据库',
    why: '使用会转发它的代理，或 sum.golang.google.cn。这是网络问题而非内容问题，不要关闭检查。',
  },
  'credentials-over-http': { title: 'GOPROXY 的 http 网址中带有密码', why: 'go 命令只通过 https 发送凭据。' },
  'proxy-address-invalid': { title: 'GOPROXY 中有不是网址的条目', why: '条目是 http、https 或 file 网址、direct、off，以逗号分隔。' },
  'proxy-off': { title: 'GOPROXY=off：不允许获取任何内容', why: '只能用模块缓存或 vendor 目录中已有的内容构建。' },
  'terminal-prompts': {
    title: 'Git 没有此主机的凭据',
    why: 'go 命令运行 git 时没有终端，无法询问。使用 SSH、~/.netrc 中的令牌或凭据助手，或经由本站获取私有模块。',
  },
  'no-secure-protocol': {
    title: 'https 与 ssh 都到不了仓库',
    why: 'go 命令用 git 试过两种方式，因缺少凭据或网络不通而失败。git ls-remote 会说明是哪一种。',
  },
  'ssh-refused': { title: 'Git 服务器不接受你的 SSH 密钥', why: '代理中没有密钥、密钥未在服务器登记，或尚不认识服务器自己的密钥。' },
  'certificate-unknown': {
    title: '证书由本机不认识的机构签发',
    why: '公司自己的机构，或途中拆解 TLS 的设备。安装其根证书；Go 与 git 都读取系统的。',
  },
  'certificate-expired': { title: '证书此刻无效', why: '证书已过期，或本机时钟不准。' },
  'certificate-name': { title: '证书属于另一个名称', why: 'GOPROXY 或仓库的网址不在证书之中。' },
  'plain-http': { title: '对只说明文 http 的一方使用了 TLS', why: '普通服务器或普通出站代理的地址前写了 https://：应写 http://。' },
  'name-unknown': { title: '主机名无法解析', why: '写错、在公司网络之外使用内部名称，或封闭网络不认识的地址：此时让 GOPROXY 只写本站。' },
  'connection-refused': { title: '此地址没有程序在监听', why: '主机或端口写错，或服务器已停止。' },
  'time-out': {
    title: '未及时得到回答',
    why: '线路被阻断或缓慢，常因 GOPROXY 以 direct 转向某个主机。封闭网络中列表应以本站或 off 结尾。',
  },
  'module-path-major': { title: '模块路径与主版本不符', why: '自 v2 起路径以 /vN 结尾，go.mod 与每个 import 都如此。' },
  'toolchain-unavailable': { title: '得不到所要的工具链', why: '没有这个版本，或 GOPROXY 不提供 golang.org/toolchain。' },
  'proxy-absent': {
    title: '代理没有它',
    why: '404 与 410 之后 go 命令询问 GOPROXY 的下一个条目，最后一个也说没有。名称或版本写错，或是私有模块。',
  },
  'proxy-refused': { title: '代理拒绝', why: '403 是代理的规则（其后是理由），401 是缺少凭据。GOPROXY 中用逗号时 go 命令到此为止。' },
  'proxy-broken': { title: '代理自身出错', why: 'go 命令不会自己重试。' },
  'import-path-unrecognized': {
    title: '没有说明代码在哪里',
    why: '主机没有为此路径给出 <meta name="go-import">，或没有回答。内部主机请检查 GOPRIVATE 与路径末尾的 .git。',
  },
  'revision-unknown': { title: '没有这个版本、分支或提交', why: '写错、未推送、已删除，或子目录模块的标签缺少目录前缀（sub/v1.2.3）。' },
  'go-sum-missing': { title: 'go.sum 缺少一行', why: '添加依赖时没有加上校验值；构建不会自行修改 go.sum。' },
  'go-newer-needed': { title: 'go.mod 要求更新的 Go', why: 'GOTOOLCHAIN=local 或 1.21 之前的 Go 不会去获取。' },
  'go-line-malformed': { title: '此 Go 读不懂 go.mod 的 go 行', why: '1.21 之前它是两个数字（1.20），也没有 toolchain 行。' },
  'no-module-provides': { title: 'go.mod 中没有模块提供此包', why: '须先 require。不会去看 Gopkg.lock 与 GOPATH。' },
  'no-go-mod': { title: '此处及上级目录没有 go.mod', why: '进入模块目录，或新建一个。go install PKG@VERSION 在任何地方都可用。' },
  'modules-disabled': { title: '模块功能被关闭', why: 'GO111MODULE=off，代码到 GOPATH 中寻找。' },
  'vendor-inconsistent': { title: 'vendor 目录与 go.mod 不一致', why: '重新生成，或用 -mod=mod 构建。' },
  'path-mismatch': { title: '模块自称另一个路径', why: '派生、改名或大小写不同：使用其 go.mod 声明的路径，或用 replace。' },
  'case-clash': { title: '同一 import 有两种写法', why: '两个路径只差大小写；某个依赖使用旧写法。' },
  'go-mod-outdated': { title: 'go.mod 不完整', why: '构建不会自行修改它（-mod=readonly）。' },
  'import-ambiguous': { title: '两个模块含有同一个包', why: '常为旧模块与从中拆分出的模块。' },
  'not-in-std': { title: '此 import 被当作标准库', why: '路径首个元素没有点、包属于更新的 Go，或 GOROOT 是另一个版本。' },
  'internal-package': { title: '引用了另一个模块的 internal 包', why: '只有 internal 目录的父目录之下的代码可以引用。' },
  'disk-full': { title: '磁盘已满', why: '构建缓存、模块缓存与临时目录会增长。' },
  'not-executable': { title: '刚构建的程序不能运行', why: '临时目录以 noexec 挂载：把 GOTMPDIR 设到别处。' },
  'no-permission': { title: '文件或目录不属于你', why: '常为 sudo go 或另一个容器用户留下的缓存。' },
  'insecure-flag': { title: '-insecure 已不再是参数', why: 'Go 1.17 已移除；GOINSECURE 用于指定模块。' },
  'vcs-disallowed': { title: 'GOVCS 禁止此版本控制系统', why: '公共模块只能用 git 与 hg；GOPRIVATE 中的私有模块可用任意一种。' },
  'vcs-stamp': { title: '无法读取仓库状态', why: 'go build 会把提交写入程序；没有 git、没有 .git，或目录属于他人。' },
  'dubious-ownership': { title: 'git 不信任属于其他用户的目录', why: '容器中常见，检出的代码属于另一个 uid。' },
  'zip-broken': { title: '模块 zip 被截断或损坏', why: '下载中断，或代理、缓存保留了坏文件。' },
  'git-missing': { title: '没有安装 git', why: '没有代理提供该模块时，go 命令需要 git。' },
  'compiler-missing': { title: '没有 C 编译器', why: 'cgo 处于打开状态。没有 C 代码的程序可用 CGO_ENABLED=0 构建。' },
};
