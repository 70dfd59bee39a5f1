// `goyi env` as a new colleague types it, in an empty home, with the real go command, and together with `HUB/setup.sh`.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ask } from './support/hub-client.ts';
import { type HubProcess, runGoyi } from './support/hub-process.ts';
import { startWorld, type SyntheticWorld } from './support/synthetic-world.ts';

let world: SyntheticWorld;
let hub: HubProcess;
let homes = 0;

before(async () => {
  world = await startWorld();
  const file = join(world.folder, 'goyi.yaml');
  await writeFile(file, 'private:\n  - {match: "*.corp.example/*, corp.example", uploads: true}\n');
  hub = await world.hub({ args: ['--config', file] });
});

after(async () => {
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

async function emptyHome(): Promise<string> {
  homes += 1;
  const home = join(world.folder, `home${homes}`);
  await mkdir(home);
  return home;
}

const envOf = (home: string): Record<string, string> => ({
  HOME: home,
  XDG_CONFIG_HOME: '',
  XDG_STATE_HOME: '',
  LANG: 'C',
  GOENV: '',
  ...unset,
});
const unset = { GOPROXY: '', GOSUMDB: '', GONOPROXY: '', GONOSUMDB: '', GOFLAGS: '', GOTOOLCHAIN: '', GOVCS: '', LC_ALL: '' };

const goyi = (home: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): ReturnType<typeof runGoyi> =>
  runGoyi(['env', ...args], { ...envOf(home), ...env });

const settings = (home: string): Promise<string> => readFile(join(home, '.config/go/env'), 'utf8').catch(() => '');

function sh(home: string, line: string, input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      'sh',
      ['-c', line],
      { cwd: home, env: { PATH: process.env['PATH'], ...envOf(home) } },
      (error, stdout, stderr) => (error === null ? resolve(stdout.trim()) : reject(new Error(stdout + stderr))),
    );
    // Who reads nothing may be gone already.
    child.stdin?.on('error', () => {}).end(input);
  });
}

test('the settings of clients are told to everybody, without a token, and by GET alone', async () => {
  const answer = await ask(hub, 'api/v1/client-settings');
  assert.equal(answer.status, 200);
  assert.deepEqual(JSON.parse(answer.body.toString()), {
    address: hub.url,
    ownDatabase: null,
    privatePatterns: ['*.corp.example/*', 'corp.example'],
  });
  assert.equal((await ask(hub, 'api/v1/client-settings', { method: 'POST', body: '{}' })).status, 405);
});

test('set up, nothing on the second run, and as it was after --undo; a dry run changes nothing', async () => {
  const home = await emptyHome();
  await sh(home, 'go env -w "GOPROXY=https://old.example|direct" GOFLAGS=-modcacherw');
  const original = await settings(home);
  const dry = await goyi(home, ['--hub', hub.url, '--dry-run']);
  assert.equal(dry.code, 0, dry.output);
  assert.match(dry.output, /dry run[\s\S]*GOPROXY=http:\/\/127[\s\S]*before: https:\/\/old\.example\|direct[\s\S]*GONOSUMDB=\*\.corp/);
  assert.equal(await settings(home), original);
  const first = await goyi(home, ['--hub', hub.url]);
  assert.equal(first.code, 0, first.output);
  assert.equal(
    await sh(home, 'go env GOPROXY GOSUMDB GONOPROXY GONOSUMDB GOFLAGS'),
    `${hub.url}\nsum.golang.org\nnone\n*.corp.example/*,corp.example\n-modcacherw`,
  );
  assert.match((await goyi(home, ['--hub', hub.url, '--lang', 'zh'])).output, /一切均已设置好/);
  const undone = await goyi(home, ['--undo']);
  assert.equal(undone.code, 0, undone.output);
  assert.equal(await settings(home), original);
  assert.match((await goyi(home, ['--undo'])).output, /nothing to put back/);
});

test('setup.sh puts back what goyi env changed, and goyi env what setup.sh changed', async () => {
  const script = (await ask(hub, 'setup.sh')).body.toString();
  const home = await emptyHome();
  await sh(home, 'go env -w GOPROXY=https://old.example');
  const original = await settings(home);
  assert.equal((await goyi(home, ['--hub', hub.url, '--profile', 'airgap'])).code, 0);
  assert.equal(await sh(home, 'go env GOVCS GOTOOLCHAIN'), '*:off\nlocal');
  await sh(home, 'sh -s -- --undo', script);
  assert.equal(await settings(home), original);
  await sh(home, 'sh -s', script);
  assert.equal((await goyi(home, ['--undo'])).code, 0);
  assert.equal(await settings(home), original);
});

