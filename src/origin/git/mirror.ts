/**
 * A bare copy of one repository: all heads and tags with their whole history, HEAD, and nothing else of what the server has, so that no commit
 * can be named that no branch or tag leads to. (Change requests are references too on many hosts.)
 *
 * - The listing whose objects are all here lies beside them in `goyi-refs`, written after each fetch. It answers without the network.
 * - A fresh listing is at most `refsMs` old, for all who ask within that time, and is fetched only when what it names is not here.
 * - Objects are never removed: a version that was once answered can be answered again when its tag is gone.
 * - Whoever changes the mirror holds its lock among processes. Readers need none: git puts packs in place before it names them, and
 *   {@link Mirror.fetched} is waited for before anything is read.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import type { Urgency } from '../../base/gate.ts';
import { HubError, messageOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { GitCommand, GitResult } from './git-command.ts';
import { type GitRemote, accessTo, remoteError } from './git-remote.ts';
import { listRemote } from './list-remote.ts';
import { type Refs, parseRefs } from './refs.ts';
import { UrgentFlight } from './urgent-flight.ts';

/** Runs `run` while no other process of the hub runs anything of the same key. */
export type Exclusively = <T>(key: string, run: (signal: AbortSignal) => Promise<T>, signal: AbortSignal) => Promise<T>;

export interface GitLimits {
  /** How long a listing of references counts as fresh. */
  readonly refsMs: number;
  /** For a listing, and for each local question. */
  readonly answerMs: number;
  /** For a fetch, and for making one archive. */
  readonly transferMs: number;
  /** Of all packs of a repository. */
  readonly repositoryBytesMax: number;
  /** As for the git command. */
  readonly processesMax: number;
  readonly networkProcessesMax: number;
  readonly serverProcessesMax: number;
}

export const GIT_LIMITS: GitLimits = {
  refsMs: 5000,
  answerMs: 60_000,
  transferMs: 1_800_000,
  repositoryBytesMax: 8 * 1024 ** 3,
  processesMax: 4,
  networkProcessesMax: 4,
  // A source of private modules has one server.
  serverProcessesMax: 4,
};

export interface MirrorOptions {
  readonly folder: string;
  readonly lockKey: string;
  readonly knownHostsFile: string;
  readonly remote: GitRemote;
  readonly git: GitCommand;
  readonly exclusively: Exclusively;
  readonly limits: GitLimits;
  readonly clock: Clock;
  readonly log: Log;
}

const REFS_BYTES_MAX: number = 64 * 1024 * 1024;
const OUTPUT_BYTES_MAX: number = 1024 * 1024;
const WAITED_FOR: Urgency = { priority: 'waited-for' };
const REFS_FILE = 'goyi-refs';
const REMOTE_FILE = 'goyi-remote';
const REMAKE_MS = 600_000;
/** More than these are made into few. */
const PACKS_MAX = 30;
const SIZE_CHECK_MS = 1000;

export class Mirror {
  readonly #options: MirrorOptions;
  readonly #listings = new UrgentFlight<Refs>();
  readonly #fetches = new UrgentFlight<Refs>();
  #fresh: { readonly refs: Refs; readonly atMs: number } | undefined;
  /** The listing whose objects are known to be here. */
  #stored: Refs | undefined;
  #distrustedAtMs: number | undefined;

  constructor(options: MirrorOptions) {
    this.#options = options;
  }

  get folder(): string {
    return this.#options.folder;
  }

  get remote(): GitRemote {
    return this.#options.remote;
  }

