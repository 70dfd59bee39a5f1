import type { BlobKey } from '../base/blob-key.ts';
import { HubError } from '../base/errors.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { boundedCache } from './bounded-cache.ts';
import type { Served } from './served.ts';
import { digest } from './stored-files.ts';

/** Below the data folder, where an operator puts what `npm run dist` makes. */
const PREFIX = 'sdk/goyi/';
const NAME = /^goyi-(?:linux|darwin|windows)-(?:x64|arm64)(?:\.exe)?$/;

/** Single executables of goyi itself, for machines without Node. Who may write into the data folder decides what they are. */
export class Executables {
  readonly #store: BlobStore;
  /** By key and fingerprint: 150 MB are not hashed for every request. */
  readonly #digests = boundedCache<string, Promise<string>>(32);

  constructor(store: BlobStore) {
    this.#store = store;
  }

  /** Names, in order. @throws {HubError} storage-fault */
  async list(): Promise<readonly string[]> {
    const names: string[] = [];
    for await (const key of this.#store.keys(PREFIX)) {
      const name = key.slice(PREFIX.length);
      if (NAME.test(name)) names.push(name);
    }
    return names.toSorted();
  }

  /** @throws {HubError} not-found, storage-fault */
  async open(name: string, signal: AbortSignal): Promise<Served & { readonly kind: 'blob'; readonly sha256: string }> {
    const key = `${PREFIX}${name}` as BlobKey;
    const blob = NAME.test(name) ? await this.#store.open(key) : undefined;
    if (blob === undefined)
      throw new HubError(
        'not-found',
        `there is no executable ${JSON.stringify(name.slice(0, 100))} here: an operator puts them into the data folder`,
      );
    try {
      const known = `${key} ${blob.fingerprint}`;
      let hashing = this.#digests.get(known);
      if (hashing === undefined) {
        hashing = digest(blob, signal);
        this.#digests.set(known, hashing);
        hashing.catch(() => this.#digests.delete(known));
      }
      const sha256 = await hashing;
      // Another build may take its place, so a cache asks again.
      return { kind: 'blob', blob, sha256, contentType: 'application/octet-stream', immutable: false, outcome: 'hit' };
    } catch (error) {
      await blob[Symbol.asyncDispose]();
      throw error;
    }
  }
}
