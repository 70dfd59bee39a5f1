/**
 * Makes modules from Git repositories, exactly as the go command does in direct mode: see docs/git-origin.md for what that means and where it ends.
 *
 * A version that the mirror has is answered without asking the server; lists, `latest` and names of branches need a fresh listing of references.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../base/clock.ts';
import { HubError, codeOf, messageOf } from '../../base/errors.ts';
import type { Urgency } from '../../base/gate.ts';
import { type Log, withoutCredentials } from '../../base/log.ts';
import { isRetracted } from '../../protocol/go-mod-facts.ts';
import { legacyGoMod } from '../../protocol/go-mod.ts';
import { type ModulePath, escapeCapitals } from '../../protocol/module-path.ts';
import { MODULE_GO_MOD_BYTES_MAX } from '../../protocol/module-zip.ts';
import { isCanonicalText, isPseudoText } from '../../protocol/semver-text.ts';
import { type Version, compareVersions } from '../../protocol/version.ts';
import { latestOf } from '../../protocol/version-list.ts';
import type { ModuleSource, SourceVersion } from '../module-source.ts';
import { GitCommand } from './git-command.ts';
import type { GitRemote } from './git-remote.ts';
import { type Exclusively, type GitLimits, GIT_LIMITS, Mirror } from './mirror.ts';
import { MirrorObjects, ObjectMemory } from './mirror-objects.ts';
import { findModule, type ModuleFolder, type ModulePlace, placeOf } from './module-place.ts';
import { type ModuleRevision, readRetractions, resolveQuery, revisionName, timeOf } from './module-revision.ts';
import { incompatibleVersions, taggedVersions } from './module-tags.ts';
import { moduleZipOf } from './module-zip-source.ts';
import type { Refs } from './refs.ts';
import type { RepositoryState } from './revision.ts';
import { type Locate, type LocatedRepository, type Probe, createProbe, mirrorOf } from './template-locator.ts';

export interface GitSourceOptions {
  /** Called once, with what a locator needs of this source. */
  readonly locator: (tools: LocatorTools) => Locate;
  /** The folder of all mirrors; the source alone writes there. */
  readonly mirrors: string;
  readonly exclusively: Exclusively;
  /** PATH and what git's way out needs: see {@link GitCommand}. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly caFile?: string | undefined;
  readonly limits?: Partial<GitLimits>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface LocatorTools {
  readonly probe: Probe;
  readonly isMirrored: (located: LocatedRepository) => Promise<boolean>;
}

const MIRRORS_MAX = 2000;

/** `commit`: of which the files are to be made, when that is decided already. */
interface FileWish {
  readonly module: ModulePath;
  readonly version: Version;
  readonly commit: string | undefined;
}

/** To be disposed: what runs is ended and waited for. */
export function createGitSource(options: GitSourceOptions): ModuleSource & AsyncDisposable {
  const limits = { ...GIT_LIMITS, ...options.limits };
  const { mirrors, environment, caFile } = options;
  const { processesMax, networkProcessesMax, serverProcessesMax } = limits;
  const home = join(mirrors, '.home');
  const git = new GitCommand({ home, environment, caFile, processesMax, networkProcessesMax, serverProcessesMax });
  const knownHostsFile = join(mirrors, '.known-hosts');
  const core = {
    options,
    limits,
    git,
    knownHostsFile,
    memory: new ObjectMemory(),
    repositories: new LRUCache<string, Repository>({ max: MIRRORS_MAX }),
  };
  const locate = options.locator({
    probe: createProbe({ git, knownHostsFile, timeoutMs: limits.answerMs }),
    isMirrored: (located) => isMirrored(folderOf(mirrors, located), located),
  });
  return new GitSource({ ...core, locate }, WAITED_FOR);
}

const WAITED_FOR: Urgency = { priority: 'waited-for' };

/** What a source shares with itself when it is asked less urgently. */
interface Core {
  readonly options: GitSourceOptions;
  readonly limits: GitLimits;
  readonly git: GitCommand;
  readonly knownHostsFile: string;
  readonly locate: Locate;
  readonly memory: ObjectMemory;
  readonly repositories: LRUCache<string, Repository>;
}

interface Repository {
  readonly mirror: Mirror;
  readonly objects: MirrorObjects;
}

async function allVersions(state: RepositoryState, place: ModulePlace, signal: AbortSignal): Promise<readonly Version[]> {
  const tagged = taggedVersions(place, state.refs);
  return [...tagged.compatible, ...(await incompatibleVersions(tagged, state, signal))].toSorted(compareVersions);
}

