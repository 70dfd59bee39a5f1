import type { BlobKey } from '../base/blob-key.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Metadata, WishRow } from '../meta/metadata.ts';
import { moduleFileKey, MODULES_PREFIX } from '../protocol/layout.ts';
import { escapePath, type ModulePath, parseModulePath } from '../protocol/module-path.ts';
import type { ProxyRequest } from '../protocol/proxy-request.ts';
import { checkPathVersion } from '../protocol/version.ts';

const FLUSH_EVERY_MS = 5_000;
/** Between two batches; what is asked for beyond that is asked for again. */
const PENDING_MAX = 2_000;
/** As many as are kept. */
export const WISHES_MAX = 10_000;

type WishMetadata = Pick<Metadata, 'recordWishes' | 'wishes' | 'forgetWishes' | 'storedVersions' | 'file' | 'filesAfter'>;

interface Pending {
  readonly module: ModulePath;
  readonly version: string;
  /** Perhaps no module at all: a path on the way to one. */
  isProbe: boolean;
  count: number;
}

/**
 * What clients of a hub without upstreams ask for in vain. They ask in two ways: for the `.mod` or `.zip` of a version, which is clear, and for the list of versions
 * or the `.info` at every prefix of an import path, of which one at most is a module. Of those lists the longest path is kept, and none whose beginning is a module that
 * is here; of both, none that only leads to modules that are here. Whoever fulfils the wish outside sees which prefix it is.
 *
 * Counted in memory and written in batches: a miss costs no database.
 */
export class Wishes implements AsyncDisposable {
  readonly #metadata: WishMetadata;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  readonly #pending = new Map<string, Pending>();
  #flushing: Promise<void> | undefined;

  constructor(options: { readonly metadata: WishMetadata; readonly clock: Clock; readonly log: Log }) {
    this.#metadata = options.metadata;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#timer = setInterval(() => void this.flush(), FLUSH_EVERY_MS).unref();
  }

  /** Takes note of a request that was answered with: there is no such thing here. */
  missed(request: ProxyRequest): void {
    const version = versionAsked(request);
    if (version === undefined || !('module' in request)) return;
    const { module } = request;
    const name = `${module}@${version}`;
    const isProbe = request.kind !== 'file' || request.file === 'info';
    const known = this.#pending.get(name);
    if (known !== undefined) {
      known.count += 1;
      known.isProbe &&= isProbe;
    } else if (this.#pending.size < PENDING_MAX) this.#pending.set(name, { module, version, isProbe, count: 1 });
  }

  /** Writes what was noted. Never rejects: a lost batch is asked for again. */
  async flush(): Promise<void> {
    if (this.#flushing !== undefined) return this.#flushing;
    if (this.#pending.size === 0) return;
    const batch = [...this.#pending.values()];
    this.#pending.clear();
    this.#flushing = this.#write(batch)
      .catch((error: unknown) => this.#log.warn('wishes could not be written', { error: messageOf(error), wishes: batch.length }))
      .finally(() => {
        this.#flushing = undefined;
      });
    await this.#flushing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#flushing;
    await this.flush();
  }

  async #write(batch: readonly Pending[]): Promise<void> {
    const longest = new Set(withoutPrefixes(batch.filter(({ version }) => version === '').map(({ module }) => module)));
    const kept: Pending[] = [];
    for (const wish of batch) {
      const { module, version, isProbe } = wish;
      if (version === '' && (!longest.has(module) || (await this.#isBelowStored(module)))) continue;
      if (isProbe && (await this.#isAboveStored(module))) continue;
      kept.push(wish);
    }
    const wishes = kept.map(({ module, version, count }) => ({ module, version, count }));
    if (wishes.length > 0) await this.#metadata.recordWishes(wishes, this.#clock.wallMs());
  }

  /** There are modules below it, and it is none. */
  async #isAboveStored(module: ModulePath): Promise<boolean> {
    const prefix = `${MODULES_PREFIX}${escapePath(module)}/`;
    const [next] = await this.#metadata.filesAfter(prefix as BlobKey, 1);
    return next?.key.startsWith(prefix) === true && next.module !== module;
  }

  async #isBelowStored(module: ModulePath): Promise<boolean> {
    for (const above of prefixesOf(module)) if ((await this.#metadata.storedVersions(above, 'public')).length > 0) return true;
    return false;
  }
}

/**
 * What is still wished for: wishes that were fulfilled meanwhile are forgotten, and so are those that a longer or a clearer one takes the place of. The list
 * is carried outside, so what became a private name after it was asked for is forgotten as well.
 */
export async function openWishes(metadata: WishMetadata, isPrivate: (module: ModulePath) => boolean): Promise<readonly WishRow[]> {
  const rows = await metadata.wishes(WISHES_MAX);
  const longest = new Set<string>(withoutPrefixes(rows.map(({ module }) => module)));
  const gone: WishRow[] = [];
  const open: WishRow[] = [];
  for (const row of rows) {
    const isProbe = row.version === '' && !longest.has(row.module);
    if (isProbe || isKeptBack(row, isPrivate) || (await isFulfilled(metadata, row))) gone.push(row);
    else open.push(row);
  }
  // What was asked for on the way to something that is here now.
  const ways = new Set(gone.flatMap(({ module, version }) => textPrefixes(module).map((path) => `${path}@${version}`)));
  for (const row of open) if (row.version !== '' && ways.has(`${row.module}@${row.version}`)) gone.push(row);
  if (gone.length > 0) await metadata.forgetWishes(gone);
  const forgotten = new Set(gone);
  return open.filter((row) => !forgotten.has(row));
}

function isKeptBack({ module }: WishRow, isPrivate: (module: ModulePath) => boolean): boolean {
  const path = parseModulePath(module);
  return path.ok && isPrivate(path.value);
}

async function isFulfilled(metadata: WishMetadata, { module, version }: WishRow): Promise<boolean> {
  const path = parseModulePath(module);
  if (!path.ok) return true;
  if (version === '') {
    for (const above of [path.value, ...prefixesOf(path.value)])
      if ((await metadata.storedVersions(above, 'public')).length > 0) return true;
    return false;
  }
  const canonical = checkPathVersion(path.value, version);
  return canonical.ok && (await metadata.file(moduleFileKey(path.value, canonical.value, 'zip'))) !== undefined;
}

/** Empty: any; undefined: the request wishes for nothing that could be carried. */
function versionAsked(request: ProxyRequest): string | undefined {
  switch (request.kind) {
    case 'file':
      return request.version;
    case 'query':
      return request.query === 'latest' ? '' : request.query;
    case 'list':
    case 'latest':
      return '';
    default:
      return undefined;
  }
}

function withoutPrefixes<Path extends string>(paths: readonly Path[]): readonly Path[] {
  const prefixes = new Set(paths.flatMap((path) => textPrefixes(path)));
  return paths.filter((path) => !prefixes.has(path));
}

function prefixesOf(module: ModulePath): readonly ModulePath[] {
  return textPrefixes(module).flatMap((text) => {
    const path = parseModulePath(text);
    return path.ok ? [path.value] : [];
  });
}

/** `a.b/c/d` → `a.b/c`, `a.b`. */
function textPrefixes(path: string): readonly string[] {
  const elements = path.split('/');
  return elements.slice(1).map((_, i) => elements.slice(0, elements.length - 1 - i).join('/'));
}
