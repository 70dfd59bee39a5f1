/** The page at `/`: what this is, and the line a developer needs. Plain text, so that a terminal and a browser both show it and nothing can run in it. */
export interface WelcomeFacts {
  /** Without a slash at the end. */
  readonly address: string;
  readonly version: string;
  readonly verifyOff: boolean;
}

export function welcomePage(facts: WelcomeFacts, acceptLanguage: string | undefined): string {
  return prefersChinese(acceptLanguage) ? chinesePage(facts) : englishPage(facts);
}

function englishPage({ address, version, verifyOff }: WelcomeFacts): string {
  return `goyi ${version}: a Go module mirror. ${
    verifyOff
      ? 'WARNING: verification is switched off here (verify: off).'
      : 'Every module is proved against the public checksum database before it is served.'
  }

Use it:

    go env -w GOPROXY=${address}

or for one command:

    GOPROXY=${address} go build ./...

Also here: ${address}/index (what is stored), ${address}/-/readyz (state), ${address}/-/metrics (Prometheus).
`;
}

function chinesePage({ address, version, verifyOff }: WelcomeFacts): string {
  return `goyi（驿）${version}：Go 模块镜像。${
    verifyOff ? '警告：此处已关闭校验（verify: off）。' : '每个模块在提供之前，都已对照公共校验数据库验证。'
  }

使用方法：

    go env -w GOPROXY=${address}

或只用于一条命令：

    GOPROXY=${address} go build ./...

另有：${address}/index（已存储的模块）、${address}/-/readyz（状态）、${address}/-/metrics（Prometheus 指标）。
`;
}

/** True when Chinese is wanted at least as much as English and more than not at all. RFC 9110 §12.5.4 */
export function prefersChinese(acceptLanguage: string | undefined): boolean {
  if (acceptLanguage === undefined) return false;
  let chinese = 0;
  let english = 0;
  let chineseFirst = false;
  for (const item of acceptLanguage.slice(0, 1000).split(',')) {
    const match = /^\s*([a-z]{2,3})(?:-[a-z0-9-]*)?\s*(?:;\s*q=([01](?:\.\d{0,3})?)\s*)?$/i.exec(item);
    if (match === null) continue;
    const weight = match[2] === undefined ? 1 : Number(match[2]);
    const language = match[1]?.toLowerCase();
    if (language === 'zh') {
      if (english === 0) chineseFirst = true;
      chinese = Math.max(chinese, weight);
    }
    if (language === 'en') english = Math.max(english, weight);
  }
  return chinese > english || (chinese === english && chinese > 0 && chineseFirst);
}

/** The address as the client wrote it: from `publicUrl`, else from the Host header when that reads as a host. */
export function clientAddress(options: { publicUrl: string | undefined; host: string | undefined; secure: boolean }): string {
  if (options.publicUrl !== undefined) return options.publicUrl;
  const scheme = options.secure ? 'https' : 'http';
  const host = options.host ?? '';
  return /^(?:[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i.test(host) ? `${scheme}://${host}` : `${scheme}://127.0.0.1:8080`;
}
