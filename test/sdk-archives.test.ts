// /dl/ on a hub of real processes: archives of Go made once of proved modules, for every client the same bytes, whatever happens in between.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { ask, eventually, stagedFiles } from './support/hub-client.ts';
import { runGoyi } from './support/hub-process.ts';
import { mountSmallDisk } from './support/small-disk.ts';
import { address, noise } from './support/synthetic-module.ts';
import { makeToolchain, publishToolchain } from './support/synthetic-toolchain.ts';
import { serveModule, startWorld } from './support/synthetic-world.ts';

const run = promisify(execFile);
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const linux = 'go1.30.2.linux-amd64.tar.gz';

interface Index {
  version: string;
  stable: boolean;
  files: { filename: string; sha256: string; size: number; origin: string }[];
}

test('the lists have the form of golang.google.cn/dl, the supported releases or all of them', async () => {
  await using world = await startWorld();
  for (const release of ['go1.28.9', 'go1.29.3', 'go1.30.1', 'go1.30.2', 'go1.31rc1']) publishToolchain(world, release);
  for (const platform of ['windows-amd64', 'linux-arm', 'darwin-arm64']) publishToolchain(world, 'go1.30.2', { platform });
  await using hub = await world.hub();
  const supported = JSON.parse((await ask(hub, 'dl/?mode=json')).body.toString()) as Index[];
  assert.deepEqual(
    supported.map(({ version }) => version),
    ['go1.30.2', 'go1.29.3'],
  );
  const answer = await ask(hub, 'dl/?mode=json&include=all');
  assert.equal(answer.headers.get('content-type'), 'application/json');
  const all = JSON.parse(answer.body.toString()) as Index[];
  assert.deepEqual(
    all.map(({ version, stable }) => `${version} ${stable}`),
    ['go1.31rc1 false', 'go1.30.2 true', 'go1.30.1 true', 'go1.29.3 true', 'go1.28.9 true'],
  );
  assert.deepEqual(all[1]?.files[3], {
    filename: 'go1.30.2.windows-amd64.zip',
    os: 'windows',
    arch: 'amd64',
    version: 'go1.30.2',
    sha256: '',
    size: 0,
    kind: 'archive',
    origin: 'toolchain-module',
  });
  assert.equal(all[1]?.files[2]?.filename, 'go1.30.2.linux-armv6l.tar.gz');
  const made = await ask(hub, `dl/${linux}`);
  const after = JSON.parse((await ask(hub, 'dl/?mode=json')).body.toString()) as Index[];
  const file = after[0]?.files.find(({ filename }) => filename === linux);
  assert.deepEqual([file?.sha256, file?.size], [sha256(made.body), made.body.length]);

  const page = await ask(hub, 'dl/', { headers: { 'accept-language': 'zh-CN,zh;q=0.9' } });
  assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8');
  assert.match(page.body.toString(), /<html lang="zh-CN">[\s\S]*go1\.30\.2\.windows-amd64\.zip/);
  assert.doesNotMatch(page.body.toString(), /go1\.31rc1|<script/);
  assert.match((await ask(hub, 'dl/?include=all')).body.toString(), /<html lang="en">[\s\S]*go1\.31rc1/);
});

