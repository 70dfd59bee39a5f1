// `setup.sh --go` on a machine without any Go: a real hub with toolchains of a small world, a line between that can be cut and bent, and every POSIX shell
// that is here. The go command in the toolchains is the real one.
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstat, mkdir, readFile, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { absolute, filesBelow, isHere, sdksIn } from './support/bare-home.ts';
import { type BentLine, noBends, openBentLine } from './support/bent-line.ts';
import { type HubProcess, runGoyi } from './support/hub-process.ts';
import { mountSmallDisk } from './support/small-disk.ts';
import { publishToolchain } from './support/synthetic-toolchain.ts';
import { type SyntheticWorld, startWorld } from './support/synthetic-world.ts';

const realGo = execFileSync('sh', ['-c', 'command -v go']).toString().trim();
const arch = { x64: 'amd64', arm64: 'arm64' }[process.arch as string] ?? process.arch;
const platform = `${process.platform}-${arch}`;
const newest = `go1.99.2.${platform}`;
const archivePath = `/dl/${newest}.tar.gz`;
const releases = ['go1.97.7', 'go1.98.3', 'go1.99.1', 'go1.99.2', 'go1.100rc1'];
const shells = ['sh', 'dash', 'bash', 'busybox sh', 'zsh --emulate sh'].filter((shell) => isHere(shell.split(' ')[0] ?? ''));

let world: SyntheticWorld;
let hub: HubProcess;
/** A folder with what every system has and no go. */
let tools = '';
let homes = 0;

let line = noBends();
let between: BentLine;
let address = '';

before(async () => {
  world = await startWorld();
  for (const release of releases)
    publishToolchain(world, release, { platform, files: { 'bin/go': `#!/bin/sh\nexec '${realGo}' "$@"\n` }, fillBytes: 300_000 });
  hub = await world.hub();
  tools = join(world.folder, 'tools');
  await mkdir(tools);
  const names =
    'sed tail head grep mkdir rmdir mv cp rm ln readlink uname uniq tr wc cut tar gzip sha256sum curl cat awk sort find date sleep openssl';
  for (const name of names.split(' '))
    await symlink(
      execFileSync('sh', ['-c', `command -v ${name}`])
        .toString()
        .trim(),
      join(tools, name),
    );
  between = await openBentLine({ url: hub.url, cutPath: archivePath }, () => line);
  ({ address } = between);
});

after(async () => {
  await between?.[Symbol.asyncDispose]();
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

beforeEach(() => {
  line = noBends();
});

async function newHome(): Promise<string> {
  homes += 1;
  const home = join(world.folder, `home${homes}`);
  await mkdir(home);
  return home;
}

interface Told {
  readonly code: number;
  readonly output: string;
}

interface Setting {
  readonly home: string;
  readonly shell?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly path?: string;
  /** A command to run it by. */
  readonly wrap?: readonly string[];
  readonly onStart?: (child: ChildProcess) => void;
}

/** The script as the hub gives it at this address. A Go where installers put it must not be found. */
async function script(): Promise<string> {
  return (await (await fetch(`${address}/setup.sh`)).text()).replaceAll('/usr/local/go/bin/go', '/nowhere/go');
}

async function setUp(args: readonly string[], { home, shell = 'sh', env = {}, path = tools, wrap = [], onStart }: Setting): Promise<Told> {
  const text = await script();
  const [command = '', ...rest] = [...(wrap.length === 0 ? [] : absolute(wrap.join(' '))), ...absolute(shell), '-s', '--', ...args];
  return new Promise((resolve) => {
    const whole = { PATH: path, HOME: home, LANG: 'C', GOTOOLCHAIN: 'local', ...env };
    const options = { env: whole, cwd: '/', timeout: 60_000 };
    const child = execFile(command, rest, options, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, output: stdout + stderr }),
    );
    onStart?.(child);
    // Whoever is interrupted reads no more.
    child.stdin?.on('error', () => {}).end(text);
  });
}

test('without Go and without --go nothing is done, and the way out is said', async () => {
  const home = await newHome();
  const { code, output } = await setUp([], { home });
  assert.equal(code, 1);
  assert.match(output, /run this with --go latest/);
  assert.deepEqual(await readdir(home), []);
});

