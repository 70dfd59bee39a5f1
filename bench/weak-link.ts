/**
 * The conditions of a link between a client and a server: how long a round trip takes, how many bytes a second all streams share and one of them may have, and how many
 * bodies break off.
 */
export interface LinkConditions {
  readonly roundTripMs: number;
  /** 0: no limit. */
  readonly bytesPerSecond: number;
  /** Every so many bodies of more than `cutBytesMin` end in the middle with their connection; 0: none. */
  readonly cutEvery: number;
  /** Of one body alone, as where each connection is throttled by itself; 0: no limit. */
  readonly streamBytesPerSecond: number;
}

export const perfectLink: LinkConditions = { roundTripMs: 0, bytesPerSecond: 0, cutEvery: 0, streamBytesPerSecond: 0 };

/** One body on its way. */
export interface LinkStream {
  /** When it may send again. */
  freeAtMs: number;
}

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

  /** Whether bodies have to be sent in chunks at all. */
  get isPerfect(): boolean {
    return this.#conditions.bytesPerSecond === 0 && this.#conditions.streamBytesPerSecond === 0;
  }

  stream(): LinkStream {
    return { freeAtMs: 0 };
  }

  /** Resolves when the wire has taken so many bytes of the stream, and the stream may go on. */
  async send(sizeBytes: number, stream: LinkStream = this.stream()): Promise<void> {
    const { bytesPerSecond, streamBytesPerSecond } = this.#conditions;
    const now = performance.now();
    if (bytesPerSecond > 0) this.#freeAtMs = Math.max(this.#freeAtMs, now) + (1000 * sizeBytes) / bytesPerSecond;
    if (streamBytesPerSecond > 0) stream.freeAtMs = Math.max(stream.freeAtMs, now) + (1000 * sizeBytes) / streamBytesPerSecond;
    await delay(Math.max(bytesPerSecond > 0 ? this.#freeAtMs : now, stream.freeAtMs) - now);
  }
}

export function describeLink({ roundTripMs, bytesPerSecond, cutEvery, streamBytesPerSecond }: LinkConditions): string {
  if (roundTripMs === 0 && bytesPerSecond === 0) return 'local upstream';
  const cut = cutEvery === 0 ? '' : `, ${100 / cutEvery} % of bodies cut`;
  const throttle = streamBytesPerSecond === 0 ? '' : `, ${(streamBytesPerSecond * 8) / 1e6} for each stream`;
  return `${roundTripMs} ms, ${bytesPerSecond === 0 ? 'any number of' : (bytesPerSecond * 8) / 1e6} Mbit/s${throttle}${cut}`;
}

/** Timers of Node are whole milliseconds: what is less is not waited for, and is made up for by the chunks that follow. */
function delay(ms: number): Promise<void> {
  return ms < 1 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, ms));
}
