import pino from 'pino';
import { styleText } from 'node:util';
import type { Log, LogFields } from '../base/log.ts';
import { printable } from './printable.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LogOptions {
  readonly level: LogLevel;
  /** For people at a terminal instead of one JSON object a line. */
  readonly pretty: boolean;
  /** Takes whole lines with their end; `process.stdout` or `process.stderr`. */
  readonly destination: { write(line: string): unknown };
  /** On every line, such as the number of the worker. */
  readonly fields?: LogFields;
}

/** The log of a process. No field can reach the terminal as a control sequence, in either form. */
export function createLog(options: LogOptions): Log {
  return options.pretty ? prettyLog(options) : jsonLog(options);
}

// JSON escapes the controls below U+0020 but not DEL, the 8-bit controls and what turns text around.
const WILD = /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

function jsonLog({ level, destination, fields }: LogOptions): Log {
  const logger = pino(
    {
      level,
      base: { ...fields },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    {
      write(line: string): void {
        destination.write(line.replace(WILD, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`));
      },
    },
  );
  return {
    debug: (sentence, more) => logger.debug(more, sentence),
    info: (sentence, more) => logger.info(more, sentence),
    warn: (sentence, more) => logger.warn(more, sentence),
    error: (sentence, more) => logger.error(more, sentence),
  };
}

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
const COLOURS = { debug: 'gray', info: 'green', warn: 'yellow', error: 'red' } as const;

function prettyLog({ level: lowest, destination, fields: always }: LogOptions): Log {
  const at = (level: LogLevel): Log['info'] => {
    if (LEVELS.indexOf(level) < LEVELS.indexOf(lowest)) return () => {};
    const label = styleText(COLOURS[level], level.padEnd(5), { validateStream: false });
    return (sentence, fields) => {
      const time = styleText('gray', new Date().toISOString().slice(11, 23), { validateStream: false });
      destination.write(`${time} ${label} ${printable(sentence)}${prettyFields({ ...always, ...fields })}\n`);
    };
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

function prettyFields(fields: LogFields): string {
  let text = '';
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    // A stack keeps its lines.
    const shown = name === 'stack' ? `\n${String(value).split('\n').map(printable).join('\n')}` : quoted(printable(String(value)));
    text += `  ${styleText('gray', `${name}=`, { validateStream: false })}${shown}`;
  }
  return text;
}

function quoted(text: string): string {
  return /[\s"=]/.test(text) || text === '' ? `"${text.replaceAll('"', '\\"')}"` : text;
}
