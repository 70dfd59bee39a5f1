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
  readonly note: string;
  readonly columns: readonly string[];
  readonly preview: string;
  readonly more: string;
  readonly less: string;
  readonly none: string;
  readonly notMade: string;
}

const english: Words = {
  lang: 'en',
  title: 'Go SDKs',
  intro: 'To install one:',
  note: 'Archives marked "module" are made from golang.org/toolchain, which is proved in the checksum database; their bytes differ from those of the official archives.',
  columns: ['file', 'system', 'size', 'SHA-256', 'made from'],
  preview: 'preview',
  more: 'every release',
  less: 'supported releases only',
  none: 'No release can be had from here.',
  notMade: 'made when it is first asked for',
};

const chinese: Words = {
  lang: 'zh',
  title: 'Go SDK 下载',
  intro: '安装方法：',
  note: '标有“module”的归档由 golang.org/toolchain 模块组装，经校验数据库验证；其字节与官方归档不同。',
  columns: ['文件', '系统', '大小', 'SHA-256', '来源'],
  preview: '预览版',
  more: '所有版本',
  less: '仅受支持的版本',
  none: '此处没有可用的版本。',
  notMade: '首次请求时生成',
};

/** A page for people, without scripts. Names come from strict parsers and hold nothing that HTML knows; the address was checked as well. */
export function sdkPage({ address, releases, isWhole }: SdkPageFacts, isChinese: boolean): string {
  const words = isChinese ? chinese : english;
  const latest = releases.find(({ stable }) => stable)?.version;
  const install = latest === undefined ? '' : `<p>${words.intro} <code>goyi sdk install --hub ${address} ${latest.slice(2)}</code></p>\n`;
  return `<!DOCTYPE html>
<html lang="${words.lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${words.title}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
div { overflow-x: auto }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .2rem .8rem .2rem 0 }
code { font-size: .85em; overflow-wrap: anywhere }
</style>
</head>
<body>
<h1>${words.title}</h1>
${install}<p>${words.note}</p>
${releases.length === 0 ? `<p>${words.none}</p>` : releases.map((release) => section(release, words)).join('\n')}
<p>${isWhole ? `<a href="/dl/">${words.less}</a>` : `<a href="/dl/?include=all">${words.more}</a>`} · <a href="/dl/?mode=json&amp;include=all">JSON</a></p>
</body>
</html>
`;
}

function section({ version, stable, files }: SdkRelease, words: Words): string {
  const head = words.columns.map((column) => `<th>${column}</th>`).join('');
  const rows = files.map((file) => row(file, words)).join('\n');
  return `<h2 id="${version}">${version}${stable ? '' : ` (${words.preview})`}</h2>\n<div><table>\n<tr>${head}</tr>\n${rows}\n</table></div>`;
}

function row({ filename, os, arch, size, sha256, origin }: SdkFile, { notMade }: Words): string {
  const known = sha256 === '' ? [notMade, ''] : [`${(size / 1_048_576).toFixed(0)} MiB`, `<code>${sha256}</code>`];
  const cells = [`<a href="/dl/${filename}">${filename}</a>`, `${os}/${arch}`, ...known, origin === 'official' ? 'official' : 'module'];
  return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
}
