/**
 * The gate: what happens when a host says that a tag was pushed. The versions that the tag can be are looked for at the source that the configuration
 * names; each that exists is looked at, and stored with its records when nothing speaks against it:
 *
 * 1. the name policy lets it pass;
 * 2. its go.mod names this module, and every line of it is one that the go command accepts, with canonical versions;
 * 3. each requirement is to be had through the hub, proved as everything is;
 * 4. its zip keeps the rules of module zips.
 *
 * Where clients see what is archived alone, a version is held back from before its first file is stored until there is a verdict.
 * What passes is archived, what does not is blocked with the first reason found. Either stands for ever, unless an operator releases a block. What is only
 * out of reach for now decides nothing: the job comes again.
 */
import { codeOf, type ErrorCode, HubError, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import { Gate } from '../base/gate.ts';
import type { JobRow, Standing, Verdict } from '../meta/jobs.ts';
import type { NameVerdict } from '../policy/name-policy.ts';
import { type MainGoMod, type ModuleAt, nameOf, parseMainGoMod, replacementOf } from '../protocol/main-go-mod.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import { modulesOfTag, type RepositoryRoot } from './tag-modules.ts';
import type { TagEvent } from './tag-event.ts';
import type { Verdicts } from './verdicts.ts';

/** A version as the hub has stored it or, before that, as its source has it. */
export interface SeenVersion {
  /** The text of its go.mod. */
  readonly goMod: string;
  /** The commit that what is stored was made of; undefined when nothing is stored, or that is not known. */
  readonly commit: string | undefined;
  /** The commit that the tag stands for now. */
  readonly commitNow: string | undefined;
  readonly isStored: boolean;
}

/** What the gate needs of the hub. */
export interface GatePorts {
  /** The roots of the event's repository; empty when no private module lives there. */
  roots(event: TagEvent): readonly RepositoryRoot[];
  /** Stores nothing. @throws {HubError} not-found when the source has no such version; what an origin throws */
  look(module: ModuleAt, signal: AbortSignal): Promise<SeenVersion>;
  /** The commit that what is stored was made of; undefined when nothing is stored, or that is not known. @throws {HubError} storage-… */
  commitOf(module: ModuleAt, signal: AbortSignal): Promise<string | undefined>;
  /** Makes and stores all of a version, with its records, unless it is stored; answers the text of the go.mod that is. @throws {HubError} what a fill throws */
  archive(module: ModuleAt, signal: AbortSignal): Promise<string>;
  /** Has the go.mod of a requirement, proved. @throws {HubError} what a fill throws */
  resolve(requirement: ModuleAt, signal: AbortSignal): Promise<void>;
  policy(module: ModuleAt): NameVerdict;
  /** Whether clients see what was archived of this module alone. */
  isArchiveOnly(module: ModulePath): boolean;
  /** Something was decided, and is on record. */
  decided(module: ModuleAt): void;
  /** The tag of an archived version stands for another commit than it did, or is gone. Answers whether that is news. */
  drifted(module: ModuleAt, what: { readonly from: string | undefined; readonly to: string | undefined }): Promise<boolean>;
  /** Tells whoever is to be told; durable when it resolves. */
  report(report: GateReport): Promise<void>;
}

export interface GateReport {
  readonly event: TagEvent;
  /** Of the repository that was looked at, on its host. */
  readonly path: string;
  readonly module: string;
  readonly version: string;
  readonly verdict: Verdict['kind'];
  readonly reason: string;
  readonly commit: string | undefined;
  /** What is worth a word beside the verdict: a moved tag. */
  readonly note: string | undefined;
  /** False of a verdict that stood before: hosts send several events for one tag, and people want to hear of it once. */
  readonly isNews: boolean;
}

export interface TagGateParts {
  readonly ports: GatePorts;
  readonly verdicts: Verdicts;
  readonly events: Pick<Events, 'gated'>;
}

/** Requirements that one tag waits for at once. */
const requirementsAtOnce = 8;
/** Tags are often pushed together, so a requirement that is missing may be about to come: it counts from this attempt on. */
const absentAttempts = 4;
/** Reasons name a requirement and go to clients of the hub. */
const reasonLengthMax = 600;

/** What a version is blocked for; everything else that goes wrong is tried again or says that there is no such version. */
const blocking: ReadonlySet<ErrorCode> = new Set([
  'policy-denied',
  'upstream-refused',
  'checksum-mismatch',
  'checksum-missing',
  'zip-invalid',
  'upstream-invalid',
  'too-large',
  'conflict',
  'bad-request',
]);

/** What a tag can be of one repository. */
interface Candidate {
  readonly path: string;
  readonly modules: readonly ModuleAt[];
}

interface Judged {
  readonly verdict: Verdict;
  readonly commit?: string | undefined;
  readonly note?: string | undefined;
  /** It was decided, or the move first seen, in this look. */
  readonly isNew: boolean;
}

interface Attempt {
  readonly signal: AbortSignal;
  /** This one included. */
  readonly attempts: number;
}

export class TagGate {
  readonly #parts: TagGateParts;

  constructor(parts: TagGateParts) {
    this.#parts = parts;
  }

  /** As a {@link JobHandler}. @throws {HubError} not-found when the source has nothing at this tag, which may be too early to ask; what is out of reach for now */
  async look(job: JobRow, signal: AbortSignal): Promise<string> {
    const event = JSON.parse(job.payload) as TagEvent;
    const { ports } = this.#parts;
    const roots = ports.roots(event);
    if (roots.length === 0) return 'nothing to do: no rule of private names this repository';
    const candidates = roots.map(({ module, path }) => ({ path, modules: modulesOfTag(module, event.tag) }));
    if (candidates.every(({ modules }) => modules.length === 0)) return 'nothing to do: the tag is no version of a module';
    const outcomes: string[] = [];
    for (const candidate of candidates) {
      const outcome =
        event.change === 'deleted'
          ? await this.#gone(candidate.modules, signal)
          : await this.#first(event, candidate, { signal, attempts: job.attempts });
      if (outcome !== undefined) outcomes.push(outcome);
    }
    if (outcomes.length > 0) return outcomes.join('; ');
    if (event.change === 'deleted') return 'nothing to do: no version of this tag was archived';
    throw new HubError('not-found', `the repository has no module with a version at the tag ${event.tag}`);
  }

  /** As a {@link JobHandler}: what an operator released is made and stored. @throws {HubError} as {@link look} */
  async release(job: JobRow, signal: AbortSignal): Promise<string> {
    const module = JSON.parse(job.payload) as ModuleAt;
    const { ports, verdicts } = this.#parts;
    // A block that is remembered may be some seconds old.
    if ((await verdicts.of(module))?.kind === 'block') throw new HubError('not-found', `${nameOf(module)} is still known as blocked`);
    await ports.archive(module, signal);
    ports.decided(module);
    return `${nameOf(module)} is stored, as an operator wanted it`;
  }

  /** What was archived stays as it is. */
  async #gone(modules: readonly ModuleAt[], signal: AbortSignal): Promise<string | undefined> {
    const { ports, verdicts } = this.#parts;
    const gone: string[] = [];
    for (const module of modules) {
      if (decidedOf(await verdicts.of(module)) === undefined) continue;
      await ports.drifted(module, { from: await ports.commitOf(module, signal), to: undefined });
      gone.push(`the tag of ${nameOf(module)} is gone: what is stored stays`);
    }
    return gone.length === 0 ? undefined : gone.join('; ');
  }

  /** Of what the tag can be, the first that is there. */
  async #first(event: TagEvent, { path: repository, modules }: Candidate, attempt: Attempt): Promise<string | undefined> {
    for (const module of modules) {
      const seen = await this.#judge(module, attempt);
      if (seen === undefined) continue;
      const { verdict, commit, note, isNew } = seen;
      const { path, version } = module;
      this.#parts.events.gated({ module: path, version, verdict: verdict.kind, reason: verdict.reason });
      await this.#parts.ports.report({
        event,
        path: repository,
        module: path,
        version,
        verdict: verdict.kind,
        reason: verdict.reason,
        commit: commit ?? event.commit,
        note,
        // A look that was begun before may have ended between its verdict and its report.
        isNews: isNew || attempt.attempts > 1,
      });
      return [`${verdict.kind} ${nameOf(module)}: ${verdict.reason}`, ...(note === undefined ? [] : [note])].join('; ');
    }
    return undefined;
  }

  /** Undefined: there is no such version. */
  async #judge(module: ModuleAt, attempt: Attempt): Promise<Judged | undefined> {
    const { ports, verdicts } = this.#parts;
    const standing = decidedOf(await verdicts.of(module));
    if (standing?.kind === 'block') return { verdict: standing, isNew: false };
    const named = ports.policy(module);
    if (standing === undefined && named.kind === 'deny') return { verdict: await this.#block(module, named.reason), isNew: true };
    let seen: SeenVersion;
    try {
      seen = await ports.look(module, attempt.signal);
    } catch (error) {
      if (codeOf(error) === 'not-found') return undefined;
      if (standing !== undefined || !isBlocking(error)) throw error;
      return { verdict: await this.#block(module, messageOf(error)), isNew: true };
    }
    const move = await this.#moveOf(module, seen);
    const commit = seen.commit ?? seen.commitNow;
    const verdict = standing ?? (await this.#decide(module, seen, attempt));
    return { verdict, commit, note: move?.note, isNew: standing === undefined || move?.isNew === true };
  }

  async #decide(module: ModuleAt, { goMod: looked, isStored }: SeenVersion, attempt: Attempt): Promise<Verdict> {
    const fault = await this.#faultOf(module, looked, attempt);
    if (fault !== undefined) return this.#block(module, fault);
    // What was served already, before the mode was this one, goes on being served until something speaks against it.
    if (!isStored && this.#parts.ports.isArchiveOnly(module.path)) await this.#parts.verdicts.hold(module);
    let stored: string;
    try {
      stored = await this.#parts.ports.archive(module, attempt.signal);
    } catch (error) {
      if (!isBlocking(error)) throw error;
      return this.#block(module, messageOf(error));
    }
    // The tag may have been moved in between: what counts is what was stored.
    const other = stored === looked ? undefined : await this.#faultOf(module, stored, attempt);
    return other === undefined ? this.#archive(module) : this.#block(module, other);
  }

  async #moveOf(
    module: ModuleAt,
    { commit, commitNow }: SeenVersion,
  ): Promise<{ readonly note: string; readonly isNew: boolean } | undefined> {
    if (commit === undefined || commitNow === undefined || commit === commitNow) return undefined;
    const isNew = await this.#parts.ports.drifted(module, { from: commit, to: commitNow });
    const note = `the tag was moved from ${commit.slice(0, 12)} to ${commitNow.slice(0, 12)}: what is stored stays as it was`;
    return { note, isNew };
  }

  /** The first reason against a version; undefined when there is none. */
  async #faultOf(module: ModuleAt, text: string, attempt: Attempt): Promise<string | undefined> {
    const goMod = parseMainGoMod(text);
    if (!goMod.ok) return goMod.reason;
    const isIncompatible = module.version.endsWith('+incompatible');
    if (goMod.value.module !== module.path) return `its go.mod says module ${goMod.value.module}`;
    if (isIncompatible && goMod.value.require.length > 0)
      return 'a version with +incompatible has no go.mod, and this one has requirements';
    const [unread] = goMod.value.unread;
    if (unread !== undefined) return `line ${unread.line} of its go.mod cannot be used: ${unread.reason}`;
    return await this.#faultOfRequirements(goMod.value, attempt);
  }

  async #faultOfRequirements(goMod: MainGoMod, { signal, attempts }: Attempt): Promise<string | undefined> {
    const stop = new AbortController();
    const slots = new Gate({ slotsMax: requirementsAtOnce, queueMax: goMod.require.length });
    const either = AbortSignal.any([signal, stop.signal]);
    const faults = new Map<ModuleAt, string>();
    const outages: unknown[] = [];
    const look = async (required: ModuleAt): Promise<void> => {
      const leave = await slots.enter({ priority: 'prefetch' }, either);
      try {
        await this.#parts.ports.resolve(required, either);
      } catch (error) {
        const code = codeOf(error);
        const sentence = `it requires ${nameOf(required)}, which cannot be had${replacedOf(goMod, required)}: ${messageOf(error)}`;
        if (code === 'not-found' && attempts < absentAttempts) outages.push(new HubError(code, sentence));
        else if (code !== 'not-found' && !isBlocking(error)) outages.push(error);
        else {
          faults.set(required, sentence);
          // One reason is enough.
          stop.abort(new HubError('canceled', 'another requirement is at fault'));
        }
      } finally {
        leave();
      }
    };
    await Promise.all(
      goMod.require.map((required) => look(required).catch((error: unknown) => void (stop.signal.aborted || outages.push(error)))),
    );
    // In the order of the file, and a fault before what is only out of reach.
    const first = goMod.require.find((required) => faults.has(required));
    if (first !== undefined) return faults.get(first);
    if (outages.length > 0) throw outages[0];
    signal.throwIfAborted();
    return undefined;
  }

  #archive(module: ModuleAt): Promise<Verdict> {
    return this.#record(module, 'archive', 'made from its tag, and every requirement is proved');
  }

  #block(module: ModuleAt, reason: string): Promise<Verdict> {
    return this.#record(module, 'block', reason.slice(0, reasonLengthMax));
  }

  async #record(module: ModuleAt, kind: 'archive' | 'block', reason: string): Promise<Verdict> {
    const standing = await this.#parts.verdicts.record(module, kind, reason);
    this.#parts.ports.decided(module);
    return standing;
  }
}

function decidedOf(standing: Standing | undefined): Verdict | undefined {
  return standing?.kind === 'held' ? undefined : standing;
}

function isBlocking(error: unknown): boolean {
  const code = codeOf(error);
  return code !== undefined && blocking.has(code);
}

/** The author's own builds never noticed: only the main module's replacements count. */
function replacedOf(goMod: MainGoMod, required: ModuleAt): string {
  return replacementOf(goMod, required) === required ? '' : ' (its replace line counts for nobody who requires this module)';
}
