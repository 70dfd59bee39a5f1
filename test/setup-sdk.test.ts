// `setup.sh --go` on a machine without any Go, by every POSIX shell that is here: a small server plays the hub's /dl/, and the Go in its archive is the real one.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setupScript } from '../src/scaffold/setup-sh.ts';
import { temporaryFolder } from './support/hub-process.ts';

const realGo = execFileSync('sh', ['-c', 'command -v go']).toString().trim();
const arch = { x64: 'amd64', arm64: 'arm64' }[process.arch as string] ?? process.arch;
const archiveName = `go1.99.2.${process.platform}-${arch}.tar.gz`;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let archive: Buffer;
let digest = '';
let script = '';
/** A folder with what every system has and no go. */
let tools = '';
let homes = 0;
const asked: string[] = [];
const server = createServer((req, res) => {
  asked.push(req.url ?? '');
  if (req.url === '/dl/?mode=json') res.end(JSON.stringify([{ version: 'go1.99.2', stable: true, files: [] }]));
  else if (req.url === `/dl/${archiveName}.sha256`) res.end(digest);
  else if (req.url === `/dl/${archiveName}`) res.end(archive);
  else res.writeHead(404).end('not here\n');
});

before(async () => {
  folder = await temporaryFolder();
  const bin = join(folder.path, 'made/go/bin');
  await mkdir(bin, { recursive: true });
  await writeFile(join(bin, 'go'), `#!/bin/sh\nexec '${realGo}' "$@"\n`);
  await chmod(join(bin, 'go'), 0o755);
  execFileSync('tar', ['-C', join(folder.path, 'made'), '-czf', join(folder.path, 'archive'), 'go']);
  archive = await readFile(join(folder.path, 'archive'));
  tools = join(folder.path, 'tools');
  await mkdir(tools);
  for (const name of [
    'sed',
    'tail',
    'head',
    'grep',
    'mkdir',
    'mv',
    'rm',
    'ln',
    'uname',
    'tr',
    'cut',
    'mktemp',
    'tar',
    'gzip',
    'sha256sum',
    'curl',
    'cat',
  ])
    execFileSync('ln', [
      '-s',
      execFileSync('sh', ['-c', `command -v ${name}`])
        .toString()
        .trim(),
      join(tools, name),
    ]);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A Go of this machine where installers put it must not be found.
  script = setupScript({
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ownDatabase: undefined,
    privatePatterns: [],
  }).replaceAll('/usr/local/go/bin/go', '/nowhere/go');
});

after(async () => {
  server.closeAllConnections();
  server.close();
  await folder?.[Symbol.asyncDispose]();
});

async function setUp(args: readonly string[]): Promise<{ readonly code: number; readonly output: string; readonly home: string }> {
  digest ||= createHash('sha256').update(archive).digest('hex');
  homes += 1;
  const home = join(folder.path, `home${homes}`);
  await mkdir(home);
  return new Promise((resolve) => {
    const env = { PATH: tools, HOME: home, LANG: 'C', GOTOOLCHAIN: 'local' };
    const child = execFile('/bin/sh', ['-s', '--', ...args], { env, cwd: home, timeout: 60_000 }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, output: stdout + stderr, home }),
    );
    child.stdin?.end(script);
  });
}

test('without Go and without --go nothing is done, and the way out is said', async () => {
  const { code, output, home } = await setUp([]);
  assert.equal(code, 1);
  assert.match(output, /run this with --go latest/);
  assert.deepEqual(await readdir(home), []);
});

test('the newest release is installed, checked, and set up; a dry run changes nothing', async () => {
  const dry = await setUp(['--go', 'latest', '--dry-run']);
  assert.equal(dry.code, 0, dry.output);
  assert.match(dry.output, /Go 1\.99\.2 goes to/);
  assert.deepEqual(await readdir(dry.home), []);
  const { code, output, home } = await setUp(['--go', 'latest']);
  assert.equal(code, 0, output);
  assert.match(output, /installed; to have it in every shell.*env\.sh/);
  const sdks = join(home, '.goyi/sdk');
  assert.deepEqual((await readdir(sdks)).toSorted(), ['current', 'env.sh', archiveName.replace('.tar.gz', ''), 'staging'].toSorted());
  assert.deepEqual(await readdir(join(sdks, 'staging')), []);
  const version = execFileSync('/bin/sh', ['-c', `. '${sdks}/env.sh'; command -v go; go env GOPROXY`], {
    env: { PATH: '/usr/bin:/bin', HOME: home },
  });
  assert.match(version.toString(), /\.goyi\/sdk\/current\/bin\/go\nhttp:\/\/127\.0\.0\.1:/);
});

test('an archive with another digest, and a release that is not there, leave nothing behind', async () => {
  digest = '0'.repeat(64);
  const wrong = await setUp(['--go', '1.99.2']);
  digest = '';
  assert.equal(wrong.code, 5, wrong.output);
  assert.match(wrong.output, /and the hub says 0000/);
  const absent = await setUp(['--go', '1.98.0']);
  assert.notEqual(absent.code, 0);
  assert.match(absent.output, /could not fetch .*go1\.98\.0/);
  const odd = await setUp(['--go', '../../x']);
  assert.equal(odd.code, 2, odd.output);
  for (const { home } of [wrong, absent])
    assert.deepEqual(
      (await readdir(join(home, '.goyi/sdk'))).filter((name) => name !== 'staging'),
      [],
    );
});
