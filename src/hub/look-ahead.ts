/**
 * Fetches what a go command will ask for next, while the link is idle.
 *
 * The go command reads as many files at a time as the machine has cores: on a link of 150 ms a module graph of some hundred go.mod files takes a minute,
 * then each `.info` costs a round trip more, and its zips begin only when all of them are there. Its order is what can be guessed from
 * (cmd/go/internal/modload, readModGraph): first the go.mod of every module that the main module lists, and these are the versions it will build with;
 * then, below those whose go line is older than 1.17, everything that they require. So
 * - what an unpruned go.mod requires will be read: its go.mod files are fetched, and what those require;
 * - a go.mod that a client asked for, and that nothing read so far requires, is one of the main module's own: its `.info` and its zip are fetched,
 *   of the highest version of each module only;
 * - a go.mod asked for after a silence may be the main module itself (`go install M@V`): then its requirements come next.
 * What a pruned go.mod requires says little: the main module lists higher versions of most (5 % of such guesses were right for Prometheus).
 *
 * Everything here has the lowest priority, is bounded, and may fail in silence: whoever asks for the thing itself hears why.
 */
import type { Events } from '../base/events.ts';
import type { Clock } from '../base/clock.ts';
import { isPruned, parseGoMod } from '../protocol/go-mod.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import { compareVersions, type Version } from '../protocol/version.ts';
import type { BlobKey } from '../base/blob-key.ts';
import { boundedCache } from './bounded-cache.ts';
import { FairQueue } from './fair-queue.ts';
import { artefactOf } from './module-files.ts';
import type { Artefact } from './stored-files.ts';

/** A client that lists versions compares them: what it reads of that module in the next moments it does not build with. */
const comparingMs = 10_000;

/** Of small files and of zips that wait for one client; the oldest go first, as nobody asked for them so far. */
const queueMax = { small: 2_000, zip: 1_000, made: 1_000 };

/** Clients that things wait for. */
const clientsMax = 200;

/** What may be fetched ahead without being asked for, until some of it is, or for so long: a client that stops in the middle costs no more than this. */
const unusedBytes = { max: 1024 ** 3, everyMs: 10 * 60_000 };

/** Longer go.mod files are not read here. */
const goModBytesMax = 512 * 1024;

/** Files fetched ahead whose use is watched for. */
const unusedMax = 20_000;

/** A go.mod asked for after so long a silence may begin a graph. */
const silenceMs = 3_000;

/** When no client was served for so long, those that the queues were made for are gone. */
const goneMs = 60_000;

export interface LookAheadParts {
  /** Fills at prefetch priority; resolves with the size when stored. */
  readonly fill: (artefact: Artefact, signal: AbortSignal) => Promise<number>;
  readonly events: Pick<Events, 'lookedAhead'>;
  /** The stored go.mod, without counting it as used. */
  readonly readMod: (artefact: Artefact) => Promise<Buffer | undefined>;
  readonly isStored: (artefact: Artefact) => Promise<boolean>;
  /** What policy forbids to clients is not fetched for them. */
  readonly admits: (module: ModulePath, version: Version) => boolean;
  /** Whether its files are made from source code, by a server of its own that may take its time: such modules have their own slots. */
  readonly isMade: (module: ModulePath) => boolean;
  readonly clock: Clock;
  /** Of small files at once. A zip keeps the link busy by itself, so zips get a quarter; what is made gets as many more. */
  readonly slots: number;
}

type Queue = 'small' | 'zip' | 'made';

/** What was guessed from what a client was given. */
interface Wanted {
  readonly artefact: Artefact;
  readonly client: string;
}

export interface ServedFile {
  /** It had to be fetched for this request. */
  readonly first: boolean;
  /** Of a file that is in memory. */
  readonly bytes: Buffer | undefined;
  /** Its address. */
  readonly client: string;
}

