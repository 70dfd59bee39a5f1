import type { Urgency } from '../base/gate.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { Version } from '../protocol/version.ts';

/** Which version of a module a query stands for, and which state of its repository that is. */
export interface SourceVersion {
  readonly version: Version;
  /** Of the commit: RFC 3339, UTC, whole seconds. */
  readonly time: string;
  /** As `Origin` in an `.info`. `url` has no credentials. */
  readonly origin: {
    readonly vcs: 'git';
    readonly url: string;
    /** Of the module in its repository, without slashes at the ends; undefined at the root. */
    readonly subdir?: string | undefined;
    /** The commit's whole object name. */
    readonly hash: string;
    /** The full name of the reference that was resolved, such as `refs/tags/v1.2.3`. */
    readonly ref?: string | undefined;
  };
}

/**
 * Where modules are made from source code: what it answers is what the go command in direct mode would make of the same repository, byte for byte
 * where bytes are hashed. Nothing here is proved; whoever keeps the answers records their hashes once and for ever.
 *
 * https://go.dev/ref/mod#vcs
 */
export interface ModuleSource {
  /** Canonical tagged versions in semver order, `+incompatible` ones included, pseudo-versions not. @throws {HubError} not-found, origin-unavailable, origin-timeout, upstream-invalid, overloaded, or the signal's reason */
  versions(module: ModulePath, signal: AbortSignal): Promise<readonly Version[]>;
  /** `query`: `latest`, a canonical version, a tag, a branch, a commit (7 to 40 or 64 hex digits). A canonical version answers itself or not-found. @throws as {@link versions} */
  resolve(module: ModulePath, query: string, signal: AbortSignal): Promise<SourceVersion>;
  /** What a canonical version is at this very moment: the server is asked, whatever is known already. @throws as {@link versions} */
  current(module: ModulePath, version: Version, signal: AbortSignal): Promise<SourceVersion>;
  /** At most 16 MiB. @throws as {@link versions} */
  goMod(module: ModulePath, version: Version, signal: AbortSignal): Promise<Buffer>;
  /** The bytes of the module zip, to be read once and to the end; leaving early ends what makes them. @throws as {@link versions}, and zip-invalid when the rules of module zips forbid one */
  zip(module: ModulePath, version: Version, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** The same source, asked as urgently as this: by itself it answers as for somebody who waits. */
  urged(urgency: Urgency): ModuleSource;
  /** The files of a version as they are at this commit (its whole object name), wherever the version's tag is by now. */
  pinned(commit: string): Pick<ModuleSource, 'goMod' | 'zip'>;
}
