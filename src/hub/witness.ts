import { hash } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { WitnessState, WitnessedFork, WitnessedHead } from '../meta/witness-state.ts';
import { TREE_LINE, parseTreeNote } from '../protocol/checksum-record.ts';
import { type CosignerKey, type CosignerSigner, cosign, cosignerFor, withSignatureLines } from '../protocol/cosignature.ts';
import { type Note, type VerifiedNote, type VerifierKey, parseNote, verifyNote } from '../protocol/note.ts';
import { EMPTY_ROOT } from '../protocol/tree-hash.ts';
import { provesConsistency } from '../protocol/tree-proof.ts';
import { type WitnessRequest, parseWitnessRequest } from '../protocol/witness-request.ts';

/** What a witness says to a head that it is shown. Only the first has moved anything. */
export type WitnessAnswer =
  | { readonly kind: 'cosigned'; readonly lines: string }
  /** Not of the protocol's form. */
  | { readonly kind: 'malformed'; readonly reason: string }
  | { readonly kind: 'unknown-log'; readonly reason: string }
  /** Not signed by a log that this witness watches, or wrongly. */
  | { readonly kind: 'unsigned'; readonly reason: string }
  /** The head was cosigned last at this size. */
  | { readonly kind: 'conflict'; readonly size: number }
  /** Not proved to continue what was cosigned. */
  | { readonly kind: 'inconsistent'; readonly reason: string };

export interface WitnessedLog {
  readonly key: VerifierKey;
  /** With which this log, and no other, is cosigned. */
  readonly cosigner: CosignerKey;
  /** Where its newest cosigned head is served: SHA-256 of the text of its key, in hex. */
  readonly id: string;
  readonly head: WitnessedHead | undefined;
  readonly fork: WitnessedFork | undefined;
}

export interface WitnessParts {
  readonly cosigner: CosignerSigner;
  readonly logs: readonly VerifierKey[];
  readonly state: WitnessState;
  readonly clock: Clock;
  readonly log: Log;
}

interface Watched {
  readonly key: VerifierKey;
  readonly cosigner: CosignerSigner;
}

/**
 * A witness of checksum databases: it cosigns a head when the log signed it and it is proved to continue the head that it cosigned before, and so
 * never two that contradict each other. Go checksum databases all have the same origin line, so a log is known by its key: its state is kept by
 * that, and it is cosigned with a key of its own (see `cosignature.ts`). https://c2sp.org/tlog-witness
 *
 * Everything between reading the state and having it moved on the disk happens in one turn of the event loop, and the cosignature leaves
 * only afterwards.
 */
export class Witness {
  readonly name: string;
  readonly #logs: ReadonlyMap<string, Watched>;
  readonly #state: WitnessState;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor({ cosigner, logs, state, clock, log }: WitnessParts) {
    this.name = cosigner.key.cosigner.name;
    this.#logs = new Map(logs.map((key) => [hash('sha256', key.text), { key, cosigner: cosignerFor(cosigner, key) }]));
    this.#state = state;
    this.#clock = clock;
    this.#log = log;
  }

  /** The body of `add-checkpoint`. @throws {HubError} storage-full, storage-fault: then nothing was cosigned */
  addCheckpoint(body: Uint8Array): WitnessAnswer {
    const request = parseWitnessRequest(body);
    if (!request.ok) return malformed(request.reason);
    const note = parseNote(request.value.note);
    if (!note.ok) return malformed(note.reason);
    if (!note.value.text.startsWith(`${TREE_LINE}\n`))
      return { kind: 'unknown-log', reason: `this witness watches checksum databases, whose notes begin with ${TREE_LINE}` };
    const signed = this.#signerOf(note.value, request.value.note);
    return 'kind' in signed ? signed : this.#consider(signed, request.value);
  }

  logs(): readonly WitnessedLog[] {
    return [...this.#logs].map(([id, { key, cosigner }]) => ({
      key,
      cosigner: cosigner.key,
      id,
      head: this.#state.head(key.text),
      fork: this.#state.fork(key.text),
    }));
  }

  /** The newest cosigned head of a log; undefined for an unknown log and before the first one. */
  checkpoint(id: string): string | undefined {
    const watched = this.#logs.get(id);
    return watched && this.#state.head(watched.key.text)?.note;
  }

  /** The one watched log that signed the note. */
  #signerOf(note: Note, message: string): Signed | WitnessAnswer {
    const signed: Signed[] = [];
    for (const watched of this.#logs.values()) {
      const { name, hash: keyHash } = watched.key;
      if (!note.signatures.some((signature) => signature.name === name && signature.keyHash === keyHash)) continue;
      const verified = verifyNote(message, watched.key);
      if (!verified.ok) return { kind: 'unsigned', reason: verified.reason };
      signed.push({ ...watched, ...verified.value });
    }
    const [first, second] = signed;
    if (first === undefined) return { kind: 'unsigned', reason: 'no log that this witness watches has signed the note' };
    return second === undefined ? first : malformed(`two logs have signed the note, ${first.key.name} and ${second.key.name}`);
  }

  #consider({ key, cosigner, text, note }: Signed, { olderSize, proof }: WitnessRequest): WitnessAnswer {
    const tree = parseTreeNote(text);
    if (!tree.ok) return malformed(tree.reason);
    if (text.includes('\n\n')) return malformed('the text of the note has an empty line');
    const newer = tree.value;
    if (olderSize > newer.size) return malformed(`the older size ${olderSize} is above that of the note, ${newer.size}`);
    const kept = this.#state.head(key.text);
    if (olderSize !== (kept?.size ?? 0)) return { kind: 'conflict', size: kept?.size ?? 0 };
    if (newer.size === 0 && !newer.root.equals(EMPTY_ROOT)) return { kind: 'inconsistent', reason: 'the empty tree has another root' };
    const older = { size: olderSize, root: kept === undefined ? EMPTY_ROOT : Buffer.from(kept.root, 'base64') };
    if (!provesConsistency({ older, newer, proof })) {
      if (kept !== undefined && kept.size === newer.size && !newer.root.equals(older.root)) this.#keepEvidence(key, kept.note, note);
      return { kind: 'inconsistent', reason: `it is not proved that the tree of ${newer.size} records continues that of ${older.size}` };
    }
    const line = cosign(text, cosigner, Math.max(1, Math.floor(this.#clock.wallMs() / 1_000)));
    // What is cosigned already need not be written again, so that repetitions cost the disk nothing.
    if (kept?.size === newer.size) return { kind: 'cosigned', lines: line };
    const next = { size: newer.size, root: newer.root.toString('base64'), note: withSignatureLines(note, [line]) };
    // Another process on the same state was first.
    if (!this.#state.advance(key.text, kept, next)) return { kind: 'conflict', size: this.#state.head(key.text)?.size ?? 0 };
    this.#log.info('a head was cosigned', { log: key.name, size: newer.size });
    return { kind: 'cosigned', lines: line };
  }

  #keepEvidence(key: VerifierKey, keptNote: string, contradictingNote: string): void {
    this.#log.error('a log has signed two different trees of one size', { log: key.name, keptNote, contradictingNote });
    this.#state.recordFork(key.text, { keptNote, contradictingNote, seenAtMs: this.#clock.wallMs() });
  }
}

/** The text and note of the log's own signature alone. */
interface Signed extends Watched, VerifiedNote {}

function malformed(reason: string): WitnessAnswer {
  return { kind: 'malformed', reason };
}
