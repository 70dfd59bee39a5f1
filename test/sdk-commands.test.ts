// goyi sdk against a hub of real processes: over a line that cuts and lies, without a network, on a full disk, stopped in the middle.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { TAR_END, formatTarHeader, tarPadding } from '../src/protocol/tar-format.ts';
import { ask, eventually } from './support/hub-client.ts';
import { type HubProcess, runGoyi } from './support/hub-process.ts';
import { mountSmallDisk } from './support/small-disk.ts';
import { publishToolchain } from './support/synthetic-toolchain.ts';
import { type SyntheticWorld, startWorld } from './support/synthetic-world.ts';
import { type WeakLine, startWeakLine } from './support/weak-line.ts';

const run = promisify(execFile);
const launcher = fileURLToPath(new URL('../bin/goyi.mjs', import.meta.url));
const host = `${process.platform}-${{ x64: 'amd64' }[process.arch as 'x64'] ?? process.arch}`;

let world: SyntheticWorld;
let hub: HubProcess;
let line: WeakLine;
let homes = 0;

before(async () => {
  world = await startWorld();
  for (const release of ['go1.28.9', 'go1.29.3', 'go1.30.1', 'go1.30.2', 'go1.31rc1']) publishToolchain(world, release, { platform: host });
  publishToolchain(world, 'go1.29.4', { platform: host, fillBytes: 4_000_000 });
  publishToolchain(world, 'go1.29.5', { platform: host, fillBytes: 16_000_000 });
  publishToolchain(world, 'go1.30.2', { platform: 'windows-arm64' });
  hub = await world.hub({ workers: 2 });
  line = await startWeakLine(hub);
});

