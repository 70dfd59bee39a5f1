import type { FindingId, FindingText } from '../doctor/finding.ts';

export const findings: Readonly<Record<FindingId, FindingText>> = {
  'go-missing': { title: () => 'PATH 中没有 go 命令', why: '没有它什么也构建不了。', todo: '安装 Go；已安装的，把它的目录加入 PATH：' },
  'go-too-old': {
    title: (subject) => `${subject} 太旧，无法响应要求更新 Go 的 go.mod`,
    why: '自 1.21 起 go 命令会获取 go.mod 指定的工具链；更旧的版本只会报出难懂的错误。',
    todo: '安装当前版本的 Go：',
  },
  'go-line-invalid': {
    title: (subject) => `go.mod 无法读取：${subject}`,
    why: 'go.mod 中有不认识的行，go 命令会拒绝整个文件。',
    todo: '更正这一行：',
  },
  'toolchain-needed': {
    title: (subject) => `项目需要 ${subject}，而 GOTOOLCHAIN=local 禁止获取`,
    why: '`local` 表示只用已安装的工具链，go.mod 要求更新时就停止。它不会去找离线工具，也不会加快任何事情。',
    todo: '允许获取工具链（会以校验数据库检查）：',
  },
  'toolchain-absent': {
    title: (subject) => `没有任何代理提供工具链 ${subject}`,
    why: 'go 命令把它当作模块从 GOPROXY 获取。要么没有这个版本，要么这些代理不提供 golang.org/toolchain。',
    todo: '查看有哪些版本，并更正 go 行、toolchain 行或 GOTOOLCHAIN：',
  },
  'variable-shadowed': {
    title: (subject) => `环境变量 ${subject} 使 go env -w 的设置失效`,
    why: '环境变量优先于 go env -w 写入的文件，因此那里的修改不起作用，也没有提示。',
    todo: '从设置它的地方删除，并打开新的终端：',
  },
  'value-quoted': {
    title: (subject) => `${subject} 中的引号成了值的一部分`,
    why: 'go env -w 的文件没有引号语法：= 之后的内容原样生效。',
    todo: '去掉引号：',
  },
  'setting-ignored': {
    title: (subject) => `go 命令忽略了设置文件中的一行：${subject}`,
    why: 'go env -w 的文件只有 NAME=VALUE 这样的行：没有 export，没有小写名称，行首没有空格。',
    todo: '删除这一行；若确有需要，应这样写：',
  },
  'goflags-insecure': {
    title: (subject) => `${subject} 含有自 1.17 起不再接受的参数`,
    why: '-insecure 已被移除，带着它 go get 会失败。GOINSECURE 可对指定模块允许明文 http，校验照常进行。',
    todo: '去掉这个参数：',
  },
  'sumdb-malformed': {
    title: (subject) => `${subject} 不是校验数据库`,
    why: '应写作 NAME、NAME+HASH+KEY，或其后加一个空格和网址。现在这样每次下载都会报 invalid GOSUMDB。',
    todo: '使用默认值，或使用本站给出的那一行：',
  },
  'sumdb-off': {
    title: () => 'GOSUMDB=off：go.sum 中没有的内容一律不检查',
    why: '被移动的标签、被污染的缓存、说谎的镜像都会被悄悄编译进去。校验不符绝不能靠关闭校验来“解决”。',
    todo: '重新打开：',
  },
  'nosumdb-everything': {
    title: (subject) => `${subject} 使所有模块都不受校验数据库检查`,
    why: '匹配一切的模式等同于 GOSUMDB=off。',
    todo: '只写自己的主机与组：',
  },
  'private-too-wide': {
    title: (subject) => `${subject} 覆盖了公共模块`,
    why: '匹配的模块不以数据库检查；没有 GONOPROXY=none 时还会绕过所有代理。',
    todo: '只写自己的主机与组，例如：',
  },
  'pattern-malformed': {
    title: (subject) => `${subject} 中有写错的模式`,
    why: 'go 命令会悄悄跳过这样的模式。模式是按路径元素匹配的通配符，不是正则表达式。',
    todo: '删除或更正：',
  },
  'proxy-entry-invalid': { title: (subject) => `GOPROXY 中有不是网址的条目：${subject}`, why: 'go 命令因此拒绝整个列表。', todo: '更正：' },
  'credentials-over-http': {
    title: (subject) => `GOPROXY 的 http 网址中带有密码：${subject}`,
    why: '无论密码写在网址、~/.netrc 还是 GOAUTH 中，go 命令都只通过 https 发送，否则以 refusing to pass credentials to insecure URL 停止。',
    todo: '改用 https，并把密码写入 ~/.netrc；对方不要求密码时，直接去掉：',
  },
  'proxy-pipe-direct': {
    title: () => 'GOPROXY 在任何错误之后都会转到 direct',
    why: '| 之后的条目在代理拒绝模块（403）或暂时不可用时也会被尝试：代理的规则被绕过，在封闭网络中每次故障都以超时告终。',
    todo: '改用逗号，只在 404 与 410 之后继续：',
  },
  'proxy-unreachable': {
    title: (subject) => `无法连接模块代理 ${subject}`,
    why: '除非 GOPROXY 中其后是 |，go 命令到此为止。',
    todo: '检查网址、网络与出站代理：',
  },
  'proxy-slow': {
    title: (subject) => `模块代理 ${subject} 响应缓慢`,
    why: 'go 命令要问几百个小问题，每个都要这么久。',
    todo: '再测一次；若一直如此，换一个更近的代理：',
  },
  'proxy-certificate': {
    title: (subject) => `${subject} 的证书不受信任`,
    why: '证书已过期、名称不符，或由本机不认识的机构签发：公司自己的机构，或途中拆解 TLS 的设备。',
    todo: '安装公司的根证书，切勿关闭检查：',
  },
  'proxy-not-tls': {
    title: (subject) => `${subject} 以 https 访问，但对方只说明文 http`,
    why: '发出了 TLS 握手，回来的却是别的内容。',
    todo: '在 GOPROXY 中写 http，或给代理配置证书：',
  },
  'proxy-error': { title: (subject) => `模块代理 ${subject} 自身出错`, why: '它回答 5xx。go 命令不会重试。', todo: '把以下结果告诉运维：' },
  'proxy-credentials': {
    title: (subject) => `${subject} 要求凭据`,
    why: '它回答 401。go 命令发送 ~/.netrc 或 GOAUTH 中的凭据，且只发给 https 网址。',
    todo: '取得令牌并写入：',
  },
  'database-unreachable': {
    title: (subject) => `无法连接校验数据库 ${subject}`,
    why: 'GOPROXY 中没有代理转发它，直连也不通。新模块无法检查，因而被拒绝。这是网络问题，不要关闭校验。',
    todo: '使用会转发数据库的代理，或可达的网址：',
  },
  'database-certificate': {
    title: (subject) => `通往 ${subject} 的证书不受信任`,
    why: 'go 命令不接受其回答。',
    todo: '安装公司的根证书：',
  },
  'database-other-key': {
    title: (subject) => `以 ${subject} 之名回答的一方使用另一把密钥`,
    why: '其树头不是由 GOSUMDB 所写的密钥签名：另一个数据库、密钥已更换，或中间有人。',
    todo: '与其所有者公布的密钥核对：',
  },
  'database-slow': {
    title: (subject) => `校验数据库 ${subject} 响应缓慢`,
    why: 'go.sum 中没有的每个模块都要在那里查询，每次查询要问好几个问题。',
    todo: '使用会转发数据库的代理，或更近的网址：',
  },
  'outbound-proxy-invalid': { title: (subject) => `${subject} 无法理解`, why: '此时 Go 会悄悄不用代理，或者失败。', todo: '应这样写：' },
  'outbound-proxy-tls': {
    title: (subject) => `${subject} 并不支持 TLS`,
    why: '这里的协议指如何与代理本身通话，而不是经过它的内容。普通代理在两个变量中都写 http://。',
    todo: '改写为 http：',
  },
  'outbound-proxy-unreachable': {
    title: (subject) => `出站代理没有响应：${subject}`,
    why: '经过它的一切都会失败。',
    todo: '检查地址，或不使用它：',
  },
  'no-proxy-entry': {
    title: (subject) => `NO_PROXY 中有什么也匹配不到的条目：${subject}`,
    why: 'Go 只认识以逗号分隔的名称、域、地址和 10.0.0.0/8 这样的网段：没有正则表达式，没有 10.*，也没有空格。',
    todo: '应这样写：',
  },
  'clock-skew': {
    title: (subject) => `本机时钟偏差 ${subject}`,
    why: '证书看起来已过期或尚未生效，构建缓存也会出错。',
    todo: '校准时钟：',
  },
  'authorities-missing': {
    title: (subject) => `没有根证书：${subject}`,
    why: 'Go 信任系统所信任的；没有这个文件，所有 https 网址都会被拒绝。',
    todo: '安装根证书：',
  },
  'go-sum-wrong': {
    title: (subject) => `go.sum 中 ${subject} 的记录有误`,
    why: '其余各方彼此一致；校验数据库有回答时，其签名日志也如此。不一致的是 go.sum 中的这一行。',
    todo: '先查明是谁改了这一行，再更正：',
  },
  'go-sum-malformed': {
    title: (subject) => `${subject} 无法读取`,
    why: '有一行不是“模块 版本 哈希”，常为合并冲突的残留。',
    todo: '删除这一行，然后：',
  },
  'cache-altered': {
    title: (subject) => `模块缓存中的 ${subject} 内容不同`,
    why: 'go.sum 与其余各方一致；不一致的是本机的副本。这就是此处 checksum mismatch 的含义。',
    todo: '删除这个副本，以便重新获取并检查：',
  },
  'cache-damaged': {
    title: (subject) => `模块缓存中的 ${subject} 已损坏`,
    why: 'zip 或解开的文件与存入时不同：被手工改动，或磁盘出错。构建时不会察觉。',
    todo: '删除这个副本，以便重新获取并检查：',
  },
  'proxy-altered': {
    title: (subject) => `代理提供的 ${subject} 内容不同`,
    why: 'go.sum 或校验数据库另有记录。标签被移动而代理保留或取走了另一份内容，或有人改动。',
    todo: '不要用它构建。告知代理的运维，并与另一个代理比较：',
  },
  'database-differs': {
    title: (subject) => `手中的 ${subject} 与校验数据库的记录不同`,
    why: 'go.sum、缓存与代理彼此一致，而签名日志另有记录：内容在发布之后被改动，且 go.sum 生成时没有检查。',
    todo: '在查明来源之前不要用它构建：',
  },
  'module-refused': {
    title: (subject) => `代理拒绝提供 ${subject}`,
    why: '被拒绝（403 等）之后，GOPROXY 中其后是逗号则 go 命令停止，是 | 则询问下一个条目。公共代理没有自家的模块：这类模块需要在本站配置（private），或在本机设置 GOPRIVATE。',
    todo: '上面是代理自己给出的理由；请询问其运维：',
  },
  'module-absent': {
    title: (subject) => `GOPROXY 中没有任何条目提供 ${subject}`,
    why: '都回答 404 或 410，go 命令依次询问直到列表结束。名称或版本可能写错；私有模块需要本站，或 GOPRIVATE 与仓库。',
    todo: '查看有哪些版本：',
  },
  'module-error': {
    title: (subject) => `代理在 ${subject} 上出错`,
    why: '它以自身的错误作答；go 命令到此为止，不会重试。',
    todo: '稍后再试，或告知其运维：',
  },
  'private-credentials': {
    title: (subject) => `Git 不允许读取 ${subject}`,
    why: 'go 命令运行 git 时没有终端，不会有人被询问密码：必须有密钥、~/.netrc 中的令牌或凭据助手。',
    todo: '对此主机改用 SSH，或提供令牌：',
  },
  'private-host-unreachable': {
    title: (subject) => `无法连接 ${subject} 的主机`,
    why: '没有代理提供的模块从其仓库获取，绕过 GOPROXY。',
    todo: '检查网络与 NO_PROXY：',
  },
  'private-vanity': {
    title: (subject) => `没有说明 ${subject} 的仓库在哪里`,
    why: 'go 命令向 https://PATH?go-get=1 询问 <meta name="go-import">，而页面中没有与此路径相符的。',
    todo: '查看该页面；有些服务器需要以 .git 结尾的路径：',
  },
  'private-pattern-missing': {
    title: (subject) => `${subject} 是私有模块，而 GOPRIVATE 没有写明`,
    why: '仓库可达，而公共校验数据库没有记录，因此检查失败。',
    todo: '写上自己的主机：',
  },
  'git-missing': {
    title: (subject) => `没有安装 git，而 ${subject} 的模块来自仓库`,
    why: '没有代理提供的模块，go 命令都要用 git 获取。',
    todo: '安装 git，或由本站提供私有模块：',
  },
  'case-collision': {
    title: (subject) => `有两个模块只差大小写：${subject}`,
    why: '对 Go 是两个模块，对许多磁盘却是同一个目录；构建会报 case-insensitive import collision。',
    todo: '查看谁需要哪一个，并使用该模块自己的 go.mod 中的写法：',
  },
  'path-declared-otherwise': {
    title: (subject) => `${subject} 自称另一个路径`,
    why: '它的 go.mod 声明了另一个路径（派生、改名或大小写不同），go 命令会拒绝。',
    todo: '使用所声明的路径，或用 replace：',
  },
  'major-version-path': {
    title: (subject) => `路径与版本不符：${subject}`,
    why: '自 v2 起路径以 /vN 结尾；只有没有 go.mod 的旧代码才使用 +incompatible 版本。',
    todo: '使用该主版本的路径，或本路径的版本：',
  },
  'modules-off': {
    title: () => 'GO111MODULE=off：模块功能被关闭',
    why: 'go.mod、GOPROXY 与校验都被忽略，代码到 GOPATH 中寻找。',
    todo: '打开：',
  },
  'vendor-mismatch': {
    title: (subject) => `${subject} 与 go.mod 不一致`,
    why: 'go 命令会比较两者并报 inconsistent vendoring。',
    todo: '重新生成：',
  },
  'vendor-missing': {
    title: (subject) => `${subject}，而没有 vendor 目录`,
    why: '构建会到不存在的目录中寻找所有依赖。',
    todo: '去掉这个参数，或运行 go mod vendor：',
  },
  'gopath-project': {
    title: (subject) => `项目没有 go.mod，却有 ${subject}`,
    why: 'go 命令已不再读取旧工具的文件。',
    todo: '改造成模块：',
  },
  'tmp-noexec': {
    title: (subject) => `${subject} 中不允许运行程序`,
    why: 'go run 与 go test 在那里构建并运行：fork/exec …: permission denied。',
    todo: '为 go 命令另设目录：',
  },
  'tmp-full': { title: (subject) => `${subject} 已满`, why: '编译器与链接器要在那里写文件。', todo: '腾出空间，或为 go 命令另设目录：' },
  'folder-unwritable': {
    title: (subject) => `${subject} 不可写`,
    why: '缓存必须属于构建者；一次 sudo go build 就足以改变这一点。',
    todo: '收回所有权：',
  },
};
