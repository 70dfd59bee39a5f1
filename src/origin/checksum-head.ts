import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';
import { HubError, codeOf, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import { type Parsed, parsed } from '../base/parsed.ts';
import { SingleFlight } from '../base/single-flight.ts';
import type { ForkEvidence, HeadRow, Metadata } from '../meta/metadata.ts';
import { type SignedTree, openTreeNote } from '../protocol/checksum-record.ts';
import { latestKey, supportedKey } from '../protocol/layout.ts';
import { NOTE_BYTES_MAX, type VerifierKey, decodeUtf8 } from '../protocol/note.ts';
import { formatTilePath } from '../protocol/proxy-request.ts';
import type { HashTile } from '../protocol/tile.ts';
import { LargestFirst } from './checksum-turns.ts';
import type { Effort, Runner } from './checksum-race.ts';
import type { TileSource } from './checksum-tiles.ts';
import { type ProvedTile, ProvedTree, proveTree } from './checksum-tree.ts';

/** A record that was proved to be in the log. */
export interface KnownRecord {
  readonly recordId: number;
  readonly text: string;
  readonly zipHash: string;
  readonly modHash: string;
}

/** What was proved along one line of consistent trees; a head that does not continue them begins another. */
export interface Lineage {
  readonly tiles: LRUCache<string, Buffer>;
  /** By `module@version`. */
  readonly records: LRUCache<string, KnownRecord>;
  /** Notes of older trees that were compared already, by size and root. */
  readonly compared: LRUCache<string, true>;
}

/** The kept tree with everything proved along its line. */
export interface Standing {
  readonly tree: ProvedTree;
  readonly lineage: Lineage;
}

/** The part of metadata that keeps heads. */
export type HeadMetadata = Pick<Metadata, 'head' | 'advanceHead' | 'fork' | 'recordFork'>;

export interface HeadOptions {
  readonly name: string;
  readonly key: VerifierKey;
  readonly source: TileSource;
  readonly metadata: HeadMetadata;
  readonly events: Events;
  readonly clock: Clock;
  readonly limits: {
    /** Head and fork are read from metadata again after so long: another process may have moved them. */
    readonly syncMs: number;
    /** After a refresh that failed the next one waits so long. */
    readonly refreshBackOffMs: number;
    readonly tileCacheBytes: number;
    readonly recordCacheBytes: number;
  };
}

/** How often a moving head is looked at again before giving up: each round some process has moved it forward. */
const ROUNDS_MAX = 8;

/**
 * The newest tree of a database that was verified, kept in metadata so that no process of the hub ever goes back or sideways.
 *
 * A note is believed when the database signed it and its tree and the kept one are one log: the older of the two roots is computed again out
 * of tiles proved under the newer. Then tiles are stored first, the head moves in metadata next (compare-and-swap), and only then does
 * anything prove under it, so that a crash leaves a head whose tiles lie in the store. Since each advance reads the former edges at their
 * width in the next tree, what was stored can always be proved without a transport. Two signed trees that contradict each other freeze the
 * database for every process until an operator decides.
 */
export class HeadKeeper {
  readonly #options: HeadOptions;
  readonly #flights = new SingleFlight<void>();
  readonly #turns = new LargestFirst();
  #standing: Standing | undefined;
  /** The last note that was found well signed. */
  #opened: { readonly text: string; readonly tree: SignedTree } | undefined;
  #syncedMs = Number.NEGATIVE_INFINITY;
  #refreshDueMs = Number.NEGATIVE_INFINITY;
  #refreshedMs = Number.NEGATIVE_INFINITY;
  /** Evidence that metadata did not take: this process stays frozen and tries again. */
  #unrecorded: ForkEvidence | undefined;

  constructor(options: HeadOptions) {
    this.#options = options;
  }

  /**
   * The kept tree, at most `syncMs` behind the other processes. On first contact it is fetched: `latest`, signed, proved by its own edges.
   * @throws {HubError} log-forked while frozen; not-cached, log-invalid, database-unavailable, origin-timeout, storage-full, storage-fault
   */
  async current(effort: Effort, signal: AbortSignal): Promise<Standing> {
    const standing = this.#standing;
    if (standing !== undefined && this.#now() - this.#syncedMs < this.#options.limits.syncMs) return standing;
    return this.sync(effort, signal);
  }

  /** The tree that a note is about, if the database signed it. Hundreds of answers in a row come with one and the same note. */
  open(note: string): Parsed<SignedTree> {
    if (this.#opened?.text === note) return parsed(this.#opened.tree);
    const tree = openTreeNote(note, this.#options.key);
    if (tree.ok) this.#opened = { text: note, tree: tree.value };
    return tree;
  }

  /** As `current`, as metadata says this moment. */
  async sync(effort: Effort, signal: AbortSignal): Promise<Standing> {
    const { name, metadata } = this.#options;
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const askedMs = this.#now();
      await this.#refuseFork();
      const row = await metadata.head(name);
      const standing = this.#standing;
      if (row === undefined) {
        this.#standing = undefined;
        await this.#flights.do(`meet ${effort.online}`, (inner) => this.#meet(effort, inner), signal);
      } else if (standing !== undefined && isSameTree(standing.tree.head, row)) {
        this.#syncedMs = askedMs;
        return standing;
      } else {
        await this.#flights.do(`adopt ${row.note} ${effort.online}`, (inner) => this.#adopt(row, effort, inner), signal);
      }
    }
    throw movesTooFast(name);
  }

  /**
   * Takes note of a tree that the database signed, and answers with the kept tree, which is now at least as large.
   * @throws {HubError} as `current`; log-forked when it contradicts the kept tree
   */
  async absorb(note: SignedTree, effort: Effort, signal: AbortSignal): Promise<Standing> {
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const standing = await this.current(effort, signal);
      if (note.size <= standing.tree.head.size) {
        await this.#compare(note, standing, effort, signal);
        return standing;
      }
      await this.#turns.take(note.size, signal, async () => {
        const { tree } = await this.sync(effort, signal);
        if (note.size > tree.head.size) await this.#advance(tree.head, note, effort, signal);
      });
    }
    throw movesTooFast(this.#options.name);
  }

  /** Asks for the newest tree when the last answer is older than `maxAgeMs`. One request serves all who wait. @throws {HubError} as `absorb` */
  async refresh(maxAgeMs: number, effort: Effort, signal: AbortSignal): Promise<void> {
    const now = this.#now();
    if (!effort.online || now < this.#refreshDueMs || now - this.#refreshedMs < maxAgeMs) return;
    await this.#flights.do('refresh', (inner) => this.#refresh(effort, inner), signal);
  }

  async state(): Promise<{ readonly treeSize: number | undefined; readonly frozen: string | undefined }> {
    const { name, metadata } = this.#options;
    const [row, fork] = await Promise.all([metadata.head(name), metadata.fork(name)]);
    return { treeSize: row?.treeSize, frozen: (fork ?? this.#unrecorded)?.detail };
  }

  async #refresh(effort: Effort, signal: AbortSignal): Promise<void> {
    const { source, limits } = this.#options;
    try {
      const attempt = async (runner: Runner): Promise<true> => {
        await this.absorb(await this.#latestFrom(runner), effort, runner.signal);
        return true;
      };
      if ((await source.race.run('latest', effort, attempt, signal)) === undefined) throw this.#noLatest();
      this.#refreshedMs = this.#now();
    } catch (error) {
      this.#refreshDueMs = this.#now() + limits.refreshBackOffMs;
      throw error;
    }
  }

  async #meet(effort: Effort, signal: AbortSignal): Promise<void> {
    const { source } = this.#options;
    const attempt = async (runner: Runner): Promise<Staged> => this.#stage(await this.#latestFrom(runner), effort, runner.signal);
    const staged = await source.race.run('latest', effort, attempt, signal);
    if (staged === undefined) throw this.#noLatest();
    this.#refreshedMs = this.#now();
    await this.#persist(staged);
    // Losing to another process is as good: the next round reads what it wrote.
    if (await this.#move(staged.tree.head, undefined)) await this.#install(staged, undefined);
  }

  /** Takes over the head that metadata keeps: after a start, or when another process moved it. */
  async #adopt(row: HeadRow, effort: Effort, signal: AbortSignal): Promise<void> {
    const { name, key } = this.#options;
    const head = openTreeNote(row.note, key);
    if (!head.ok || !isSameTree(head.value, row)) {
      throw new HubError(
        'log-invalid',
        `the kept head of ${name} does not verify: ${head.ok ? 'its row is not that of its note' : head.reason}`,
      );
    }
    const former = this.#standing;
    const staged = await this.#stage(head.value, effort, signal).catch((error: unknown) => {
      const code = codeOf(error);
      if (!effort.online || (code !== 'log-invalid' && code !== 'database-unavailable')) throw error;
      // The store lost the edges and no mirror has tiles of that width any more; a newer tree proves the kept one without them.
      return undefined;
    });
    if (staged === undefined) return this.#overtake(head.value, effort, signal);
    const continues =
      former !== undefined && former.tree.head.size <= head.value.size && (await this.#holds(staged, former.tree.head, effort, signal));
    await this.#options.source.tolerate('store the tiles of the kept head', () => this.#persist(staged));
    await this.#install(staged, continues ? former.lineage : undefined);
  }

  async #overtake(kept: SignedTree, effort: Effort, signal: AbortSignal): Promise<void> {
    const attempt = async (runner: Runner): Promise<true> => {
      const next = await this.#latestFrom(runner);
      if (next.size <= kept.size) throw new HubError('origin-unavailable', `${runner.origin} has no tree newer than the kept one`);
      await this.#advance(kept, next, effort, runner.signal);
      return true;
    };
    if ((await this.#options.source.race.run('latest', effort, attempt, signal)) === undefined) throw this.#noLatest();
  }

  async #latestFrom(runner: Runner): Promise<SignedTree> {
    const body = await runner.get('latest', NOTE_BYTES_MAX);
    // A database always has a latest tree.
    if (body === undefined) throw new HubError('origin-unavailable', `${runner.origin} has no latest`);
    const text = decodeUtf8(body);
    const tree = text === undefined ? undefined : openTreeNote(text, this.#options.key);
    if (tree?.ok !== true) throw new HubError('log-invalid', `latest is refused: ${tree?.reason ?? 'it is not UTF-8'}`);
    return tree.value;
  }

  /** An older note must be on our line. */
  async #compare(note: SignedTree, { tree, lineage }: Standing, effort: Effort, signal: AbortSignal): Promise<void> {
    const mark = `${note.size} ${note.root.toString('base64')}`;
    if (lineage.compared.has(mark)) return;
    const root = note.size === tree.head.size ? tree.head.root : await tree.rootAt(note.size, effort, signal);
    if (!root.equals(note.root)) await this.#alarm(tree.head, note);
    lineage.compared.set(mark, true);
  }

  async #advance(from: SignedTree, next: SignedTree, effort: Effort, signal: AbortSignal): Promise<void> {
    const staged = await this.#stage(next, effort, signal);
    if (!(await this.#holds(staged, from, effort, signal))) await this.#alarm(from, next);
    await this.#persist(staged);
    if (!(await this.#move(next, from.size))) return;
    const standing = this.#standing;
    await this.#install(staged, standing !== undefined && standing.tree.head === from ? standing.lineage : undefined);
  }

  /** Whether the older tree is the beginning of the staged one. */
  async #holds(staged: Staged, older: SignedTree, effort: Effort, signal: AbortSignal): Promise<boolean> {
    return (await staged.tree.rootAt(older.size, effort, signal)).equals(older.root);
  }

  /** A tree proved by its own root, its tiles kept apart until it is known to be on our line. */
  async #stage(head: SignedTree, effort: Effort, signal: AbortSignal): Promise<Staged> {
    const fresh: ProvedTile[] = [];
    const tiles = new Map<string, Buffer>();
    const standing = this.#standing;
    const tree = await proveTree(
      {
        head,
        source: this.#options.source,
        believed: tiles,
        keep: async (tile) => void fresh.push(tile),
        ...(standing !== undefined && { known: (tile: HashTile) => edgeOf(standing.tree, tile) }),
      },
      effort,
      signal,
    );
    return { tree, tiles, fresh };
  }

  /** @throws {HubError} storage-full, storage-fault */
  async #persist({ tree, fresh }: Staged): Promise<void> {
    await Promise.all([...tree.edges, ...fresh].map(({ tile, bytes }) => this.#options.source.persist(tile, bytes)));
  }

  async #move(next: SignedTree, expectedTreeSize: number | undefined): Promise<boolean> {
    const { name, metadata, events } = this.#options;
    const row = { database: name, treeSize: next.size, root: next.root.toString('base64'), note: next.note };
    if (!(await metadata.advanceHead(row, expectedTreeSize))) return false;
    events.headAdvanced({ database: name, treeSize: next.size });
    return true;
  }

  async #install(staged: Staged, continued: Lineage | undefined): Promise<void> {
    const { name, source, limits } = this.#options;
    const lineage = continued ?? newLineage(limits);
    const present = this.#standing;
    if (present?.lineage === lineage && present.tree.head.size > staged.tree.head.size) return;
    for (const [path, bytes] of staged.tiles) lineage.tiles.set(path, bytes);
    const keep = ({ tile, bytes }: ProvedTile): Promise<void> =>
      source.tolerate(`store ${formatTilePath(tile)}`, () => source.persist(tile, bytes));
    this.#standing = { tree: staged.tree.withTiles({ believed: lineage.tiles, keep }), lineage };
    // For readers of the store as a GOPROXY of files; the head itself is in metadata.
    await source.tolerate('publish the head', async () => {
      await source.replace(latestKey(name), Buffer.from(staged.tree.head.note));
      if ((await source.read(supportedKey(name), 0)) === undefined) await source.replace(supportedKey(name), Buffer.alloc(0));
    });
  }

  async #refuseFork(): Promise<void> {
    const { name, metadata } = this.#options;
    if (this.#unrecorded !== undefined) {
      await metadata.recordFork(this.#unrecorded);
      this.#unrecorded = undefined;
    }
    const fork = await metadata.fork(name);
    if (fork === undefined) return;
    this.#standing = undefined;
    throw new HubError('log-forked', `the checksum database ${name} is frozen: ${fork.detail}`);
  }

  /** Both notes are signed by the database and cannot both be true. @throws {HubError} log-forked, always */
  async #alarm(kept: SignedTree, contradicting: SignedTree): Promise<never> {
    const { name, metadata, events, clock } = this.#options;
    const detail = `its signed tree of ${contradicting.size} records contradicts the kept one of ${kept.size}`;
    const evidence: ForkEvidence = {
      database: name,
      keptNote: kept.note,
      contradictingNote: contradicting.note,
      detail,
      seenAtMs: clock.wallMs(),
    };
    this.#standing = undefined;
    this.#unrecorded = evidence;
    events.verificationFailed({ reason: 'log-forked', subject: name, detail });
    const recorded = await metadata.recordFork(evidence).then(
      () => '',
      (error: unknown) => `; the evidence could not be recorded: ${messageOf(error)}`,
    );
    if (recorded === '') this.#unrecorded = undefined;
    throw new HubError('log-forked', `the checksum database ${name} is frozen: ${detail}${recorded}`);
  }

  #noLatest(): HubError {
    return new HubError('database-unavailable', `no transport has the latest tree of ${this.#options.name}`);
  }

  #now(): number {
    return this.#options.clock.monotonicMs();
  }
}

