import type { IncomingHttpHeaders } from 'node:http';
import { HubError } from '../base/errors.ts';
import { renderMarkdown } from '../scaffold/markdown.ts';
import { escapeHtml, pageStyle } from '../scaffold/page.ts';
import type { Exchange } from './exchange.ts';
import { pageHeaders, wantsHtml } from './front-page.ts';
import { HTML } from './go-get-page.ts';
import { type Sender, sendText, shortLived, TEXT } from './send-answer.ts';
import { prefersChinese } from './welcome.ts';

/** The documentation of this version, as it lies in the folder `docs`: on a closed network there is no other place to read it. */
export interface Manual {
  /** In order; empty where this goyi came without. */
  names(): Promise<readonly string[]>;
  /** The text of one of these. */
  read(name: string): Promise<string>;
}

export interface ManualParts {
  readonly manual?: Manual | undefined;
  /** Without a slash at the end. */
  readonly addressOf: (exchange: Exchange) => string;
}

/** `/docs/` lists the pages, `/docs/NAME.md` is one: with its links for a browser, as it is for everybody else. @throws {HubError} not-found */
export async function answerManual(exchange: Exchange, name: string, { manual, addressOf }: ManualParts, sender: Sender): Promise<void> {
  const names = (await manual?.names()) ?? [];
  if (manual === undefined || (name !== '' && !names.includes(name)))
    throw new HubError('not-found', 'there is no such page of the documentation here');
  const { headers } = exchange.req;
  const more = ['Cache-Control', shortLived(exchange), 'Vary', 'Accept, Accept-Language, Host'];
  const isPage = wantsHtml(headers);
  const address = addressOf(exchange);
  if (name === '') {
    const titles = await Promise.all(names.map(async (one) => [one, titleOf(await manual.read(one))] as const));
    if (!isPage)
      return sendText(sender, exchange, 200, TEXT, titles.map(([one, title]) => `${address}/docs/${one}  ${title}\n`).join(''), more);
    return sendText(sender, exchange, 200, HTML, listPage(titles, address, headers), [...more, ...pageHeaders]);
  }
  const text = await manual.read(name);
  if (!isPage) return sendText(sender, exchange, 200, TEXT, text, more);
  sendText(sender, exchange, 200, HTML, page(titleOf(text), address, renderMarkdown(text)), [...more, ...pageHeaders]);
}

function listPage(titles: readonly (readonly [name: string, title: string])[], address: string, headers: IncomingHttpHeaders): string {
  const items = titles.map(([name, title]) => `<li><a href="${escapeHtml(`${address}/docs/${name}`)}">${escapeHtml(title)}</a></li>`);
  const isChinese = prefersChinese(headers['accept-language']);
  return page(
    isChinese ? '文档' : 'Documentation',
    address,
    `<h1>${isChinese ? '文档（英文）' : 'Documentation'}</h1>\n<ul>\n${items.join('\n')}\n</ul>`,
  );
}

function titleOf(text: string): string {
  return /^# (.+)$/m.exec(text)?.[1] ?? '';
}

function page(title: string, address: string, body: string): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${escapeHtml(title)} · goyi</title>
<style>${pageStyle}</style>
</head>
<body>
<header><p><a href="${escapeHtml(address)}/">goyi</a> · <a href="${escapeHtml(address)}/docs/">docs</a></p></header>
<main>
${body}
</main>
</body>
</html>
`;
}
