/**
 * Markdown, as far as the documentation of goyi uses it, for a browser: headings, paragraphs, lists, tables, blocks of code; code, bold and links within a
 * line. Whatever else there is stays text. Time is linear in the length of the text.
 */
import { command, escapeHtml } from './page.ts';

export function renderMarkdown(text: string): string {
  const lines = text.split('\n');
  const blocks: string[] = [];
  for (let at = 0; at < lines.length; ) {
    const end = endOfBlock(lines, at);
    const block = lines.slice(at, end);
    if (block.some((line) => line.trim() !== '')) blocks.push(renderBlock(block));
    at = end;
  }
  return blocks.join('\n');
}

const FENCE = /^```/;
const HEADING = /^(#{1,4}) (.+)$/;
const ITEM = /^(?:[-*]|\d+\.) +/;

/** Behind the last line of the block that begins at `at`. */
function endOfBlock(lines: readonly string[], at: number): number {
  const line = lines[at] ?? '';
  const ends = (isEnd: (line: string) => boolean): number => {
    const found = lines.findIndex((other, index) => index > at && isEnd(other));
    return found < 0 ? lines.length : found;
  };
  if (FENCE.test(line)) return Math.min(lines.length, ends((other) => FENCE.test(other)) + 1);
  if (HEADING.test(line) || line.trim() === '') return at + 1;
  if (line.startsWith('|')) return ends((other) => !other.startsWith('|'));
  if (ITEM.test(line)) return ends((other) => other.trim() === '' || HEADING.test(other) || FENCE.test(other));
  return ends((other) => other.trim() === '' || HEADING.test(other) || FENCE.test(other) || other.startsWith('|') || ITEM.test(other));
}

function renderBlock(block: readonly string[]): string {
  const [first = ''] = block;
  if (FENCE.test(first)) return command(block.slice(1, FENCE.test(block.at(-1) ?? '') ? -1 : undefined).join('\n'));
  const heading = HEADING.exec(first);
  if (heading !== null) return renderHeading(heading[1] ?? '#', heading[2] ?? '');
  if (first.startsWith('|')) return renderTable(block);
  if (ITEM.test(first)) return renderList(block);
  return `<p>${renderLine(block.join(' '))}</p>`;
}

function renderHeading(marks: string, text: string): string {
  const id = text
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
  return `<h${marks.length} id="${escapeHtml(id)}">${renderLine(text)}</h${marks.length}>`;
}

function renderTable([head = '', _rule, ...rows]: readonly string[]): string {
  const cells = (row: string, tag: 'th' | 'td'): string =>
    row
      .replace(/^\||\|\s*$/g, '')
      .split(/(?<!\\)\|/)
      .map((cell) => `<${tag}>${renderLine(cell.trim().replaceAll('\\|', '|'))}</${tag}>`)
      .join('');
  return `<table>\n<tr>${cells(head, 'th')}</tr>\n${rows.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('\n')}\n</table>`;
}

function renderList(block: readonly string[]): string {
  const items: string[] = [];
  for (const line of block) {
    if (ITEM.test(line)) items.push(line.replace(ITEM, ''));
    else items.push(`${items.pop() ?? ''} ${line.trim()}`);
  }
  const tag = /^\d/.test(block[0] ?? '') ? 'ol' : 'ul';
  return `<${tag}>\n${items.map((item) => `<li>${renderLine(item)}</li>`).join('\n')}\n</${tag}>`;
}

/** Code first: nothing in it means anything. */
const WITHIN = /`([^`]+)`|\[((?:[^\]`]|`[^`]*`)+)\]\(([^()\s]+)\)|\*\*([^*]+)\*\*/g;
/** Pages of the documentation, places in them, and addresses; nothing that could run. */
const TARGET = /^(?:https?:\/\/[^\s"]+|[\w-]+\.md(?:#[\w-]+)?|#[\w-]+)$/;

function renderLine(text: string): string {
  let rendered = '';
  let last = 0;
  for (const match of text.matchAll(WITHIN)) {
    const [whole, code, shown, target = '', bold] = match;
    rendered += escapeHtml(text.slice(last, match.index));
    last = match.index + whole.length;
    if (code !== undefined) rendered += `<code>${escapeHtml(code)}</code>`;
    else if (bold !== undefined) rendered += `<strong>${renderLine(bold)}</strong>`;
    else rendered += TARGET.test(target) ? `<a href="${escapeHtml(target)}">${renderLine(shown ?? '')}</a>` : escapeHtml(whole);
  }
  return rendered + escapeHtml(text.slice(last));
}