test('an archive holds what the module holds, with names and modes as Go needs them, and is the same from every hub', async () => {
  await using world = await startWorld();
  publishToolchain(world, 'go1.30.2', { fillBytes: 6_000_000 });
  publishToolchain(world, 'go1.30.2', { platform: 'windows-amd64' });
  await using hub = await world.hub({ workers: 2 });
  const herd = await Promise.all(Array.from({ length: 12 }, () => ask(hub, `dl/${linux}`)));
  const [{ status, body, headers } = assert.fail()] = herd;
  assert.equal(status, 200, body.toString('latin1', 0, 200));
  for (const one of herd) assert.ok(one.body.equals(body));
  assert.equal(world.moduleRequests().filter((url) => url.endsWith('linux-amd64.zip')).length, 1, 'one fetch of the module');
  assert.equal(hub.output().match(/an SDK archive was made/g)?.length, 1, 'made once');
  assert.equal(headers.get('cache-control'), 'public, max-age=31536000, immutable');
  assert.equal(headers.get('etag'), `"${sha256(body)}"`);
  assert.equal((await ask(hub, `dl/${linux}.sha256`)).body.toString(), sha256(body));
  const head = await ask(hub, `dl/${linux}`, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(body.length)]);
  const part = await ask(hub, `dl/${linux}`, { headers: { range: 'bytes=100-299', 'if-range': `"${sha256(body)}"` } });
  assert.deepEqual([part.status, part.body.equals(body.subarray(100, 300))], [206, true]);
  assert.equal((await ask(hub, `dl/${linux}`, { headers: { 'if-none-match': `"${sha256(body)}"` } })).status, 304);

  const archive = join(world.folder, linux);
  await writeFile(archive, body);
  const { stdout } = await run('tar', ['--numeric-owner', '--utc', '-tvzf', archive]);
  const lines = stdout.trim().split('\n');
  assert.ok(
    lines.every((line) => /^-rw(?:-r--r--|xr-xr-x) 0\/0 +\d+ 2026-08-28 16:20 go\//.test(line)),
    stdout,
  );
  const executable = lines.filter((line) => line.startsWith('-rwx')).map((line) => line.split(' go/')[1] ?? '');
  assert.deepEqual(executable.sort(), ['bin/go', 'bin/gofmt', 'lib/wasm/go_js_wasm_exec', 'pkg/tool/linux_amd64/compile']);
  const names = lines.map((line) => line.split(' go/')[1] ?? '');
  assert.ok(names.includes('src/go.mod') && names.includes('src/cmd/go.mod'));
  assert.ok(names.some((name) => name.length > 100));
  await mkdir(join(world.folder, 'unpacked'));
  await run('tar', ['-xzf', archive, '-C', join(world.folder, 'unpacked')]);
  assert.match((await run(join(world.folder, 'unpacked/go/bin/go'))).stdout, /go version go1\.30\.2 linux\/amd64/);

  await using other = await world.hub({ dataDir: join(world.folder, 'other') });
  assert.ok((await ask(other, `dl/${linux}`)).body.equals(body));
  const [here, there] = await Promise.all([hub, other].map((asked) => ask(asked, 'dl/go1.30.2.windows-amd64.zip')));
  assert.ok(here !== undefined && there !== undefined && here.status === 200 && here.body.equals(there.body));
  assert.equal(here.headers.get('content-type'), 'application/zip');

  await world.disconnect();
  assert.ok((await ask(hub, `dl/${linux}`)).body.equals(body), 'with no upstream');
  assert.ok((await ask(hub, `cached-only/dl/${linux}`)).body.equals(body));
  assert.match((await ask(hub, 'dl/?mode=json')).body.toString(), /go1\.30\.2/);
});