after(async () => {
  await line?.[Symbol.asyncDispose]();
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

interface User {
  readonly home: string;
  readonly sdks: string;
  goyi(args: readonly string[], folder?: string): ReturnType<typeof runGoyi>;
}

/** Somebody with an empty home. What the machine's own Go is set to is not seen. */
async function user(settings: Readonly<Record<string, string>> = {}): Promise<User> {
  homes += 1;
  const home = join(world.folder, `home${homes}`);
  await mkdir(home);
  const env = { HOME: home, GOENV: 'off', GOPROXY: line.url, GOSUMDB: world.goSumDb, ...settings };
  return {
    home,
    sdks: join(home, '.goyi', 'sdk'),
    goyi: (args, folder = home) => runGoyi(['sdk', ...args], { ...env, INIT_CWD: folder }),
  };
}

async function visible({ sdks }: User): Promise<readonly string[]> {
  return (await readdir(sdks).catch((): string[] => [])).filter((name) => name.startsWith('go1')).sort();
}

test('three versions side by side, chosen by default, by project, by name; then removed and pruned', async () => {
  const me = await user();
  const installed = await me.goyi(['install', '1.30.1', '1.29.3', 'oldstable', 'latest', '--json']);
  assert.equal(installed.code, 0, installed.output);
  const told = JSON.parse(installed.output) as { installed: { version: string; receipt: Record<string, unknown> }[]; default: string };
  assert.deepEqual(told.installed.map(({ version }) => version).sort(), ['go1.29.3', 'go1.29.5', 'go1.30.1', 'go1.30.2']);
  assert.equal(told.installed[0]?.receipt['database'], world.goSumDb.split('+')[0]);
  assert.deepEqual(
    await visible(me),
    ['go1.29.3', 'go1.29.5', 'go1.30.1', 'go1.30.2'].map((release) => `${release}.${host}`),
  );
  assert.equal((await me.goyi(['use', '--global', '1.30'])).code, 0);
  assert.equal(await realpath(join(me.sdks, 'current')), await realpath(join(me.sdks, `go1.30.2.${host}`)));
  const { stdout } = await run('sh', ['-c', '. "$HOME/.goyi/sdk/env.sh" && go version'], { env: { HOME: me.home, PATH: '/usr/bin:/bin' } });
  assert.match(stdout, /^go version go1\.30\.2 /);

  const project = join(me.home, 'project');
  await mkdir(join(project, 'deep'), { recursive: true });
  const version = async (folder = join(project, 'deep')): Promise<string> => {
    const ran = await me.goyi(['exec', '--', 'go', 'build', '-o', 'x', '--json'], folder);
    assert.equal(ran.code, 0, ran.output);
    assert.match(ran.output, /toolchain=local goroot= args=build -o x --json/);
    return /go version (\S+)/.exec(ran.output)?.[1] ?? '';
  };
  assert.equal(await version(), 'go1.30.2', 'the default');
  await writeFile(join(project, 'go.mod'), 'module m\n\ngo 1.29.0\n\ntoolchain go1.29.3\n');
  assert.equal(await version(), 'go1.29.3', 'the toolchain line');
  await writeFile(join(project, '.tool-versions'), 'nodejs 26\ngolang 1.30.1\n');
  assert.equal(await version(), 'go1.30.1');
  assert.equal((await me.goyi(['use', '--project', '1.29'], project)).code, 0);
  assert.equal(await readFile(join(project, '.go-version'), 'utf8'), '1.29.5\n');
  assert.equal(await version(), 'go1.29.5');
  const which = await me.goyi(['which'], project);
  assert.ok(which.output.startsWith(join(me.sdks, `go1.29.5.${host}`, 'bin', 'go')), which.output);
  const line129 = await me.goyi(['use', '1.29.3']);
  const evaluated = await run('sh', ['-c', `GOROOT=/nowhere; export GOROOT; ${line129.output}go version`], {
    env: { PATH: '/usr/bin:/bin' },
  });
  assert.match(evaluated.stdout, /go1\.29\.3[\s\S]*goroot= /);
  const failing = await me.goyi(['exec', '1.30.1', '--', 'sh', '-c', 'exit 7']);
  assert.equal(failing.code, 7);

  assert.equal((await me.goyi(['remove', '1.30.2'])).code, 4, 'the default stays');
  const dry = await me.goyi(['prune', '--dry-run']);
  assert.match(dry.output, /would remove go1\.30\.1/);
  assert.equal((await visible(me)).length, 4);
  assert.equal((await me.goyi(['prune'])).code, 0);
  assert.deepEqual(await visible(me), [`go1.29.5.${host}`, `go1.30.2.${host}`]);
  assert.equal((await me.goyi(['remove', '1.29'])).code, 0);
  assert.deepEqual(await visible(me), [`go1.30.2.${host}`]);
  const missing = await me.goyi(['exec', '1.29', '--', 'go', 'version']);
  assert.equal(missing.code, 3);
  assert.match(missing.output, /1\.29 is not installed \(installed: go1\.30\.2\)/);
});

test('what can be had is listed; what cannot says what is near; --dry-run changes nothing', async () => {
  const me = await user();
  const remote = await me.goyi(['list', '--remote', '--json']);
  const { sdks } = JSON.parse(remote.output) as { sdks: { version: string }[] };
  assert.deepEqual(
    sdks.map(({ version }) => version),
    ['go1.31rc1', 'go1.30.2', 'go1.29.5', 'go1.28.9'],
  );
  const unknown = await me.goyi(['install', '1.30.7']);
  assert.equal(unknown.code, 3);
  assert.match(unknown.output, /there is no go1\.30\.7 for \S+; the nearest are go1\.30\.2, go1\.30\.1/);
  const platform = await me.goyi(['install', '1.30.2', '--platform', 'plan9-386']);
  assert.match(platform.output, new RegExp(`there is no go1\\.30\\.2 for plan9-386, only for .*${host}`));
  assert.equal((await me.goyi(['install', 'one.thirty'])).code, 2);
  const dry = await me.goyi(['install', 'stable', '--dry-run', '--lang', 'zh']);
  assert.match(dry.output, /安装 go1\.30\.2/);
  assert.deepEqual(await readdir(me.home), []);
  const foreign = await me.goyi(['install', '1.30.2', '--platform', 'windows-arm64', '--quiet']);
  assert.equal(foreign.code, 0, foreign.output);
  assert.deepEqual(await visible(me), ['go1.30.2.windows-arm64']);
  await stat(join(me.sdks, 'go1.30.2.windows-arm64', 'bin', 'go.exe'));
  const elsewhere = await me.goyi(['install', '1.30', '--hub', world.databaseServer.url]);
  assert.notEqual(elsewhere.code, 0);
});

test('a line that is cut again and again only takes longer', async () => {
  const me = await user();
  const seen = line.requests.length;
  let cuts = 0;
  line.decide = (path) => {
    if (!path.endsWith('.tar.gz')) return { kind: 'none' };
    cuts += 1;
    return { kind: 'cut', afterBytes: 150_000 + Math.floor(Math.random() * 700_000) };
  };
  const installed = await me.goyi(['install', '1.29.4']);
  line.decide = () => ({ kind: 'none' });
  assert.equal(installed.code, 0, installed.output);
  assert.ok(cuts > 4, `${cuts} cuts`);
  const answers = line.requests.slice(seen).filter(({ path }) => path.endsWith('.tar.gz'));
  assert.ok(
    answers.slice(1).every(({ status, range }) => status === 206 && range !== undefined),
    'each goes on where the last broke off',
  );
  assert.match((await me.goyi(['exec', '1.29.4', '--', 'go', 'version'])).output, /go1\.29\.4/);
  assert.deepEqual(await readdir(join(me.sdks, 'staging')), []);
});

test('a large archive comes over several connections, each continued, also by the next run', async () => {
  const me = await user();
  await ask(hub, `dl/go1.29.5.${host}.tar.gz`);
  line.decide = (path) => (path.endsWith('.tar.gz') ? { kind: 'drip', sizeBytes: 128 * 1024, everyMs: 40 } : { kind: 'none' });
  const env = { HOME: me.home, PATH: process.env['PATH'] ?? '', GOENV: 'off', GOPROXY: line.url, GOSUMDB: world.goSumDb, LANG: 'C' };
  const seen = line.requests.length;
  const child = spawn(process.execPath, [launcher, 'sdk', 'install', '1.29.5'], { env, stdio: 'ignore' });
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const parts = Array.from({ length: 4 }, (_, at) => join(me.sdks, 'staging', `go1.29.5.${host}.tar.gz.part${at === 0 ? '' : `.${at}`}`));
  const sizes = (): Promise<readonly number[]> => Promise.all(parts.map((part) => stat(part).then(({ size }) => size)));
  const before = await eventually(sizes, (found) => found.every((size) => size > 300_000), 15_000);
  child.kill('SIGKILL');
  await exited;
  const starts = line.requests.slice(seen).filter(({ path }) => path.endsWith('.tar.gz'));
  assert.equal(new Set(starts.map(({ range }) => range)).size, 4);

  let cuts = 0;
  line.decide = (path) => {
    if (!path.endsWith('.tar.gz')) return { kind: 'none' };
    cuts += 1;
    return { kind: 'cut', afterBytes: 200_000 + Math.floor(Math.random() * 2_000_000) };
  };
  const again = line.requests.length;
  const installed = await me.goyi(['install', '1.29.5']);
  line.decide = () => ({ kind: 'none' });
  assert.equal(installed.code, 0, installed.output);
  assert.ok(cuts > 4, `${cuts} answers`);
  const firsts = line.requests
    .slice(again)
    .filter(({ path }) => path.endsWith('.tar.gz'))
    .slice(0, 4);
  assert.ok(
    firsts.every(({ range }) => !starts.some((start) => start.range === range)),
    `${before.join()}: nothing is fetched twice`,
  );
  assert.match((await me.goyi(['exec', '1.29.5', '--', 'go', 'version'])).output, /go1\.29\.5/);
  assert.deepEqual(await readdir(join(me.sdks, 'staging')), []);
});

test('bytes that were changed on the way are thrown away and fetched again; if they stay wrong nothing is installed', async () => {
  const me = await user();
  let answers = 0;
  line.decide = (path) => (path.endsWith('.tar.gz') && ++answers === 1 ? { kind: 'flip', at: 5_000 } : { kind: 'none' });
  const once = await me.goyi(['install', '1.30.2']);
  assert.equal(once.code, 0, once.output);
  assert.equal(answers, 2);
  line.decide = (path) => (path.endsWith('.tar.gz') ? { kind: 'flip', at: 5_000 } : { kind: 'none' });
  const always = await me.goyi(['install', '1.30.1']);
  line.decide = () => ({ kind: 'none' });
  assert.equal(always.code, 5, always.output);
  assert.match(always.output, /checksum-mismatch/);
  assert.deepEqual(await visible(me), [`go1.30.2.${host}`]);
  assert.deepEqual(await readdir(join(me.sdks, 'staging')), []);
});

/** An archive like the right one, with another go command. */
function forged(release: string): Buffer {
  const files = { 'go/VERSION': `${release}\n`, 'go/bin/go': '#!/bin/sh\necho evil\n' };
  const blocks = Object.entries(files).flatMap(([name, content]) => [
    formatTarHeader({ name, sizeBytes: content.length, mode: 0o755, modifiedSeconds: 0 }) as Buffer,
    Buffer.from(content),
    Buffer.alloc(tarPadding(content.length)),
  ]);
  return gzipSync(Buffer.concat([...blocks, TAR_END]));
}

test('a hub that lies about archive and SHA-256 together is found out by the checksum database', async () => {
  const me = await user();
  const evil = forged('go1.28.9');
  const digest = createHash('sha256').update(evil).digest('hex');
  line.decide = (path) => {
    if (path.endsWith('.tar.gz')) return { kind: 'replace', body: evil };
    return path.endsWith('.sha256') ? { kind: 'replace', body: Buffer.from(digest) } : { kind: 'none' };
  };
  const lied = await me.goyi(['install', '1.28.9']);
  assert.equal(lied.code, 5, lied.output);
  assert.match(lied.output, /the files have h1:\S+ where \S+ records h1:/);
  line.decide = (path) => (path.includes('/tile/') ? { kind: 'flip', at: 40 } : { kind: 'none' });
  const unproved = await me.goyi(['install', '1.28.9']);
  line.decide = () => ({ kind: 'none' });
  assert.equal(unproved.code, 5, unproved.output);
  assert.deepEqual(await visible(me), []);
  const honest = await me.goyi(['install', '1.28.9']);
  assert.equal(honest.code, 0, honest.output);
  const otherKey = await (await user({ GOSUMDB: 'sum.golang.org' })).goyi(['install', '1.28.9']);
  assert.notEqual(otherKey.code, 0, 'what the public database has no record of');
});

test('an archive of the Go project is believed by the SHA-256 of the list', async () => {
  const me = await user();
  const archive = forged('go1.30.1');
  const file = {
    filename: `go1.30.1.${host}.tar.gz`,
    os: host.split('-')[0],
    arch: host.split('-')[1],
    version: 'go1.30.1',
    kind: 'archive',
  };
  const sha256 = createHash('sha256').update(archive).digest('hex');
  const index = [{ version: 'go1.30.1', stable: true, files: [{ ...file, sha256, size: archive.length, origin: 'official' }] }];
  line.decide = (path) => {
    if (path.startsWith('/dl/?')) return { kind: 'replace', body: Buffer.from(JSON.stringify(index)) };
    return path.endsWith('.tar.gz') ? { kind: 'replace', body: archive } : { kind: 'none' };
  };
  const installed = await me.goyi(['install', '1.30.1']);
  line.decide = (path) => (path.startsWith('/dl/?') ? { kind: 'replace', body: Buffer.from(JSON.stringify(index)) } : { kind: 'none' });
  const other = await (await user()).goyi(['install', '1.30.1']);
  line.decide = () => ({ kind: 'none' });
  assert.equal(installed.code, 0, installed.output);
  assert.match(installed.output, /its SHA-256 is that of the list/);
  assert.equal(other.code, 5, other.output);
});

test('a hub that asks for a token gets it for list, archive and proof', async () => {
  const dataDir = join(world.folder, 'closed');
  const config = join(world.folder, 'closed.yaml');
  await writeFile(config, 'access: {anonymous: []}\n');
  await using closed = await world.hub({ dataDir, args: ['--config', config] });
  const made = await runGoyi([
    'admin',
    'token',
    'new',
    '--name',
    'sdk',
    '--scope',
    'read',
    '--expires',
    '1d',
    '--data-dir',
    dataDir,
    '--json',
  ]);
  assert.equal(made.code, 0, made.output);
  const { token } = JSON.parse(made.output) as { token: string };
  const without = await (await user({ GOPROXY: closed.url })).goyi(['install', '1.30.1']);
  assert.notEqual(without.code, 0);
  assert.match(without.output, /token/);
  const me = await user({ GOPROXY: closed.url, GOYI_TOKEN: token });
  const installed = await me.goyi(['install', '1.30.1']);
  assert.equal(installed.code, 0, installed.output);
  assert.doesNotMatch(installed.output + (await me.goyi(['list', '--json'])).output, new RegExp(token));
});

test('a bundle is enough where there is no network', async (t) => {
  const me = await user();
  const stick = join(me.home, 'stick');
  const bundled = await me.goyi(['bundle', '1.30', '1.29.3', '--out', stick]);
  assert.equal(bundled.code, 0, bundled.output);
  const archive = `go1.30.2.${host}.tar.gz`;
  assert.deepEqual((await readdir(stick)).filter((file) => file.startsWith('go1.30')).sort(), [
    archive,
    `${archive}.sha256`,
    `${archive}.tlog-proof`,
  ]);
  const far = await user({ GOPROXY: 'http://127.0.0.1:9' });
  const args = [launcher, 'sdk', 'install', '--from', stick, '--json'];
  const env = { HOME: far.home, PATH: process.env['PATH'] ?? '', GOENV: 'off', GOSUMDB: world.goSumDb, LANG: 'C' };
  const unplugged = ['unshare', '--user', '--map-root-user', '--net', process.execPath, ...args];
  const withoutNet = await run(unplugged[0] ?? '', unplugged.slice(1), { env, timeout: 60_000 }).catch(
    (error: Error & { stdout?: string }) => error,
  );
  if (withoutNet instanceof Error) {
    t.diagnostic(`with the network there, as unshare --net does not work here: ${withoutNet.message}`);
    await run(process.execPath, args, { env, timeout: 60_000 });
  }
  assert.deepEqual(await visible(far), [`go1.29.3.${host}`, `go1.30.2.${host}`]);
  assert.match((await far.goyi(['exec', '1.30', '--', 'go', 'version'])).output, /go1\.30\.2/);

  const one = await user({ GOPROXY: 'http://127.0.0.1:9' });
  assert.equal((await one.goyi(['install', `file://${join(stick, archive)}`])).code, 0);
  assert.deepEqual(await visible(one), [`go1.30.2.${host}`]);
  // A stick that was tampered with: the archive, then its digest as well, then the proof taken away.
  const bytes = await readFile(join(stick, archive));
  const evil = forged('go1.30.2');
  await writeFile(join(stick, archive), evil);
  assert.equal((await far.goyi(['remove', '1.29.3'])).code, 0);
  const third = await user({ GOPROXY: 'http://127.0.0.1:9' });
  assert.equal((await third.goyi(['install', '1.30.2', '--from', stick])).code, 5);
  await rm(join(stick, `${archive}.sha256`));
  assert.equal((await third.goyi(['install', '1.30.2', '--from', stick])).code, 5);
  await rm(join(stick, `${archive}.tlog-proof`));
  const bare = await third.goyi(['install', '1.30.2', '--from', stick]);
  assert.equal(bare.code, 2);
  assert.match(bare.output, /--sha256/);
  assert.deepEqual(await visible(third), []);
  await writeFile(join(stick, archive), bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  assert.equal((await third.goyi(['install', '1.30.2', '--from', stick, '--sha256', sha256])).code, 0);
});

test('Ctrl-C in the middle leaves what was there, and the next run goes on from it', async () => {
  const me = await user();
  assert.equal((await me.goyi(['install', '1.30.1'])).code, 0);
  await ask(hub, `dl/go1.29.4.${host}.tar.gz`);
  line.decide = (path) => (path.endsWith('.tar.gz') ? { kind: 'drip', sizeBytes: 64 * 1024, everyMs: 60 } : { kind: 'none' });
  const env = { HOME: me.home, PATH: process.env['PATH'] ?? '', GOENV: 'off', GOPROXY: line.url, GOSUMDB: world.goSumDb, LANG: 'C' };
  const child = spawn(process.execPath, [launcher, 'sdk', 'install', '1.29.4'], { env, stdio: 'ignore' });
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const part = join(me.sdks, 'staging', `go1.29.4.${host}.tar.gz.part`);
  await eventually(
    () => stat(part).then(({ size }) => size),
    (size) => size > 500_000,
    15_000,
  );
  const second = await me.goyi(['install', '1.29.4']);
  assert.equal(second.code, 4, 'another goyi is at it');
  child.kill('SIGINT');
  assert.equal(await exited, 130);
  assert.deepEqual(await visible(me), [`go1.30.1.${host}`]);
  line.decide = () => ({ kind: 'none' });
  // As a process leaves it that is killed while it unpacks, and its lock.
  await mkdir(join(me.sdks, 'staging', '0123456789ab-1-1.01234567.unpack', 'bin'), { recursive: true });
  await writeFile(`${part}.lock`, '0123456789ab-1-1');
  const seen = line.requests.length;
  assert.equal((await me.goyi(['install', '1.29.4'])).code, 0);
  const request = line.requests.slice(seen).find(({ path }) => path.endsWith('.tar.gz'));
  assert.ok(Number(/^bytes=(\d+)-/.exec(request?.range ?? '')?.[1] ?? 0) > 500_000, String(request?.range));
  assert.deepEqual(await readdir(join(me.sdks, 'staging')), []);
});

test('a full disk and a home that cannot be written leave what was there', { timeout: 120_000 }, async (t) => {
  const me = await user();
  await using disk = await mountSmallDisk(join(me.home, '.goyi'), 'size=6m', (reason) => t.diagnostic(reason));
  if (disk === undefined) return t.skip('this needs Linux and the right to mount in a namespace of its own (unshare --mount)');
  const goyi = async (...args: string[]): Promise<{ code: number; output: string }> => {
    const [command = '', ...rest] = [...disk.wrap, process.execPath, launcher, 'sdk', ...args];
    const env = { HOME: me.home, PATH: process.env['PATH'] ?? '', GOENV: 'off', GOPROXY: line.url, GOSUMDB: world.goSumDb, LANG: 'C' };
    return run(command, rest, { env, timeout: 60_000 }).then(
      ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
      (error: Error & { code?: number; stdout?: string; stderr?: string }) => ({
        code: error.code ?? -1,
        output: `${error.stdout}${error.stderr}`,
      }),
    );
  };
  assert.equal((await goyi('install', '1.30.1')).code, 0);
  const full = await goyi('install', '1.29.4');
  assert.equal(full.code, 7, full.output);
  assert.match(full.output, /storage-full/);
  assert.match((await goyi('exec', '1.30.1', '--', 'go', 'version')).output, /go1\.30\.1/);
  assert.match((await goyi('list')).output, /^go1\.30\.1\S+  \S+  \(default\)\n$/);
  await disk.run('mount', '-o', 'remount,ro', join(me.home, '.goyi'));
  const readOnly = await goyi('install', '1.28.9');
  assert.equal(readOnly.code, 7, readOnly.output);
  assert.match((await goyi('exec', '1.30.1', '--', 'go', 'version')).output, /go1\.30\.1/);
});
