/**
 * Fetches and proves a whole build list at once, so that the builds after it find everything here.
 *
 * Everything runs at prefetch priority: whoever asks for one module meanwhile goes first wherever a slot is short, and with nobody else there a warm
 * run gets all of them. How many files of a run are under way at once is bounded well below the slots of one upstream; zips, each of which
 * keeps a link busy by itself, have slots of their own, so that they start while the graph is still being read.
 *
 * A file fails by itself: its code and sentence are told, the others go on. Only a full disk ends all of them, as each would fetch in vain.
 * A run that is broken off loses nothing: fills under way end in the store, and the next run finds them.
 */
import { codeOf, type ErrorCode, HubError, messageOf } from '../base/errors.ts';
import type { ArtefactKind } from '../base/events.ts';
import type { BlobKey } from '../base/blob-key.ts';
import type { FileRow } from '../meta/metadata.ts';
import type { Hash } from '../protocol/dirhash.ts';
import { type GoMod, parseGoMod } from '../protocol/go-mod.ts';
import type { GoSumLine } from '../protocol/go-sum.ts';
import type { MainGoMod, ModuleAt } from '../protocol/main-go-mod.ts';
import { matchesPattern, type ModulePatterns } from '../protocol/module-pattern.ts';
import { walkBuildList } from './build-list.ts';
import { artefactOf } from './module-files.ts';
import type { Artefact } from './stored-files.ts';

/** Files of a module version that are wanted. */
export interface WarmWish extends ModuleAt {
  readonly files: readonly ArtefactKind[];
}

export type WarmList =
  | { readonly kind: 'modules'; readonly wishes: readonly WarmWish[] }
  /** What each line says has to be what is proved here. */
  | { readonly kind: 'go-sum'; readonly lines: readonly GoSumLine[] }
  | { readonly kind: 'go-mod'; readonly main: MainGoMod };

export interface WarmRequest {
  readonly list: WarmList;
  /** Left out, with all that only they require: such as what GOPRIVATE names. */
  readonly skip: ModulePatterns;
  /** Fetches nothing and tells what would be fetched. */
  readonly dryRun: boolean;
}

/** Of files. `total` grows while a graph is read. */
export interface WarmCounts {
  readonly total: number;
  readonly done: number;
  /** Fetched and proved in this run; with `dryRun`, what would be. */
  readonly fetched: number;
  /** Stored and proved before. */
  readonly present: number;
  readonly failed: number;
  readonly skipped: number;
  /** Of what was fetched, those under way included. */
  readonly fetchedBytes: number;
  readonly presentBytes: number;
}

export interface WarmFailure {
  readonly path: string;
  readonly version: string;
  /** Undefined for a line that names no module version. */
  readonly file: ArtefactKind | undefined;
  readonly code: ErrorCode;
  readonly reason: string;
  /** Of the go.mod or go.sum that was sent, where that is what is wrong. */
  readonly line: number | undefined;
}

export interface WarmWatch {
  /** Before anything else; `counts` may be asked at any time. */
  readonly started: (counts: () => WarmCounts) => void;
  /** At most {@link failuresToldMax} times. */
  readonly failed: (failure: WarmFailure) => void;
  /** With `dryRun`, at most {@link missingToldMax} times. */
  readonly missing: (artefact: Artefact) => void;
  /** A sentence about what this run cannot know. */
  readonly noted: (sentence: string) => void;
}

export interface WarmParts {
  /** Fills at prefetch priority; resolves when stored. */
  readonly fill: (artefact: Artefact, signal: AbortSignal) => Promise<void>;
  /** Of a fill under way in this process. */
  readonly receivedBytes: (artefact: Artefact) => number;
  readonly isStored: (artefact: Artefact) => Promise<boolean>;
  readonly row: (artefact: Artefact) => Promise<FileRow | undefined>;
  /** The stored go.mod; undefined when it is longer than `bytesMax`. */
  readonly readMod: (artefact: Artefact, bytesMax: number) => Promise<Buffer | undefined>;
  /** @throws {HubError} policy-denied */
  readonly admit: (path: ModuleAt['path'], version: ModuleAt['version']) => void;
  /** Counts a stored file as used: who warms it wants it kept. */
  readonly used: (artefact: Artefact) => void;
}

/** Of one run, at once. */
const slotsMax = { small: 24, zip: 8 } as const;

/** Files of one run: three of each of 20 000 modules. */
export const warmFilesMax = 60_000;
export const failuresToldMax = 1_000;
export const missingToldMax = 10_000;

/** Longer go.mod files are stored but not followed: parsing one must not hold up the others. */
const goModBytesMax = 1024 * 1024;

