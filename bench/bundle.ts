// node bench/bundle.ts [--modules N] [--mib N] [--folder DIR] [--rounds N] [--skip-http] [--sm2]: what create, verify and import of a bundle take, as a share of the speed at which
// cp with a sync copies the same bytes between the same folders, in the same run. Modules are made up and do not compress.
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { serveChecksumDatabase, TestChecksumDatabase } from '../test/support/checksum-database-server.ts';
import { startHub } from '../test/support/hub-process.ts';
import { makeModule, type SyntheticModule } from '../test/support/synthetic-module.ts';
import { usageOf } from './process-tree.ts';

const { values: flags } = parseArgs({
  options: {
    modules: { type: 'string', default: '96' },
    mib: { type: 'string', default: '10' },
    folder: { type: 'string', default: tmpdir() },
    'skip-http': { type: 'boolean', default: false },
    sm2: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '3' },
  },
});
const count = Number(flags.modules);
const fillBytes = Number(flags.mib) * 1024 * 1024;
const run = promisify(execFile);
const launcher = fileURLToPath(new URL('../bin/goyi.mjs', import.meta.url));
const names = Array.from({ length: count }, (_, i) => ({ path: `bench.example/m${i}`, version: 'v1.0.0' }));
/** The same bytes in each module behind another line: they do not compress, and making them does not keep the processors from what is measured. */
const filling = randomBytes(fillBytes);
const made = ({ path, version }: { readonly path: string; readonly version: string }): SyntheticModule =>
  makeModule(path, version, {
    entries: [{ name: `${path}@${version}/fill.bin`, content: Buffer.concat([Buffer.from(`${path}\n`), filling]), stored: true }],
  });

const folder = await mkdtemp(join(flags.folder, 'goyi-bench-bundle-'));
try {
  await measure();
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function measure(): Promise<void> {
  const database = new TestChecksumDatabase();
  for (const name of names) database.add(name.path, name.version, made(name));
  database.pad(300);
  await using databaseServer = await serveChecksumDatabase(database);
  const upstream = await serveModules();
  const env = { GOYI_CHECKSUM_DATABASES: `${database.key.text} ${databaseServer.url}`, GOYI_DATA_DIR: join(folder, 'data') };
  const goyi = (args: readonly string[], dataDir = 'data'): Promise<Ran> => runGoyi(args, { ...env, GOYI_DATA_DIR: join(folder, dataDir) });
  const address = upstream.address() as AddressInfo;
  const hub = await startHub({ dataDir: join(folder, 'data'), upstreams: [`http://127.0.0.1:${address.port}`], env });
  const key = (await goyi(['key', 'new'])).output.split('\n').find((line) => line.startsWith('goyi-bundle+')) ?? '';
  if (flags.sm2) await goyi(['key', 'new', '--sm2']);
  const operands = names.map(({ path, version }) => `${path}@${version}`);
  const bundle = join(folder, 'b.goyi');
  const make = (...more: readonly string[]): Promise<Ran> => goyi(['create', ...operands, '--out', bundle, '--hub', hub.url, ...more]);
  try {
    told('hub cold', await make());
    for (let round = 1; round <= Number(flags.rounds); round += 1) {
      const sizeBytes = (await stat(bundle)).size;
      const copied = await copy(bundle, join(folder, 'copy'));
      console.log(`round ${round}: ${(sizeBytes / 1024 ** 2).toFixed(0)} MiB; cp and sync ${copied.toFixed(1)} s`);
      if (!flags['skip-http']) told('  create, by HTTP', await make(), copied);
      told('  create, from the store', await make('--from-store'), copied);
      told('  verify', await goyi(['verify', bundle]), copied);
      const inside = `inside-${round}`;
      await goyi(['key', 'trust', key], inside);
      told('  import', await goyi(['import', bundle], inside), copied);
      await rm(join(folder, inside), { recursive: true });
    }
  } finally {
    await hub.stop();
    upstream.closeAllConnections();
    upstream.close();
  }
}

interface Ran {
  readonly seconds: number;
  readonly peakMiB: number;
  readonly output: string;
}

function told(what: string, { seconds, peakMiB }: Ran, copied?: number): void {
  const share = copied === undefined ? '' : `, ${((100 * copied) / seconds).toFixed(0)} % of cp`;
  console.log(`${what}: ${seconds.toFixed(1)} s${share}, ${peakMiB.toFixed(0)} MiB of memory`);
}

async function copy(from: string, to: string): Promise<number> {
  await run('sync');
  const before = performance.now();
  await run('cp', [from, to]);
  await run('sync', [to]);
  const seconds = (performance.now() - before) / 1000;
  await rm(to);
  return seconds;
}

async function runGoyi(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ran> {
  await run('sync');
  await mkdir(folder, { recursive: true });
  const { PATH = '', HOME = '' } = process.env;
  const before = performance.now();
  const child = spawn(process.execPath, [launcher, 'bundle', ...args], { env: { PATH, HOME, LANG: 'C', ...env }, cwd: folder });
  let [output, peakMiB] = ['', 0];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  const timer = setInterval(() => {
    peakMiB = Math.max(peakMiB, usageOf(child.pid ?? 0).peakMiB);
  }, 50);
  const [code] = (await once(child, 'close')) as [number | null];
  clearInterval(timer);
  if (code !== 0) throw new Error(`goyi bundle ${args.slice(0, 1).join(' ')} ended with ${code}: ${output.slice(-2000)}`);
  return { seconds: (performance.now() - before) / 1000, peakMiB, output };
}

/** Makes each module when it is asked for, so that this process stays small. */
async function serveModules(): Promise<Server> {
  const server = createServer((request, response) => {
    const [, path = '', version = '', extension] = /^\/(.*)\/@v\/(v.*)\.(info|mod|zip)$/.exec(request.url ?? '') ?? [];
    if (!names.some((name) => name.path === path && name.version === version)) return response.writeHead(404).end();
    if (extension === 'mod') return response.end(`module ${path}\n\ngo 1.21\n`);
    return response.end(extension === 'zip' ? made({ path, version }).zip : makeModule(path, version).info);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
