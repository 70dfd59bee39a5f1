import { join } from 'node:path';
import { type TestChecksumDatabase, TestChecksumDatabase as Database, serveChecksumDatabase } from './checksum-database-server.ts';
import { type HubOptions, type HubProcess, startHub, temporaryFolder } from './hub-process.ts';
import { type ScriptedUpstream, type ScriptedUpstreamOptions, startScriptedUpstream } from './scripted-upstream.ts';
import { type ModuleRecipe, type SyntheticModule, address, escaped, makeModule } from './synthetic-module.ts';

export type DatabaseServer = Awaited<ReturnType<typeof serveChecksumDatabase>>;

/** A public Go world of a few modules on loopback: an upstream, a checksum database with a key of its own, and folders. */
export interface SyntheticWorld extends AsyncDisposable {
  readonly folder: string;
  readonly upstream: ScriptedUpstream;
  readonly database: TestChecksumDatabase;
  readonly databaseServer: DatabaseServer;
  /** What GOSUMDB says for a client that reaches the database through its GOPROXY. */
  readonly goSumDb: string;
  /** Makes a module, records it in the database and puts it on the upstream, `@v/list` included. */
  publish(path: string, version: string, recipe?: ModuleRecipe): SyntheticModule;
  /** A hub on this world; its data lies in `folder/data` unless said otherwise. */
  hub(options?: Partial<HubOptions>): Promise<HubProcess>;
  /** Upstream and database go away, connections included. */
  disconnect(): Promise<void>;
  /** Requests for modules; probes and database traffic are not counted. */
  moduleRequests(): readonly string[];
}

/** Time limits that keep tests quick; what is absent is asked for anew each time. */
export const quickLimits: Readonly<Record<string, string>> = {
  GOYI_LIMITS_UPSTREAM_SECONDS: '2',
  GOYI_LIMITS_IDLE_SECONDS: '1',
  GOYI_LIMITS_DRAIN_SECONDS: '5',
  GOYI_FRESHNESS_NEGATIVE_SECONDS: '0',
  GOYI_FRESHNESS_LIST_SECONDS: '0',
};

/** Starts an upstream and a database; hubs are started from it. */
export async function startWorld(options: { upstream?: ScriptedUpstreamOptions } = {}): Promise<SyntheticWorld> {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder());
  const upstream = stack.use(await startScriptedUpstream(options.upstream));
  const database = new Database();
  database.pad(3);
  const databaseServer = stack.use(await serveChecksumDatabase(database));
  return {
    folder: folder.path,
    upstream,
    database,
    databaseServer,
    goSumDb: database.key.text,
    publish(path, version, recipe = {}) {
      const made = makeModule(path, version, recipe);
      database.add(path, version, made);
      serveModule(upstream, made);
      return made;
    },
    hub(overrides = {}) {
      const env = { GOYI_CHECKSUM_DATABASES: `${database.key.text} ${databaseServer.url}`, ...quickLimits, ...overrides.env };
      return startHub({ dataDir: join(folder.path, 'data'), upstreams: [upstream.url], ...overrides, env });
    },
    async disconnect() {
      await upstream.down();
      databaseServer.lie = () => ({ status: 503, body: Buffer.from('gone') });
    },
    moduleRequests: () => upstream.requests.map(({ url }) => url).filter((url) => !url.includes('/sumdb/')),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Puts the files of a module version on an upstream, without recording anything. */
export function serveModule(upstream: ScriptedUpstream, made: SyntheticModule): void {
  const base = address(made);
  upstream.files.set(`${base}info`, Buffer.from(made.info));
  upstream.files.set(`${base}mod`, Buffer.from(made.goMod));
  upstream.files.set(`${base}zip`, made.zip);
  const list = `${escaped(made.path)}/@v/list`;
  upstream.files.set(list, Buffer.from(`${upstream.files.get(list)?.toString() ?? ''}${made.version}\n`));
}
