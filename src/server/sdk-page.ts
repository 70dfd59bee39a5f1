import { command, escapeHtml, pageStyle } from '../scaffold/page.ts';
import type { SdkFile, SdkRelease } from '../protocol/sdk-index.ts';

export interface SdkPageFacts {
  /** Without a slash at the end. */
  readonly address: string;
  readonly releases: readonly SdkRelease[];
  /** Every release is on the page, not the supported ones alone. */
  readonly isWhole: boolean;
}

interface Words {
  readonly lang: string;
  readonly title: string;
  readonly intro: string;
  readonly withGoyi: string;
  readonly byHand: string;
  readonly preview: string;
  readonly more: string;
  readonly less: string;
  readonly none: string;
  readonly notMade: string;
  readonly note: string;
  readonly official: string;
}

const english: Words = {
  lang: 'en',
  title: 'Go SDKs',
  intro: 'Linux and macOS: this line installs the newest, proves it and sets Go up to work through this hub.',
  withGoyi: 'With goyi, on any system:',
  byHand: 'Or take an archive.',
  preview: 'preview',
  more: 'every release',
  less: 'supported releases only',
  none: 'No release can be had from here.',
  notMade: 'made when it is first asked for',
  note: 'Unless it says otherwise, an archive is made from golang.org/toolchain, which is proved in the checksum database; its bytes are others than those of the official archive.',
  official: 'the official archive',
};

const chinese: Words = {
  lang: 'zh-CN',
  title: 'Go SDK 下载',
  intro: 'Linux 与 macOS：以下一行安装最新版本并验证，同时将 Go 设置为经由本站工作。',
  withGoyi: '使用 goyi（任何系统）：',
  byHand: '也可下载归档。',
  preview: '预览版',
  more: '所有版本',
  less: '仅受支持的版本',
  none: '此处没有可用的版本。',
  notMade: '首次请求时生成',
  note: '除另有标明外，归档由 golang.org/toolchain 模块组装，经校验数据库验证；其字节与官方归档不同。',
  official: '官方归档',
};

/** A page for people, without scripts. */
export function sdkPage({ address, releases, isWhole }: SdkPageFacts, isChinese: boolean): string {
  const words = isChinese ? chinese : english;
  const latest = releases.find(({ stable }) => stable)?.version;
  const base = `${escapeHtml(address)}/dl/`;
  return `<!DOCTYPE html>
<html lang="${words.lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${words.title} · goyi</title>
<style>${pageStyle}</style>
</head>
<body>
<header>
<p><a href="${escapeHtml(address)}/">goyi</a></p>
<h1>${words.title}</h1>
</header>
<main>
${latest === undefined ? '' : install(address, latest, words)}
${releases.length === 0 ? `<p>${words.none}</p>` : releases.map((release) => section(release, base, words)).join('\n')}
</main>
<footer>${isWhole ? `<a href="${base}">${words.less}</a>` : `<a href="${base}?include=all">${words.more}</a>`} · <a href="${base}?mode=json&amp;include=all">JSON</a></footer>
</body>
</html>
`;
}

function install(address: string, latest: string, words: Words): string {
  return `<p>${words.intro}</p>
${command(`curl -fsSL ${address}/setup.sh | sh -s -- --go latest`)}
<p class="aside">${words.withGoyi}</p>
${command(`goyi sdk install --hub ${address} ${latest.slice(2)}`)}
<p class="aside">${words.byHand} ${words.note}</p>`;
}

function section({ version, stable, files }: SdkRelease, base: string, words: Words): string {
  const items = files.map((file) => item(file, base, words)).join('\n');
  return `<section>
<h2 id="${escapeHtml(version)}">${escapeHtml(version)}${stable ? '' : ` (${words.preview})`}</h2>
<ul class="files">
${items}
</ul>
</section>`;
}

function item({ filename, size, sha256, origin }: SdkFile, base: string, words: Words): string {
  const name = escapeHtml(filename);
  const known = sha256 === '' ? words.notMade : `${(size / 1_048_576).toFixed(0)} MiB`;
  const digest = sha256 === '' ? '' : `<code>${escapeHtml(sha256)}</code>`;
  return `<li><a href="${base}${name}">${name}</a> <span>${known}${origin === 'official' ? ` · ${words.official}` : ''}</span>${digest}</li>`;
}
