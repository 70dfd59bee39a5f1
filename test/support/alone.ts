/**
 * Run by itself in a network namespace that has nothing but loopback: starts a hub without upstreams on a data folder, runs go commands through it, each with
 * an empty HOME and on a fresh copy of its sources, and prints what came of them as JSON.
 */
import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { startHub } from './hub-process.ts';

export interface AloneOrder {
  readonly dataDir: string;
  /** For copies, module caches and homes. */
  readonly folder: string;
  readonly runs: readonly { readonly sources: string; readonly args: readonly string[]; readonly env?: Readonly<Record<string, string>> }[];
}

export interface AloneResult {
  readonly interfaces: readonly string[];
  readonly runs: readonly { readonly code: number; readonly output: string; readonly changed: readonly string[] }[];
}

async function alone({ dataDir, folder, runs }: AloneOrder): Promise<AloneResult> {
  await using hub = await startHub({ dataDir, upstreams: ['off'], workers: 1 });
  const results: AloneResult['runs'][number][] = [];
  for (const run of runs) {
    const home = join(folder, 'home');
    const sources = join(folder, 'sources');
    await mkdir(home, { recursive: true });
    await cp(run.sources, sources, { recursive: true });
    const env = { PATH: process.env['PATH'] ?? '', HOME: home, GOPROXY: hub.url, GOFLAGS: '-modcacherw', GOTOOLCHAIN: 'local', ...run.env };
    const ran = await new Promise<{ code: number; output: string }>((resolve) =>
      execFile('go', [...run.args], { cwd: sources, env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : 1, output: (stdout + stderr).slice(-4_000) }),
      ),
    );
    const changed: string[] = [];
    for (const name of ['go.mod', 'go.sum'])
      if ((await text(join(sources, name))) !== (await text(join(run.sources, name)))) changed.push(name);
    results.push({ ...ran, changed });
    await chmodAll(home);
    await rm(home, { recursive: true, force: true });
    await rm(sources, { recursive: true, force: true });
  }
  return { interfaces: Object.keys(networkInterfaces()), runs: results };
}

function text(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}

/** A downloaded toolchain is read-only, whatever GOFLAGS says. */
async function chmodAll(folder: string): Promise<void> {
  await chmod(folder, 0o755).catch(() => {});
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => []))
    if (entry.isDirectory()) await chmodAll(join(folder, entry.name));
}

const [order = ''] = process.argv.slice(2);
process.stdout.write(`${JSON.stringify(await alone(JSON.parse(order) as AloneOrder))}\n`);
