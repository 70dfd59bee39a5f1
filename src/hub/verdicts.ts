import type { Clock } from '../base/clock.ts';
import { HubError } from '../base/errors.ts';
import type { Jobs, Standing, Verdict } from '../meta/jobs.ts';
import { type ModuleAt, nameOf } from '../protocol/main-go-mod.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import { boundedCache } from './bounded-cache.ts';

const entriesMax = 20_000;
const blockedMax = 2_000;
const freshMs = 2_000;

interface Known {
  readonly standing: Standing | undefined;
  readonly atMs: number;
}

export type VerdictJobs = Pick<Jobs, 'verdict' | 'recordVerdict' | 'holdVersion' | 'blockedVersions'>;

/**
 * What the gate decided about versions, from memory where it was asked a moment ago. What another worker writes is seen within {@link freshMs};
 * what never changes again (an archived or released version) is remembered until it makes room.
 */
export class Verdicts {
  readonly #jobs: VerdictJobs;
  readonly #clock: Clock;
  readonly #known = boundedCache<string, Known>(entriesMax);
  readonly #blocked = boundedCache<ModulePath, { readonly versions: ReadonlySet<string>; readonly atMs: number }>(blockedMax);

  constructor({ jobs, clock }: { readonly jobs: VerdictJobs; readonly clock: Clock }) {
    this.#jobs = jobs;
    this.#clock = clock;
  }

  /** Undefined: the gate has not looked at it. @throws {HubError} storage-fault */
  async of(module: ModuleAt): Promise<Standing | undefined> {
    const known = this.#known.get(nameOf(module));
    if (known !== undefined && (isFinal(known.standing) || this.#clock.monotonicMs() - known.atMs < freshMs)) return known.standing;
    return this.#ask(module);
  }

  /** The same as of this moment. @throws {HubError} storage-fault */
  async now(module: ModuleAt): Promise<Standing | undefined> {
    const known = this.#known.get(nameOf(module));
    return isFinal(known?.standing) ? known?.standing : this.#ask(module);
  }

  /**
   * What the gate blocked stays blocked, whoever asks and whatever is stored. `isArchive`: clients see what was archived alone, so also not what is still being looked at.
   * @throws {HubError} policy-denied, not-found, storage-fault
   */
  admit(standing: Standing | undefined, { path, version }: ModuleAt, { isArchive }: { readonly isArchive: boolean }): void {
    if (standing?.kind === 'block')
      throw new HubError('policy-denied', `${path}@${version} was blocked when it was tagged: ${standing.reason}`);
    if (standing?.kind === 'held' && isArchive)
      throw new HubError('not-found', `${path}@${version} is being looked at: it is to be had as soon as it is archived`);
  }

  /** The versions of a module that are blocked. @throws {HubError} storage-fault */
  async blocked(module: ModulePath): Promise<ReadonlySet<string>> {
    const known = this.#blocked.get(module);
    const nowMs = this.#clock.monotonicMs();
    if (known !== undefined && nowMs - known.atMs < freshMs) return known.versions;
    const versions = new Set(await this.#jobs.blockedVersions(module));
    this.#blocked.set(module, { versions, atMs: nowMs });
    return versions;
  }

  /** From now on until there is a verdict nobody sees what is stored of it, in any process. Durable when it resolves. @throws {HubError} storage-… */
  async hold(module: ModuleAt): Promise<void> {
    await this.#jobs.holdVersion({ module: module.path, version: module.version }, this.#clock.wallMs());
    this.#known.delete(nameOf(module));
  }

  /** Durable when it resolves. The first one stands: answers that. @throws {HubError} storage-… */
  async record(module: ModuleAt, kind: 'archive' | 'block', reason: string): Promise<Verdict> {
    const row = { module: module.path, version: module.version, kind, reason };
    const standing = await this.#jobs.recordVerdict(row, this.#clock.wallMs());
    this.#blocked.delete(module.path);
    return this.#keep(nameOf(module), standing);
  }

  async #ask(module: ModuleAt): Promise<Standing | undefined> {
    return this.#keep(nameOf(module), await this.#jobs.verdict(module.path, module.version));
  }

  #keep<T extends Standing | undefined>(name: string, standing: T): T {
    this.#known.set(name, { standing, atMs: this.#clock.monotonicMs() });
    return standing;
  }
}

function isFinal(standing: Standing | undefined): boolean {
  return standing?.kind === 'archive' || standing?.kind === 'released';
}
