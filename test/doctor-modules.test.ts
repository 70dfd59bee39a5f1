// Faults of modules: which of go.sum, cache, proxy and database differs; what a proxy refuses; repositories that cannot be read; names and vendor folders.
import assert from 'node:assert/strict';
import { appendFile, chmod, mkdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { cachedFiles, Patient, sumOf } from './support/doctor-patient.ts';
import { makeRepository } from './support/git-repository.ts';
import { startGitServer } from './support/git-server.ts';
import { startSshServer } from './support/ssh-server.ts';
import { startScriptedUpstream } from './support/scripted-upstream.ts';
import { address, makeModule } from './support/synthetic-module.ts';
import { serveModule } from './support/synthetic-world.ts';

const altered = makeModule('lib.example/m', 'v1.0.0', { files: { 'm.go': 'package m\n\nconst Version = "evil"\n' } });
const build = ['build', '-o', '/dev/null', '.'];
const otherHash = `h1:${'A'.repeat(43)}=`;

async function builds(patient: Patient): Promise<void> {
  const { code, output } = await patient.go(build);
  assert.equal(code, 0, output);
}

for (const [what, warm] of [
  ['with an empty cache', false],
  ['with a full cache', true],
] as const) {
  test(`go-sum-wrong, ${what}: the line is the culprit, and is replaced by what the database proves`, async () => {
    await using patient = await Patient.admit();
    if (warm) await patient.download();
    const right = await patient.read('go.sum');
    await patient.write('go.sum', right.replace(patient.lib.zipHash, otherHash));
    assert.match((await patient.go(build)).output, /checksum mismatch/);
    const findings = await patient.suffersFrom('go-sum-wrong');
    const places = findings[0]?.proof.map(({ got }) => got);
    assert.deepEqual(places, [otherHash, ...(warm ? [patient.lib.zipHash] : []), patient.lib.zipHash, patient.lib.zipHash]);
    await patient.mend(findings);
    assert.equal(await patient.read('go.sum'), right);
    await builds(patient);
    await patient.suffersFrom();
  });
}

test('go-sum-wrong: the hash of go.mod', async () => {
  await using patient = await Patient.admit();
  const right = await patient.read('go.sum');
  await patient.write('go.sum', right.replace(patient.lib.modHash, otherHash));
  const findings = await patient.suffersFrom('go-sum-wrong');
  assert.equal(findings[0]?.subject, 'lib.example/m@v1.0.0/go.mod');
  await patient.mend(findings);
  assert.equal(await patient.read('go.sum'), right);
});

test('a private module that no database knows: two against one', async () => {
  await using patient = await Patient.admit();
  await patient.set('GONOSUMDB', 'lib.example');
  await patient.download();
  await patient.write('go.sum', (await patient.read('go.sum')).replace(patient.lib.zipHash, otherHash));
  const [finding] = await patient.suffersFrom('go-sum-wrong');
  assert.equal(finding?.fix.apply, undefined, 'nothing proves what is right');
});

test('go-sum-malformed: what a merge left behind', async () => {
  await using patient = await Patient.admit();
  await patient.download();
  const right = await patient.read('go.sum');
  await patient.write('go.sum', `<<<<<<< HEAD\n${right}`);
  assert.match((await patient.go(build)).output, /malformed go\.sum/);
  await patient.suffersFrom('go-sum-malformed');
  await patient.write('go.sum', right);
  await patient.suffersFrom();
});

test('cache-altered: zip and .ziphash were replaced together', async () => {
  await using patient = await Patient.admit();
  // As most people have it: the cache's folders cannot be written.
  assert.equal((await patient.go(['mod', 'download', 'all'], patient.project, { GOFLAGS: '-mod=mod' })).code, 0);
  const files = cachedFiles(patient.cache, patient.lib);
  await writeFile(`${files}.zip`, altered.zip);
  await writeFile(`${files}.ziphash`, altered.zipHash);
  assert.match((await patient.go(build)).output, /checksum mismatch/);
  const findings = await patient.suffersFrom('cache-altered');
  await patient.mend(findings);
  await builds(patient);
  await patient.suffersFrom();
});

test('cache-damaged: an unpacked file was edited, which builds do not notice and go mod verify does', async () => {
  await using patient = await Patient.admit();
  await patient.download();
  const file = join(patient.cache, 'lib.example', 'm@v1.0.0', 'm.go');
  await chmod(file, 0o644);
  await appendFile(file, '// debugging\n');
  await builds(patient);
  assert.match((await patient.go(['mod', 'verify'])).output, /dir has been modified/);
  await patient.mend(await patient.suffersFrom('cache-damaged'));
  await patient.suffersFrom();
  await patient.download();
  assert.match((await patient.go(['mod', 'verify'])).output, /all modules verified/);
  await patient.suffersFrom();
});

test('cache-damaged: a truncated zip', async () => {
  await using patient = await Patient.admit();
  await patient.download();
  await truncate(`${cachedFiles(patient.cache, patient.lib)}.zip`, 100);
  assert.notEqual((await patient.go(['mod', 'verify'])).code, 0);
  await patient.mend(await patient.suffersFrom('cache-damaged'));
  await patient.suffersFrom();
});

test('proxy-altered: the proxy serves another zip than go.sum and the database know', async () => {
  await using patient = await Patient.admit();
  patient.world.upstream.files.set(`${address(patient.lib)}zip`, altered.zip);
  assert.match((await patient.go(build)).output, /checksum mismatch/);
  await patient.suffersFrom('proxy-altered');
  patient.world.upstream.files.set(`${address(patient.lib)}zip`, patient.lib.zip);
  await patient.suffersFrom();
});

test('database-differs: go.sum, cache and proxy agree on what was never recorded', async () => {
  await using patient = await Patient.admit();
  const made = makeModule('moved.example/m', 'v1.0.0');
  patient.world.database.add(made.path, made.version);
  serveModule(patient.world.upstream, made);
  await patient.write('go.mod', `${await patient.read('go.mod')}\nrequire moved.example/m v1.0.0\n`);
  await patient.write('go.sum', (await patient.read('go.sum')) + sumOf(made));
  const findings = await patient.findings();
  assert.deepEqual(
    findings.map(({ id, subject }) => [id, subject]),
    [
      ['database-differs', 'moved.example/m@v1.0.0'],
      ['database-differs', 'moved.example/m@v1.0.0/go.mod'],
    ],
  );
});

test('module-refused: 403 with its reason, and where the go command goes then', async () => {
  await using patient = await Patient.admit();
  patient.world.upstream.on(/^lib\.example/, { status: 403, body: 'denied: licence GPL-3.0\n' });
  assert.match((await patient.go(build)).output, /403/);
  const [finding] = await patient.suffersFrom('module-refused');
  assert.match(finding?.proof[0]?.got ?? '', /403: denied: licence GPL-3\.0 +\[end\] ⇒ ×/);
  patient.world.upstream.behave();
  await patient.suffersFrom();
});

test('module-refused: after | the go command goes on, and the doctor follows', async () => {
  await using patient = await Patient.admit();
  await using first = await startScriptedUpstream();
  first.on(/^lib\.example/, { status: 403, body: 'denied\n' });
  await patient.set('GOPROXY', `${first.url}|${patient.world.upstream.url}`);
  await builds(patient);
  await patient.suffersFrom();
});

test('proxy-credentials: a proxy that wants them for one module only', async () => {
  await using patient = await Patient.admit();
  patient.world.upstream.on(/^lib\.example/, { status: 401 });
  const [finding] = await patient.suffersFrom('proxy-credentials');
  assert.match(finding?.fix.lines[0] ?? '', /GOPROXY: https:/, 'no credentials go over http');
});

test('major-version-path: an +incompatible version of what has a go.mod', async () => {
  await using patient = await Patient.admit();
  await patient.download();
  const says = 'not found: invalid version: module contains a go.mod file, so module path must match major version ("old.example/m/v2")\n';
  patient.world.upstream.on(/^old\.example/, { status: 404, body: says });
  await patient.write('go.mod', `${await patient.read('go.mod')}\nrequire old.example/m v2.0.0+incompatible\n`);
  const [finding] = await patient.suffersFrom('major-version-path');
  assert.deepEqual(finding?.fix.lines, ['go get old.example/m/v2@latest']);
});

test('module-error', async () => {
  await using patient = await Patient.admit();
  patient.world.upstream.on(/^lib\.example/, { status: 500 });
  await patient.suffersFrom('module-error');
  patient.world.upstream.behave();
  await patient.suffersFrom();
});

test('module-absent: 404 from each of two proxies, in order', async () => {
  await using patient = await Patient.admit();
  await using second = await startScriptedUpstream();
  await patient.set('GOPROXY', `${second.url},${patient.world.upstream.url},off`);
  await patient.suffersFrom();
  await patient.write('go.mod', (await patient.read('go.mod')).replace('v1.0.0', 'v1.0.1'));
  assert.match((await patient.go(['mod', 'download'])).output, /disabled by GOPROXY=off/);
  const findings = await patient.suffersFrom('module-absent');
  assert.deepEqual(
    findings[0]?.proof.map(({ got }) => got.split(' ⇒ ')[1]),
    [patient.world.upstream.url, 'off'],
  );
});

interface Private {
  readonly patient: Patient;
  readonly module: string;
}

const PRIVATE = 'git.corp.example/team/lib.git';

async function needsPrivate(module = PRIVATE): Promise<Private> {
  const patient = await Patient.admit();
  await patient.download();
  await patient.set('GOPRIVATE', 'git.corp.example');
  await patient.write('go.mod', `module example.com/app\n\ngo 1.21\n\nrequire (\n\tlib.example/m v1.0.0\n\t${module} v1.0.0\n)\n`);
  return { patient, module };
}

async function instead(patient: Patient, url: string): Promise<void> {
  await patient.appendHome('.gitconfig', `[url "${url}/"]\n\tinsteadOf = https://git.corp.example/`);
}

async function repositories(patient: Patient): Promise<string> {
  const folder = join(patient.world.folder, 'repositories');
  await makeRepository(join(folder, 'team'), 'lib', {
    steps: [{ commit: 'one', files: { 'go.mod': `module ${PRIVATE}\n`, 'lib.go': 'package lib\n' } }, { tag: 'v1.0.0' }],
  });
  return folder;
}

test('private-credentials: Git asks for a password that nobody can type', async () => {
  const { patient, module } = await needsPrivate();
  await using _ = patient;
  await using git = await startGitServer(await repositories(patient), { username: 'me', password: 'token' });
  await instead(patient, git.url);
  assert.match((await patient.go(['mod', 'download', module])).output, /no secure protocol found for repository/);
  await patient.suffersFrom('private-credentials');
  await patient.appendHome('.netrc', 'machine 127.0.0.1 login me password token');
  await patient.suffersFrom();
});

test('private-credentials: an SSH server that does not know the key', async (t) => {
  const { patient } = await needsPrivate();
  await using _ = patient;
  await using server = await startSshServer(patient.home);
  if (server === undefined) return t.skip('there is no sshd here');
  await instead(patient, `ssh://git@127.0.0.1:${server.port}`);
  patient.env['GIT_SSH_COMMAND'] =
    `ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=${join(patient.home, 'known')}`;
  const [finding] = await patient.suffersFrom('private-credentials');
  assert.match(finding?.proof.at(-1)?.got ?? '', /Permission denied \(publickey\)/);
});

test('private-host-unreachable', async () => {
  const { patient } = await needsPrivate();
  await using _ = patient;
  const git = await startGitServer(await repositories(patient));
  await instead(patient, git.url);
  await patient.suffersFrom();
  await git[Symbol.asyncDispose]();
  await patient.suffersFrom('private-host-unreachable');
});

test('git-missing', async () => {
  const { patient } = await needsPrivate();
  await using _ = patient;
  const [go = ''] = (patient.env['PATH'] ?? '').split(':');
  const bin = join(patient.home, 'bin');
  await mkdir(bin);
  await symlink(join(go, 'go'), join(bin, 'go'));
  patient.env['PATH'] = bin;
  await patient.suffersFrom('git-missing');
});

test('private-vanity: a page that would have git run a command is not followed', async () => {
  const { patient } = await needsPrivate('git.corp.example/team/vanity');
  await using _ = patient;
  const page = '<meta name="go-import" content="git.corp.example/team git ext::touch% /tmp/never">';
  await using outbound = await startScriptedUpstream({ files: { 'team/vanity': page } });
  Object.assign(patient.env, { HTTP_PROXY: outbound.url, HTTPS_PROXY: outbound.url });
  await patient.set('GOINSECURE', 'git.corp.example');
  await patient.suffersFrom();
});

test('private-pattern-missing: fetched directly, and the public database does not know it', async () => {
  const { patient, module } = await needsPrivate();
  await using _ = patient;
  await using git = await startGitServer(await repositories(patient));
  await instead(patient, git.url);
  await patient.set('GOPRIVATE', undefined);
  await patient.set('GOPROXY', `${patient.world.upstream.url},direct`);
  assert.match((await patient.go(['mod', 'download', module])).output, /verifying|404/);
  const [finding] = await patient.suffersFrom('private-pattern-missing');
  assert.deepEqual(finding?.fix.lines, ['go env -w GOPRIVATE=git.corp.example']);
  await patient.set('GOPRIVATE', 'git.corp.example');
  await patient.suffersFrom();
});

test('private-vanity: a page without go-import, asked through the outbound proxy', async () => {
  const { patient, module } = await needsPrivate('git.corp.example/team/vanity');
  await using _ = patient;
  await using outbound = await startScriptedUpstream({ files: { 'team/vanity': '<html><p>log in first</p></html>' } });
  Object.assign(patient.env, { HTTP_PROXY: outbound.url, HTTPS_PROXY: outbound.url });
  await patient.set('GOINSECURE', 'git.corp.example');
  assert.match((await patient.go(['mod', 'download', module])).output, /unrecognized import path|no go-import meta tags/);
  await patient.suffersFrom('private-vanity');
  const git = await startGitServer(await repositories(patient));
  await using __ = git;
  outbound.files.set('team/vanity', Buffer.from(`<meta name="go-import" content="git.corp.example/team git ${git.url}/team/lib.git">`));
  await patient.suffersFrom();
});

test('case-collision', async () => {
  await using patient = await Patient.admit();
  const upper = patient.world.publish('lib.example/M', 'v1.0.0');
  await patient.write('go.mod', `${await patient.read('go.mod')}\nrequire lib.example/M v1.0.0\n`);
  await patient.write('go.sum', (await patient.read('go.sum')) + sumOf(upper));
  await patient.suffersFrom('case-collision');
});

test('path-declared-otherwise', async () => {
  await using patient = await Patient.admit();
  const fork = patient.world.publish('fork.example/m', 'v1.0.0', { goMod: 'module original.example/m\n' });
  await patient.write('go.mod', `${await patient.read('go.mod')}\nrequire fork.example/m v1.0.0\n`);
  await patient.write('go.sum', (await patient.read('go.sum')) + sumOf(fork));
  assert.match((await patient.go(['list', '-m', 'all'])).output, /declares its path as: original\.example\/m/);
  const findings = await patient.suffersFrom('path-declared-otherwise');
  assert.ok(findings[0]?.fix.lines.some((line) => line.includes('original.example/m')));
});

test('what a stranger’s go.mod says is one quoted word in the line to type', async () => {
  await using patient = await Patient.admit();
  const bad = patient.world.publish('fork.example/m', 'v1.0.0', { goMod: "module original.example/$(touch${IFS}x)'\n" });
  await patient.write('go.mod', `${await patient.read('go.mod')}\nrequire fork.example/m v1.0.0\n`);
  await patient.write('go.sum', (await patient.read('go.sum')) + sumOf(bad));
  const [finding] = await patient.suffersFrom('path-declared-otherwise');
  assert.ok(finding?.fix.lines.includes(`go get 'original.example/$(touch\${IFS}x)'\\''@v1.0.0'`), JSON.stringify(finding?.fix.lines));
});

test('GOPROXY=off: nothing is to be fetched, so no database is missed', async () => {
  await using patient = await Patient.admit();
  await patient.download();
  await patient.set('GOPROXY', 'off');
  await patient.set('GOSUMDB', undefined);
  await patient.suffersFrom();
});

test('major-version-path', async () => {
  await using patient = await Patient.admit();
  await patient.download();
  const right = await patient.read('go.mod');
  await patient.write('go.mod', `${right}\nrequire old.example/m v2.3.4\n`);
  assert.match((await patient.go(['list', '-m'])).output, /should be v0 or v1, not v2/);
  await patient.suffersFrom('major-version-path');
  await patient.write('go.mod', right);
  await patient.suffersFrom();
});

test('vendor-mismatch', async () => {
  await using patient = await Patient.admit();
  const next = patient.world.publish('lib.example/m', 'v1.1.0');
  assert.equal((await patient.go(['mod', 'vendor'])).code, 0);
  await patient.suffersFrom();
  await patient.write('go.mod', (await patient.read('go.mod')).replace('v1.0.0', 'v1.1.0'));
  await patient.write('go.sum', (await patient.read('go.sum')) + sumOf(next));
  assert.match((await patient.go(build)).output, /inconsistent vendoring/);
  await patient.suffersFrom('vendor-mismatch');
  assert.equal((await patient.go(['mod', 'vendor'])).code, 0);
  await patient.suffersFrom();
});

test('gopath-project', async () => {
  await using patient = await Patient.admit();
  const old = join(patient.home, 'old');
  await mkdir(old);
  await writeFile(join(old, 'Gopkg.lock'), '[[projects]]\n');
  const project = await readFile(join(patient.project, 'go.mod'), 'utf8');
  assert.ok(project.length > 0);
  const ids = (await patient.examine(old)).findings.map(({ id }) => id);
  assert.deepEqual(ids, ['gopath-project']);
  assert.equal((await patient.go(['mod', 'init', 'example.com/old'], old)).code, 0);
  assert.deepEqual((await patient.examine(old)).findings, []);
});
