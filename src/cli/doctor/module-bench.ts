import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Parsed } from '../../base/parsed.ts';
import type { RecordHashes } from '../../protocol/checksum-record.ts';
import { type Hash, hashGoMod } from '../../protocol/dirhash.ts';
import type { GoSumLine } from '../../protocol/go-sum.ts';
import type { ModuleAt } from '../../protocol/main-go-mod.ts';
import { matchesPattern, parseModulePatterns } from '../../protocol/module-pattern.ts';
import { escapePath } from '../../protocol/module-path.ts';
import { escapeVersion } from '../../protocol/version.ts';
import { type DatabaseWay, lookUp, wayToDatabase } from './database.ts';
import type { Settings } from './facts.ts';
import { hashModuleFolder, hashZip, hashZipFile } from './module-hashes.ts';
import type { Answer, Network } from './network.ts';
import { modulesOf, type Project } from './project.ts';
import { below, type ProxyEntry } from './proxy-list.ts';

/** One question to one proxy, as the go command asks them in turn. */
export interface Step {
  readonly entry: ProxyEntry & { readonly kind: 'proxy' };
  readonly url: URL;
  readonly answer: Answer;
}

/** How far the go command gets along GOPROXY. */
export type WayEnd =
  | { readonly kind: 'found'; readonly base: URL }
  /** An answer that `,` does not let it pass. */
  | { readonly kind: 'stopped'; readonly at: Step }
  /** On to the repository: GOPROXY says `direct`, or the module is not for proxies. */
  | { readonly kind: 'direct' }
  | { readonly kind: 'absent' }
  /** The list begins with a folder or has a fault of its own. */
  | { readonly kind: 'unknown' };

/** What the module cache has. Hashes are made from the bytes. */
export interface Cached {
  readonly folder: string;
  /** Without extension: `…/@v/v1.5.2`. */
  readonly files: string;
  readonly zip: Parsed<Hash> | undefined;
  /** What its `.ziphash` says, which is all that a build compares. */
  readonly written: string | undefined;
  readonly unpacked: Hash | undefined;
  readonly goMod: Hash | undefined;
  readonly goModText: string | undefined;
}

export interface Examined {
  readonly module: ModuleAt;
  readonly sumZip: readonly GoSumLine[];
  readonly sumMod: readonly GoSumLine[];
  readonly cached: Cached;
  /** Undefined: nobody had to be asked. */
  readonly asked: Asked | undefined;
}

export interface Asked {
  readonly steps: readonly Step[];
  readonly end: WayEnd;
  readonly goMod: Hash | undefined;
  readonly goModText: string | undefined;
  /** Undefined where it was not fetched. */
  readonly zip: Hash | undefined;
  /** Undefined where no database is to be asked for this module. */
  readonly record: Parsed<RecordHashes | 'absent'> | undefined;
}

/** The rest is not looked at; a note says so. */
export const CACHED_MODULES_MAX = 500;
/** Of modules that the cache lacks, or that are in doubt. */
export const ASKED_MODULES_MAX = 30;
const ZIPS_BYTES_MAX = 64 * 1024 * 1024;
const AT_ONCE = 4;

/** Puts the modules of the project on the bench: what go.sum, cache, proxy and database each say of them. */
export class ModuleBench {
  readonly #settings: Settings;
  readonly #project: Project;
  readonly #proxies: readonly ProxyEntry[];
  readonly #network: Network;
  readonly #signal: AbortSignal;
  #examined: Promise<readonly Examined[]> | undefined;
  #way: Promise<DatabaseWay | undefined> | undefined;
  #asks = ASKED_MODULES_MAX;
  #zipBytes = ZIPS_BYTES_MAX;
  /** Modules that were not looked at, or not asked about. */
  skipped = 0;

  constructor(parts: { settings: Settings; project: Project; proxies: readonly ProxyEntry[]; network: Network; signal: AbortSignal }) {
    this.#settings = parts.settings;
    this.#project = parts.project;
    this.#proxies = parts.proxies;
    this.#network = parts.network;
    this.#signal = parts.signal;
  }

  examined(): Promise<readonly Examined[]> {
    this.#examined ??= this.#examineAll();
    return this.#examined;
  }