function sourceVersion({ mirror }: Repository, place: ModulePlace, { version, revision }: ModuleRevision): SourceVersion {
  const { hash, ref } = revision;
  const subdir = place.folder === '' ? undefined : place.folder;
  return { version, time: timeOf(revision), origin: { vcs: 'git', url: withoutCredentials(mirror.remote.url), subdir, hash, ref } };
}

class GitSource implements ModuleSource, AsyncDisposable {
  readonly #core: Core;
  readonly #urgency: Urgency;

  constructor(core: Core, urgency: Urgency) {
    this.#core = core;
    this.#urgency = urgency;
  }

  urged(urgency: Urgency): ModuleSource {
    return new GitSource(this.#core, urgency);
  }

  async versions(module: ModulePath, signal: AbortSignal): Promise<readonly Version[]> {
    const { place, repository } = await this.#find(module, signal);
    return this.#watched(repository, this.#versions(repository, place, signal));
  }

  async #versions(repository: Repository, place: ModulePlace, signal: AbortSignal): Promise<readonly Version[]> {
    const { mirror, objects } = repository;
    const fresh = await mirror.fresh(this.#urgency, signal);
    const listed = taggedVersions(place, fresh);
    if (listed.later.length === 0) return listed.compatible;
    return allVersions({ refs: await mirror.fetched(fresh, this.#urgency, signal), objects }, place, signal);
  }

  async resolve(module: ModulePath, query: string, signal: AbortSignal): Promise<SourceVersion> {
    const { place, repository } = await this.#find(module, signal);
    const resolving = query === 'latest' ? this.#latest(repository, place, signal) : this.#resolve(repository, place, query, signal);
    return sourceVersion(repository, place, await this.#watched(repository, resolving));
  }

  async current(module: ModulePath, version: Version, signal: AbortSignal): Promise<SourceVersion> {
    const { place, repository } = await this.#find(module, signal);
    const { mirror, objects } = repository;
    const refs = await this.#watched(
      repository,
      mirror.current(this.#urgency, signal).then((listed) => mirror.fetched(listed, this.#urgency, signal)),
    );
    const resolved = await this.#watched(repository, resolveQuery({ refs, objects }, place, version, signal));
    if (resolved.version !== version) throw new HubError('not-found', `${place.module}@${version}: it is ${resolved.version}`);
    return sourceVersion(repository, place, resolved);
  }

  goMod(module: ModulePath, version: Version, signal: AbortSignal): Promise<Buffer> {
    return this.#goMod({ module, version, commit: undefined }, signal);
  }

  zip(module: ModulePath, version: Version, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    return this.#zip({ module, version, commit: undefined }, signal);
  }

  pinned(commit: string): Pick<ModuleSource, 'goMod' | 'zip'> {
    return {
      goMod: (module, version, signal) => this.#goMod({ module, version, commit }, signal),
      zip: (module, version, signal) => this.#zip({ module, version, commit }, signal),
    };
  }

  async #goMod({ module, version, commit }: FileWish, signal: AbortSignal): Promise<Buffer> {
    const { place, repository } = await this.#find(module, signal);
    const { found } = await this.#watched(repository, this.#at(repository, place, { version, commit }, signal));
    const bytes = found.goMod ?? Buffer.from(legacyGoMod(module));
    if (bytes.length > MODULE_GO_MOD_BYTES_MAX)
      throw new HubError('upstream-invalid', `go.mod of ${module}@${version} is larger than ${MODULE_GO_MOD_BYTES_MAX} bytes`);
    return bytes;
  }

  async #zip({ module, version, commit }: FileWish, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const { place, repository } = await this.#find(module, signal);
    const { found, hash } = await this.#watched(repository, this.#at(repository, place, { version, commit }, signal));
    return this.#watched(repository, moduleZipOf(repository.objects, { module, version, commit: hash, folder: found.folder }, signal));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { mirror } of this.#core.repositories.values()) mirror.stop(new HubError('canceled', 'the hub is stopping'));
    await this.#core.git[Symbol.asyncDispose]();
  }

  /** A mirror that cannot be read is made anew. */
  async #watched<T>({ mirror }: Repository, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (codeOf(error) === 'storage-fault') await mirror.distrust(messageOf(error));
      throw error;
    }
  }

  async #find(module: ModulePath, signal: AbortSignal): Promise<{ readonly place: ModulePlace; readonly repository: Repository }> {
    const located = await this.#core.locate(module, this.#urgency, signal);
    const place = placeOf(module, located.root, located.subfolder);
    if (!place.ok) throw new HubError('not-found', place.reason);
    return { place: place.value, repository: this.#repositoryOf(located) };
  }

  /** A canonical version answers itself; names that can move are looked up in a fresh listing, fixed ones in what is here first. */
  async #resolve(repository: Repository, place: ModulePlace, query: string, signal: AbortSignal): Promise<ModuleRevision> {
    const { mirror, objects } = repository;
    const state = isCanonicalText(query)
      ? await this.#storedState(repository, revisionName(place, query), isPseudoText(query), signal)
      : undefined;
    const refs = state?.refs ?? (await this.#fetchedNow(mirror, signal));
    return resolveQuery({ refs, objects }, place, query, signal);
  }

  async #fetchedNow(mirror: Mirror, signal: AbortSignal): Promise<Refs> {
    return mirror.fetched(await mirror.fresh(this.#urgency, signal), this.#urgency, signal);
  }

  /** The commit that was named before, while the mirror has it; a mirror that was made anew after the tag had moved has nothing to make the version of. */
  async #at(
    repository: Repository,
    place: ModulePlace,
    { version, commit }: Pick<FileWish, 'version' | 'commit'>,
    signal: AbortSignal,
  ): Promise<{ readonly found: ModuleFolder; readonly hash: string }> {
    const { objects, mirror } = repository;
    const pinned = commit !== undefined && (await mirror.storedByAnyone()) !== undefined ? await objects.commit(commit, signal) : undefined;
    if (pinned === undefined) {
      const { found, revision } = await this.#exactly(repository, place, version, signal);
      if (commit === undefined || revision.hash === commit) return { found, hash: revision.hash };
      throw new HubError(
        'upstream-invalid',
        `${place.module}@${version} was made of commit ${commit}, which is gone; its tag is on ${revision.hash} now`,
      );
    }
    const found = await findModule(place, { objects, commit: pinned.hash, name: version }, signal);
    if (!found.ok) throw new HubError('not-found', `${place.module}@${version}: ${found.reason}`);
    return { found: found.value, hash: pinned.hash };
  }

  async #exactly(repository: Repository, place: ModulePlace, version: Version, signal: AbortSignal): Promise<ModuleRevision> {
    const resolved = await this.#resolve(repository, place, version, signal);
    if (resolved.version !== version) throw new HubError('not-found', `${place.module}@${version}: it is ${resolved.version}`);
    return resolved;
  }

