/** The conditions of a link between a client and a server: how long a round trip takes, how many bytes a second all streams share, and how many bodies break off. */
export interface LinkConditions {
  readonly roundTripMs: number;
  /** 0: no limit. */
  readonly bytesPerSecond: number;
  /** Every so many bodies of more than `cutBytesMin` end in the middle with their connection; 0: none. */
  readonly cutEvery: number;
}

export const perfectLink: LinkConditions = { roundTripMs: 0, bytesPerSecond: 0, cutEvery: 0 };

/** What is sent at a time: small enough that parallel streams share the link evenly. */
export const LINK_CHUNK_BYTES: number = 16 * 1024;

const cutBytesMin = 2 * LINK_CHUNK_BYTES;

/**
 * A link that all answers of a server go through. Bytes are sent one chunk after the other whichever stream they belong to, as on a wire; the
 * wire is never ahead of the clock, so that what was idle is lost. Slow start and the sizes of heads are left out.
 */
export class WeakLink {
  readonly #conditions: LinkConditions;
  /** When the wire has sent all that was handed to it. */
  #freeAtMs = 0;
  #bodies = 0;

  constructor(conditions: LinkConditions) {
    this.#conditions = conditions;
  }

  /** Resolves when a request has travelled to the server and its answer may begin; a new connection costs a round trip for TCP and one for TLS more. */
  async request({ isFirst }: { readonly isFirst: boolean }): Promise<void> {
    await delay(this.#conditions.roundTripMs * (isFirst ? 3 : 1));
  }

  /** Where to cut a body of so many bytes, if it is one of those that are cut. */
  cutAt(sizeBytes: number): number | undefined {
    const { cutEvery } = this.#conditions;
    if (cutEvery === 0 || sizeBytes < cutBytesMin) return undefined;
    this.#bodies += 1;
    return this.#bodies % cutEvery === 0 ? Math.floor(sizeBytes / 2) : undefined;
  }

  /** Resolves when the wire has taken so many bytes. */
  async send(sizeBytes: number): Promise<void> {
    const { bytesPerSecond } = this.#conditions;
    if (bytesPerSecond === 0) return;
    const now = performance.now();
    this.#freeAtMs = Math.max(this.#freeAtMs, now) + (1000 * sizeBytes) / bytesPerSecond;
    await delay(this.#freeAtMs - now);
  }
}

/** Timers of Node are whole milliseconds: what is less is not waited for, and is made up for by the chunks that follow. */
function delay(ms: number): Promise<void> {
  return ms < 1 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, ms));
}