test('--netrc for a hub without TLS: the go command would send nothing, so nothing is written', async () => {
  const script = (await ask(hub, 'setup.sh')).body.toString();
  const home = await emptyHome();
  const said = await sh(home, 'GOYI_TOKEN=x sh -s -- --netrc 2>&1; echo "code $?"', script);
  assert.match(said, /^--netrc: the go command sends no credentials over http, and http:\/\/127\S+ is no https address.*\ncode 2$/);
  const ran = await goyi(home, ['--hub', hub.url, '--netrc'], { GOYI_TOKEN: 'x' });
  assert.equal(ran.code, 2, ran.output);
  assert.match(ran.output, /--netrc: the go command sends no credentials over http, and http:\/\/127\S+ is no https address/);
  // The go command's own, by which it counts.
  assert.deepEqual(
    (await readdir(home)).filter((name) => name !== '.config'),
    [],
  );
  assert.equal(await settings(home), '');
});

test('a variable of the environment that hides a setting is named, with the line that sets it', async () => {
  const home = await emptyHome();
  await writeFile(join(home, '.bashrc'), '# export GOPROXY=https://older.example\nexport GOPROXY=https://old.example\n');
  const { code, output } = await goyi(home, ['--hub', hub.url], { GOPROXY: 'https://old.example' });
  assert.equal(code, 1, output);
  assert.match(output, /WARNING: the environment variable GOPROXY=https:\/\/old\.example goes first[\s\S]*\.bashrc:2:/);
  assert.doesNotMatch(output, /older/);
});

test('--print changes nothing here, and what it prints is in effect where it is read', async () => {
  const home = await emptyHome();
  const { code, output } = await goyi(home, [
    '--hub',
    hub.url,
    '--print',
    '--for',
    'bash',
    '--profile',
    'public',
    '--goflags',
    '-mod=mod -x',
  ]);
  assert.equal(code, 0, output);
  assert.equal(await settings(home), '');
  assert.equal(
    await sh(home, `${output}\ngo env GOPROXY GONOPROXY GOFLAGS`),
    'https://goproxy.cn,direct\n*.corp.example/*,corp.example\n-mod=mod -x',
  );
});

test('where nothing can be written down for --undo, or in the settings, nothing is changed and the place is named', async () => {
  const home = await emptyHome();
  await writeFile(join(home, '.local'), 'a file in the place of the folder');
  const noUndo = await goyi(home, ['--hub', hub.url]);
  assert.equal(noUndo.code, 7, noUndo.output);
  assert.match(noUndo.output, /cannot write .*setup\.undo/);
  assert.equal(await settings(home), '');

  const other = await emptyHome();
  await writeFile(join(other, '.config'), '');
  const noSettings = await goyi(other, ['--hub', hub.url]);
  assert.equal(noSettings.code, 7, noSettings.output);
  assert.match(noSettings.output, /go env -w GOPROXY=\S+ failed: /);
});

test('wrong use, GOENV=off and a hub that is none are said, and nothing is done', async () => {
  const home = await emptyHome();
  const wrong: readonly (readonly [args: readonly string[], env: Record<string, string>, code: number, said: RegExp])[] = [
    [['--print'], {}, 2, /needs --for, one of: bash, zsh/],
    [['--print', '--for', 'ksh'], {}, 2, /no way to print for ksh/],
    [['--for', 'bash'], {}, 2, /--for goes with --print/],
    [['--profile', 'home'], {}, 2, /no profile home; there are: corp/],
    [['--hub', 'ftp://x'], {}, 2, /no address of a hub/],
    [['--hub', hub.url], { GOENV: 'off' }, 2, /keeps no settings/],
    [['--hub', `${hub.url}/lib.example`], {}, 6, /does not answer as a hub/],
  ];
  for (const [args, env, code, said] of wrong) {
    const ran = await goyi(home, args, env);
    assert.equal(ran.code, code, `${args.join(' ')}: ${ran.output}`);
    assert.match(ran.output, said);
  }
  assert.equal(await settings(home), '');
});
