import { HubError } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import type { OwnHead, OwnLogs } from '../meta/own-log.ts';
import type { SignedHeads } from '../meta/signed-heads.ts';
import { formatTreeNote } from '../protocol/checksum-record.ts';
import { NOTE_BYTES_MAX, type SignerKey, parseNote, signNote } from '../protocol/note.ts';
import { EMPTY_ROOT } from '../protocol/tree-hash.ts';

/** A head whose note may leave the hub. */
export interface ShownHead {
  readonly size: number;
  /** Base64 of the 32-byte root. */
  readonly root: string;
  /** Signed by us, and by whoever cosigned it. */
  readonly note: string;
}

export interface OwnHeadsOptions {
  readonly name: string;
  readonly signer: SignerKey;
  readonly metadata: Pick<OwnLogs, 'ownHead'>;
  readonly signedHeads: SignedHeads;
  readonly events: Pick<Events, 'headAdvanced'>;
}

/** The head of a log without records. */
const emptyHead: OwnHead = { size: 0, root: EMPTY_ROOT.toString('base64') };

/**
 * The heads that this process shows. The head itself is in metadata; whoever shows it signs it (the same head gives the same note everywhere), and
 * before that it is remembered beside the data folder. What is shown never gets smaller; a log that does is refused from then on.
 */
export class OwnHeads {
  readonly #options: OwnHeadsOptions;
  #shown: ShownHead | undefined;
  #advancing: Promise<void> | undefined;
  #refusal: HubError | undefined;
  #detail: string | undefined;

  constructor(options: OwnHeadsOptions) {
    this.#options = options;
  }

  /** How many records clients of this process have been shown. */
  get shownSize(): number {
    return this.#shown?.size ?? 0;
  }

  /** Why nothing is shown any more. */
  get frozen(): string | undefined {
    return this.#detail;
  }

  /** @throws {HubError} log-forked when it is frozen */
  refuseIfFrozen(): void {
    if (this.#refusal !== undefined) throw this.#refusal;
  }

  /** The newest head of all processes. @throws {HubError} log-forked, storage-full, storage-fault */
  async newest(): Promise<ShownHead> {
    // Another process may have shown it already, so ours of a moment ago will not do.
    const { size } = await this.#read();
    return this.covering(size);
  }

  /** A head with at least so many records, which the log must have. @throws as {@link newest} */
  async covering(size: number): Promise<ShownHead> {
    // The first round may join one that looked before the records were there.
    for (let round = 0; round < 2; round += 1) {
      this.refuseIfFrozen();
      if (this.#shown !== undefined && this.#shown.size >= size) return this.#shown;
      this.#advancing ??= this.#advance().finally(() => {
        this.#advancing = undefined;
      });
      await this.#advancing;
    }
    if (this.#shown !== undefined && this.#shown.size >= size) return this.#shown;
    throw this.freeze(`it has fewer than the ${size} records that it had`);
  }

  /** The note of a head of our log, not newer than what was remembered by now. */
  noteOf(head: OwnHead): string {
    return signNote(formatTreeNote({ size: head.size, root: Buffer.from(head.root, 'base64') }), this.#options.signer);
  }

  /**
   * Adds signature lines of others (each `— NAME BASE64` without its newline) to the note of exactly this head. Undefined when another head is shown by
   * now: then they are of no use.
   * @throws {HubError} bad-request when they are no signature lines
   */
  attachCosignatures(treeSize: number, lines: readonly string[]): ShownHead | undefined {
    const shown = this.#shown;
    if (shown?.size !== treeSize) return undefined;
    const note = `${this.noteOf(shown)}${lines.map((line) => `${line}\n`).join('')}`;
    const parsed = parseNote(note);
    if (!parsed.ok || parsed.value.signatures.length !== lines.length + 1 || Buffer.byteLength(note) > NOTE_BYTES_MAX)
      throw new HubError('bad-request', `what was to be added to the note of ${this.#options.name} are no signature lines`);
    this.#shown = { ...shown, note };
    return this.#shown;
  }

  /** From now on nothing of this log is shown or appended: an operator has to look. */
  freeze(detail: string): HubError {
    this.#detail ??= detail;
    this.#refusal ??= new HubError('log-forked', `the checksum database ${this.#options.name} of this hub is frozen: ${detail}`);
    return this.#refusal;
  }

  async #advance(): Promise<void> {
    const { name, signedHeads, events } = this.#options;
    const head = await this.#read();
    const shown = this.#shown;
    if (shown !== undefined && head.size === shown.size) return;
    const note = this.noteOf(head);
    try {
      await signedHeads.remember({ name, treeSize: head.size, root: head.root, note });
    } catch (error) {
      if (error instanceof HubError && error.code === 'log-forked') throw this.freeze(error.message);
      throw error;
    }
    this.#shown = { ...head, note };
    events.headAdvanced({ database: name, treeSize: head.size });
  }

  async #read(): Promise<OwnHead> {
    const head = (await this.#options.metadata.ownHead(this.#options.name)) ?? emptyHead;
    const shown = this.#shown;
    if (shown === undefined) return head;
    if (head.size < shown.size) throw this.freeze(`its metadata went back from ${shown.size} records to ${head.size}`);
    if (head.size === shown.size && head.root !== shown.root) throw this.freeze(`its metadata has another tree of ${head.size} records`);
    return head;
  }
}
