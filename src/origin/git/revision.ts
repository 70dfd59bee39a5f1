/**
 * Which commit a name means, by the rules of cmd/go's gitRepo.stat: exactly a tag, else exactly a branch, else HEAD, else the beginning of a hash
 * (7 digits or more) that one commit alone has. Only commits that branches and tags lead to are known at all.
 */
import { HubError } from '../../base/errors.ts';
import type { Commit, MirrorObjects } from './mirror-objects.ts';
import { type Refs, tagsOn } from './refs.ts';

/** A listing, and the objects of all that it names. */
export interface RepositoryState {
  readonly refs: Refs;
  readonly objects: MirrorObjects;
}

export interface Revision extends Commit {
  /** The reference that led here; undefined for a hash that no reference has. */
  readonly ref: string | undefined;
  /** The tag that was asked for, else the hash. */
  readonly name: string;
  /** All tags on the commit, in byte order. */
  readonly tags: readonly string[];
}

export type RefName =
  | { readonly kind: 'ref'; readonly ref: string; readonly hash: string }
  /** Maybe the beginning of the hash of a commit that no reference has. */
  | { readonly kind: 'hash'; readonly hash: string }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'ambiguous' };

/** What the listing alone can tell of a name. */
export function findRef(refs: Refs, name: string): RefName {
  const full = [`refs/tags/${name}`, `refs/heads/${name}`, ...(name === 'HEAD' ? ['HEAD'] : [])].find((ref) => refs.hashes.has(ref));
  if (full !== undefined) return { kind: 'ref', ref: full, hash: refs.hashes.get(full) as string };
  if (!isHashPrefix(name)) return { kind: 'unknown' };
  let found: { readonly ref: string; readonly hash: string } | undefined;
  for (const [ref, hash] of refs.hashes) {
    if (!hash.startsWith(name)) continue;
    if (found !== undefined && found.hash !== hash) return { kind: 'ambiguous' };
    if (found === undefined || ref < found.ref) found = { ref, hash };
  }
  return found === undefined ? { kind: 'hash', hash: name } : { kind: 'ref', ...found };
}

export function isHashPrefix(name: string): boolean {
  return /^[0-9a-f]{7,64}$/.test(name);
}

/** @throws {HubError} not-found, storage-fault */
export async function statRevision({ refs, objects }: RepositoryState, name: string, signal: AbortSignal): Promise<Revision> {
  const found = findRef(refs, name);
  if (found.kind === 'ambiguous') throw new HubError('not-found', `ambiguous revision ${name}`);
  if (found.kind === 'unknown') throw new HubError('not-found', `unknown revision ${name}`);
  const commit = await objects.commit(found.hash, signal);
  if (commit === undefined) {
    if (found.kind === 'hash') throw new HubError('not-found', `unknown revision ${name}`);
    await mustHave(objects, found.hash, signal);
    throw new HubError('not-found', `${found.ref} is on no commit`);
  }
  // HEAD stands for a hash then, and go does not name it.
  const ref = found.kind === 'ref' && found.ref !== 'HEAD' ? found.ref : undefined;
  return { ...commit, ref, name: ref === `refs/tags/${name}` ? name : commit.hash, tags: tagsOn(refs, commit.hash) };
}

/** The tip of the default branch. @throws {HubError} not-found when the repository has no commits */
export async function statHead({ refs, objects }: RepositoryState, signal: AbortSignal): Promise<Revision> {
  const hash = refs.hashes.get('HEAD');
  if (hash === undefined) throw new HubError('not-found', 'the repository has no commits on its default branch');
  const commit = await objects.commit(hash, signal);
  if (commit === undefined) await mustHave(objects, hash, signal);
  if (commit === undefined) throw new HubError('not-found', 'the default branch of the repository is on no commit');
  return { ...commit, ref: 'HEAD', name: commit.hash, tags: tagsOn(refs, commit.hash) };
}

/** What is listed and cannot be found is a fault of the mirror, and no absence. */
async function mustHave(objects: MirrorObjects, hash: string, signal: AbortSignal): Promise<void> {
  if (!(await objects.has(hash, signal))) throw new HubError('storage-fault', `the mirror does not have object ${hash}, which it lists`);
}
