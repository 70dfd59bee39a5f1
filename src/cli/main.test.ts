import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { type ErrorCode, HubError } from '../base/errors.ts';
import { CHAIN_START } from '../protocol/audit-chain.ts';
import type { Backends, ServeOptions } from './backends.ts';
import { rereadConfig } from './commands/serve.ts';
import type { HubConfig } from './config/hub-config.ts';
import { exitCodeOf } from './exit-code.ts';
import { type CliOptions, runCli } from './main.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'goyi-cli-'));
});
after(() => rm(folder, { recursive: true, force: true }));

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly config: HubConfig | undefined;
  readonly serveOptions: ServeOptions | undefined;
}

/** Runs one command line on backends that remember what they were given. */
async function goyi(
  line: string,
  more: { backends?: Partial<Backends>; env?: CliOptions['env']; isTerminal?: boolean; signal?: AbortSignal; cwd?: string } = {},
): Promise<Ran> {
  let out = '';
  let err = '';
  let config: HubConfig | undefined;
  let serveOptions: ServeOptions | undefined;
  const backends: Backends = {
    serve: async (given, options) => {
      [config, serveOptions] = [given, options];
      return 0;
    },
    scrub: async (_config, { onProgress }) => {
      onProgress({ checked: 1, total: 3 });
      return { checked: 3, sizeBytes: 5_000, repaired: 0, setAside: [], unproved: 0, missing: 0, unknown: 0 };
    },
    gc: async () => ({
      items: [{ module: 'a.example/m', version: 'v1.0.0', files: 3, sizeBytes: 2_097_152, lastUsedAtMs: 0 }],
      files: 4,
      sizeBytes: 2_097_200,
      freeBytesAfter: 1_073_741_824,
    }),
    makeModuleZip: async () => {},
    checkModuleZip: async () => ({ zipHash: 'h1:x', sizeBytes: 1, files: 1 }),
    newToken: async ({ dataDir }, { name }) => `secret of ${name} in ${dataDir}`,
    tokens: async () => [],
    revokeToken: async () => 'absent',
    blockedVersions: async () => [],
    releaseVersion: async () => false,
    auditEntries: async () => {},
    verifyAudit: async () => ({ checked: 0, cut: CHAIN_START, head: CHAIN_START, fault: undefined }),
    forks: async () => [],
    bundles: () => Promise.reject(new Error('no bundle is asked for here')),
    clearFork: async () => true,
    status: async (given) => ({
      dataDir: given.dataDir,
      files: 3,
      versions: 1,
      sizeBytes: 10,
      freeBytes: undefined,
      inUse: false,
      databases: [{ name: 'sum.golang.org', treeSize: 7, frozen: false }],
    }),
    readKey: async () => undefined,
    makeKey: async () => undefined,
    openLog: () => Promise.reject(new HubError('origin-unavailable', 'no network here')),
    openClient: () => Promise.reject(new HubError('origin-unavailable', 'no network here')),
    auditStored: () => Promise.reject(new HubError('not-found', 'nothing here')),
    witness: async (given) => {
      config = given;
      return 0;
    },
    ...more.backends,
  };
  const code = await runCli({
    argv: line.split(' ').filter((arg) => arg !== ''),
    env: more.env ?? {},
    cwd: more.cwd ?? folder,
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    openStdin: () => Readable.from([]),
    isTerminal: more.isTerminal ?? false,
    version: '1.2.3',
    cores: 2,
    backends,
    signal: more.signal ?? new AbortController().signal,
  });
  return { code, out, err, config, serveOptions };
}

test('help is there in both languages, for every command', async () => {
  for (const command of [
    '',
    'serve',
    'warm',
    'env',
    'env proxy',
    'env why',
    'log',
    'log audit',
    'log prove',
    'log check',
    'witness',
    'admin',
    'admin status',
    'admin scrub',
    'admin gc',
    'admin fork',
    'admin fork show',
    'admin fork clear',
    'admin key',
    'admin key show',
    'admin key new',
    'admin key rotate',
  ]) {
    const english = await goyi(`${command} --help --lang en`);
    assert.deepEqual([english.code, english.err], [0, ''], command);
    assert.match(english.out, new RegExp(`^Usage: ${`goyi ${command}`.trim()} `));
    assert.match(english.out, /--json/);
    assert.doesNotMatch(english.out, /\p{Script=Han}/u, command);
    const chinese = await goyi(`${command} --help --lang zh`);
    assert.equal(chinese.code, 0);
    assert.match(chinese.out, new RegExp(`^用法： ${`goyi ${command}`.trim()} `));
    assert.doesNotMatch(
      chinese.out.replaceAll('goyi', ''),
      /Usage|Options|Commands|Arguments|\[options\]|\[command\]|display help/,
      command,
    );
  }
});

