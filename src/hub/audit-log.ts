import { HubError } from '../base/errors.ts';
import { invariant, unreachable } from '../base/invariant.ts';
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { type SignedTree, openChecksumRecord, openTreeNote } from '../protocol/checksum-record.ts';
import { type CosignerKey, findCosignature } from '../protocol/cosignature.ts';
import { type VerifierKey, decodeUtf8, parseNote } from '../protocol/note.ts';
import { formatTilePath } from '../protocol/proxy-request.ts';
import { TILE_WIDTH, tileOfRecord, widthInTree } from '../protocol/tile.ts';
import { type Finding, Findings, clippedText } from './audit-findings.ts';
import { type NameIndex, auditDataTile, splitRecords } from './audit-records.ts';
import { AuditTree, readTile } from './audit-tree.ts';
import type { LogAnswer, LogReader } from '../origin/log-reader.ts';

export type { LogReader, NameIndex };

/** How far a log was verified, to go on from there. */
export interface Audited {
  /** The newest note that was verified, as the log gave it. */
  readonly note: string;
  /** Records 0 … without this one were read, compared and found well formed. */
  readonly records: number;
  /** Records 0 … without this one have their hashes in verified tiles. */
  readonly hashes: number;
  /** Whether no module version was found twice among `records`. */
  readonly isUnique: boolean;
}

export interface AuditRequest {
  readonly reader: LogReader;
  readonly key: VerifierKey;
  /** What an earlier audit found right: the newest tree must continue it. */
  readonly known: Audited | undefined;
  /** Read everything, also what is known. */
  readonly fromStart: boolean;
  /** `hashes`: without the records themselves, for who may not read them. */
  readonly scope: 'records' | 'hashes';
  /** Has the names of the records below `known.records`, and none when everything is read. */
  readonly names: NameIndex;
  /** Witnesses that must have cosigned the newest note. */
  readonly cosigners: readonly CosignerKey[];
  readonly onProgress: (progress: AuditProgress) => void;
}

export interface AuditProgress {
  readonly from: number;
  readonly done: number;
  readonly total: number;
}

export interface AuditReport {
  /** Whether all there is was looked at: false after an interruption, and when the tree itself could not be verified. */
  readonly isComplete: boolean;
  readonly treeSize: number | undefined;
  readonly root: string | undefined;
  readonly note: string | undefined;
  /** Of the newest note, by the witnesses that were asked for; times in seconds since 1970. */
  readonly cosignatures: readonly { readonly witness: string; readonly timeSeconds: number }[];
  /** The first record that was looked at, and the first one that was not. */
  readonly from: number;
  readonly to: number;
  readonly hashTiles: number;
  readonly dataTiles: number;
  readonly findings: readonly Finding[];
  readonly findingCount: number;
  /** To be kept for the next audit; undefined when anything was found, and when no more is known than before. */
  readonly audited: Audited | undefined;
}

/** Tiles of records (and their tiles of hashes) on the way at once. */
const AHEAD_MAX = 8;
/** Names of repeated records are looked up for so many. */
const NAMED_MAX = 20;

/**
 * Verifies a log from outside: signature, every tile under the signed root, every record under its tile and by its form, no module version
 * twice, and that it continues what was audited before. Goes through the log once, a few tiles at a time. What is wrong with the log is a
 * finding; that it cannot be read is an error. When the signal fires the report says how far it came.
 *
 * @throws {HubError} not-found when nothing answers as a log there; policy-denied when the records are not given to us; origin-unavailable, origin-timeout; what `names` throws
 */
export async function auditLog(request: AuditRequest, signal: AbortSignal): Promise<AuditReport> {
  const audit = new Audit(request, signal);
  try {
    await audit.run();
  } catch (error) {
    if (!signal.aborted || !audit.hasTree) throw error;
  }
  return audit.report();
}

class Audit {
  readonly #request: AuditRequest;
  readonly #signal: AbortSignal;
  readonly #findings = new Findings();
  readonly #from: number;
  #head: Head | undefined;
  #cosignatures: AuditReport['cosignatures'] = [];
  /** Set once the newest tree is known to continue the one audited before. */
  #tree: AuditTree | undefined;
  #to: number;
  #dataTiles = 0;
  #isUnique = false;
  #isComplete = false;

  constructor(request: AuditRequest, signal: AbortSignal) {
    const { known, scope, fromStart } = request;
    this.#request = request;
    this.#signal = signal;
    this.#from = (fromStart ? 0 : scope === 'records' ? known?.records : known?.hashes) ?? 0;
    this.#to = this.#from;
  }

