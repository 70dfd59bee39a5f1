import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Metadata } from '../meta/metadata.ts';
import { listKey } from '../protocol/layout.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import { formatVersionList, parseVersionList } from '../protocol/version-list.ts';
import type { BlobStore } from '../store/blob-store.ts';

/**
 * Keeps `@v/list` on disk in step with the stored zips, for those who read the folder without goyi (`GOPROXY=file://…`).
 * Works behind the answers: the file can be made again from metadata at any time.
 */
export class ListFiles implements AsyncDisposable {
  readonly #store: BlobStore;
  readonly #metadata: Metadata;
  readonly #log: Log;
  readonly #running = new Map<ModulePath, Promise<void>>();
  readonly #again = new Set<ModulePath>();

  constructor(options: { store: BlobStore; metadata: Metadata; log: Log }) {
    this.#store = options.store;
    this.#metadata = options.metadata;
    this.#log = options.log;
  }

  /** Brings the file of one module up to date soon; several calls in a row cost one or two writes. */
  refresh(module: ModulePath): void {
    if (this.#running.has(module)) {
      this.#again.add(module);
      return;
    }
    const run = this.#write(module)
      .catch((error: unknown) => this.#log.warn('a version list on disk could not be written', { module, error: messageOf(error) }))
      .finally(() => {
        this.#running.delete(module);
        if (this.#again.delete(module)) this.refresh(module);
      });
    this.#running.set(module, run);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  /** Another process may write an older list after ours; whoever wrote last looks again, so the newest set of versions wins. */
  async #write(module: ModulePath): Promise<void> {
    for (let written: string | undefined; ; ) {
      const versions = await this.#metadata.storedVersions(module);
      const body = formatVersionList(parseVersionList(versions.join('\n'), module));
      if (body === written) return;
      await this.#store.replace(listKey(module), Buffer.from(body));
      written = body;
    }
  }
}
