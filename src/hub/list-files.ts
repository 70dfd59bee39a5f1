import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Metadata, ModuleKind } from '../meta/metadata.ts';
import { listKey } from '../protocol/layout.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import { formatVersionList, parseVersionList } from '../protocol/version-list.ts';
import type { BlobStore } from '../store/blob-store.ts';

/** Lists written at once: garbage collection touches thousands of modules in a row. */
const writesMax = 4;

/** More modules than this do not wait: whoever walks through a whole store asks for {@link ListFiles.room} first. */
const waitingMax = 10_000;

/** Of a list on disk that is compared with the one to be written; a longer one is written anew. */
const listBytesMax = 16 * 1024 * 1024;

/**
 * Keeps `@v/list` on disk in step with the stored zips, for those who read the folder without goyi (`GOPROXY=file://…`).
 * Works behind the answers: the file can be made again from metadata at any time.
 */
export class ListFiles implements AsyncDisposable {
  readonly #store: BlobStore;
  readonly #metadata: Metadata;
  readonly #log: Log;
  readonly #kindOf: (module: ModulePath) => ModuleKind;
  readonly #waiting = new Set<ModulePath>();
  readonly #running = new Map<ModulePath, Promise<void>>();

  constructor(options: { store: BlobStore; metadata: Metadata; log: Log; kindOf: (module: ModulePath) => ModuleKind }) {
    this.#store = options.store;
    this.#metadata = options.metadata;
    this.#log = options.log;
    this.#kindOf = options.kindOf;
  }

  /** Brings the file of one module up to date soon; several calls in a row cost one or two looks. Among too many the oldest gives way, for the scrubber to find. */
  refresh(module: ModulePath): void {
    const [oldest] = this.#waiting;
    if (this.#waiting.size >= waitingMax && oldest !== undefined && !this.#waiting.has(module)) {
      this.#waiting.delete(oldest);
      this.#log.warn('too many version lists on disk wait to be written: one is left to the scrubber', { module: oldest });
    }
    this.#waiting.add(module);
    this.#startNext();
  }

  /** Resolves when little enough waits that a walk through any number of modules may go on. */
  async room(): Promise<void> {
    while (this.#waiting.size >= waitingMax / 2) await Promise.race(this.#running.values());
  }

  /** Resolves when every file that is to be brought up to date is, or could not be. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.settled();
  }

  #startNext(): void {
    for (const module of this.#waiting) {
      if (this.#running.size >= writesMax) return;
      if (this.#running.has(module)) continue;
      this.#waiting.delete(module);
      const run = this.#write(module)
        .catch((error: unknown) => this.#log.warn('a version list on disk could not be written', { module, error: messageOf(error) }))
        .finally(() => {
          this.#running.delete(module);
          this.#startNext();
        });
      this.#running.set(module, run);
    }
  }

  /** Another process may write an older list after ours; whoever wrote last looks again, so the newest set of versions wins. */
  async #write(module: ModulePath): Promise<void> {
    const key = listKey(module);
    let onDisk = (await this.#store.readSmall(key, listBytesMax).catch(() => undefined))?.bytes.toString();
    for (let seen: string | undefined; ; ) {
      const stored = (await this.#metadata.storedVersions(module, this.#kindOf(module))).join('\n');
      // To read and sort ten thousand versions costs many times what it costs to see that they are the same.
      if (stored === seen) return;
      seen = stored;
      const body = formatVersionList(parseVersionList(stored, module));
      if (body === (onDisk ?? '')) return;
      if (body === '') await this.#store.remove(key);
      else await this.#store.replace(key, Buffer.from(body));
      onDisk = body;
    }
  }
}
