import { LRUCache } from 'lru-cache';
import { codeOf, HubError } from '../base/errors.ts';
import type { Metadata } from '../meta/metadata.ts';
import type { ModuleOrigin, OriginBody } from '../origin/module-origin.ts';
import { legacyGoMod } from '../protocol/go-mod.ts';
import { escapePath, type ModulePath } from '../protocol/module-path.ts';
import { compareVersions, escapeVersion, isPrerelease, type Version, checkPathVersion } from '../protocol/version.ts';
import { parseVersionInfo } from '../protocol/version-info.ts';
import { decidingVersion, formatVersionList, latestOf, parseVersionList } from '../protocol/version-list.ts';
import { isPseudoVersion } from '../protocol/pseudo-version.ts';
import { type Home, type Homes, isAsked, isPrivateHome } from './homes.ts';
import type { Asked, Changing, ChangingAnswers } from './changing-answers.ts';
import type { AnswerOptions } from './station.ts';
import type { Verdicts } from './verdicts.ts';

/** A list of a million versions is 30 MB; the longest real ones are a few hundred kilobytes. */
const listBytesMax = 16 * 1024 * 1024;
const infoBytesMax = 64 * 1024;

const none: ReadonlySet<string> = new Set();

export interface QueryParts {
  readonly answers: ChangingAnswers;
  readonly metadata: Metadata;
  readonly homes: Homes;
  readonly verdicts: Pick<Verdicts, 'blocked'>;
  /** The `.info` or the `.mod` of a canonical version, filled when needed. */
  readonly file: (
    kind: 'info' | 'mod',
    module: ModulePath,
    version: Version,
    options: AnswerOptions,
    signal: AbortSignal,
  ) => Promise<string>;
}