for (const shell of shells) {
  test(`${shell}: the newest release is proved, in every shell from then on, and gone without a trace after --undo`, async () => {
    const home = await newHome();
    await mkdir(join(home, 'dotfiles'));
    await writeFile(join(home, 'dotfiles/bashrc'), 'alias l=ls', { mode: 0o640 });
    await symlink('dotfiles/bashrc', join(home, '.bashrc'));
    await writeFile(join(home, '.zshrc'), '');
    await writeFile(join(home, '.zshenv'), '');
    await mkdir(join(home, '.config/fish'), { recursive: true });
    const before = await filesBelow(home);
    const dry = await setUp(['--go', 'latest', '--dry-run'], { home, shell });
    assert.equal(dry.code, 0, dry.output);
    assert.match(dry.output, /Go 1\.99\.2 goes to[\s\S]*\.profile: a marked block[\s\S]*GOPROXY=http/);
    assert.deepEqual(await filesBelow(home), before);

    const first = await setUp(['--go', 'latest'], { home, shell });
    assert.equal(first.code, 0, first.output);
    assert.match(first.output, /proved by record \d+ of [\s\S]*for this window: {2}\. '.*env\.sh'/);
    const settled = await filesBelow(home);
    const ask = `command -v go; go env GOPROXY`;
    const logins = [
      ['sh', '-l', '-c'],
      ...(isHere('bash') ? [['bash', '-i', '-c']] : []),
      ...['zsh', 'fish'].filter(isHere).map((name) => [name, '-c']),
    ];
    for (const [command = '', ...rest] of logins) {
      const env = { PATH: '/usr/bin:/bin', HOME: home, GOTOOLCHAIN: 'local' };
      const said = execFileSync(command, [...rest, ask], { env, cwd: home, stdio: ['ignore', 'pipe', 'ignore'] }).toString();
      assert.equal(said, `${home}/.goyi/sdk/current/bin/go\n${address}\n`, command);
    }

    const second = await setUp(['--go', 'latest'], { home, shell });
    assert.match(second.output, /everything is set already/);
    assert.deepEqual(await filesBelow(home), settled);

    assert.match((await setUp(['--undo', '--dry-run'], { home, shell })).output, /removed: .*go1\.99\.2/);
    assert.deepEqual(await filesBelow(home), settled);
    const undone = await setUp(['--undo'], { home, shell });
    assert.equal(undone.code, 0, undone.output);
    assert.deepEqual(await filesBelow(home), before);
    assert.match((await setUp(['--undo'], { home, shell })).output, /nothing to put back/);
  });
}

test('what setup.sh has installed is an SDK to goyi', async () => {
  const home = await newHome();
  await setUp(['--go', '1.98'], { home });
  const { code, output } = await runGoyi(['sdk', 'list', '--json'], { HOME: home });
  assert.equal(code, 0, output);
  const { sdks } = JSON.parse(output) as { sdks: { version: string; default: boolean; receipt: { origin: string; record: number } }[] };
  assert.deepEqual(
    sdks.map(({ version, default: isDefault, receipt }) => [version, isDefault, receipt.origin, receipt.record > 0]),
    [['go1.98.3', true, 'toolchain-module', true]],
  );
});

const versions: readonly (readonly [asked: string, release: string])[] = [
  ['stable', '1.99.2'],
  ['oldstable', '1.98.3'],
  ['1.97', '1.97.7'],
  ['go1.99.1', '1.99.1'],
  ['1.100rc1', '1.100rc1'],
];
test('a version is written in any of the usual ways', async () => {
  const home = await newHome();
  for (const [asked, release] of versions)
    assert.match(
      (await setUp(['--go', asked, '--dry-run'], { home })).output,
      new RegExp(`Go ${release.replaceAll('.', '\\.')} goes to`),
      asked,
    );
});

test('of an unknown version the nearest are named, and nothing is left behind', async () => {
  const home = await newHome();
  const exact = await setUp(['--go', '1.98.9'], { home });
  assert.equal(exact.code, 3, exact.output);
  assert.match(exact.output, /there is no Go 1\.98\.9 for \S+; the nearest are 1\.98\.3, 1\.99\.2, 1\.99\.1\n/);
  const ofLine = await setUp(['--go', '1.96'], { home });
  assert.equal(ofLine.code, 3, ofLine.output);
  assert.match(ofLine.output, /the nearest are 1\.99\.2, 1\.99\.1, 1\.98\.3/);
  for (const odd of ['../../x', 'tip', '1.2;ls', '']) assert.equal((await setUp(['--go', odd], { home })).code, 2, odd);
  assert.deepEqual(await sdksIn(home), []);
  assert.deepEqual(await filesBelow(home), {});
});

