// `goyi env proxy` and `goyi env why` on a home folder of their own, and what real shells then have in their environment.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import type { Backends } from '../backends.ts';
import { runCli } from '../main.ts';

let folder = '';
let homes = 0;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'goyi-env-proxy-'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function emptyHome(): Promise<string> {
  homes += 1;
  const home = join(folder, String(homes));
  await mkdir(home);
  return home;
}

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function goyi(args: readonly string[], env: Readonly<Record<string, string>>, typed?: string): Promise<Ran> {
  let out = '';
  let err = '';
  const code = await runCli({
    argv: ['env', ...args],
    env,
    cwd: folder,
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    openStdin: () => Readable.from([Buffer.from(typed ?? '')]),
    isTerminal: typed !== undefined,
    version: '1.2.3',
    cores: 1,
    // None of these commands asks anything of a hub.
    backends: {} as Backends,
    signal: new AbortController().signal,
  });
  return { code, out, err };
}

const proxy = ['proxy', '--http', 'proxy.corp.example:3128', '--direct', '*.corp.example,10.0.0.0/8'];
const wanted = { proxy: 'http://proxy.corp.example:3128', none: 'localhost,127.0.0.1,::1,corp.example,10.0.0.0/8' };

function isHere(command: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${command}`]);
    return true;
  } catch {
    return false;
  }
}

const shells: readonly (readonly [command: string, args: readonly string[], files: readonly string[]])[] = [
  ['sh', ['-l'], []],
  ['bash', ['-l'], []],
  ['bash', ['-l'], ['.bash_profile']],
  ['bash', ['-i'], ['.bashrc']],
  ['zsh', [], ['.zshrc']],
  ['fish', [], ['.config/fish/config.fish']],
];
for (const [command, args, files] of shells.filter(([name]) => isHere(name))) {
  test(`${[command, ...args].join(' ')}${files.map((file) => ` with ${file}`).join('')}: the variables are there after it, and not after --undo`, async () => {
    const home = await emptyHome();
    for (const file of files) {
      await mkdir(join(home, file, '..'), { recursive: true });
      await writeFile(join(home, file), '# mine, without a line end');
    }
    const env = { HOME: home, SHELL: `/bin/${command}`, PATH: process.env['PATH'] ?? '' };
    const ask = `${process.execPath} -p 'process.env.http_proxy + " " + process.env.HTTPS_PROXY + " " + process.env.NO_PROXY'`;
    const inShell = (): string =>
      execFileSync(command, [...args, '-c', ask], { env, cwd: home, stdio: ['ignore', 'pipe', 'ignore'] })
        .toString()
        .trim();
    assert.equal(inShell(), 'undefined undefined undefined');
    const set = await goyi(proxy, env);
    assert.equal(set.code, 0, set.err);
    assert.equal(inShell(), `${wanted.proxy} ${wanted.proxy} ${wanted.none}`);
    assert.match((await goyi(proxy, env)).out, /everything is set already/);
    assert.equal((await goyi(['proxy', '--undo'], env)).code, 0);
    assert.equal(inShell(), 'undefined undefined undefined');
    for (const file of files) assert.equal(await readFile(join(home, file), 'utf8'), '# mine, without a line end');
    assert.equal(await readFile(join(home, '.profile'), 'utf8').catch(() => 'none'), 'none');
    assert.match((await goyi(['proxy', '--undo'], env)).out, /nothing to put back/);
  });
}

test('a dry run writes nothing; a new proxy takes the place of the old one; a linked file stays linked, and its mode stays', async () => {
  const home = await emptyHome();
  await mkdir(join(home, 'dotfiles'));
  await writeFile(join(home, 'dotfiles/bashrc'), 'alias l=ls\n', { mode: 0o640 });
  await symlink('dotfiles/bashrc', join(home, '.bashrc'));
  const env = { HOME: home };
  const dry = await goyi([...proxy, '--dry-run'], env);
  assert.match(dry.out, /dry run[\s\S]*\.bashrc[\s\S]*would change/);
  assert.deepEqual(await readdir(home), ['.bashrc', 'dotfiles']);
  await goyi(proxy, env);
  await goyi(['proxy', '--http', 'http://other.test:1', '--https', 'http://secure.test:2'], env);
  const text = await readFile(join(home, 'dotfiles/bashrc'), 'utf8');
  assert.match(
    text,
    /^alias l=ls\n\n# >>> goyi proxy >>>\nexport HTTP_PROXY='http:\/\/other\.test:1'\nexport HTTPS_PROXY='http:\/\/secure\.test:2'\n/,
  );
  assert.doesNotMatch(text, /corp\.example/);
  assert.equal((await stat(join(home, '.bashrc'))).mode & 0o777, 0o640);
  assert.deepEqual(await readdir(join(home, 'dotfiles')), ['bashrc']);
});

test('a line that sets the same is named with its place', async () => {
  const home = await emptyHome();
  await writeFile(join(home, '.bashrc'), 'export https_proxy=http://old.test:1\n');
  const { err } = await goyi(proxy, { HOME: home });
  assert.match(err, /https_proxy is set in .*\.bashrc:1 as well/);
  assert.doesNotMatch(err, /NO_PROXY is set in .*\.bashrc/);
});

test('a block that somebody changed is left alone and named', async () => {
  const home = await emptyHome();
  await writeFile(join(home, '.profile'), 'x\n# >>> goyi proxy >>>\nexport A=1\n');
  const { code, err } = await goyi(proxy, { HOME: home });
  assert.equal(code, 2);
  assert.match(err, /\.profile: the lines between .* have been changed/);
  assert.equal(await readFile(join(home, '.profile'), 'utf8'), 'x\n# >>> goyi proxy >>>\nexport A=1\n');
});

test('somebody at a terminal is asked; a pipe is not', async () => {
  const home = await emptyHome();
  const asked = await goyi(['proxy'], { HOME: home }, 'proxy.corp.example:3128\n.corp.example\n');
  assert.equal(asked.code, 0, asked.err);
  assert.match(asked.err, /address of the proxy[\s\S]*inner names[\s\S]*\.corp\.example is written corp\.example/);
  assert.match(await readFile(join(home, '.profile'), 'utf8'), /NO_PROXY='localhost,127\.0\.0\.1,::1,corp\.example'/);
  assert.equal((await goyi(['proxy'], { HOME: home }, '\n')).code, 2);
  const pipe = await goyi(['proxy'], { HOME: home });
  assert.equal(pipe.code, 2);
  assert.match(pipe.err, /say with --http which proxy/);
});

test('a password is written where it must be and shown nowhere', async () => {
  const home = await emptyHome();
  const { out, err } = await goyi(['proxy', '--http', 'https://me:s3cret@proxy.test:3128'], { HOME: home });
  assert.doesNotMatch(out + err, /s3cret/);
  assert.match(err, /TLS to the proxy itself[\s\S]*holds a password/);
  assert.match(await readFile(join(home, '.profile'), 'utf8'), /s3cret/);
  const why = await goyi(['why', 'http://x.test'], {
    HTTP_PROXY: 'me:s3cret@proxy.test:3128',
    http_proxy: 'http://me:s3cret@proxy.test:3128',
  });
  assert.match(why.out, /through the proxy http:\/\/[^s]*proxy\.test:3128/);
  assert.doesNotMatch(why.out + why.err, /s3cret/);
  const json = await goyi(['why', 'http://x.test', '--json'], { HTTP_PROXY: 'me:s3cret@proxy.test:3128' });
  assert.doesNotMatch(json.out, /s3cret/);
});

const printed: readonly (readonly [place: string, text: RegExp])[] = [
  ['setx', /^setx HTTP_PROXY "http:\/\/p\.test:1"\nsetx HTTPS_PROXY .*\nsetx NO_PROXY "localhost,127\.0\.0\.1,::1,corp\.example"\n$/],
  ['systemd', /^\[Service\]\nEnvironment="HTTP_PROXY=http:\/\/p\.test:1"\n[\s\S]*Environment="no_proxy=/],
  ['docker', /^\{\n {2}"proxies": \{[\s\S]*"noProxy": "localhost/],
  ['gitlab', /^variables:\n {2}HTTP_PROXY: "http:\/\/p\.test:1"\n/],
];
for (const [place, text] of printed) {
  test(`--print --for ${place} writes nothing`, async () => {
    const home = await emptyHome();
    const { code, out } = await goyi(['proxy', '--http', 'http://p.test:1', '--direct', 'corp.example', '--print', '--for', place], {
      HOME: home,
    });
    assert.equal(code, 0);
    assert.match(out, text);
    assert.deepEqual(await readdir(home), []);
  });
}

const set = { HTTPS_PROXY: 'http://p.test:1', NO_PROXY: 'localhost,.corp.example' };
const whys: readonly (readonly [url: string, env: Record<string, string>, code: number, says: RegExp])[] = [
  [
    'https://a.corp.example/x',
    set,
    0,
    /^https:\/\/a\.corp\.example\/x goes directly, because the entry \.corp\.example of NO_PROXY matches\n/,
  ],
  [
    'corp.example',
    set,
    0,
    /^https:\/\/corp\.example\/ goes through the proxy http:\/\/p\.test:1\/?, because HTTPS_PROXY says so and no entry of NO_PROXY matches\n {2}curl.*goes directly, because NO_PROXY matches\n/,
  ],
  ['http://x.test', set, 0, /goes directly, because no proxy is set for this scheme[\s\S]*npm.*through the proxy/],
  ['https://localhost:8443', set, 0, /never uses a proxy for localhost/],
  ['http://x.test', { HTTP_PROXY: 'http://p.test:1', REQUEST_METHOD: 'GET' }, 1, /Go refuses HTTP_PROXY/],
  ['https://x.test', { HTTPS_PROXY: 'ftp://p.test' }, 1, /the value of HTTPS_PROXY is no address of a proxy/],
  ['ftp://x.test', {}, 2, /^$/],
];
for (const [url, env, code, says] of whys) {
  test(`goyi env why ${url} with ${JSON.stringify(env)}`, async () => {
    const ran = await goyi(['why', url], env);
    assert.equal(ran.code, code, ran.err);
    assert.match(ran.out, says);
  });
}

test('why, in Chinese and as JSON', async () => {
  assert.match(
    (await goyi(['why', 'https://a.corp.example', '--lang', 'zh'], set)).out,
    /直接访问，因为 NO_PROXY 的条目 \.corp\.example 匹配/,
  );
  const { go, others } = JSON.parse((await goyi(['why', 'https://a.corp.example', '--json'], set)).out) as {
    go: unknown;
    others: unknown[];
  };
  assert.deepEqual(go, {
    kind: 'direct',
    because: { kind: 'entry', entry: '.corp.example', matches: 'domain' },
    proxy: { variable: 'HTTPS_PROXY', address: 'http://p.test:1/' },
    noProxy: 'NO_PROXY',
  });
  assert.equal(others.length, 2);
});
