/**
 * Text that others chose (paths, upstreams' sentences) on its way to a terminal: in error bodies and in logs.
 *
 * The go command prints an error's body only when all of it is graphic or white space, up to the first blank line, at most 8 lines and 648 bytes,
 * and drops the line that passes the limit: https://cs.opensource.google/go/go/+/master:src/cmd/go/internal/web/api.go
 */

const LINES_MAX = 8;
const BYTES_MAX = 648;
/** The go command counts a line's end as "\n\t". */
const LINE_END_BYTES = 2;

// What Go's unicode.IsGraphic refuses: controls, formats (such as bidi overrides), surrogates, private use, unassigned, line and paragraph separators.
const UNPRINTABLE = /[^\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]/gu;

/** One line in which every character that a terminal might obey stands as `\u{1b}`. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`);
}

/** The longest prefix of whole characters within `bytesMax` bytes of UTF-8; a cut shows as `…`. */
export function clipped(text: string, bytesMax: number): string {
  if (Buffer.byteLength(text) <= bytesMax) return text;
  let bytes = Buffer.byteLength('…');
  let end = 0;
  for (const char of text) {
    bytes += Buffer.byteLength(char);
    if (bytes > bytesMax) break;
    end += char.length;
  }
  return `${text.slice(0, end)}…`;
}

/** An error's body as the go command prints it whole: `sentence` (its lines may be many or wild), then the `trailer` line, which is plain and short. */
export function formatErrorBody(sentence: string, trailer?: string): string {
  const reserved = trailer === undefined ? 0 : Buffer.byteLength(trailer) + LINE_END_BYTES;
  const linesMax = trailer === undefined ? LINES_MAX : LINES_MAX - 1;
  const lines: string[] = [];
  let left = BYTES_MAX - reserved;
  // A sentence of megabytes is cut before any work is done on it.
  for (const raw of sentence.slice(0, BYTES_MAX).split(/\r\n|\r|\n/)) {
    const text = printable(raw).trim();
    if (text === '') continue;
    // Less room than this would hold no word.
    if (lines.length === linesMax || left < 16) break;
    const line = clipped(text, left - LINE_END_BYTES);
    left -= Buffer.byteLength(line) + LINE_END_BYTES;
    lines.push(line);
  }
  if (lines.length === 0) lines.push('the request failed');
  if (trailer !== undefined) lines.push(trailer);
  return `${lines.join('\n')}\n`;
}