test('what was half stored, changed or lost is made anew, and never served', async () => {
  await using world = await startWorld();
  publishToolchain(world, 'go1.30.2');
  const folder = join(world.folder, 'data', 'sdk');
  await mkdir(folder, { recursive: true });
  // As a hub leaves it that was killed between the archive and its manifest.
  await writeFile(join(folder, linux), 'half an archive');
  await using hub = await world.hub();
  const { body, status } = await ask(hub, `dl/${linux}`);
  assert.equal(status, 200, body.toString('latin1', 0, 200));
  assert.equal(body.readUInt16BE(0), 0x1f8b);
  const whole = await readFile(join(folder, linux));
  assert.ok(whole.equals(body));

  await chmod(join(folder, linux), 0o644);
  await writeFile(join(folder, linux), Buffer.from(whole).fill(0, 1_000, 1_001));
  assert.ok((await ask(hub, `dl/${linux}`)).body.equals(body), 'a changed archive');
  // Touched, and the same: it is hashed and goes on being served.
  await rm(join(folder, linux));
  await writeFile(join(folder, linux), body);
  const made = hub.output().match(/an SDK archive was made/g)?.length;
  assert.ok((await ask(hub, `dl/${linux}`)).body.equals(body), 'a restored archive');
  assert.equal(hub.output().match(/an SDK archive was made/g)?.length, made);
  await chmod(join(folder, linux), 0o644);
  await writeFile(join(folder, linux), Buffer.from(whole).fill(0, 2_000, 2_001));
  const scrubbed = await runGoyi(['admin', 'scrub', '--data-dir', hub.dataDir, '--json'], { GOYI_VERIFY: 'off' });
  assert.match(scrubbed.output, /"key": "sdk\/go1\.30\.2\.linux-amd64\.tar\.gz"/);
  assert.deepEqual(await readdir(folder), [], 'out of sight');
  assert.ok((await ask(hub, `dl/${linux}`)).body.equals(body), 'a rotten archive');
  await rm(join(folder, linux));
  assert.ok((await ask(hub, `dl/${linux}`)).body.equals(body), 'a lost archive');
  await rm(join(folder, `${linux}.json`));
  assert.ok((await ask(hub, `dl/${linux}`)).body.equals(body));
  assert.doesNotMatch(hub.output(), /met a bug/);
});

test('kill -9 while an archive is being made leaves nothing half-made', async () => {
  await using world = await startWorld();
  publishToolchain(world, 'go1.30.2', { fillBytes: 30_000_000 });
  const folder = join(world.folder, 'data', 'sdk');
  for (let round = 0; round < 3; round += 1) {
    const hub = await world.hub();
    const lost = ask(hub, `dl/${linux}`).catch(() => undefined);
    const sizes = async (): Promise<number> => {
      const files = await stagedFiles(hub.dataDir);
      const stats = await Promise.all(files.map((file) => stat(join(hub.dataDir, 'staging', file)).catch(() => undefined)));
      return stats.reduce((sum, found) => sum + (found?.size ?? 0), 0);
    };
    await eventually(sizes, (size) => size > 1_000_000 * (round + 1));
    await hub.kill();
    await lost;
    const left = await readdir(folder).catch((): string[] => []);
    // The archive may have been sealed by then; its manifest comes after it.
    assert.ok(
      left.every((file) => file.startsWith(linux)),
      left.join(),
    );
  }
  await using hub = await world.hub();
  const { body, status } = await ask(hub, `dl/${linux}`);
  assert.equal(status, 200);
  assert.equal((await ask(hub, `dl/${linux}.sha256`)).body.toString(), sha256(body));
  assert.deepEqual(
    await eventually(
      () => stagedFiles(hub.dataDir),
      (files) => files.length === 0,
    ),
    [],
  );
});