interface Staged {
  readonly tree: ProvedTree;
  readonly tiles: ReadonlyMap<string, Buffer>;
  /** Full tiles that came from a transport. */
  readonly fresh: readonly ProvedTile[];
}

function isSameTree(head: SignedTree, row: HeadRow): boolean {
  return head.size === row.treeSize && head.root.toString('base64') === row.root;
}

/** At the higher levels the edge of a later tree is mostly the same; no other tile of the former one can be of use to it. */
function edgeOf(tree: ProvedTree, tile: HashTile): Buffer | undefined {
  return tree.edges.find((edge) => formatTilePath(edge.tile) === formatTilePath(tile))?.bytes;
}

function newLineage({ tileCacheBytes, recordCacheBytes }: HeadOptions['limits']): Lineage {
  return {
    tiles: new LRUCache({ maxSize: tileCacheBytes, sizeCalculation: (bytes) => bytes.length }),
    // A string takes up to two bytes a character.
    records: new LRUCache({ maxSize: recordCacheBytes, sizeCalculation: ({ text }, name) => 4 * text.length + 2 * name.length + 100 }),
    compared: new LRUCache({ max: 1000 }),
  };
}

function movesTooFast(name: string): HubError {
  return new HubError('database-unavailable', `the head of ${name} moves faster than it can be followed`);
}