/**
 * Runs to the end, whatever fails on the way, and answers the last counts.
 * @throws {HubError} bad-request for a build list that is too long; canceled or whatever else the signal's reason is; storage-fault when metadata fails
 */
export async function warm(parts: WarmParts, request: WarmRequest, watch: WarmWatch, signal: AbortSignal): Promise<WarmCounts> {
  const leave = new AbortController();
  const run = new WarmRun(parts, request, watch, AbortSignal.any([signal, leave.signal]));
  try {
    watch.started(() => run.counts());
    const { list } = request;
    if (list.kind === 'go-mod') await run.followGoMod(list.main);
    else if (list.kind === 'go-sum') run.wantLines(list.lines);
    else for (const wish of list.wishes) for (const file of wish.files) void run.want(artefactOf(file, wish.path, wish.version));
    return await run.finish();
  } finally {
    leave.abort(new HubError('canceled', 'this warm run is over'));
  }
}

interface Expected {
  readonly hash: Hash;
  readonly line: number;
}

interface Unit {
  readonly artefact: Artefact;
  readonly expected: Expected[];
  /** Whether it lies in the store now. */
  readonly stored: Promise<boolean>;
}

class WarmRun {
  readonly #parts: WarmParts;
  readonly #request: WarmRequest;
  readonly #watch: WarmWatch;
  readonly #signal: AbortSignal;
  readonly #units = new Map<BlobKey, Unit>();
  readonly #lanes = { small: new Lane(slotsMax.small), zip: new Lane(slotsMax.zip) };
  readonly #underWay = new Set<Artefact>();
  readonly #counts = { done: 0, fetched: 0, present: 0, failed: 0, skipped: 0, fetchedBytes: 0, presentBytes: 0 };
  readonly #unknown = { missing: 0, long: 0 };
  /** The disk is full: nothing more is tried. */
  #full: HubError | undefined;

  constructor(parts: WarmParts, request: WarmRequest, watch: WarmWatch, signal: AbortSignal) {
    this.#parts = parts;
    this.#request = request;
    this.#watch = watch;
    this.#signal = signal;
  }