test('what is not there says what is; what is forbidden, wrong or unproved is not made', async () => {
  await using world = await startWorld();
  for (const release of ['go1.29.3', 'go1.30.1', 'go1.30.2']) publishToolchain(world, release);
  await writeFile(
    join(world.folder, 'goyi.yaml'),
    'policy: {rules: [{match: golang.org/toolchain@v0.0.1-go1.29.3.linux-amd64, action: deny, reason: too old}]}\n',
  );
  // Its record is another's.
  const liar = makeToolchain('go1.30.3');
  world.database.add(liar.path, liar.version, { ...liar, zipHash: makeToolchain('go1.30.4').zipHash });
  serveModule(world.upstream, liar);
  // Proved, and no SDK.
  publishToolchain(world, 'go1.30.5', { files: { 'go.mod': 'module golang.org/toolchain\n' } });
  await using hub = await world.hub({ args: ['--config', join(world.folder, 'goyi.yaml')] });
  const cases = [
    {
      path: 'dl/go1.30.9.linux-amd64.tar.gz',
      status: 404,
      says: /there is no go1\.30\.9\.linux-amd64\.tar\.gz; the nearest are go1\.30\.\d/,
    },
    { path: 'dl/go1.30.2.plan9-386.tar.gz', status: 404, says: /go1\.30\.2 is there for linux-amd64/ },
    { path: 'dl/go1.30.2.linux-amd64.zip', status: 404, says: /no such file/ },
    { path: 'dl/go1.30.linux-amd64.tar.gz', status: 404, says: /no such file/ },
    { path: 'dl/..%2f..%2fgoyi.db', status: 404, says: /no such file/ },
    { path: 'dl/go1.29.3.linux-amd64.tar.gz', status: 403, says: /blocked by policy: too old/ },
    { path: 'cached-only/dl/go1.30.2.linux-amd64.tar.gz', status: 404, says: /forbids fetching/ },
    { path: 'dl/go1.30.3.linux-amd64.tar.gz', status: 502, says: /h1:/ },
    { path: 'dl/go1.30.5.linux-amd64.tar.gz', status: 502, says: /is no SDK of Go/ },
  ];
  for (const { path, status, says } of cases) {
    const answer = await ask(hub, path);
    assert.equal(answer.status, status, `${path}: ${answer.firstLine}`);
    assert.match(answer.firstLine, says);
  }
  assert.doesNotMatch((await ask(hub, 'dl/?mode=json&include=all')).body.toString(), /go1\.29\.3/);
  assert.deepEqual(await readdir(join(hub.dataDir, 'sdk')).catch(() => []), []);
  await world.upstream.down();
  const answer = await ask(hub, `dl/${linux}`);
  assert.ok(answer.status === 502 || answer.status === 504, `${answer.status}: a fault is no absence`);
  assert.equal(world.moduleRequests().filter((url) => url === `/${address(liar)}zip`).length, 1);
});

test('a full disk is said to be full, and what was there stays', { timeout: 120_000 }, async (t) => {
  await using world = await startWorld();
  publishToolchain(world, 'go1.30.1');
  publishToolchain(world, 'go1.30.2', { fillBytes: 9_000_000 });
  const dataDir = join(world.folder, 'data');
  await using disk = await mountSmallDisk(dataDir, 'size=14m', (reason) => t.diagnostic(reason));
  if (disk === undefined) return t.skip('this needs Linux and the right to mount in a namespace of its own (unshare --mount)');
  await using hub = await world.hub({ dataDir, wrap: disk.wrap });
  const small = await ask(hub, 'dl/go1.30.1.linux-amd64.tar.gz');
  assert.equal(small.status, 200, small.firstLine);
  // The module fits, the archive beside it does not.
  const answer = await ask(hub, `dl/${linux}`);
  assert.equal(answer.status, 507, answer.firstLine);
  assert.equal(answer.headers.get('goyi-error'), 'storage-full');
  assert.ok((await ask(hub, 'dl/go1.30.1.linux-amd64.tar.gz')).body.equals(small.body));
  assert.deepEqual(
    (await readdir(join(disk.path, 'sdk'))).filter((file) => file.startsWith(linux)),
    [],
  );
});

