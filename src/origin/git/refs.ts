/**
 * The references of a repository as `git ls-remote` lists them: HEAD, heads and tags, each with the object that it stands for after all annotated
 * tags on the way. A listing is kept as text, so that it can lie beside the objects it belongs to.
 */

export interface Refs {
  /** Full names (`HEAD`, `refs/heads/main`, `refs/tags/v1.0.0`) and the hashes of what they stand for: mostly commits, of tags also blobs and trees. */
  readonly hashes: ReadonlyMap<string, string>;
  readonly text: string;
}

export const NO_REFS: Refs = { hashes: new Map(), text: '' };

/** Lines of anything else are passed over. */
export function parseRefs(text: string): Refs {
  const hashes = new Map<string, string>();
  const peeled: [string, string][] = [];
  for (const line of text.split('\n')) {
    const [hash = '', name = '', ...more] = line.split(/[ \t]+/);
    if (more.length > 0 || !/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(hash)) continue;
    if (name !== 'HEAD' && !name.startsWith('refs/heads/') && !name.startsWith('refs/tags/')) continue;
    if (name.endsWith('^{}')) peeled.push([name.slice(0, -'^{}'.length), hash]);
    else hashes.set(name, hash);
  }
  for (const [name, hash] of peeled) hashes.set(name, hash);
  return { hashes, text };
}

/** Names of tags, without `refs/tags/`, in byte order. */
export function tagNames(refs: Refs, prefix = ''): readonly string[] {
  const start = `refs/tags/${prefix}`;
  const names = [...refs.hashes.keys()].filter((name) => name.startsWith(start)).map((name) => name.slice('refs/tags/'.length));
  return inByteOrder(names);
}

/** Names of the tags on this very object, in byte order. */
export function tagsOn(refs: Refs, hash: string): readonly string[] {
  const names: string[] = [];
  for (const [name, target] of refs.hashes)
    if (target === hash && name.startsWith('refs/tags/')) names.push(name.slice('refs/tags/'.length));
  return inByteOrder(names);
}

export function tagHash(refs: Refs, tag: string): string | undefined {
  return refs.hashes.get(`refs/tags/${tag}`);
}

function inByteOrder(names: readonly string[]): readonly string[] {
  return names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}