  wayToDatabase(): Promise<DatabaseWay | undefined> {
    if (this.#network.blind) return Promise.resolve(undefined);
    this.#way ??= wayToDatabase(this.#settings.value('GOSUMDB'), this.#proxies, this.#network);
    return this.#way;
  }

  /** Whether a pattern list of the settings covers a module. */
  covers(name: 'GONOPROXY' | 'GONOSUMDB' | 'GOINSECURE', path: string): boolean {
    const patterns = parseModulePatterns(this.#settings.value(name));
    return patterns.ok && matchesPattern(patterns.value, path);
  }

  async #examineAll(): Promise<readonly Examined[]> {
    const all = modulesOf(this.#project);
    this.skipped += Math.max(0, all.length - CACHED_MODULES_MAX);
    const left = all.slice(0, CACHED_MODULES_MAX);
    const done = new Map<string, Examined>();
    const work = async (): Promise<void> => {
      for (let module = left.shift(); module !== undefined; module = left.shift()) {
        this.#signal.throwIfAborted();
        done.set(`${module.path}@${module.version}`, await this.#examine(module));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return all.flatMap((module) => done.get(`${module.path}@${module.version}`) ?? []);
  }

  async #examine(module: ModuleAt): Promise<Examined> {
    const lines = this.#project.goSum.filter(
      (line) => line.path === module.path && line.version === module.version && line.hash !== undefined,
    );
    const sumZip = lines.filter((line) => line.file === 'zip');
    const sumMod = lines.filter((line) => line.file === 'mod');
    const cached = await this.#readCache(module);
    if (isSettled({ sumZip, sumMod, cached }) || this.#network.blind) return { module, sumZip, sumMod, cached, asked: undefined };
    if (this.#asks === 0) {
      this.skipped += 1;
      return { module, sumZip, sumMod, cached, asked: undefined };
    }
    this.#asks -= 1;
    return { module, sumZip, sumMod, cached, asked: await this.#ask(module, sumZip.length > 0 || cached.zip !== undefined) };
  }

  async #readCache({ path, version }: ModuleAt): Promise<Cached> {
    const cache = this.#settings.value('GOMODCACHE');
    const name = `${escapePath(path)}@${escapeVersion(version)}`;
    const folder = join(cache, name);
    const files = join(cache, 'cache', 'download', escapePath(path), '@v', escapeVersion(version));
    const hasZip = await stat(`${files}.zip`).then(
      () => true,
      () => false,
    );
    const goModText = await readFile(`${files}.mod`, 'utf8').catch(() => undefined);
    return {
      folder,
      files,
      zip: hasZip ? await hashZipFile(`${files}.zip`) : undefined,
      written: hasZip
        ? await readFile(`${files}.ziphash`, 'utf8').then(
            (text) => text.trim(),
            () => undefined,
          )
        : undefined,
      unpacked: await hashModuleFolder(folder, { path, version }),
      goMod: goModText === undefined ? undefined : hashGoMod(Buffer.from(goModText)),
      goModText,
    };
  }

  async #ask(module: ModuleAt, needsZip: boolean): Promise<Asked> {
    const rest = `${escapePath(module.path)}/@v/${escapeVersion(module.version)}`;
    const { steps, end } = await this.#walk(module.path, `${rest}.mod`);
    const last = steps.at(-1)?.answer;
    const found = end.kind === 'found' && last?.kind === 'answer' ? last.body : undefined;
    return {
      steps,
      end,
      goMod: found && hashGoMod(found),
      goModText: found?.toString('utf8'),
      zip: end.kind === 'found' && needsZip ? await this.#hashServedZip(below(end.base, `${rest}.zip`)) : undefined,
      record: this.covers('GONOSUMDB', module.path) ? undefined : await this.#recordOf(module),
    };
  }

  async #walk(path: string, rest: string): Promise<{ steps: readonly Step[]; end: WayEnd }> {
    const steps: Step[] = [];
    if (this.covers('GONOPROXY', path)) return { steps, end: { kind: 'direct' } };
    for (const entry of this.#proxies) {
      if (entry.kind === 'direct') return { steps, end: { kind: 'direct' } };
      if (entry.kind === 'off') return { steps, end: { kind: 'absent' } };
      if (entry.kind !== 'proxy') return { steps, end: { kind: 'unknown' } };
      const url = below(entry.url, rest);
      const answer = await this.#network.get(url);
      const step = { entry, url, answer };
      steps.push(step);
      if (answer.kind === 'answer' && answer.status === 200) return { steps, end: { kind: 'found', base: entry.url } };
      const isAbsent = answer.kind === 'answer' && (answer.status === 404 || answer.status === 410);
      if (!isAbsent && entry.after !== '|') return { steps, end: { kind: 'stopped', at: step } };
    }
    return { steps, end: { kind: 'absent' } };
  }

  async #hashServedZip(url: URL): Promise<Hash | undefined> {
    if (this.#zipBytes <= 0) return undefined;
    const bytes = await this.#network.download(url, this.#zipBytes);
    this.#zipBytes -= bytes?.length ?? 0;
    const hash = bytes === undefined ? undefined : hashZip(bytes);
    return hash?.ok === true ? hash.value : undefined;
  }

  async #recordOf(module: ModuleAt): Promise<Parsed<RecordHashes | 'absent'> | undefined> {
    const way = await this.wayToDatabase();
    return way === undefined ? undefined : await lookUp(way, module, this.#network);
  }
}

/**
 * Whether go.sum and cache agree, so that nobody else has to be asked. A module of which go.sum has the go.mod alone gives no package to
 * the build: its zip is never fetched.
 */
function isSettled({ sumZip, sumMod, cached }: Pick<Examined, 'sumZip' | 'sumMod' | 'cached'>): boolean {
  const { zip, goMod } = cached;
  const isModRight = goMod === undefined || sumMod.every(({ hash }) => hash === goMod);
  if (zip === undefined) return sumZip.length === 0 && goMod !== undefined && isModRight;
  return zip.ok && isModRight && sumZip.every(({ hash }) => hash === zip.value);
}