/** The Go project's list and archives, as a mirror has them. */
async function startMirror(
  files: ReadonlyMap<string, Buffer>,
): Promise<AsyncDisposable & { readonly url: string; decide: (path: string) => 'send' | 'cut' | 'lie'; readonly asked: string[] }> {
  const asked: string[] = [];
  const mirror = { decide: (_path: string): 'send' | 'cut' | 'lie' => 'send' };
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.push(path);
    if (path.startsWith('/dl/?')) {
      const release = (filename: string, bytes: Buffer): object => {
        const [version = '', os = '', arch = ''] = /^(go1\.\d+\.\d+)\.(\w+)-(\w+)\./.exec(filename)?.slice(1) ?? [];
        return {
          version,
          stable: true,
          files: [{ filename, os, arch, version, sha256: sha256(bytes), size: bytes.length, kind: 'archive' }],
        };
      };
      response.end(JSON.stringify([...files].map(([filename, bytes]) => release(filename, bytes))));
      return;
    }
    const bytes = files.get(path.replace('/dl/', ''));
    if (bytes === undefined) return void response.writeHead(404).end();
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const body = Buffer.from(bytes.subarray(from));
    const fault = mirror.decide(path);
    if (fault === 'lie') body[body.length - 1] = (body.at(-1) ?? 0) ^ 1;
    response.writeHead(from > 0 ? 206 : 200, {
      'content-length': body.length,
      ...(from > 0 && { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
    });
    if (fault === 'cut') response.write(body.subarray(0, 1_000), () => setImmediate(() => response.destroy()));
    else response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(mirror, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/dl`,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

test('archives of the Go project come from a mirror by the SHA-256 of the list, and never in place of one that was made', async () => {
  await using world = await startWorld();
  for (const release of ['go1.30.1', 'go1.30.2', 'go1.29.9']) publishToolchain(world, release);
  let made: Buffer;
  {
    await using hub = await world.hub();
    made = (await ask(hub, `dl/${linux}`)).body;
  }
  const official = noise('official', 200_000);
  const older = 'go1.30.1.linux-amd64.tar.gz';
  const files = new Map([
    [linux, noise('other', 1_000)],
    [older, official],
    ['go1.28.1.linux-amd64.tar.gz', noise('old', 5_000)],
  ]);
  await using good = await startMirror(files);
  await using bad = await startMirror(files);
  const env = { GOYI_SDK_MIRRORS: `${bad.url},${good.url}`, GOYI_SDK_INDEX: `${good.url}/` };
  bad.decide = () => 'lie';
  let cuts = 0;
  good.decide = () => (++cuts === 1 ? 'cut' : 'send');
  const hub = await world.hub({ env });
  try {
    assert.ok((await ask(hub, `dl/${linux}`)).body.equals(made), 'what was made stays');
    const index = JSON.parse((await ask(hub, 'dl/?mode=json&include=all')).body.toString()) as Index[];
    assert.deepEqual(
      index.map(({ version, files: [file] }) => [version, file?.origin, file?.sha256]),
      [
        ['go1.30.2', 'toolchain-module', sha256(made)],
        ['go1.30.1', 'official', sha256(official)],
        ['go1.29.9', 'toolchain-module', ''],
        ['go1.28.1', 'official', sha256(files.get('go1.28.1.linux-amd64.tar.gz') ?? Buffer.alloc(0))],
      ],
    );
    const answer = await ask(hub, `dl/${older}`);
    assert.equal(answer.status, 200, answer.firstLine);
    assert.ok(answer.body.equals(official));
    assert.equal(cuts, 2, 'continued after a cut');
    assert.ok(bad.asked.includes(`/dl/${older}`), 'the mirror that lies was asked first');
    good.decide = () => 'lie';
    const lie = await ask(hub, 'dl/go1.28.1.linux-amd64.tar.gz');
    assert.equal(lie.status, 502);
    assert.equal(lie.headers.get('goyi-error'), 'checksum-mismatch');
    assert.equal((await ask(hub, 'dl/go1.29.9.linux-amd64.tar.gz')).status, 200, 'what the list has not is made of its module');
  } finally {
    await hub.stop();
  }
  // The list cannot be had: which archive a name stands for is not known, so what is not stored has to wait.
  await using alone = await world.hub({ env: { ...env, GOYI_SDK_INDEX: 'http://127.0.0.1:9/dl/' } });
  assert.ok((await ask(alone, `dl/${older}`)).body.equals(official));
  assert.equal((await ask(alone, 'dl/go1.28.1.linux-amd64.tar.gz')).status, 502);
});