  /** As `go list -m MODULE@latest`: the highest release that is not retracted, else the highest such prerelease, else the tip of the default branch. */
  async #latest({ mirror, objects }: Repository, place: ModulePlace, signal: AbortSignal): Promise<ModuleRevision> {
    const refs = await this.#fetchedNow(mirror, signal);
    const state = { refs, objects };
    const versions = await allVersions(state, place, signal);
    const retractions = await readRetractions(state, place, signal);
    // Versions with +incompatible are in the list only where the highest compatible one has no go.mod.
    const latest = latestOf(
      versions.filter((version) => !isRetracted(version, retractions)),
      { decidingHasGoMod: false },
    );
    return resolveQuery(state, place, latest ?? 'latest', signal);
  }

  /** What is stored, if it has the tag or commit of this name. */
  async #storedState(
    { mirror, objects }: Repository,
    name: string,
    isPseudo: boolean,
    signal: AbortSignal,
  ): Promise<RepositoryState | undefined> {
    for (const read of [() => mirror.stored(), () => mirror.storedByAnyone()]) {
      const refs = await read();
      if (refs === undefined) return undefined;
      if (refs.hashes.has(`refs/tags/${name}`)) return { refs, objects };
      if (isPseudo && /^[0-9a-f]{12}$/.test(name) && (await objects.commit(name, signal)) !== undefined) return { refs, objects };
    }
    return undefined;
  }

  #repositoryOf(located: LocatedRepository): Repository {
    const { options, limits, git, knownHostsFile, memory, repositories } = this.#core;
    const folder = folderOf(options.mirrors, located);
    const key = `${folder} ${located.url}`;
    const urgency = this.#urgency;
    const known = repositories.get(key);
    if (known !== undefined) return { mirror: known.mirror, objects: known.objects.urged(urgency) };
    const { exclusively, clock, log } = options;
    const { url, credential, routes } = located;
    const lockKey = `git/${escapeCapitals(mirrorOf(located))}`;
    const mirror = new Mirror({
      folder,
      lockKey,
      knownHostsFile,
      remote: { url, credential, routes },
      git,
      exclusively,
      limits,
      clock,
      log,
    });
    const repository = { mirror, objects: new MirrorObjects({ folder, git, limits, memory, urgency }) };
    repositories.set(key, repository);
    return repository;
  }
}

async function isMirrored(folder: string, remote: GitRemote): Promise<boolean> {
  const text = await readFile(join(folder, 'goyi-refs'), 'utf8').catch(() => '');
  return text.startsWith(`${remote.url}\n`);
}

function folderOf(mirrors: string, located: LocatedRepository): string {
  return join(mirrors, ...`${escapeCapitals(mirrorOf(located))}.git`.split('/'));
}