test('a line that is cut again and again is gone on with', async () => {
  const home = await newHome();
  await setUp(['--go', '1.99.2'], { home });
  const size = (await (await fetch(`${address}${archivePath}`)).arrayBuffer()).byteLength;
  line.cuts = [size >> 2, 1_000, 10, size >> 1];
  line.asked = [];
  const other = await newHome();
  const { code, output } = await setUp(['--go', '1.99.2'], { home: other });
  assert.equal(code, 0, output);
  const ranges = line.asked.filter((asked) => asked.split(' ')[0] === archivePath).map((asked) => asked.split(' bytes=')[1] ?? '');
  assert.equal(ranges[1], `${size >> 2}-`);
  const starts = ranges.slice(1).map((range) => Number(range.replace('-', '')));
  assert.ok(starts.length >= 4, ranges.join(' '));
  assert.deepEqual(
    starts,
    starts.toSorted((a, b) => a - b),
  );
});

test('what was fetched before the connection went for good is there for the next run', async () => {
  const home = await newHome();
  line.cuts = [100_000, 0, 0, 0, 0, 0, 0];
  const failed = await setUp(['--go', '1.99.2'], { home });
  assert.equal(failed.code, 6, failed.output);
  assert.match(failed.output, /could not fetch .*1\.99\.2/);
  assert.deepEqual(await sdksIn(home), []);
  line.cuts = [];
  line.asked = [];
  assert.equal((await setUp(['--go', '1.99.2'], { home })).code, 0);
  assert.ok(line.asked.includes(`${archivePath} bytes=100000-`));
  assert.deepEqual(await readdir(join(home, '.goyi/sdk/staging')), []);
});

const flipped = (body: Buffer): Buffer => {
  const other = Buffer.from(body);
  other[other.length >> 1] = (other[other.length >> 1] ?? 0) ^ 1;
  return other;
};

test('a corrupt archive is removed and fetched once more', async () => {
  const home = await newHome();
  let times = 0;
  line.bend.set(archivePath, (body) => (times++ === 0 ? flipped(body) : body));
  const { code, output } = await setUp(['--go', '1.99.2'], { home });
  assert.equal(code, 0, output);
  assert.equal(times, 2);
});

test('an archive that stays corrupt is refused and nothing is left behind', async () => {
  const home = await newHome();
  line.bend.set(archivePath, flipped);
  const { code, output } = await setUp(['--go', '1.99.2'], { home });
  assert.equal(code, 5, output);
  assert.match(output, /has the SHA-256 [0-9a-f]{64}, and the hub says [0-9a-f]{64}: nothing was installed/);
  assert.deepEqual(await filesBelow(home), {});
});

/** An archive with one more file, and what else is packed, and the SHA-256 that goes with it. */
async function otherArchive(besides = '', changed = (list: string): string => list): Promise<void> {
  line.bend.set('/dl/?mode=json&include=all', (body) => Buffer.from(changed(body.toString())));
  const folder = join(world.folder, 'other');
  await mkdir(folder, { recursive: true });
  const body = Buffer.from(await (await fetch(`${address}${archivePath}`)).arrayBuffer());
  await writeFile(join(folder, 'a.tar.gz'), body);
  execFileSync('sh', ['-c', 'tar -xzf a.tar.gz && echo evil >go/src/evil.go && mkdir -p check && tar -czf b.tar.gz go ' + besides], {
    cwd: folder,
  });
  const bent = await readFile(join(folder, 'b.tar.gz'));
  line.bend.set(archivePath, () => bent);
  line.bend.set(`${archivePath}.sha256`, () => Buffer.from(createHash('sha256').update(bent).digest('hex')));
}

const proof = (change: (text: string) => string) => (): void =>
  void line.bend.set(`${archivePath}.tlog-proof`, (body) => Buffer.from(change(body.toString())));