  /** Whether there is something to report. */
  get hasTree(): boolean {
    return this.#tree !== undefined;
  }

  async run(): Promise<void> {
    const newest = await this.#readLatest();
    if (newest === undefined) return;
    this.#head = newest;
    this.#lookForCosignatures(newest.note);
    const kept = this.#keptHead();
    if (kept !== undefined && newest.tree.size < kept.tree.size) return this.#compareOlder(newest, kept);
    const tree = await this.#openTree(newest.tree);
    if (tree === undefined) return;
    if (kept !== undefined && !(await this.#continues(tree, kept))) return;
    this.#tree = tree;
    await this.#scan(tree);
    await this.#findRepeats();
    this.#isComplete = true;
  }

  report(): AuditReport {
    const { list, count } = this.#findings;
    const { known, scope } = this.#request;
    const isRecords = scope === 'records';
    const records = isRecords ? this.#to : (known?.records ?? 0);
    const audited = {
      note: this.#head?.note ?? '',
      records,
      hashes: Math.max(this.#to, known?.hashes ?? 0),
      isUnique: isRecords ? this.#isUnique : (known?.isUnique ?? true),
    };
    // Whoever began anew and was interrupted knows no more than before.
    const isWorthKeeping = this.#tree !== undefined && count === 0 && records >= (known?.records ?? 0);
    return {
      isComplete: this.#isComplete,
      treeSize: this.#head?.tree.size,
      root: this.#head?.tree.root.toString('base64'),
      note: this.#head?.note,
      cosignatures: this.#cosignatures,
      from: this.#from,
      to: this.#to,
      hashTiles: this.#tree?.tilesRead ?? 0,
      dataTiles: this.#dataTiles,
      findings: list,
      findingCount: count,
      audited: isWorthKeeping ? audited : undefined,
    };
  }

  async #readLatest(): Promise<Head | undefined> {
    const { reader } = this.#request;
    const bytes = given(await reader.latest(this.#signal), `the newest tree of ${reader.origin}`);
    if (bytes === undefined) throw new HubError('not-found', `there is no checksum database at ${reader.origin}: it has no latest`);
    const note = decodeUtf8(bytes);
    const head = note === undefined ? refused('it is not UTF-8') : this.#open(note);
    if (head.ok) return head.value;
    this.#findings.add('note-invalid', `latest is refused: ${head.reason}`, { note: clippedText(bytes.toString()) });
    return undefined;
  }

  #open(note: string): Parsed<Head> {
    const tree = openTreeNote(note, this.#request.key);
    return tree.ok ? parsed({ note, tree: tree.value }) : tree;
  }

  #keptHead(): Head | undefined {
    const { known } = this.#request;
    if (known === undefined) return undefined;
    const kept = this.#open(known.note);
    invariant(kept.ok, 'what was audited before is signed by the same key');
    return kept.value;
  }

  #lookForCosignatures(note: string): void {
    const taken = parseNote(note);
    invariant(taken.ok, 'a note that was verified is one');
    for (const key of this.#request.cosigners) {
      const found = findCosignature(taken.value, key);
      if (found.ok) this.#cosignatures = [...this.#cosignatures, { witness: key.cosigner.name, timeSeconds: found.value.timeSeconds }];
      else this.#findings.add('not-cosigned', found.reason, { note });
    }
  }

  #openTree(head: SignedTree): Promise<AuditTree | undefined> {
    const { reader, scope } = this.#request;
    return AuditTree.open({ head, reader, findings: this.#findings, readsRecords: scope === 'records' }, this.#signal);
  }

  async #continues(tree: AuditTree, kept: Head): Promise<boolean> {
    const root = await tree.rootAt(kept.tree.size, this.#signal);
    if (root?.equals(kept.tree.root) === true) return true;
    if (root !== undefined) this.#foundFork(kept, this.#head!);
    return false;
  }

  /** An old note is no lie by itself, but this one comes after a newer one, so it is worth a look. */
  async #compareOlder(newest: Head, kept: Head): Promise<void> {
    const tree = await this.#openTree(kept.tree);
    const root = await tree?.rootAt(newest.tree.size, this.#signal);
    if (root !== undefined && !root.equals(newest.tree.root)) return this.#foundFork(kept, newest);
    this.#findings.add(
      'rolled-back',
      `the newest tree has ${newest.tree.size} records, and one of ${kept.tree.size} was there before${root === undefined ? '' : '; both are one log'}`,
      { earlierNote: kept.note, note: newest.note },
    );
  }

  #foundFork(kept: Head, newest: Head): void {
    const [a, b] = [kept.tree.size, newest.tree.size];
    this.#findings.add('fork', `the signed tree of ${b} records contradicts that of ${a} which was audited before`, {
      earlierNote: kept.note,
      note: newest.note,
    });
  }

  async #scan(tree: AuditTree): Promise<void> {
    const { scope, onProgress } = this.#request;
    const total = tree.head.size;
    if (this.#from === total) return;
    const end = Math.ceil(total / TILE_WIDTH);
    const data = new Map<number, Promise<Buffer | undefined>>();
    let ahead = tileOfRecord(this.#from).index;
    for (let index = ahead; index < end; index += 1) {
      for (; ahead < Math.min(end, index + AHEAD_MAX); ahead += 1) {
        tree.fetchAhead(ahead, this.#signal);
        if (scope === 'records') data.set(ahead, this.#readData(ahead, widthInTree(total, 0, ahead)));
      }
      const hashes = await tree.tile(0, index, this.#signal);
      const bytes = await data.get(index);
      data.delete(index);
      const width = widthInTree(total, 0, index);
      if (bytes !== undefined) await auditDataTile({ index, width, bytes, hashes, from: this.#from }, this.#request.names, this.#findings);
      this.#to = index * TILE_WIDTH + width;
      onProgress({ from: this.#from, done: this.#to, total });
      this.#signal.throwIfAborted();
    }
  }

  /** @throws {HubError} policy-denied, not-found when we get none of them */
  #readData(index: number, width: number): Promise<Buffer | undefined> {
    const read = this.#fetchData(index, width);
    // Waited for in its turn, or never, when something else has failed before.
    read.catch(() => {});
    return read;
  }

  async #fetchData(index: number, width: number): Promise<Buffer | undefined> {
    const { reader } = this.#request;
    const tile = { level: 'data', index, width } as const;
    const path = formatTilePath(tile);
    const answer = await readTile(reader, tile, this.#signal);
    const bytes = given(answer, `${path} of ${reader.origin}`);
    if (bytes !== undefined) {
      this.#dataTiles += 1;
      return bytes;
    }
    // Whoever may not read records is told that there are none, and so is everybody who asks one of the mirrors that never had them.
    if (this.#dataTiles === 0)
      throw new HubError('not-found', `${reader.origin} has no ${path}: it does not give its records to everybody`);
    this.#findings.add('tile-missing', `the log has no ${path}, which its signed tree has`, { tile: path });
    return undefined;
  }

  async #findRepeats(): Promise<void> {
    const { scope, known, names } = this.#request;
    if (scope === 'hashes') return;
    const nothingIsNew = this.#to === this.#from && this.#to === known?.records && known.isUnique;
    if (!nothingIsNew) {
      for await (const { first, again } of names.repeats(this.#signal)) {
        const name = this.#findings.count < NAMED_MAX ? await this.#nameOf(again) : undefined;
        const proof = { first, again, ...(name !== undefined && { name }) };
        this.#findings.add(
          'module-twice',
          `records ${first} and ${again} are of one module version${name === undefined ? '' : `, ${name}`}`,
          proof,
        );
      }
    }
    this.#isUnique = true;
  }

  /** The tile has been verified on the way; this is for people to read. */
  async #nameOf(recordId: number): Promise<string | undefined> {
    const { index, position } = tileOfRecord(recordId);
    const width = widthInTree(this.#tree?.head.size ?? 0, 0, index);
    const answer = await readTile(this.#request.reader, { level: 'data', index, width }, this.#signal);
    const raw = answer.kind === 'found' ? splitRecords(answer.bytes).records[position] : undefined;
    const record = raw && openChecksumRecord(raw.toString());
    return record?.ok === true ? `${record.value.module}@${record.value.version}` : undefined;
  }
}

interface Head {
  readonly tree: SignedTree;
  /** With all its signatures. */
  readonly note: string;
}

/** Undefined when there is none. @throws {HubError} policy-denied when it is not given to us */
function given(answer: LogAnswer, what: string): Buffer | undefined {
  switch (answer.kind) {
    case 'found':
      return answer.bytes;
    case 'absent':
      return undefined;
    case 'refused':
      throw new HubError('policy-denied', `${what} is not given to us (${answer.status})`);
    default:
      return unreachable(answer);
  }
}
