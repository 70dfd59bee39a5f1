// Real projects in a network namespace that has nothing but loopback: what a bundle brought is all there is, and a stock go command with an empty HOME does its everyday
// work, against the key of the public checksum database that is built into it. Needs unshare, ip and user namespaces, and the upstream of this machine's Go.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { AloneOrder, AloneResult } from '../support/alone.ts';
import { realUpstream, runGo } from '../support/go-command.ts';
import { ask } from '../support/hub-client.ts';
import { type HubProcess, roomyFolder, runGoyi, startHub } from '../support/hub-process.ts';

const run = promisify(execFile);
const aloneScript = fileURLToPath(new URL('../support/alone.ts', import.meta.url));

const project = { path: 'github.com/gin-gonic/gin', version: 'v1.10.0' };
let folder: Awaited<ReturnType<typeof roomyFolder>>;
let hub: HubProcess;
let toolchain: string;
const at = (name: string): string => join(folder.path, name);

before(async () => {
  await run('unshare', ['-rn', 'ip', 'link', 'set', 'lo', 'up']).catch((error: Error) => {
    throw new Error(`this test needs unshare and ip with user namespaces: apt-get install util-linux iproute2 (${error.message})`);
  });
  folder = await roomyFolder(3 * 1024 ** 3);
  hub = await startHub({ dataDir: at('outside'), upstreams: [await realUpstream()], workers: 1 });
  const settings = { GOPROXY: hub.url, GOMODCACHE: at('first/mod'), GOFLAGS: '-modcacherw' };
  const got = await runGo(folder.path, ['mod', 'download', '-json', `${project.path}@${project.version}`], settings);
  assert.equal(got.code, 0, got.stderr);
  const { Dir } = JSON.parse(got.stdout) as { readonly Dir: string };
  await cp(Dir, at('gin'), { recursive: true });
  const [, major, minor] = /go1\.(\d+)(?:\.(\d+))?/.exec((await run('go', ['env', 'GOVERSION'])).stdout) ?? [];
  const newer = (await ask(hub, 'golang.org/toolchain/@v/list')).body
    .toString()
    .split('\n')
    .flatMap((line) => /^v0\.0\.1-go(1\.(\d+)\.(\d+))\.linux-amd64$/.exec(line) ?? [])
    .filter((version) => /^1\.\d+\.\d+$/.test(version))
    .filter(
      (version) =>
        Number(version.split('.')[1]) > Number(major) || (version.split('.')[1] === major && Number(version.split('.')[2]) > Number(minor)),
    );
  toolchain = newer.at(-1) ?? assert.fail('the upstream has no newer toolchain than that of this machine');
  await mkdir(at('newer'));
  await writeFile(at('newer/go.mod'), `module newer.example/m\n\ngo ${toolchain}\n`);
  await writeFile(at('newer/m.go'), 'package m\n');
});

after(async () => {
  await hub?.stop();
  await folder?.[Symbol.asyncDispose]();
});

async function alone(order: AloneOrder): Promise<AloneResult> {
  const command = ['-rn', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"', process.execPath, aloneScript, JSON.stringify(order)];
  const { stdout } = await run('unshare', command, { maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout) as AloneResult;
}

test('gin and a newer toolchain, carried in: everything that a developer does in a day', async () => {
  const outside = ['--data-dir', at('outside')];
  const made = await runGoyi(['bundle', 'key', 'new', ...outside]);
  assert.equal(made.code, 0, made.output);
  const bundle = at('week.goyi');
  const args = ['bundle', 'create', at('gin'), '--sdk', toolchain, '--out', bundle, '--hub', hub.url, ...outside];
  // A build machine far from the upstream takes its time.
  for (let attempt = 0; attempt < 20; attempt += 1) if ((await runGoyi(args)).code === 0) break;
  const key = made.output.split('\n').find((line) => line.startsWith('goyi-bundle+')) ?? '';
  const imported = await runGoyi(['bundle', 'import', bundle, '--key', key, '--data-dir', at('inside')]);
  assert.equal(imported.code, 0, imported.output);

  const gin = at('gin');
  const runs: AloneOrder['runs'] = [
    ['mod', 'download'],
    ['build', './...'],
    ['vet', './...'],
    ['test', '-count=1', './binding/...', './render/...'],
    ['mod', 'tidy'],
    ['list', '-m', 'all'],
    ['mod', 'verify'],
    ['list', '-deps', '-test', './...'],
  ].map((goArgs) => ({ sources: gin, args: goArgs }));
  const switching = { sources: at('newer'), args: ['version'], env: { GOTOOLCHAIN: 'auto' } };
  const { interfaces, runs: results } = await alone({ dataDir: at('inside'), folder: at('alone'), runs: [...runs, switching] });
  assert.deepEqual(interfaces, ['lo']);
  for (const [i, { code, output, changed }] of results.entries()) {
    assert.equal(code, 0, `go ${[...runs, switching][i]?.args.join(' ')}: ${output}`);
    assert.deepEqual(changed, []);
  }
  assert.match(results.at(-1)?.output ?? '', new RegExp(`go${toolchain.replaceAll('.', '\\.')} `));
});
