/** What can be wrong with a log. docs/transparency.md says of each what it means. */
export type FindingId =
  /** The newest note is no note, or not signed by the log. */
  | 'note-invalid'
  /** A witness that must have cosigned the newest note has not. */
  | 'not-cosigned'
  /** A tree contradicts the one that was audited before. */
  | 'fork'
  /** The log answers with an older tree than it has shown before. */
  | 'rolled-back'
  /** The tiles at the edge of the tree do not combine to the signed root. */
  | 'root-mismatch'
  | 'tile-missing'
  | 'tile-length'
  /** A tile does not combine to its entry in the tile above it. */
  | 'tile-mismatch'
  /** Because of another finding nothing can be said about some records. */
  | 'records-unproved'
  /** A tile of records does not have as many as it must. */
  | 'data-tile-malformed'
  /** A record is not the one whose hash is in the tree. */
  | 'record-mismatch'
  | 'record-malformed'
  /** Two records of one module version. */
  | 'module-twice'
  /** A stored answer to a look-up is none, or not that of its name. */
  | 'lookup-malformed'
  /** A stored answer's record is not in its place in the tree. */
  | 'lookup-mismatch'
  /** A stored tile cannot be compared with the tree, because what lies above it is not stored. */
  | 'tile-unproved';

export interface Finding {
  readonly id: FindingId;
  /** One lower-case clause. */
  readonly what: string;
  /** What somebody else needs to see it too. */
  readonly proof: Readonly<Record<string, string | number>>;
}

/** So many are told one by one; of the rest only the number. */
export const FINDINGS_MAX = 1_000;

/** Texts out of a log that stand in a proof are cut to this many characters. */
const TEXT_LENGTH_MAX = 2_000;

export class Findings {
  readonly #list: Finding[] = [];
  #count = 0;

  /** The first ones. */
  get list(): readonly Finding[] {
    return this.#list;
  }

  /** All of them. */
  get count(): number {
    return this.#count;
  }

  add(id: FindingId, what: string, proof: Finding['proof'] = {}): void {
    this.#count += 1;
    if (this.#list.length < FINDINGS_MAX) this.#list.push({ id, what, proof });
  }
}

export function clippedText(text: string): string {
  return text.length <= TEXT_LENGTH_MAX ? text : `${text.slice(0, TEXT_LENGTH_MAX)}…`;
}