const lies: readonly (readonly [what: string, tell: () => void | Promise<void>])[] = [
  ['other files, with the SHA-256 that fits them', () => otherArchive()],
  ['the same, with what is in the way of the proof', () => otherArchive('check')],
  ['the same, called one of the Go project', () => otherArchive('', (list) => list.replaceAll('toolchain-module', 'official'))],
  ['a tree that nobody has signed', proof((text) => text.replace(/(\n\n[^\n]+\n\d+\n)./, '$1_'))],
  [
    'another hash on the way to the root',
    proof((text) => text.replace(/(index \d+\n)(.)/, (_all, index, first) => index + (first === 'A' ? 'B' : 'A'))),
  ],
  ['another number of the record', proof((text) => text.replace(/index \d+/, '$&9'))],
  ['an empty proof', proof(() => '\n')],
];
for (const [what, tell] of lies) {
  test(`${what}: nothing is installed`, async () => {
    const home = await newHome();
    await tell();
    const { code, output } = await setUp(['--go', '1.99.2'], { home });
    assert.equal(code, 5, output);
    assert.match(output, /are not those that .* has on record: nothing was installed/);
    assert.deepEqual(await filesBelow(home), {});
  });
}

test('without its proof an archive is not installed, and what was fetched is kept for when there is one', async () => {
  const home = await newHome();
  line.status.set(`${archivePath}.tlog-proof`, 503);
  const { code, output } = await setUp(['--go', '1.99.2'], { home });
  assert.equal(code, 6, output);
  assert.match(output, /does not give the proof of/);
  await assert.rejects(lstat(join(home, '.goyi/sdk', newest)));
  line.status.clear();
  line.asked.length = 0;
  assert.equal((await setUp(['--go', '1.99.2'], { home })).code, 0);
  assert.ok(!line.asked.includes(archivePath));
});

test('the proof of one release is none of another', async () => {
  const home = await newHome();
  const other = Buffer.from(await (await fetch(`${address}/dl/go1.99.1.${platform}.tar.gz.tlog-proof`)).arrayBuffer());
  line.bend.set(`${archivePath}.tlog-proof`, () => other);
  assert.equal((await setUp(['--go', '1.99.2'], { home })).code, 5);
});

test('where openssl is not there, it is said that only the SHA-256 of the hub was compared', async () => {
  const home = await newHome();
  const fewer = join(world.folder, 'fewer-tools');
  await mkdir(fewer);
  for (const name of await readdir(tools)) if (name !== 'openssl') await symlink(join(tools, name), join(fewer, name));
  const { code, output } = await setUp(['--go', 'latest', '--no-profile'], { home, path: fewer });
  assert.equal(code, 0, output);
  assert.match(
    output,
    /compared with the SHA-256 that the hub gives; with openssl 3 it would be proved[\s\S]*add this line to the shell's profile/,
  );
  await assert.rejects(lstat(join(home, '.profile')));
});

test('without curl wget does it, but for a token, which it would show to others', {
  skip: isHere('wget') ? false : 'there is no wget here',
}, async () => {
  const path = join(world.folder, 'wget-tools');
  await mkdir(path);
  for (const name of await readdir(tools)) if (name !== 'curl') await symlink(join(tools, name), join(path, name));
  await symlink(absolute('wget')[0] ?? '', join(path, 'wget'));
  const [home, other] = [await newHome(), await newHome()];
  const fetched = await setUp(['--go', '1.99.1'], { home, path });
  assert.equal(fetched.code, 0, fetched.output);
  assert.deepEqual(await sdksIn(home), [`go1.99.1.${platform}`]);
  const refused = await setUp(['--go', '1.99.1'], { home: other, path, env: { GOYI_TOKEN: 's3cret' } });
  assert.notEqual(refused.code, 0);
  assert.match(refused.output, /GOYI_TOKEN is sent by curl alone: install curl/);
  assert.deepEqual([...line.tokens], []);
  assert.deepEqual(await sdksIn(other), []);
});

test('a home that cannot be written, and a folder of somebody else in the way, are said and left alone', async () => {
  const home = await newHome();
  await writeFile(join(home, '.goyi'), 'a file');
  const { code, output } = await setUp(['--go', 'latest'], { home });
  assert.equal(code, 7, output);
  assert.match(output, /could not write .*\.goyi\/sdk/);
  assert.deepEqual(Object.keys(await filesBelow(home)), ['.goyi']);
  const other = await newHome();
  await mkdir(join(other, '.goyi/sdk', newest), { recursive: true });
  assert.equal((await setUp(['--go', 'latest'], { home: other })).code, 4);
});