test('the language comes from the environment by POSIX order', async () => {
  assert.match((await goyi('--help', { env: { LANG: 'zh_CN.UTF-8' } })).out, /^用法/);
  assert.match((await goyi('--help', { env: { LC_ALL: 'C', LANG: 'zh_CN.UTF-8' } })).out, /^Usage/);
  assert.match((await goyi('--help', { env: { LC_ALL: '', LC_MESSAGES: 'zh', LANG: 'en_US' } })).out, /^用法/);
  assert.match((await goyi('--lang en --help', { env: { LANG: 'zh_CN.UTF-8' } })).out, /^Usage/);
});

test('goyi alone shows the help with the exit codes', async () => {
  const { code, out } = await goyi('');
  assert.equal(code, 0);
  assert.match(out, /Exit codes:\n +0 {2}done\n[\s\S]* 130 {2}interrupted/);
  assert.equal(out, (await goyi('--help')).out);
});

test('--version', async () => {
  assert.deepEqual([(await goyi('--version')).out, (await goyi('-V')).out], ['1.2.3\n', '1.2.3\n']);
  assert.deepEqual(JSON.parse((await goyi('--version --json')).out), { version: '1.2.3' });
});

const misuses = [
  { line: 'sevre', says: /^goyi: there is no command sevre; did you mean serve\? goyi --help/ },
  { line: 'frobnicate', says: /^goyi: there is no command frobnicate; goyi --help/ },
  { line: 'admin fork cler', says: /no command admin fork cler; did you mean clear\?/ },
  { line: 'admin', says: /goyi admin needs a command after it: status, scrub, gc, fork, key, token, audit, verdict\n/ },
  { line: 'serve --lisen 127.0.0.1:1', says: /no flag --lisen; did you mean --listen\?/ },
  { line: 'serve --frobnicate', says: /no flag --frobnicate; --help lists/ },
  { line: '--frobnicate', says: /no flag --frobnicate/ },
  { line: 'serve --listen', says: /flag --listen <value> needs a value/ },
  { line: 'serve here', says: /too many arguments: here/ },
  { line: 'admin gc', says: /flag --unused-for <duration> is missing/ },
  { line: 'admin gc --unused-for 90', says: /90 is no duration/ },
  { line: 'admin gc --unused-for 0d', says: /0d is no duration/ },
  { line: 'admin gc --unused-for 9999999w', says: /is no duration/ },
  { line: 'admin fork clear', says: /argument database is missing/ },
  { line: 'serve --lang fr', says: /--lang must be zh or en, not fr/ },
];

for (const { line, says } of misuses) {
  test(`wrong use: goyi ${line}`, async () => {
    const { code, out, err } = await goyi(line);
    assert.deepEqual([code, out], [2, '']);
    assert.match(err, says);
    assert.equal(err.trimEnd().split('\n').length, 1, 'one sentence');
    const json = await goyi(`${line} --json`);
    // A flag without its value takes the next word for it.
    if (!line.endsWith('--listen')) assert.equal((JSON.parse(json.out) as { error: { code: string } }).error.code, 'usage');
    assert.equal(json.err, '');
  });
}

test('serve hands over the checked configuration', async () => {
  const { code, config, serveOptions } = await goyi(
    'serve --listen 127.0.0.1:0 --data-dir d --upstreams https://a.example,direct --workers 3 --log-level warn --verify off',
  );
  assert.equal(code, 0);
  assert.equal(config?.listen.port, 0);
  assert.equal(config?.dataDir, join(folder, 'd'));
  assert.equal(config?.workers, 3);
  assert.equal(config?.log.level, 'warn');
  assert.equal(serveOptions?.configFile, undefined);
  assert.match(serveOptions?.notes.join() ?? '', /verify: off stores and serves modules/);
});

test('INIT_CWD is where the command was typed', async () => {
  const { config } = await goyi('serve', { env: { INIT_CWD: folder }, cwd: '/' });
  assert.equal(config?.dataDir, join(folder, 'data'));
});