  /** What was fetched last, by this process as far as it knows; undefined when nothing was. Never asks the network. */
  async stored(): Promise<Refs | undefined> {
    // Mirrors of public repositories may be removed, by any process, to make room.
    if (this.#stored !== undefined && !existsSync(join(this.folder, REFS_FILE))) this.#stored = undefined;
    this.#stored ??= await this.#readStored();
    return this.#stored;
  }

  /** What was fetched last by any process. Never asks the network. */
  async storedByAnyone(): Promise<Refs | undefined> {
    this.#stored = (await this.#readStored()) ?? this.#stored;
    return this.#stored;
  }

  /** The references of this moment. Their objects need not be here. @throws {HubError} not-found, origin-unavailable, origin-timeout, upstream-invalid, overloaded */
  fresh(urgency: Urgency, signal: AbortSignal): Promise<Refs> {
    const { clock, limits } = this.#options;
    if (this.#fresh !== undefined && clock.monotonicMs() - this.#fresh.atMs < limits.refsMs) return Promise.resolve(this.#fresh.refs);
    return this.#listings.do('refs', urgency, (shared, flight) => this.#listNow(shared, flight), signal);
  }

  /** The same, asked after this call: for who knows that something has just changed. @throws as {@link fresh} */
  current(urgency: Urgency, signal: AbortSignal): Promise<Refs> {
    return this.#listNow(urgency, signal);
  }

  async #listNow(urgency: Urgency, signal: AbortSignal): Promise<Refs> {
    const refs = await this.#list(urgency, signal);
    this.#fresh = { refs, atMs: this.#options.clock.monotonicMs() };
    return refs;
  }

  /** Resolves when every object of the listing is here, with the listing that is then stored: this one, or one that replaced it meanwhile. @throws as {@link fresh} */
  async fetched(refs: Refs, urgency: Urgency, signal: AbortSignal): Promise<Refs> {
    if ((await this.stored())?.text === refs.text) return refs;
    const { exclusively, lockKey } = this.#options;
    // One that is under way will have the lock first.
    this.#fetches.hurry(urgency);
    const fetch = async (shared: Urgency, flight: AbortSignal): Promise<Refs> => {
      using _place = await this.#options.git.placeAhead(shared, flight);
      return await exclusively(lockKey, (held) => this.#fetch(refs, held), flight);
    };
    return this.#fetches.do(refs.text, urgency, fetch, signal);
  }

  /** To be called when something that is listed cannot be read: from the next question on the mirror is made anew, at most once in {@link REMAKE_MS}. */
  async distrust(reason: string): Promise<void> {
    const { clock, log } = this.#options;
    if (this.#distrustedAtMs !== undefined && clock.monotonicMs() - this.#distrustedAtMs < REMAKE_MS) return;
    this.#distrustedAtMs = clock.monotonicMs();
    log.warn('a Git mirror is damaged and will be fetched anew', { folder: this.folder, detail: reason });
    for (const name of [REFS_FILE, REMOTE_FILE]) await rm(join(this.folder, name), { force: true });
    this.#stored = undefined;
  }

  stop(reason: Error): void {
    this.#listings.abortAll(reason);
    this.#fetches.abortAll(reason);
  }

  async #list(urgency: Urgency, signal: AbortSignal): Promise<Refs> {
    const { git, knownHostsFile, remote, limits } = this.#options;
    const listing = await listRemote({ git, knownHostsFile, timeoutMs: limits.answerMs, urgency }, remote, signal);
    if (listing.kind !== 'found') throw listing.error;
    return listing.refs;
  }

  /** Under the lock, for which somebody in another process may wait: nothing here takes its turn after others. */
  async #fetch(wanted: Refs, signal: AbortSignal): Promise<Refs> {
    const stored = await this.#readStored();
    if (stored?.text === wanted.text) return (this.#stored = stored);
    await this.#prepare(wanted, signal);
    // Between listing and fetching somebody may have pushed: what is named then has to be here as well.
    let refs = wanted;
    for (let round = 0; ; round++) {
      await this.#transfer(refs, signal);
      if (await this.#matches(refs, signal)) break;
      const after = await this.#list(WAITED_FOR, signal);
      // A name that git does not take is never here, however often it is fetched.
      if (after.text === refs.text) break;
      if (round >= 3)
        throw new HubError('origin-unavailable', `the references of ${this.#options.remote.url} change faster than they are fetched`);
      refs = after;
    }
    await this.#tidy(signal);
    await this.#writeStored(refs);
    this.#fresh = { refs, atMs: this.#options.clock.monotonicMs() };
    return (this.#stored = refs);
  }

  async #transfer(refs: Refs, signal: AbortSignal): Promise<void> {
    if (refs.hashes.size === 0) return;
    const { remote, limits } = this.#options;
    const heads = ['+refs/heads/*:refs/heads/*', '+refs/tags/*:refs/tags/*'];
    const specs = refs.hashes.has('HEAD') ? ['+HEAD:refs/goyi/head', ...heads] : heads;
    const args = [
      'fetch',
      '--quiet',
      '--force',
      '--prune',
      '--no-tags',
      '--no-write-fetch-head',
      '--no-auto-maintenance',
      '--no-recurse-submodules',
    ];
    const tooLarge = new AbortController();
    const check = async (): Promise<void> => {
      if ((await this.#sizeBytes()) <= limits.repositoryBytesMax) return;
      tooLarge.abort(new HubError('upstream-invalid', `the repository at ${remote.url} is larger than ${limits.repositoryBytesMax} bytes`));
    };
    const timer = setInterval(() => void check().catch(() => {}), SIZE_CHECK_MS);
    try {
      const { git, knownHostsFile } = this.#options;
      const result = await git.run(
        {
          args: [...args, '--end-of-options', remote.url, ...specs],
          repository: this.folder,
          kind: 'network',
          urgency: WAITED_FOR,
          server: new URL(remote.url).host,
          timeoutMs: limits.transferMs,
          outputBytesMax: OUTPUT_BYTES_MAX,
          ...(await accessTo(remote, knownHostsFile, signal)),
        },
        AbortSignal.any([signal, tooLarge.signal]),
      );
      if (result.code !== 0) throw remoteError(remote, result);
      await check();
      tooLarge.signal.throwIfAborted();
    } finally {
      clearInterval(timer);
      if (tooLarge.signal.aborted) await rm(this.folder, { recursive: true, force: true });
    }
  }

  /** Whether every reference of the listing is here, and means the same. */
  async #matches(refs: Refs, signal: AbortSignal): Promise<boolean> {
    if (refs.hashes.size === 0) return true;
    const result = await this.#runLocal(['for-each-ref', '--format=%(objectname)%09%(refname)'], signal, REFS_BYTES_MAX);
    if (result.code !== 0) return false;
    const here = new Set(result.stdout.toString('utf8').replace('\trefs/goyi/head\n', '\tHEAD\n').split('\n'));
    return refs.text
      .split('\n')
      .every((line) => line.endsWith('^{}') || !/\t(?:HEAD|refs\/heads\/.*|refs\/tags\/.*)$/.test(line) || here.has(line));
  }

  /** Makes the repository where there is none, or one of another address or another kind of hash. */
  async #prepare(refs: Refs, signal: AbortSignal): Promise<void> {
    const { remote } = this.#options;
    const format = [...refs.hashes.values()].some((hash) => hash.length === 64) ? 'sha256' : 'sha1';
    const sign = `${remote.url} ${format}\n`;
    const file = join(this.folder, REMOTE_FILE);
    if ((await readIfThere(file)) === sign) return this.#removeHalfPacks();
    await rm(this.folder, { recursive: true, force: true });
    this.#stored = undefined;
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const args = ['init', '--quiet', '--bare', '--template=', '--initial-branch=main', `--object-format=${format}`];
    const result = await this.#runLocal(args, signal);
    if (result.code !== 0)
      throw new HubError('storage-fault', `git cannot make the mirror of ${remote.url}: ${result.stderr.split('\n')[0]}`);
    await mkdir(join(this.folder, 'info'), { recursive: true });
    // As the go command has it: an archive is the same whatever the author wants exports to leave out or to fill in.
    await writeFile(join(this.folder, 'info', 'attributes'), '\n* -export-subst -export-ignore\n');
    await writeFile(file, sign);
  }

  /** Many small fetches make many packs and loose references, which slow everything down. */
  async #tidy(signal: AbortSignal): Promise<void> {
    const packs = (await this.#packFiles()).filter((name) => name.endsWith('.pack'));
    const runs = [['pack-refs', '--all'], ...(packs.length > PACKS_MAX ? [['repack', '--quiet', '--geometric=2', '-d']] : [])];
    for (const args of runs) {
      const result = await this.#runLocal(args, signal);
      if (result.code !== 0)
        this.#options.log.warn('a mirror cannot be tidied', { folder: this.folder, detail: result.stderr.split('\n')[0] });
    }
  }

  async #readStored(): Promise<Refs | undefined> {
    const text = await readIfThere(join(this.folder, REFS_FILE));
    const newline = text?.indexOf('\n') ?? -1;
    if (text === undefined || text.slice(0, newline) !== this.#options.remote.url) return undefined;
    return parseRefs(text.slice(newline + 1));
  }

  /** On the disk only after the objects are, which git syncs itself: what is listed is there also after the power was cut. */
  async #writeStored(refs: Refs): Promise<void> {
    const file = join(this.folder, REFS_FILE);
    await writeFile(`${file}.new`, `${this.#options.remote.url}\n${refs.text}`, { flush: true });
    await rename(`${file}.new`, file);
  }

  async #sizeBytes(): Promise<number> {
    const sizes = (await this.#packFiles()).map(async (name) => (await stat(join(this.folder, 'objects', 'pack', name))).size);
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  }

  /** Nobody else writes here while the lock is held: what is half is left over from a process that was killed. */
  async #removeHalfPacks(): Promise<void> {
    for (const name of await this.#packFiles())
      if (name.startsWith('tmp_')) await rm(join(this.folder, 'objects', 'pack', name), { force: true });
  }

  async #packFiles(): Promise<readonly string[]> {
    return readdir(join(this.folder, 'objects', 'pack')).catch(() => []);
  }

  #runLocal(args: readonly string[], signal: AbortSignal, outputBytesMax = OUTPUT_BYTES_MAX): Promise<GitResult> {
    const { git, limits } = this.#options;
    const run = {
      args,
      repository: this.folder,
      kind: 'local',
      urgency: WAITED_FOR,
      outputBytesMax,
      timeoutMs: limits.transferMs,
    } as const;
    return git.run(run, signal);
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new HubError('storage-fault', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
