import { HubError } from '../base/errors.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { Version } from '../protocol/version.ts';
import { type Homes, isPrivateHome } from './homes.ts';
import type { Served } from './served.ts';
import type { Verdicts } from './verdicts.ts';

/** Keeps from clients what the gate has blocked, or has not decided yet where they are to see what it has let pass and nothing else. Of public modules there are no verdicts. */
export class VerdictGuard {
  readonly #homes: Homes;
  readonly #verdicts: Pick<Verdicts, 'of' | 'now' | 'admit'>;

  constructor({ homes, verdicts }: { readonly homes: Homes; readonly verdicts: Pick<Verdicts, 'of' | 'now' | 'admit'> }) {
    this.#homes = homes;
    this.#verdicts = verdicts;
  }

  /** @throws {HubError} policy-denied, not-found, storage-fault */
  async admit(path: ModulePath, version: Version): Promise<void> {
    if (!isPrivateHome(this.#homes.of(path))) return;
    const module = { path, version };
    this.#verdicts.admit(await this.#verdicts.of(module), module, { isArchive: this.#isArchive(path) });
  }

  /**
   * What `serve` answers about a version. What is held back was so before any of it was stored: who looks again once a file is open misses no hold.
   * @throws as {@link admit}, and what `serve` throws
   */
  async serve(path: ModulePath, version: Version, serve: () => Promise<Served>): Promise<Served> {
    await this.admit(path, version);
    if (!this.#isArchive(path)) return serve();
    await using stack = new AsyncDisposableStack();
    let served: Served | HubError;
    try {
      served = await serve();
      if (served.kind === 'blob') stack.use(served.blob);
    } catch (error) {
      if (!(error instanceof HubError)) throw error;
      served = error;
    }
    const module = { path, version };
    this.#verdicts.admit(await this.#verdicts.now(module), module, { isArchive: true });
    if (served instanceof HubError) throw served;
    stack.move();
    return served;
  }

  #isArchive(module: ModulePath): boolean {
    const home = this.#homes.of(module);
    return home.kind === 'archive' && home.origin !== undefined;
  }
}
