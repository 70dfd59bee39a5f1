import { watch } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { formatGoSumDb } from '../api/checksum-database.ts';
import { codeOf, HubError, messageOf } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import { type Log, withoutCredentials } from '../base/log.ts';
import type { HubConfig } from '../cli/config/hub-config.ts';
import { holdDataDir } from '../meta/data-lock.ts';
import type { ReadiedKey } from './own-keys.ts';
import { type Configured, Preparer, PreparerEnded } from './prepare.ts';
import { openProcessLog } from './process-log.ts';
import type { ProbeResult } from './worker-messages.ts';
import { WorkerFleet } from './worker-fleet.ts';

const reloadSettleMs = 300;

export interface ServeOptions {
  /** Without the names of the interpreter and of the program. */
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly version: string;
  readonly isTerminal: boolean;
  /** Fires when the hub is to drain and end. */
  readonly signal: AbortSignal;
}

/** Runs what a command line with `serve` in it says: a hub until it is told to stop, or whatever else it turns out to mean. Answers the exit code. */
export async function serve(options: ServeOptions): Promise<number> {
  try {
    using preparer = new Preparer('start', options);
    const told = await preparer.configured();
    invariant(told.kind === 'configured', 'the command itself tells what is wrong with its configuration');
    return await runPrimary(told, preparer, options);
  } catch (error) {
    if (error instanceof PreparerEnded) return error.exitCode;
    if (options.signal.aborted && codeOf(error) === 'canceled') return 0;
    const { tellFailure } = await import('../cli/main.ts');
    return tellFailure(error, { ...options, stdout: process.stdout, stderr: process.stderr });
  }
}

/** The primary: holds the data folder, has it prepared, and keeps the workers running until it is told to stop. */
async function runPrimary({ config, configFile, notes }: Configured, preparer: Preparer, options: ServeOptions): Promise<number> {
  const { env, version, isTerminal, signal } = options;
  const log = openProcessLog(config.log, isTerminal);
  await makeDataDir(config.dataDir);
  await using _lock = await holdDataDir(config.dataDir);
  for (const note of notes) log.warn(note);
  const fleet = new WorkerFleet({ log, env, onProbed: (results) => logProbes(results, log) });
  const begin = async (next: HubConfig, by: Preparer): Promise<number> => {
    const { upstreams, keys } = await by.makeReady(next);
    for (const key of keys) logKey(key, log);
    return fleet.begin({ config: next, upstreams, version, isTerminal });
  };
  const starting = begin(config, preparer);
  // From here on a SIGHUP is a wish and not the end; it waits for the start.
  await using reloader = new Reloader({ config, configFile, log, begin, after: starting, prepare: () => new Preparer('reload', options) });
  announce(config, await starting, log);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  log.info('stopping');
  await reloader[Symbol.asyncDispose]();
  await fleet.stop(config.limits.drainMs);
  log.info('stopped');
  return 0;
}

async function makeDataDir(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true });
  } catch (error) {
    throw new HubError('storage-fault', `cannot make the data folder ${dataDir}: ${messageOf(error)}`, { cause: error });
  }
}

function announce(config: HubConfig, port: number, log: Log): void {
  const host = config.listen.host.includes(':') ? `[${config.listen.host}]` : config.listen.host;
  const address = `${config.tls === undefined ? 'http' : 'https'}://${host}:${port}`;
  log.info('listening', {
    address,
    dataDir: config.dataDir,
    workers: config.workers,
    use: `GOPROXY=${config.publicUrl ?? address} go build`,
  });
}

/** Only the public half is there to be logged. */
function logKey({ name, keyFile, verifierKey, made }: ReadiedKey, log: Log): void {
  const use = formatGoSumDb(verifierKey);
  if (made) log.info('made the signing key of the checksum database: keep a copy of the key file', { database: name, keyFile, use });
  else log.info('the hub has a checksum database of its own', { database: name, use });
}

