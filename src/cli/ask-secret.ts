import { closeSync, openSync, writeSync } from 'node:fs';
import { isatty, ReadStream } from 'node:tty';
import { HubError } from '../base/errors.ts';

const LENGTH_MAX = 10_000;
const ENTER = '\r\n\u0004';

/**
 * What is typed at the terminal of this process, whatever standard input is, and is not shown there. Undefined: there is no terminal.
 * The terminal is left as it was in every case.
 * @throws {HubError} canceled by Ctrl-C; or the signal's reason
 */
export async function askSecret(question: string, signal: AbortSignal): Promise<string | undefined> {
  const terminal = openTerminal();
  if (terminal === undefined) return undefined;
  const { input, show } = terminal;
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const onAbort = (): void => reject(signal.reason as Error);
  let typed = '';
  try {
    signal.throwIfAborted();
    signal.addEventListener('abort', onAbort, { once: true });
    input.setEncoding('utf8');
    // Nothing of what is typed is shown or read by the terminal itself, Ctrl-C neither.
    input.setRawMode(true);
    show(question);
    input.on('error', reject);
    input.on('end', () => resolve(typed));
    input.on('data', (text: string) => {
      for (const character of text) {
        if (character === '\u0003') return reject(new HubError('canceled', 'interrupted'));
        if (ENTER.includes(character) || typed.length > LENGTH_MAX) return resolve(typed);
        typed = edited(typed, character);
      }
    });
    return await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
    input.setRawMode(false);
    show('\n');
    input.destroy();
    terminal.close();
  }
}

function edited(typed: string, character: string): string {
  if (character === '\u007f' || character === '\b') return typed.slice(0, -1);
  return character === '\u0015' ? '' : typed + character;
}

interface OpenTerminal {
  readonly input: ReadStream;
  readonly show: (text: string) => void;
  readonly close: () => void;
}

function openTerminal(): OpenTerminal | undefined {
  if (process.platform === 'win32') {
    if (!isatty(0)) return undefined;
    return { input: new ReadStream(0), show: (text) => void writeSync(2, text), close: () => {} };
  }
  try {
    const out = openSync('/dev/tty', 'w');
    const input = new ReadStream(openSync('/dev/tty', 'r'));
    return { input, show: (text) => void writeSync(out, text), close: () => closeSync(out) };
  } catch {
    return undefined;
  }
}
