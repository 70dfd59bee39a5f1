import type { BlobKey } from '../base/blob-key.ts';
import type { Clock } from '../base/clock.ts';
import { codeOf, HubError, messageOf } from '../base/errors.ts';
import type { ArtefactKind } from '../base/events.ts';
import { untilAborted } from '../base/single-flight.ts';
import { moduleFileKey, parseModuleFileKey } from '../protocol/layout.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { Version } from '../protocol/version.ts';
import { boundedCache } from './bounded-cache.ts';
import type { Filler } from './fill.ts';
import { type Homes, isAsked } from './homes.ts';
import type { LookAhead } from './look-ahead.ts';
import { KnownAbsence } from './known-absence.ts';
import type { PrivateVersions } from './private-versions.ts';
import type { Served } from './served.ts';
import type { AnswerOptions } from './station.ts';
import type { Artefact, StoredFiles } from './stored-files.ts';
import type { Usage } from './usage.ts';

export function artefactOf(kind: ArtefactKind, module: ModulePath, version: Version): Artefact {
  return { kind, module, version, key: moduleFileKey(module, version, kind) };
}

/** The artefact that a key names; undefined for lists, records, tiles and whatever else lies in the store. */
export function artefactAt(key: BlobKey): Artefact | undefined {
  const name = parseModuleFileKey(key);
  if (name === undefined || name.file === 'ziphash') return undefined;
  return { kind: name.file, module: name.module, version: name.version, key };
}

/** A file that was stored can be gone before it is opened: somebody collected garbage or changed it. That happens once, not again and again. */
const fillsMax = 2;

/** `.info`, `.mod` and `.zip` of a canonical version: memory, then the store, then a fill. */
export class ModuleFiles {
  readonly #stored: StoredFiles;
  readonly #filler: Filler;
  readonly #usage: Usage;
  readonly #ahead: Pick<LookAhead, 'served'>;
  readonly #clock: Clock;
  readonly #limits: { readonly waitMs: number; readonly negativeMs: number };
  /** What an upstream said is not there, with its reason: bounded, and in memory only. */
  readonly #private: Pick<PrivateVersions, 'missing' | 'record'>;
  readonly #homes: Homes;
  readonly #absent = boundedCache<string, { readonly reason: string; readonly untilMs: number }>(20_000);

  constructor(options: {
    stored: StoredFiles;
    filler: Filler;
    usage: Usage;
    ahead: Pick<LookAhead, 'served'>;
    clock: Clock;
    homes: Homes;
    privateVersions: Pick<PrivateVersions, 'missing' | 'record'>;
    limits: { waitMs: number; negativeMs: number };
  }) {
    this.#stored = options.stored;
    this.#filler = options.filler;
    this.#usage = options.usage;
    this.#ahead = options.ahead;
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#homes = options.homes;
    this.#private = options.privateVersions;
  }

  /** @throws {HubError} not-found, not-cached, still-fetching, and what a fill throws */
  async serve(artefact: Artefact, options: AnswerOptions, signal: AbortSignal): Promise<Served> {
    const { client = '' } = options;
    const stored = await this.#open(artefact);
    if (stored !== undefined) {
      this.#ahead.served(artefact, { first: false, bytes: bytesOf(stored), client });
      return stored;
    }
    const home = this.#homes.of(artefact.module);
    if (!isAsked(home)) throw await this.#private.missing(artefact);
    if (!options.fill)
      throw new HubError(
        'not-cached',
        `${nameOf(artefact)}: its .${artefact.kind} is not stored here, and the request forbids fetching it`,
      );
    const absent = this.#absent.get(artefact.key);
    if (absent !== undefined && absent.untilMs > this.#clock.monotonicMs()) throw new KnownAbsence(absent.reason);
    for (let fills = 0; fills < fillsMax; fills += 1) {
      await this.#fill(artefact, signal);
      if (home.kind === 'source' && artefact.kind === 'zip') await this.#private.record(artefact.module, artefact.version, signal);
      const filled = await this.#open(artefact);
      if (filled === undefined) continue;
      this.#ahead.served(artefact, { first: true, bytes: bytesOf(filled), client });
      return { ...filled, outcome: 'miss' };
    }
    throw new HubError('storage-fault', `${artefact.key} vanishes from the store as soon as it is stored`);
  }

  async #open(artefact: Artefact): Promise<Served | undefined> {
    const served = await this.#stored.open(artefact);
    if (served !== undefined) this.#usage.count(artefact.key);
    return served;
  }

  /** A caller waits for a bounded time; the fill goes on without it, so that running the command again finds it further on. */
  async #fill(artefact: Artefact, signal: AbortSignal): Promise<void> {
    const patience = AbortSignal.timeout(this.#limits.waitMs);
    try {
      await untilAborted(this.#filler.fill(artefact, 'waited-for', signal), patience);
    } catch (error) {
      if (codeOf(error) === 'not-found') {
        this.#absent.set(artefact.key, { reason: messageOf(error), untilMs: this.#clock.monotonicMs() + this.#limits.negativeMs });
      }
      if (!patience.aborted || error !== patience.reason) throw error;
      const percent = this.#filler.progressPercent(artefact);
      throw new HubError(
        'still-fetching',
        `still fetching ${nameOf(artefact)}${percent === undefined ? '' : `, ${percent} %`}: run the command again`,
      );
    }
  }
}

function bytesOf(served: Served): Buffer | undefined {
  return served.kind === 'bytes' ? served.bytes : undefined;
}

function nameOf({ module, version }: Artefact): string {
  return `${module}@${version}`;
}