/** `@v/list`, `@latest` and queries: what changes about a module. */
export class ModuleQueries {
  readonly #parts: QueryParts;
  /**
   * Raw lists and what is sent for them: sorting a long list for every request would cost more than all the rest.
   * By module, as a text that lists versions of one module may list none of another.
   */
  readonly #formatted = new LRUCache<ModulePath, { readonly raw: string; readonly formatted: string }>({
    max: 5_000,
    maxSize: 16 * 1024 * 1024,
    sizeCalculation: ({ raw, formatted }, module) => raw.length + formatted.length + module.length,
  });

  constructor(parts: QueryParts) {
    this.#parts = parts;
  }

  /** Canonical versions in semver order, one a line, without pseudo-versions. @throws {HubError} not-found, upstream-refused, origin-… */
  async list(module: ModulePath, options: AnswerOptions, signal: AbortSignal): Promise<Changing> {
    const raw = await this.#openList(module, options, signal);
    const known = this.#formatted.get(module);
    if (known?.raw === raw.body) return { ...raw, body: known.formatted };
    const formatted = formatVersionList(parseVersionList(raw.body, module));
    this.#formatted.set(module, { raw: raw.body, formatted });
    return { ...raw, body: formatted };
  }

  /** The `.info` of the latest version: the upstream's own answer, else computed from its list as the go command would. What the gate blocked is not it. */
  async latest(module: ModulePath, options: AnswerOptions, signal: AbortSignal): Promise<Changing> {
    const answer = await settled(this.#latest(module, options, signal));
    if (answer instanceof Error) {
      if (codeOf(answer) !== 'not-found' || (await this.#blockedOf(module)).size === 0) throw answer;
      throw new HubError(
        'policy-denied',
        `no version of ${module} can be the latest, and some are blocked: asked for by name they say why`,
      );
    }
    return (await this.#isBlocked(module, answer)) ? ((await this.#latestOfList(module, options, signal)) ?? answer) : answer;
  }

  async #latest(module: ModulePath, options: AnswerOptions, signal: AbortSignal): Promise<Changing> {
    const home = this.#parts.homes.of(module);
    const resource = `${escapePath(module)}/@latest`;
    const name = nameOf(resource, home);
    if (!options.fill || !isAsked(home)) {
      const kept = (await this.#keptAt(name, home)) ?? (await this.#latestOfList(module, options, signal));
      if (kept === undefined) throw noLatest(module);
      return kept;
    }
    return this.#parts.answers.get(
      name,
      async (own) => {
        const asked = await settled(
          this.#ask(home.origin, { resource, sizeMaxBytes: infoBytesMax }, (text) => readInfo(text, module), own),
        );
        if (own.aborted) throw own.reason;
        if (!(asked instanceof Error) && asked.kind === 'found') return asked;
        // Mirrors exist that refuse or fail @latest and serve lists: the list decides, unless it names nothing.
        const computed = await this.#latestOfList(module, options, own);
        if (computed !== undefined) return derived(computed);
        if (asked instanceof Error) throw asked;
        throw noLatest(module);
      },
      signal,
    );
  }

  /** The `.info` of the version that a branch, a commit or a version prefix stands for now. What the gate blocked is answered only where nothing else is meant. */
  async query(module: ModulePath, query: string, options: AnswerOptions, signal: AbortSignal): Promise<Changing> {
    if (query === 'latest') return this.latest(module, options, signal);
    const answer = await this.#query(module, query, options, signal);
    if (!(await this.#isBlocked(module, answer))) return answer;
    return (await this.#ofPrefix({ module, query, absent: false }, options, signal)) ?? answer;
  }

  async #query(module: ModulePath, query: string, options: AnswerOptions, signal: AbortSignal): Promise<Changing> {
    const home = this.#parts.homes.of(module);
    const resource = `${escapePath(module)}/@v/${escapeVersion(query)}.info`;
    const name = nameOf(resource, home);
    if (!isAsked(home)) {
      const matching = await this.#ofPrefix({ module, query, absent: true }, options, signal);
      if (matching !== undefined) return matching;
      throw new HubError('not-found', `no version of ${module} that is stored here is called ${query}`);
    }
    if (!options.fill) {
      const kept = await this.#parts.answers.kept(name);
      if (kept !== undefined) return kept;
      throw new HubError('not-cached', `${module}@${query} is not stored here, and the request forbids fetching it`);
    }
    return this.#parts.answers.get(name, (own) => this.#askQuery({ module, query, resource, origin: home.origin }, options, own), signal);
  }

  /** Without what the gate blocked. */
  async #openList(module: ModulePath, options: AnswerOptions, signal: AbortSignal): Promise<Changing> {
    const blocked = await this.#blockedOf(module);
    const raw = await settled(this.#rawList(module, options, signal));
    if (raw instanceof Error) {
      // There is such a module, and it is no longer to be had.
      if (codeOf(raw) === 'not-found' && blocked.size > 0) return { body: '', ageSeconds: 0, stale: false, outcome: 'hit' };
      throw raw;
    }
    if (blocked.size === 0) return raw;
    const lines = raw.body.split('\n').filter((line) => !blocked.has(line));
    return { ...raw, body: lines.join('\n') };
  }

  async #isBlocked(module: ModulePath, { body }: Changing): Promise<boolean> {
    const blocked = await this.#blockedOf(module);
    if (blocked.size === 0) return false;
    const info = parseVersionInfo(Buffer.from(body));
    return info.ok && blocked.has(info.value.version);
  }

  /** There are verdicts on private modules alone. */
  async #blockedOf(module: ModulePath): Promise<ReadonlySet<string>> {
    return isPrivateHome(this.#parts.homes.of(module)) ? this.#parts.verdicts.blocked(module) : none;
  }

  async #rawList(module: ModulePath, options: AnswerOptions, signal: AbortSignal): Promise<Changing> {
    const home = this.#parts.homes.of(module);
    const resource = `${escapePath(module)}/@v/list`;
    const name = nameOf(resource, home);
    if (!options.fill || !isAsked(home)) {
      const kept = (await this.#keptAt(name, home)) ?? (await this.#storedList(module));
      if (kept !== undefined) return kept;
      if (!isAsked(home))
        throw new HubError('not-found', `${module} is not here: it is a private name, and the hub has no version of such a module`);
      throw new HubError('not-cached', `no version of ${module} is stored here, and the request forbids asking for its list`);
    }
    try {
      const ask = (own: AbortSignal): Promise<Asked> =>
        this.#ask(home.origin, { resource, sizeMaxBytes: listBytesMax }, (text) => readList(text, module), own);
      return await this.#parts.answers.get(name, ask, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      // Gone upstream, or no upstream there: what was stored and proved here goes on being listed.
      const stored = await this.#storedList(module);
      if (stored === undefined) throw error;
      return { ...stored, stale: codeOf(error) !== 'not-found' };
    }
  }

  async #storedList(module: ModulePath): Promise<Changing | undefined> {
    const kind = isPrivateHome(this.#parts.homes.of(module)) ? 'private' : 'public';
    const versions = await this.#parts.metadata.storedVersions(module, kind);
    if (versions.length === 0) return undefined;
    return { body: `${versions.join('\n')}\n`, ageSeconds: 0, stale: false, outcome: 'hit' };
  }

  /** Undefined when the list names nothing that could be the latest. */
  async #latestOfList(module: ModulePath, options: AnswerOptions, signal: AbortSignal): Promise<Changing | undefined> {
    const raw = await this.#openList(module, options, signal);
    const versions = parseVersionList(raw.body, module);
    const deciding = decidingVersion(versions);
    const decidingHasGoMod =
      deciding === undefined || (await this.#parts.file('mod', module, deciding, options, signal)) !== legacyGoMod(module);
    const version = latestOf(versions, { decidingHasGoMod });
    return version && { ...raw, body: await this.#parts.file('info', module, version, options, signal) };
  }

  async #askQuery({ module, query, resource, origin }: AskedQuery, options: AnswerOptions, signal: AbortSignal): Promise<Asked> {
    const asked = await settled(this.#ask(origin, { resource, sizeMaxBytes: infoBytesMax }, (text) => readInfo(text, module), signal));
    if (!(asked instanceof Error) && asked.kind === 'found') return asked;
    const matching = await this.#ofPrefix({ module, query, absent: !(asked instanceof Error) }, options, signal);
    if (matching !== undefined) return derived(matching);
    if (asked instanceof Error) throw asked;
    return asked;
  }

  /** The `.info` of the highest version that a prefix such as `v1` or `v1.2` stands for; mirrors exist that do not resolve these. */
  async #ofPrefix(
    { module, query, absent }: { module: ModulePath; query: string; absent: boolean },
    options: AnswerOptions,
    signal: AbortSignal,
  ): Promise<Changing | undefined> {
    if (!/^v(0|[1-9]\d{0,9})(\.(0|[1-9]\d{0,9}))?$/.test(query)) return undefined;
    const raw = await settled(this.#openList(module, options, signal));
    if (raw instanceof Error) {
      // That the upstream does not know `v1` says nothing: the list decides, and a list that cannot be had is no absence.
      if (absent && codeOf(raw) !== 'not-found') throw raw;
      return undefined;
    }
    const matching = parseVersionList(raw.body, module).filter((version) => version.startsWith(`${query}.`) && !isPseudoVersion(version));
    const releases = matching.filter((version) => !isPrerelease(version));
    const version = (releases.length > 0 ? releases : matching).toSorted(compareVersions).at(-1);
    return version && { ...raw, body: await this.#parts.file('info', module, version, options, signal) };
  }

  async #keptAt(name: string, home: Home): Promise<Changing | undefined> {
    return isAsked(home) ? this.#parts.answers.kept(name) : undefined;
  }

  async #ask(
    origin: ModuleOrigin,
    asked: { readonly resource: string; readonly sizeMaxBytes: number },
    read: (text: string) => string,
    signal: AbortSignal,
  ): Promise<Asked> {
    const answer = await origin.fetch({ ...asked, priority: 'waited-for' }, async (body) => read(await textOf(body)), signal);
    return answer.kind === 'absent' ? answer : { kind: 'found', body: answer.value, origin: answer.origin };
  }
}

interface AskedQuery {
  readonly module: ModulePath;
  readonly query: string;
  readonly resource: string;
  readonly origin: ModuleOrigin;
}

/** What was kept of a name while it was public says nothing about it now that it is private. */
function nameOf(resource: string, home: Home): string {
  return isPrivateHome(home) ? `private:${resource}` : resource;
}

/** What it comes to, a failure being a value like another. */
function settled<T>(promise: Promise<T>): Promise<T | Error> {
  return promise.catch((error: unknown) => error as Error);
}

function noLatest(module: ModulePath): HubError {
  return new HubError('not-found', `${module} has no version that could be the latest`);
}

/** It is as old as the list it was found in. */
function derived({ body, ageSeconds, stale }: Changing): Asked {
  return { kind: 'found', body, origin: 'list', derivedFrom: { ageSeconds, stale } };
}

async function textOf(body: OriginBody): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}

/**
 * The versions of a list and nothing else: what is kept and read again for every request is not what an upstream chose to send.
 * A page of a captive portal is no list, although it came with 200.
 */
function readList(text: string, module: ModulePath): string {
  const versions = parseVersionList(text, module);
  if (versions.length === 0 && text.trimStart().startsWith('<')) {
    throw new HubError('upstream-invalid', `the upstream's list of ${module} is a web page, not a list of versions`);
  }
  return versions.map((version) => `${version}\n`).join('');
}

function readInfo(text: string, module: ModulePath): string {
  const info = parseVersionInfo(Buffer.from(text));
  if (!info.ok) throw new HubError('upstream-invalid', `the upstream's answer about ${module} is refused: ${info.reason}`);
  const agreed = checkPathVersion(module, info.value.version);
  if (!agreed.ok)
    throw new HubError('upstream-invalid', `the upstream names ${info.value.version} as a version of ${module}: ${agreed.reason}`);
  return text;
}