export class LookAhead implements AsyncDisposable {
  readonly #parts: LookAheadParts;
  readonly #stop = new AbortController();
  readonly #queues: Record<Queue, FairQueue<Wanted>> = {
    small: new FairQueue({ itemsOfClientMax: queueMax.small, clientsMax }),
    zip: new FairQueue({ itemsOfClientMax: queueMax.zip, clientsMax }),
    made: new FairQueue({ itemsOfClientMax: queueMax.made, clientsMax }),
  };
  readonly #running: Record<Queue, Set<Promise<void>>> = { small: new Set(), zip: new Set(), made: new Set() };
  /** The version of each module whose zip was chosen, so that an older one read later is not fetched too. */
  readonly #chosen = boundedCache<ModulePath, Version>(20_000, 15 * 60_000);
  /** go.mod files that an unpruned one requires: the go command reads them for the graph, whether or not it builds with them. */
  readonly #required = boundedCache<BlobKey, true>(50_000, 15 * 60_000);
  readonly #comparing = boundedCache<ModulePath, number>(5_000);
  /** What was queued a while ago, whatever became of it. */
  readonly #tried = boundedCache<BlobKey, true>(50_000, 15 * 60_000);
  /** Sizes of what was fetched ahead and not yet asked for. */
  readonly #unused = boundedCache<BlobKey, number>(unusedMax);
  #lastServedMs = 0;
  #unusedBytes = 0;
  #unusedSinceMs = 0;

  constructor(parts: LookAheadParts) {
    this.#parts = parts;
  }

  get waiting(): number {
    return Object.values(this.#queues).reduce((sum, queue) => sum + queue.size, 0);
  }

  /** A client asked which versions there are. */
  listed(module: ModulePath): void {
    this.#comparing.set(module, this.#parts.clock.monotonicMs());
  }

  /** A client (its address) was given a file. `first` when it had to be fetched for it; a file that we fetched ahead counts as such once. */
  served(artefact: Artefact, { first, bytes, client }: ServedFile): void {
    if (this.#parts.slots === 0) return;
    const nowMs = this.#parts.clock.monotonicMs();
    const silent = nowMs - this.#lastServedMs > silenceMs;
    this.#lastServedMs = nowMs;
    const sizeBytes = this.#unused.get(artefact.key);
    if (sizeBytes !== undefined) {
      this.#unused.delete(artefact.key);
      // What was fetched before the count began anew is no credit.
      this.#unusedBytes = Math.max(0, this.#unusedBytes - sizeBytes);
      this.#parts.events.lookedAhead({ outcome: 'used', sizeBytes });
    }
    if (!(first || sizeBytes !== undefined) || artefact.kind === 'zip') return;
    if (artefact.kind === 'info' || !this.#required.has(artefact.key)) this.#wantWhole(artefact, client);
    if (artefact.kind === 'mod' && bytes !== undefined) this.#wantRequired(bytes, { evenPruned: silent, client });
    this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the hub is stopping'));
    for (const queue of Object.values(this.#queues)) queue.clear();
    await Promise.allSettled(Object.values(this.#running).flatMap((running) => [...running]));
  }

  #wantWhole({ module, version, kind }: Artefact, client: string): void {
    const comparedMs = this.#comparing.get(module);
    if (comparedMs !== undefined && this.#parts.clock.monotonicMs() - comparedMs < comparingMs) return;
    const chosen = this.#chosen.get(module);
    if (chosen !== undefined && compareVersions(version, chosen) <= 0) return;
    this.#chosen.set(module, version);
    if (chosen !== undefined) for (const queue of Object.values(this.#queues)) queue.delete(artefactOf('zip', module, chosen).key);
    if (kind === 'mod') this.#enqueue('small', artefactOf('info', module, version), client);
    this.#enqueue('zip', artefactOf('zip', module, version), client);
  }

  #wantRequired(bytes: Buffer, { evenPruned, client }: { evenPruned: boolean; client: string }): void {
    if (bytes.length > goModBytesMax) return;
    const goMod = parseGoMod(bytes.toString('utf8'));
    if (!goMod.ok || (isPruned(goMod.value.go) && !evenPruned)) return;
    for (const { path, version } of goMod.value.require) {
      const artefact = artefactOf('mod', path, version);
      if (!isPruned(goMod.value.go)) this.#required.set(artefact.key, true);
      this.#enqueue('small', artefact, client);
    }
  }

  #enqueue(kind: 'small' | 'zip', artefact: Artefact, client: string): void {
    if (this.#tried.has(artefact.key) || !this.#parts.admits(artefact.module, artefact.version)) return;
    this.#tried.set(artefact.key, true);
    this.#queues[this.#parts.isMade(artefact.module) ? 'made' : kind].push(client, artefact.key, { artefact, client });
  }

  #run(): void {
    this.#runQueue('small', this.#parts.slots);
    for (const name of ['zip', 'made'] as const) this.#runQueue(name, Math.max(1, Math.floor(this.#parts.slots / 4)));
  }

  #runQueue(name: Queue, slots: number): void {
    const queue = this.#queues[name];
    if (this.#parts.clock.monotonicMs() - this.#lastServedMs > goneMs) queue.clear();
    const running = this.#running[name];
    while (running.size < slots && !this.#stop.signal.aborted && !(name !== 'small' && this.#hasTooMuchUnused())) {
      const next = queue.take();
      if (next === undefined) return;
      const run = this.#fetch(next)
        .catch(() => {})
        .finally(() => {
          running.delete(run);
          this.#run();
        });
      running.add(run);
    }
  }

  #hasTooMuchUnused(): boolean {
    const nowMs = this.#parts.clock.monotonicMs();
    if (nowMs - this.#unusedSinceMs > unusedBytes.everyMs) {
      this.#unusedSinceMs = nowMs;
      this.#unusedBytes = 0;
    }
    return this.#unusedBytes > unusedBytes.max;
  }

  async #fetch({ artefact, client }: Wanted): Promise<void> {
    if (await this.#parts.isStored(artefact)) return;
    const sizeBytes = await this.#parts.fill(artefact, this.#stop.signal);
    this.#parts.events.lookedAhead({ outcome: 'fetched', sizeBytes });
    this.#unused.set(artefact.key, sizeBytes);
    this.#unusedBytes += sizeBytes;
    if (artefact.kind !== 'mod') return;
    const bytes = await this.#parts.readMod(artefact);
    if (bytes !== undefined) this.#wantRequired(bytes, { evenPruned: false, client });
  }
}
