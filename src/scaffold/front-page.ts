/**
 * The page that a new colleague sees first: one document without a script, a picture or anything else to load. Whatever comes from outside is escaped,
 * however harmless it should be.
 */
import { type BothLanguages, type ClientFacts, type ClientSetting, clientSettings } from './client-settings.ts';
import { command, escapeHtml, pageStyle } from './page.ts';
import { shellQuote } from './setup-sh.ts';

export interface FrontPageFacts extends ClientFacts {
  readonly version: string;
  readonly verifyOff: boolean;
  readonly ready: boolean;
  /** What is not as it should be, in whole sentences. */
  readonly degraded: readonly string[];
  /** Undefined: not known just now. */
  readonly sdks: SdksHere | undefined;
}

/** Go SDKs for the page, the newest first. */
export interface SdksHere {
  /** The newest release that can be had. */
  readonly newest: string | undefined;
  /** What would be sent at once. */
  readonly stored: readonly { readonly release: string; readonly platforms: readonly string[] }[];
  /** Whether one of them is of the Go project itself, which no checksum database knows. */
  readonly hasOfficial: boolean;
  /** Names of goyi's own executables. */
  readonly executables: readonly string[];
}

export interface Reader {
  readonly language: keyof BothLanguages;
  readonly system: 'windows' | 'other';
}

export function frontPage(facts: FrontPageFacts, reader: Reader): string {
  const say = (text: BothLanguages): string => text[reader.language];
  return `<!DOCTYPE html>
<html lang="${reader.language === 'zh' ? 'zh-CN' : 'en'}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${say(texts.title)} · goyi</title>
<style>${pageStyle}</style>
</head>
<body>
<header>
<h1>goyi <span>驿</span></h1>
<p>${say(facts.verifyOff ? texts.unverified : texts.tagline)}</p>
${health(facts, say)}
</header>
<main>
${setUpSection(facts, reader, say)}
${byHandSection(facts, say)}
${sdkSection(facts, say)}
${alsoHere(say)}
</main>
<footer>goyi ${escapeHtml(facts.version)}</footer>
</body>
</html>
`;
}

type Say = (text: BothLanguages) => string;

function health({ ready, degraded }: FrontPageFacts, say: Say): string {
  const [mood, text] = !ready ? ['bad', texts.notReady] : degraded.length > 0 ? ['fair', texts.degraded] : ['good', texts.well];
  const reasons = degraded.slice(0, REASONS_MAX).map((reason) => `<li lang="en">${escapeHtml(reason)}</li>`);
  return `<p class="health ${mood}" role="status">${say(text)}</p>${reasons.length > 0 ? `\n<ul class="reasons">${reasons.join('')}</ul>` : ''}`;
}

const REASONS_MAX = 10;

function setUpSection({ address }: FrontPageFacts, { system }: Reader, say: Say): string {
  const script = `& ([scriptblock]::Create((irm ${address}/setup.ps1)))`;
  const pipe = `curl -fsSL ${address}/setup.sh | sh`;
  const shell = setUpLine(
    { label: texts.onUnix, set: pipe, withGo: `${pipe} -s -- --go latest`, look: `${pipe} -s -- --dry-run`, undo: `${pipe} -s -- --undo` },
    say,
  );
  const windows = setUpLine(
    {
      label: texts.onWindows,
      set: `irm ${address}/setup.ps1 | iex`,
      withGo: `${script} -Go latest`,
      look: `${script} -DryRun`,
      undo: `${script} -Undo`,
    },
    say,
  );
  return `<section>
<h2>${say(texts.setUp)}</h2>
<p>${say(texts.setUpMeans)}</p>
${(system === 'windows' ? [windows, shell] : [shell, windows]).join('\n')}
</section>`;
}

interface SetUpLine {
  readonly label: BothLanguages;
  readonly set: string;
  /** For who has no Go yet. */
  readonly withGo: string;
  readonly look: string;
  readonly undo: string;
}

function setUpLine({ label, set, withGo, look, undo }: SetUpLine, say: Say): string {
  return `<h3>${say(label)}</h3>
${command(set)}
<p class="aside">${say(texts.withGo)}</p>
${command(withGo)}
<details>
<summary>${say(texts.options)}</summary>
${command(look)}
${command(undo)}
</details>`;
}

function byHandSection(facts: FrontPageFacts, say: Say): string {
  const rows = clientSettings(facts).map(
    (setting) => `<dt>${setting.name}</dt>
<dd>${escapeHtml(say(setting.why))}${command(`go env -w ${assignment(setting)}`)}</dd>`,
  );
  return `<section>
<h2>${say(texts.byHand)}</h2>
<dl>
${rows.join('\n')}
</dl>
</section>`;
}

function assignment({ name, value }: ClientSetting): string {
  return /^[\w.:/+,=@-]*$/.test(value) ? `${name}=${value}` : shellQuote(`${name}=${value}`);
}

