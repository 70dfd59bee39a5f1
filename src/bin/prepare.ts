import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { processEntry } from '../base/program-parts.ts';
import { HubError } from '../base/errors.ts';
import type { HubConfig } from '../cli/config/hub-config.ts';
import type { ReadiedKey } from './own-keys.ts';

export interface Readied {
  /** Addresses, in order; may carry credentials. */
  readonly upstreams: readonly string[];
  /** The public halves of the keys that the hub signs with. */
  readonly keys: readonly ReadiedKey[];
}

export type ToPreparer =
  /** Read the configuration: `start` as the command that was typed, which says itself what is wrong with it; `reload` for a hub that runs. */
  | { readonly kind: 'start' | 'reload'; readonly version: string }
  /** Ready the data folder, which the primary holds by now, and the keys. */
  | { readonly kind: 'make-ready'; readonly config: HubConfig };

export interface Configured {
  readonly config: HubConfig;
  /** Absolute; undefined when there was none. */
  readonly configFile: string | undefined;
  /** To be said once at start. */
  readonly notes: readonly string[];
}

export type FromPreparer =
  | ({ readonly kind: 'configured' } & Configured)
  /** At a reload: lines in the operator's language. */
  | { readonly kind: 'faulty'; readonly faults: readonly string[] }
  | ({ readonly kind: 'ready' } & Readied)
  /** At a reload. */
  | { readonly kind: 'failed'; readonly message: string };

/** The process ended by itself and has said why, or what else there was to say, such as a help text. */
export class PreparerEnded extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`preparing ended with exit code ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** A migration of a large database may take its time; a hang may not. */
const prepareMs = 10 * 60_000;

export interface PreparerOptions {
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly version: string;
  readonly signal: AbortSignal;
}

/**
 * The short-lived process that reads the configuration and readies the data folder: what that takes (the command line, schemas, the whole metadata)
 * is 25 MB that a primary would carry for as long as the hub runs. Disposing of it early ends it.
 */
export class Preparer implements Disposable {
  readonly #child: ChildProcess;
  readonly #told: FromPreparer[] = [];
  readonly #signal: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  readonly #onAbort = (): void => void this.#child.kill();
  #wake: (() => void) | undefined;
  #end: { readonly code: number | null; readonly why: string } | undefined;

  constructor(kind: 'start' | 'reload', { argv, env, version, signal }: PreparerOptions) {
    const entry = processEntry('hub-prepare', import.meta.url);
    this.#child = fork(entry.kind === 'file' ? fileURLToPath(entry.url) : entry.argument, argv, {
      env,
      execArgv: [],
      serialization: 'advanced',
    });
    this.#timer = setTimeout(() => this.#child.kill('SIGKILL'), prepareMs).unref();
    this.#child.on('message', (message: FromPreparer) => {
      this.#told.push(message);
      this.#wake?.();
    });
    this.#child.once('error', (error) => this.#ended(null, error.message));
    // Not `exit`: the last message may come after it.
    this.#child.once('close', (code, signalName) => this.#ended(code, String(signalName ?? code)));
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#send({ kind, version });
  }

  /** The configuration, or what is wrong with it. @throws {PreparerEnded}; {HubError} canceled, storage-fault when it ended without a word */
  async configured(): Promise<Extract<FromPreparer, { kind: 'configured' | 'faulty' }>> {
    const told = await this.#next();
    if (told.kind === 'configured' || told.kind === 'faulty') return told;
    throw new HubError('storage-fault', told.kind === 'failed' ? told.message : 'the configuration could not be read');
  }

  /** Readies the data folder and the keys, and finds the upstreams. @throws as {@link configured}, and what kept them from being readied */
  async makeReady(config: HubConfig): Promise<Readied> {
    this.#send({ kind: 'make-ready', config });
    const told = await this.#next();
    if (told.kind === 'ready') return told;
    throw new HubError('storage-fault', told.kind === 'failed' ? told.message : 'the data folder could not be readied');
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    clearTimeout(this.#timer);
    // Nothing it does is lost by that: a transaction is whole or not there.
    if (this.#end === undefined) this.#child.kill();
  }

  async #next(): Promise<FromPreparer> {
    while (this.#told.length === 0 && this.#end === undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    const told = this.#told.shift();
    if (told !== undefined) return told;
    if (this.#signal.aborted) throw new HubError('canceled', 'stopped while starting');
    if (this.#end?.code != null) throw new PreparerEnded(this.#end.code);
    throw new HubError('storage-fault', `readying the data folder ended early (${this.#end?.why ?? 'unknown reason'})`);
  }

  #send(message: ToPreparer): void {
    // One that just ended loses the message; its end is seen by who waits for an answer.
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  #ended(code: number | null, why: string): void {
    this.#end ??= { code, why };
    this.#wake?.();
  }
}
