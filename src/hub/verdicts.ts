import type { Clock } from '../base/clock.ts';
import type { Jobs, Verdict } from '../meta/jobs.ts';
import type { ModuleAt } from '../protocol/main-go-mod.ts';
import { nameOf } from '../protocol/main-go-mod.ts';
import { boundedCache } from './bounded-cache.ts';

const entriesMax = 20_000;
const freshMs = 2_000;

interface Known {
  readonly verdict: Verdict | undefined;
  readonly atMs: number;
}

/**
 * What the gate decided about versions, from memory where it was asked a moment ago. What another worker writes is seen within {@link freshMs};
 * what never changes again (all but a block and the want of a verdict) is remembered until it makes room.
 */
export class Verdicts {
  readonly #jobs: Pick<Jobs, 'verdict' | 'recordVerdict'>;
  readonly #clock: Clock;
  readonly #known = boundedCache<string, Known>(entriesMax);

  constructor({ jobs, clock }: { readonly jobs: Pick<Jobs, 'verdict' | 'recordVerdict'>; readonly clock: Clock }) {
    this.#jobs = jobs;
    this.#clock = clock;
  }

  /** Undefined: the gate has not looked at it. @throws {HubError} storage-fault */
  async of(module: ModuleAt): Promise<Verdict | undefined> {
    const name = nameOf(module);
    const known = this.#known.get(name);
    const nowMs = this.#clock.monotonicMs();
    const isFinal = known?.verdict !== undefined && known.verdict.kind !== 'block';
    if (known !== undefined && (isFinal || nowMs - known.atMs < freshMs)) return known.verdict;
    return this.#keep(name, await this.#jobs.verdict(module.path, module.version));
  }

  /** Durable when it resolves. The first one stands: answers that. @throws {HubError} storage-… */
  async record(module: ModuleAt, kind: 'archive' | 'block', reason: string): Promise<Verdict> {
    const row = { module: module.path, version: module.version, kind, reason };
    const standing = await this.#jobs.recordVerdict(row, this.#clock.wallMs());
    this.#keep(nameOf(module), standing);
    return standing;
  }

  #keep<T extends Verdict | undefined>(name: string, verdict: T): T {
    this.#known.set(name, { verdict, atMs: this.#clock.monotonicMs() });
    return verdict;
  }
}