function sdkSection({ sdks }: FrontPageFacts, say: Say): string {
  const newest = sdks?.newest;
  const executables = (sdks?.executables ?? []).map((name) => `<a href="dl/goyi/${escapeHtml(name)}">${escapeHtml(name)}</a>`);
  const rows = (sdks?.stored ?? [])
    .slice(0, RELEASES_MAX)
    .map(({ release, platforms }) => `<li><strong>${escapeHtml(release)}</strong> ${escapeHtml(platforms.join(', '))}</li>`);
  const none = sdks === undefined ? '' : `<p>${say(texts.noneStored)}</p>`;
  const list = rows.length === 0 ? none : `<p>${say(texts.stored)}</p>\n<ul>\n${rows.join('\n')}\n</ul>`;
  const more = newest === undefined ? '' : ` ${say(texts.newest)} ${escapeHtml(newest)}${say(texts.stop)}`;
  return `<section id="sdks">
<h2>${say(texts.sdks)}</h2>
${list}
<p><a href="dl/">/dl/</a> ${say(texts.sdksMeans)}${more}</p>${executables.length === 0 ? '' : `\n<p>${say(texts.executables)} ${executables.join(', ')}</p>`}
</section>`;
}

const RELEASES_MAX = 6;

function alsoHere(say: Say): string {
  // Relative, for a hub that is reached below a path of a proxy in front of it.
  const items = links.map(({ path, means }) => `<li><a href="${path.slice(1)}">${path}</a> ${say(means)}</li>`);
  return `<section>
<h2>${say(texts.more)}</h2>
<ul>
${items.join('\n')}
</ul>
<p>${say(texts.docs)} ${docs.map(({ page, means }) => `<a href="docs/${page}.md">${say(means)}</a>`).join(' · ')} · <a href="docs/">${say(texts.allDocs)}</a></p>
</section>`;
}

const links: readonly { readonly path: string; readonly means: BothLanguages }[] = [
  { path: '/-/readyz', means: { en: 'the state of the hub, in full', zh: '本站的详细状态' } },
  { path: '/index', means: { en: 'the module versions that are stored', zh: '已存储的模块版本' } },
  { path: '/-/metrics', means: { en: 'figures for Prometheus', zh: 'Prometheus 指标' } },
];

const docs: readonly { readonly page: string; readonly means: BothLanguages }[] = [
  { page: 'client-setup', means: { en: 'your machine', zh: '设置电脑' } },
  { page: 'sdk', means: { en: 'Go SDKs', zh: 'Go SDK' } },
  { page: 'doctor', means: { en: 'when something is wrong', zh: '排除故障' } },
  { page: 'proxies', means: { en: 'outbound proxies', zh: '出站代理' } },
  { page: 'private-modules', means: { en: 'private modules', zh: '私有模块' } },
];

const texts = {
  title: { en: 'Go modules', zh: 'Go 模块镜像站' },
  tagline: {
    en: 'Go modules for this network. Each one is proved against the checksum database before it is served.',
    zh: '为本网络提供 Go 模块。每个模块在提供之前，都已对照校验数据库验证。',
  },
  unverified: {
    en: '<strong>Warning:</strong> verification is switched off on this hub (verify: off).',
    zh: '<strong>警告：</strong>本站已关闭校验（verify: off）。',
  },
  well: { en: 'All is well.', zh: '一切正常。' },
  degraded: { en: 'The hub works, but not everything is as it should be:', zh: '本站可用，但有以下情况：' },
  notReady: { en: 'The hub cannot serve modules at the moment:', zh: '本站目前无法提供模块：' },
  setUp: { en: 'Set up your machine', zh: '设置您的电脑' },
  setUpMeans: {
    en: 'Paste one line into a terminal. It says what it changes and why; a second run changes nothing.',
    zh: '将一行命令粘贴到终端。它会说明修改了什么、为什么；再次运行不会有任何改动。',
  },
  onUnix: { en: 'Linux and macOS', zh: 'Linux 与 macOS' },
  onWindows: { en: 'Windows (PowerShell)', zh: 'Windows（PowerShell）' },
  options: { en: 'To look first, and to undo', zh: '先看再改，以及恢复原状' },
  byHand: { en: 'Or by hand', zh: '或手动设置' },
  sdks: { en: 'Go itself', zh: 'Go 本身' },
  sdksMeans: { en: 'has every release, with its SHA-256.', zh: '提供所有版本及其 SHA-256。' },
  newest: { en: 'The newest is', zh: '最新版本为' },
  stop: { en: '.', zh: '。' },
  stored: { en: 'Here at once:', zh: '已备好：' },
  noneStored: { en: 'None is stored yet: the first who asks for one waits some seconds longer.', zh: '尚未存储：首次请求需多等数秒。' },
  executables: {
    en: 'goyi itself in one file, which needs nothing else (<code>goyi doctor</code>, <code>goyi sdk</code>, <code>goyi env</code>):',
    zh: 'goyi 单个可执行文件，无需其他依赖（<code>goyi doctor</code>、<code>goyi sdk</code>、<code>goyi env</code>）：',
  },
  withGo: { en: 'No Go yet? This line installs it first, into your home folder:', zh: '还没有 Go？用这一行先将其安装到您的主目录：' },
  more: { en: 'Also here', zh: '此外' },
  docs: { en: 'Documentation:', zh: '文档（英文）：' },
  allDocs: { en: 'all pages', zh: '全部' },
} as const satisfies Readonly<Record<string, BothLanguages>>;