  counts(): WarmCounts {
    let { fetchedBytes } = this.#counts;
    for (const artefact of this.#underWay) fetchedBytes += this.#parts.receivedBytes(artefact);
    return { ...this.#counts, fetchedBytes, total: this.#units.size };
  }

  /** A zip is asked for together with its `.info` and its `.mod`: `go mod download` does so. */
  wantLines(lines: readonly GoSumLine[]): void {
    for (const { path, version, file, hash, line } of lines) {
      void this.want(artefactOf(file, path, version), hash && { hash, line });
      if (file === 'mod') continue;
      void this.want(artefactOf('mod', path, version));
      void this.want(artefactOf('info', path, version));
    }
  }

  async followGoMod(main: MainGoMod): Promise<void> {
    const unfollowed = [...main.replace.values()].filter((to) => to === 'folder').length;
    if (unfollowed > 0)
      this.#watch.noted(`go.mod replaces ${unfollowed} modules by folders of its own machine: what only those require is not known here`);
    for (const { line, reason } of main.unread)
      this.#fail({ path: '', version: '', file: undefined, line }, 'bad-request', `go.mod line ${line}: ${reason}`);
    await walkBuildList(main, {
      goMod: ({ path, version }) => this.#goMod(artefactOf('mod', path, version)),
      built: ({ path, version }) => {
        for (const file of ['info', 'zip'] as const) void this.want(artefactOf(file, path, version));
      },
    });
    const { missing, long } = this.#unknown;
    if (missing > 0)
      this.#watch.noted(`${missing} go.mod files are not stored yet: what only those require is not known before they are fetched`);
    if (long > 0) this.#watch.noted(`${long} go.mod files are longer than ${goModBytesMax} bytes: what only those require is not followed`);
  }

  /** Whether the file lies in the store when its turn is over. Rejects only when the whole run ends. */
  want(artefact: Artefact, expected?: Expected): Promise<boolean> {
    const known = this.#units.get(artefact.key);
    if (known !== undefined) {
      if (expected !== undefined) known.expected.push(expected);
      return known.stored;
    }
    if (this.#units.size >= warmFilesMax) throw new HubError('bad-request', `the build list has more than ${warmFilesMax} files`);
    const expectations = expected === undefined ? [] : [expected];
    const lane = artefact.kind === 'zip' ? this.#lanes.zip : this.#lanes.small;
    const stored = lane.add(() => this.#take(artefact, expectations));
    // Who ends the run sees it in `finish`, perhaps before this one's turn.
    stored.catch(() => {});
    this.#units.set(artefact.key, { artefact, expected: expectations, stored });
    return stored;
  }

  async finish(): Promise<WarmCounts> {
    await Promise.all([...this.#units.values()].map(({ stored }) => stored));
    return this.counts();
  }

  async #take(artefact: Artefact, expected: readonly Expected[]): Promise<boolean> {
    this.#signal.throwIfAborted();
    try {
      if (matchesPattern(this.#request.skip, artefact.module)) {
        this.#counts.skipped += 1;
        return false;
      }
      return await this.#obtain(artefact, expected);
    } catch (error) {
      const code = codeOf(error);
      this.#signal.throwIfAborted();
      if (code === undefined) throw error;
      if (code === 'storage-full') this.#full = error as HubError;
      this.#fail({ path: artefact.module, version: artefact.version, file: artefact.kind, line: undefined }, code, messageOf(error));
      return false;
    } finally {
      this.#counts.done += 1;
    }
  }

  async #obtain(artefact: Artefact, expected: readonly Expected[]): Promise<boolean> {
    this.#parts.admit(artefact.module, artefact.version);
    const present = await this.#parts.isStored(artefact);
    if (present) this.#parts.used(artefact);
    else if (this.#request.dryRun) {
      this.#counts.fetched += 1;
      if (this.#counts.fetched <= missingToldMax) this.#watch.missing(artefact);
      return false;
    } else await this.#fetch(artefact);
    const row = await this.#parts.row(artefact);
    const sizeBytes = row?.sizeBytes ?? 0;
    if (row?.h1 !== undefined) this.#compare(artefact, row, expected);
    if (present) {
      this.#counts.present += 1;
      this.#counts.presentBytes += sizeBytes;
    } else {
      this.#counts.fetched += 1;
      this.#counts.fetchedBytes += sizeBytes;
    }
    return true;
  }

  async #fetch(artefact: Artefact): Promise<void> {
    if (this.#full !== undefined) throw this.#full;
    this.#underWay.add(artefact);
    try {
      await this.#parts.fill(artefact, this.#signal);
    } finally {
      this.#underWay.delete(artefact);
    }
  }

  /** The stored file is right either way: it was proved. Whoever wrote go.sum saw something else. */
  #compare({ module, version, kind }: Artefact, row: FileRow, expected: readonly Expected[]): void {
    for (const { hash, line } of expected) {
      if (hash === row.h1) continue;
      const proved =
        row.proof.kind === 'checksum-database'
          ? `${row.proof.database} recorded ${row.h1}, as is proved`
          : `what is stored here has ${row.h1}`;
      const name = `${module} ${version}${kind === 'mod' ? '/go.mod' : ''}`;
      this.#fail(
        { path: module, version, file: kind, line },
        'checksum-mismatch',
        `go.sum line ${line}: ${name} has ${hash}, but ${proved}`,
      );
    }
  }

  #fail(at: Pick<WarmFailure, 'path' | 'version' | 'file' | 'line'>, code: ErrorCode, reason: string): void {
    this.#counts.failed += 1;
    if (this.#counts.failed <= failuresToldMax) this.#watch.failed({ ...at, code, reason });
  }

  async #goMod(artefact: Artefact): Promise<GoMod | undefined> {
    if (!(await this.want(artefact))) {
      if (this.#request.dryRun) this.#unknown.missing += 1;
      return undefined;
    }
    const bytes = await this.#parts.readMod(artefact, goModBytesMax);
    if (bytes === undefined) this.#unknown.long += 1;
    const goMod = bytes && parseGoMod(bytes.toString('utf8'));
    return goMod?.ok === true ? goMod.value : undefined;
  }
}

/** Runs tasks in the order they came, `slots` at once. A task belongs to one run, whose signal ends those that have not begun. */
class Lane {
  readonly #slots: number;
  readonly #waiting: (() => Promise<void>)[] = [];
  #next = 0;
  #running = 0;

  constructor(slots: number) {
    this.#slots = slots;
  }

  add<T>(task: () => Promise<T>): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<T>();
    this.#waiting.push(async () => {
      const run = task();
      resolve(run);
      await run.catch(() => {});
    });
    this.#pump();
    return promise;
  }

  #pump(): void {
    for (; this.#running < this.#slots && this.#next < this.#waiting.length; this.#next += 1) {
      const begin = this.#waiting[this.#next] as () => Promise<void>;
      this.#running += 1;
      void begin().finally(() => {
        this.#running -= 1;
        this.#pump();
      });
    }
  }
}
