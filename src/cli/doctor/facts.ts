import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProxyEntry } from './proxy-list.ts';
import { parseProxyEntries } from './proxy-list.ts';
import { GoTool } from './go-tool.ts';
import { ModuleBench } from './module-bench.ts';
import { Network } from './network.ts';
import type { RepositoryFound } from './repository.ts';
import { modulesOf, type Project, readProject } from './project.ts';

export type Env = Readonly<Record<string, string | undefined>>;

/** Where the value in effect comes from. */
export type Source = 'environment' | 'file' | 'default';

/** What the checks look at. It is gathered once and changes nothing on the machine. */
export interface Facts {
  readonly env: Env;
  readonly go: GoTool | undefined;
  readonly settings: Settings;
  readonly project: Project;
  /** GOPROXY, entry by entry. */
  readonly proxies: readonly ProxyEntry[];
  readonly network: Network;
  readonly modules: ModuleBench;
  /** Git hosts that did not answer: each is waited for once. */
  readonly lostHosts: Map<string, RepositoryFound>;
  /** An answer that takes longer makes every `go get` of a few hundred requests crawl. */
  readonly slowMs: number;
  readonly signal: AbortSignal;
}

/** Names that are asked for: a `go env` for all of them would make a temporary folder, which can fail. */
const NAMES = [
  'GO111MODULE GOARCH GOAUTH GOCACHE GOENV GOFLAGS GOHOSTARCH GOHOSTOS GOINSECURE GOMODCACHE GONOPROXY GONOSUMDB GOOS GOPATH GOPRIVATE',
  'GOPROXY GOROOT GOSUMDB GOTMPDIR GOVERSION',
]
  .join(' ')
  .split(' ');
const FILE_LENGTH_MAX = 64 * 1024;

/** The settings of this user's go command. */
export class Settings {
  readonly #env: Env;
  readonly #effective: Readonly<Record<string, string>>;
  /** Of the file of `go env -w`. */
  readonly written: ReadonlyMap<string, string>;
  /** Undefined: there is none. */
  readonly file: string | undefined;
  /** Lines of that file that the go command passes over without a word. */
  readonly ignored: readonly string[];
  readonly #toolchain: string;

  constructor(parts: {
    env: Env;
    effective: Readonly<Record<string, string>>;
    written: ReadonlyMap<string, string>;
    file: string | undefined;
    ignored: readonly string[];
    toolchain: string;
  }) {
    this.#env = parts.env;
    this.#effective = parts.effective;
    this.written = parts.written;
    this.file = parts.file;
    this.ignored = parts.ignored;
    this.#toolchain = parts.toolchain;
  }

  /** '' for one that is not set. */
  value(name: string): string {
    return name === 'GOTOOLCHAIN' ? this.#toolchain : (this.#effective[name] ?? '');
  }

  source(name: string): Source {
    return this.#env[name] ? 'environment' : this.written.get(name) ? 'file' : 'default';
  }

  /** GONOPROXY and GONOSUMDB are GOPRIVATE where they are not set: the variable that decides. */
  decides(name: 'GONOPROXY' | 'GONOSUMDB'): string {
    return this.source(name) === 'default' ? 'GOPRIVATE' : name;
  }
}

export interface FactsOptions {
  readonly env: Env;
  /** Absolute: the one that is looked at. */
  readonly folder: string;
  /** Default: {@link SLOW_MS}. */
  readonly slowMs?: number;
  readonly signal: AbortSignal;
}

const SLOW_MS = 2_000;

/** To be disposed of: its connections end then. */
export async function gatherFacts({ env, folder, slowMs = SLOW_MS, signal }: FactsOptions): Promise<Facts & AsyncDisposable> {
  const go = await GoTool.find(env);
  const settings = await readSettings(go, env, signal);
  const project = await readProject(folder, settings.value('GO111MODULE') !== 'off');
  const proxies = parseProxyEntries(settings.value('GOPROXY'));
  const hosts = [...new Set(modulesOf(project).map(({ path }) => path.split('/')[0] ?? path))];
  const network = await Network.open({ env, settings, proxies, hosts, signal });
  const modules = new ModuleBench({ settings, project, proxies, network, signal });
  return {
    env,
    go,
    settings,
    project,
    proxies,
    network,
    modules,
    lostHosts: new Map(),
    slowMs,
    signal,
    [Symbol.asyncDispose]: () => network[Symbol.asyncDispose](),
  };
}

async function readSettings(go: GoTool | undefined, env: Env, signal: AbortSignal): Promise<Settings> {
  const said = await go?.run(['env', '-json', ...NAMES], signal);
  const effective = said?.code === 0 ? (JSON.parse(said.stdout) as Record<string, string>) : {};
  const place = effective['GOENV'];
  const file = place === undefined || place === '' || place === 'off' ? undefined : place;
  const lines = file === undefined ? [] : await linesOf(file);
  const written = settingsIn(lines);
  const ofSdk = settingsIn(await linesOf(join(effective['GOROOT'] ?? '', 'go.env')));
  const toolchain = env['GOTOOLCHAIN'] || written.get('GOTOOLCHAIN') || ofSdk.get('GOTOOLCHAIN') || 'auto';
  const ignored = lines.filter((line) => !/^(?:[A-Z][^=]*=|\s*(?:#|$))/.test(line));
  return new Settings({ env, effective, written, file, ignored, toolchain });
}

async function linesOf(file: string): Promise<readonly string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.slice(0, FILE_LENGTH_MAX).split(/\r?\n/);
}

function settingsIn(lines: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    lines.flatMap((line) => {
      const [, name, value] = /^([A-Z]\w*)=(.*)$/.exec(line) ?? [];
      return name === undefined || value === undefined ? [] : [[name, value] as const];
    }),
  );
}
