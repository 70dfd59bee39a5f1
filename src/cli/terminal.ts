import { printable } from './format.ts';

/** Where a command writes. Results go to `out`, everything else to `err`, so that a pipe gets results only. */
export interface Sink {
  write(text: string): unknown;
}

const PROGRESS_EVERY_MS = 100;

/** What a command says: lines, or with `--json` one JSON value; progress only on a terminal. */
export class Terminal {
  readonly json: boolean;
  readonly #out: Sink;
  readonly #err: Sink;
  readonly #showsProgress: boolean;
  #progressShown = false;
  #progressAtMs = -PROGRESS_EVERY_MS;

  constructor(options: { out: Sink; err: Sink; json: boolean; isTerminal: boolean }) {
    this.#out = options.out;
    this.#err = options.err;
    this.json = options.json;
    this.#showsProgress = options.isTerminal && !options.json;
  }

  /** A line of the result; nothing with `--json`. */
  line(text: string): void {
    this.#endProgress();
    if (!this.json) this.#out.write(`${printable(text)}\n`);
  }

  /** The result as one JSON value; nothing without `--json`. */
  value(value: unknown): void {
    if (this.json) this.#out.write(`${JSON.stringify(value, undefined, 2)}\n`);
  }

  /** One of many results as a JSON value on a line of its own; nothing without `--json`. */
  item(value: unknown): void {
    if (this.json) this.#out.write(`${JSON.stringify(value)}\n`);
  }

  /** A line beside the result. */
  aside(text: string): void {
    this.#endProgress();
    if (!this.json) this.#err.write(`${printable(text)}\n`);
  }

  /** Replaces the last progress line, at most ten times a second. */
  progress(text: () => string): void {
    if (!this.#showsProgress || performance.now() - this.#progressAtMs < PROGRESS_EVERY_MS) return;
    this.#progressAtMs = performance.now();
    this.#progressShown = true;
    this.#err.write(`\r\u001B[2K${printable(text())}`);
  }

  #endProgress(): void {
    if (this.#progressShown) this.#err.write('\r\u001B[2K');
    this.#progressShown = false;
  }
}
