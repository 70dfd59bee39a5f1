import type { BlobKey } from '../base/blob-key.ts';
import { parseListKey } from '../protocol/layout.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { ListFiles } from './list-files.ts';
import { artefactAt } from './module-files.ts';

/**
 * Brings `@v/list` of every module that a walk through the store passes up to date: a crash may have left it behind.
 * Where the keys of one module come one after another, as they do in the metadata and on a disk, each list is looked at once, however many
 * versions it has: at the end of them, when what the walk did to the module is done. A zip may be missing from its list, and a list may name
 * zips that are gone.
 */
export class ListWalk {
  readonly #lists: Pick<ListFiles, 'refresh' | 'room'>;
  #module: ModulePath | undefined;

  constructor(lists: Pick<ListFiles, 'refresh' | 'room'>) {
    this.#lists = lists;
  }

  /** To be told of every key, in order; waits while too many lists are to be written. */
  async pass(key: BlobKey): Promise<void> {
    const artefact = artefactAt(key);
    const module = artefact?.kind === 'zip' ? artefact.module : parseListKey(key);
    if (module === undefined || module === this.#module) return;
    this.end();
    this.#module = module;
    await this.#lists.room();
  }

  /** The walk is over. */
  end(): void {
    if (this.#module !== undefined) this.#lists.refresh(this.#module);
    this.#module = undefined;
  }
}