test('the file is --config, else GOYI_CONFIG, else goyi.yaml; it is read again on reload', async (t) => {
  const [named, fromVariable, here] = ['named.yaml', 'variable.yaml', 'goyi.yaml'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await writeFile(named, 'workers: 11\n');
  await writeFile(fromVariable, 'workers: 12\n');
  await writeFile(here, 'workers: 13\n');
  t.after(() => rm(here));
  const env = { GOYI_CONFIG: 'variable.yaml' };
  const ran = await goyi('serve --config named.yaml', { env });
  assert.equal(ran.config?.workers, 11);
  assert.equal(ran.serveOptions?.configFile, named);
  assert.equal((await goyi('serve', { env })).config?.workers, 12);
  assert.equal((await goyi('serve')).config?.workers, 13);
  const reread = (): ReturnType<typeof rereadConfig> =>
    rereadConfig({ argv: ['serve', '--config', 'named.yaml', '--log-level', 'warn'], env, folder, cores: 2 });
  await writeFile(named, 'workers: 21\n');
  const again = await reread();
  assert.deepEqual(again.ok && [again.config.workers, again.config.log.level], [21, 'warn']);
  await writeFile(named, 'workers: many\n');
  assert.deepEqual(await reread(), { ok: false, faults: ['named.yaml:1:10: workers: must be a whole number from 1 to 64'] });
  await rm(named);
  assert.deepEqual(await reread(), { ok: false, faults: ['there is no configuration file named.yaml'] });
});

test('serve --check shows what is in effect or every fault, and starts nothing', async (t) => {
  const file = join(folder, 'check.yaml');
  await writeFile(file, 'upstreams: ["https://bot:s3cret@a.example"]\ntls: {certFile: no.pem, keyFile: check.yaml}\n');
  t.after(() => rm(file));
  const missing = await goyi('serve --check --config check.yaml');
  assert.deepEqual([missing.code, missing.out, missing.config], [2, '', undefined]);
  assert.match(missing.err, /the configuration has 1 fault:\n {2}check\.yaml:2:17: tls\.certFile: this file cannot be read \(ENOENT\)/);
  await writeFile(file, 'upstreams: ["https://bot:s3cret@a.example"]\n');
  const good = await goyi('serve --check --config check.yaml --verify off');
  assert.deepEqual([good.code, good.config], [0, undefined]);
  assert.match(good.out, /^listen: 127\.0\.0\.1:8080\n/);
  assert.match(good.out, /https:\/\/\*\*\*@a\.example/);
  assert.doesNotMatch(good.out + good.err, /s3cret/);
  assert.match(good.err, /note: verify: off/);
  const json = JSON.parse((await goyi('serve --check --config check.yaml --json')).out) as {
    ok: boolean;
    file: string;
    config: { workers: number };
  };
  assert.deepEqual([json.ok, json.file, json.config.workers], [true, file, 2]);
});

test('faults as JSON carry place, key and sentence', async () => {
  const { code, out, err } = await goyi('serve --workers 0 --json', { env: { GOYI_LISTE: 'x' } });
  assert.deepEqual([code, err], [2, '']);
  const { error, faults } = JSON.parse(out) as { error: { code: string }; faults: unknown };
  assert.equal(error.code, 'config-invalid');
  assert.deepEqual(faults, [
    { place: { kind: 'flag', name: '--workers' }, key: 'workers', message: 'must be a whole number from 1 to 64' },
    { place: { kind: 'variable', name: 'GOYI_LISTE' }, key: '', message: 'there is no variable GOYI_LISTE; did you mean GOYI_LISTEN?' },
  ]);
});

test('a configuration file that cannot be used is one sentence', async () => {
  assert.match((await goyi('serve --config nowhere.yaml')).err, /there is no configuration file nowhere\.yaml/);
  assert.match((await goyi('serve --config .')).err, /cannot be read \(EISDIR\)/);
  await writeFile(join(folder, 'long.yaml'), '#'.repeat(300_000));
  assert.match((await goyi('serve --config long.yaml')).err, /longer than 256 KiB/);
  await writeFile(join(folder, 'latin.yaml'), Buffer.from([0xff, 0xfe]));
  assert.match((await goyi('serve --config latin.yaml')).err, /cannot be read/);
});

test('an error of an operation becomes its exit code, in words and as JSON', async () => {
  const codes = [...(await readFile(new URL('../base/errors.ts', import.meta.url), 'utf8')).matchAll(/^ {2}\| '([a-z-]+)'/gm)].map(
    ([, code]) => code as ErrorCode,
  );
  for (const code of codes) {
    const backends = { status: () => Promise.reject(new HubError(code, 'what was being done')) };
    const words = await goyi('admin status', { backends });
    assert.deepEqual([words.code, words.out, words.err], [exitCodeOf(code), '', `goyi: error (${code}): what was being done\n`]);
    const json = await goyi('admin status --json', { backends });
    assert.deepEqual(JSON.parse(json.out), { ok: false, error: { code, message: 'what was being done' } });
  }
});

test('an interrupted command ends with 130, a bug with 1', async () => {
  const stop = new AbortController();
  const reason = new Error('stopped by SIGINT');
  stop.abort(reason);
  assert.equal((await goyi('admin scrub', { backends: { scrub: () => Promise.reject(reason) }, signal: stop.signal })).code, 130);
  const bug = await goyi('admin scrub', { backends: { scrub: () => Promise.reject(new TypeError('x is not a function')) } });
  assert.equal(bug.code, 1);
  assert.match(bug.err, /a bug in goyi: TypeError: x is not a function/);
});

test('scrub reports, shows progress on a terminal only, and ends with 1 when something stays bad', async () => {
  const quiet = await goyi('admin scrub');
  assert.deepEqual([quiet.code, quiet.out, quiet.err], [0, 'checked 3 files, 4.9 KiB\nnothing was wrong\n', '']);
  assert.match((await goyi('admin scrub', { isTerminal: true })).err, /checked 1 of 3 files/);
  assert.equal((await goyi('admin scrub --json', { isTerminal: true })).err, '');
  const setAside = [{ key: 'modules/a.example/@v/v1.0.0.zip', reason: 'its digest\u001b[31m differs' }];
  const bad = await goyi('admin scrub', {
    backends: { scrub: async () => ({ checked: 1, sizeBytes: 1, repaired: 2, setAside, unproved: 3, missing: 4, unknown: 5 }) },
  });
  assert.equal(bad.code, 1);
  assert.match(
    bad.out,
    /set aside as bad and not replaced: 1 file:\n {2}modules\/a\.example\/@v\/v1\.0\.0\.zip: its digest\uFFFD\[31m differs/,
  );
  assert.match(bad.out, /proved again: 2 files/);
});

test('gc hands over what was asked and lists what goes', async () => {
  let asked: unknown;
  const gc: Backends['gc'] = async (_config, request) => {
    asked = request;
    return { items: [], files: 0, sizeBytes: 0, freeBytesAfter: undefined };
  };
  assert.equal((await goyi('admin gc --unused-for 90d --dry-run', { backends: { gc } })).out, 'there is nothing to remove\n');
  assert.deepEqual(asked, { unusedForMs: 90 * 86_400_000, dryRun: true });
  await goyi('admin gc --unused-for 12h', { backends: { gc } });
  assert.deepEqual(asked, { unusedForMs: 12 * 3_600_000, dryRun: false });
  const { out } = await goyi('admin gc --unused-for 4w --dry-run');
  assert.match(
    out,
    /2\.0 MiB {2}last used 1970-01-01 00:00 UTC {2}a\.example\/m@v1\.0\.0\n… and 1 file not listed\nwould remove 4 files, 2\.0 MiB \(dry run/,
  );
});

test('a frozen database is shown with both heads, and released only by name', async () => {
  const fork = {
    database: 'sum.golang.org',
    keptNote: 'kept\nnote\n',
    contradictingNote: 'other\n',
    detail: 'sizes 7 and 7, other roots',
    seenAtMs: 0,
  };
  const shown = await goyi('admin fork show', { backends: { forks: async () => [fork] } });
  assert.equal(shown.code, 1);
  for (const part of ['    kept\n    note\n', '    other\n', 'goyi admin fork clear sum.golang.org'])
    assert.ok(shown.out.includes(part), part);
  assert.deepEqual([(await goyi('admin fork show')).code, (await goyi('admin fork show')).out], [0, 'no checksum database is frozen\n']);
  let decision: unknown;
  const clearFork: Backends['clearFork'] = async (_config, given) => {
    decision = given;
    return true;
  };
  assert.equal((await goyi('admin fork clear sum.golang.org --forget-head', { backends: { clearFork } })).code, 0);
  assert.deepEqual(decision, { database: 'sum.golang.org', forgetHead: true });
  assert.equal((await goyi('admin fork clear sum.golang.org', { backends: { clearFork: async () => false } })).code, 3);
});

test('status', async () => {
  const { out } = await goyi('admin status --data-dir d');
  assert.match(
    out,
    /data folder: .*\/d\nhub: not running\nmodule versions: 1\nfiles: 3\nsize: 10 B\nfree space: unknown\nchecksum database sum\.golang\.org: head of size 7\n/,
  );
});