function logProbes(results: readonly ProbeResult[], log: Log): void {
  for (const { name, ok, latencyMs, reason } of results) {
    const upstream = withoutCredentials(name);
    if (name === 'direct') logDirect({ ok, reason }, log);
    else if (ok) log.info('upstream answers', { upstream, latencyMs: Math.round(latencyMs ?? 0) });
    else log.warn('upstream does not answer', { upstream, reason });
  }
  if (results.length === 0) log.warn('there is no upstream: only what is stored is served');
  else if (results.every(({ ok }) => !ok)) log.warn('no upstream answers: only what is stored is served until one does');
}

/** On a machine that has its upstreams and nothing else, that is how things are meant to be. */
function logDirect({ ok, reason }: { readonly ok: boolean; readonly reason: string | undefined }, log: Log): void {
  if (ok) log.info('direct: public Git servers can be reached, and are asked for what no upstream has');
  else log.info('direct: public Git servers cannot be reached, so that only the upstreams are asked', { reason });
}

/** What needs another listening socket or another data folder stays until the next start. */
const fixedAtStart = ['listen', 'dataDir'] as const satisfies readonly (keyof HubConfig)[];

interface ReloaderOptions {
  readonly config: HubConfig;
  /** To be watched for changes. */
  readonly configFile: string | undefined;
  readonly log: Log;
  readonly begin: (config: HubConfig, by: Preparer) => Promise<number>;
  readonly prepare: () => Preparer;
  /** Nothing is reloaded before this has settled. */
  readonly after: Promise<unknown>;
}

/** On SIGHUP or a changed file the configuration is read again and a new generation of workers takes over; a faulty file changes nothing. */
class Reloader implements AsyncDisposable {
  readonly #log: Log;
  readonly #begin: ReloaderOptions['begin'];
  readonly #prepare: ReloaderOptions['prepare'];
  readonly #onHangup = (): void => this.#soon();
  readonly #watcher: ReturnType<typeof watch> | undefined;
  #config: HubConfig;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void>;
  #stopped = false;

  constructor({ config, configFile, log, begin, prepare, after }: ReloaderOptions) {
    this.#running = after.then(
      () => {},
      () => {},
    );
    this.#config = config;
    this.#log = log;
    this.#begin = begin;
    this.#prepare = prepare;
    process.on('SIGHUP', this.#onHangup);
    this.#watcher = configFile === undefined ? undefined : watchFile(configFile, () => this.#soon(), log);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    process.off('SIGHUP', this.#onHangup);
    this.#watcher?.close();
    clearTimeout(this.#timer);
    await this.#running;
  }

  /** Editors write a file in several steps; the last one counts. */
  #soon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#running = this.#running
        .then(() => this.#reload())
        .catch((error: unknown) => this.#log.error('the configuration could not be reloaded', { error: messageOf(error) }));
    }, reloadSettleMs);
  }

  async #reload(): Promise<void> {
    if (this.#stopped) return;
    using preparer = this.#prepare();
    const told = await preparer.configured();
    if (told.kind === 'faulty') {
      this.#log.error('the changed configuration has faults and is not used', { faults: told.faults.join('; ') });
      return;
    }
    const read = told.config;
    const kept = fixedAtStart.filter((key) => JSON.stringify(read[key]) !== JSON.stringify(this.#config[key]));
    const { listen, dataDir } = this.#config;
    // Keys lie beside the data folder: with the former folder go the former keys.
    const ownDatabase = kept.includes('dataDir') ? this.#config.ownDatabase : read.ownDatabase;
    const next: HubConfig = { ...read, listen, dataDir, ownDatabase };
    for (const key of kept) this.#log.warn('a changed key takes effect only at the next start', { key });
    await this.#begin(next, preparer);
    this.#config = next;
    this.#log.info('the configuration was reloaded', { workers: next.workers });
  }
}

/** The folder is watched, not the file: editors and orchestrators replace it by a rename. */
function watchFile(file: string, onChange: () => void, log: Log): ReturnType<typeof watch> | undefined {
  const slash = Math.max(file.lastIndexOf('/'), file.lastIndexOf('\\'));
  try {
    const watcher = watch(file.slice(0, Math.max(slash, 1)), { persistent: false }, (_event, name) => {
      if (name === null || name === file.slice(slash + 1) || name.startsWith('..')) onChange();
    });
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch (error) {
    log.warn('the configuration file cannot be watched; SIGHUP reloads it', { error: messageOf(error) });
    return undefined;
  }
}