test('a full disk is as it was', async (t) => {
  const home = await newHome();
  await using disk = await mountSmallDisk(home, 'size=400k', (reason) => t.diagnostic(reason));
  assert.ok(disk !== undefined, 'a small file system needs Linux and the right to make one');
  const { code, output } = await setUp(['--go', 'latest'], { home, wrap: disk.wrap });
  assert.equal(code, 7, output);
  assert.match(output, /could not write .*is the disk full/);
  assert.deepEqual(await filesBelow(disk.path), {});
});

test('an interruption in the middle leaves what was there', async () => {
  const home = await newHome();
  await setUp(['--go', '1.98.3'], { home });
  const before = await filesBelow(home);
  let child: ChildProcess | undefined;
  line.bend.set(archivePath, (body) => {
    child?.kill('SIGINT');
    return body;
  });
  const { code } = await setUp(['--go', '1.99.2'], { home, shell: 'dash', onStart: (started) => (child = started) });
  assert.notEqual(code, 0);
  const rest = Object.entries(await filesBelow(home)).filter(([name]) => !name.includes('/staging/'));
  assert.deepEqual(Object.fromEntries(rest), before);
  line.bend.clear();
  assert.equal((await setUp(['--go', '1.99.2'], { home })).code, 0);
  assert.deepEqual(await readdir(join(home, '.goyi/sdk/staging')), []);
});

test('wishes and profiles are those of goyi env', async () => {
  const home = await newHome();
  const told = await setUp(['--go', 'latest', '--toolchain', 'local', '--goflags', '-modcacherw', '--goauth', 'netrc', '--dry-run'], {
    home,
  });
  assert.match(told.output, /GOTOOLCHAIN=local[\s\S]*GOFLAGS=-modcacherw[\s\S]*GOAUTH=netrc/);
  assert.match(
    (await setUp(['--go', 'latest', '--profile', 'airgap', '--dry-run'], { home })).output,
    /GOVCS=\*:off[\s\S]*GOTOOLCHAIN=local/,
  );
  assert.match(
    (await setUp(['--go', 'latest', '--profile', 'public', '--dry-run'], { home })).output,
    /GOPROXY=https:\/\/goproxy\.cn,direct/,
  );
  assert.equal((await setUp(['--profile', 'moon'], { home })).code, 2);
  assert.equal((await setUp(['--goflags'], { home })).code, 2);
  assert.match((await setUp(['--help'], { home })).output, /--go VERSION/);
});

test('a default that was chosen since then stays, and a hub that wants a token gets it', async () => {
  const home = await newHome();
  await setUp(['--go', '1.98.3'], { home, env: { GOYI_TOKEN: 's3cret' } });
  assert.deepEqual([...line.tokens], ['Bearer s3cret']);
  const { code, output } = await runGoyi(['sdk', 'install', '1.99.1', '--hub', hub.url], { HOME: home, GOSUMDB: world.goSumDb });
  assert.equal(code, 0, output);
  assert.equal((await runGoyi(['sdk', 'use', '--global', '1.99.1'], { HOME: home })).code, 0);
  await setUp(['--undo'], { home });
  assert.equal(await readlink(join(home, '.goyi/sdk/current')), `go1.99.1.${platform}`);
  assert.deepEqual(await sdksIn(home), [`go1.99.1.${platform}`]);
});

test('a block that was left from another folder is replaced, and an SDK that was there before stays', async () => {
  const home = await newHome();
  await setUp(['--go', '1.98.3'], { home });
  const moved = join(world.folder, 'moved');
  await rename(home, moved);
  const { code, output } = await setUp(['--go', '1.99.2'], { home: moved });
  assert.equal(code, 0, output);
  assert.equal((await readFile(join(moved, '.profile'), 'utf8')).match(/>>> goyi sdk >>>/g)?.length, 1);
  assert.match(await readFile(join(moved, '.profile'), 'utf8'), /moved\/\.goyi/);
  assert.deepEqual((await sdksIn(moved)).length, 2);
  await rm(moved, { recursive: true });
});
