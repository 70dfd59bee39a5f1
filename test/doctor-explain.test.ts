// Logs that the real go command wrote while it failed, explained; and the whole program as a person would feed it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { explainLog } from '../src/cli/doctor/explain.ts';
import { Patient } from './support/doctor-patient.ts';
import { startScriptedUpstream } from './support/scripted-upstream.ts';

const launcher = fileURLToPath(new URL('../bin/goyi.mjs', import.meta.url));
const certificates = new URL('../testdata/tls/', import.meta.url);
let patient: Patient;
let dead = '';

before(async () => {
  patient = await Patient.admit();
  const upstream = await startScriptedUpstream();
  dead = upstream.url;
  await upstream[Symbol.asyncDispose]();
});
after(() => patient[Symbol.asyncDispose]());

async function goyi(args: readonly string[], input: string): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [launcher, ...args], { env: patient.env, cwd: patient.project });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, output };
}

/** What the go command says, explained: the ids. */
function explained(log: string): readonly string[] {
  return explainLog(log).explained.map(({ id }) => id);
}

interface Case {
  readonly id: string;
  readonly args: readonly string[];
  readonly env?: () => Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
}

const goMod = 'module example.com/app\n\ngo 1.21\n';
const fresh = ['mod', 'download', 'fresh.example/m@v1.0.0'];
const cases: readonly Case[] = [
  {
    id: 'checksum-mismatch',
    args: ['mod', 'download'],
    files: { 'go.sum': `lib.example/m v1.0.0 h1:${'A'.repeat(43)}=\n`, 'go.mod': `${goMod}\nrequire lib.example/m v1.0.0\n` },
  },
  { id: 'database-malformed', args: fresh, env: () => ({ GOSUMDB: 'sum.golang.org+https://gocenter.io/x' }) },
  { id: 'database-unreachable', args: fresh, env: () => ({ GOSUMDB: `${patient.world.goSumDb} ${dead}` }) },
  { id: 'credentials-over-http', args: fresh, env: () => ({ GOPROXY: 'http://me:secret@127.0.0.1:1' }) },
  { id: 'proxy-address-invalid', args: fresh, env: () => ({ GOPROXY: 'htps://x.example' }) },
  { id: 'proxy-off', args: fresh, env: () => ({ GOPROXY: 'off' }) },
  { id: 'connection-refused', args: fresh, env: () => ({ GOPROXY: dead }) },
  { id: 'plain-http', args: fresh, env: () => ({ GOPROXY: patient.world.upstream.url.replace('http:', 'https:') }) },
  { id: 'proxy-absent', args: ['mod', 'download', 'fresh.example/m@v9.0.0'] },
  { id: 'toolchain-unavailable', args: ['list', '-m'], env: () => ({ GOTOOLCHAIN: 'go1.99.0' }) },
  { id: 'go-newer-needed', args: ['list', '-m'], files: { 'go.mod': goMod.replace('1.21', '1.99.0') } },
  { id: 'go-line-malformed', args: ['list', '-m'], files: { 'go.mod': goMod.replace('1.21', '1.x') } },
  { id: 'no-go-mod', args: ['build', '.'], files: {} },
  { id: 'modules-disabled', args: ['list', '-m'], env: () => ({ GO111MODULE: 'off' }) },
  { id: 'no-module-provides', args: ['build', './...'], files: { 'go.mod': goMod, 'a.go': 'package a\n\nimport _ "unknown.example/x"\n' } },
  { id: 'not-in-std', args: ['build', './...'], files: { 'go.mod': goMod, 'a.go': 'package a\n\nimport _ "slicez"\n' } },
  {
    id: 'go-sum-missing',
    args: ['build', './...'],
    files: { 'go.mod': `${goMod}\nrequire lib.example/m v1.0.0\n`, 'a.go': 'package a\n\nimport _ "lib.example/m"\n' },
  },
  {
    id: 'vendor-inconsistent',
    args: ['build', './...'],
    files: { 'go.mod': `${goMod}\nrequire lib.example/m v1.0.0\n`, 'a.go': 'package a\n', 'vendor/modules.txt': '' },
  },
  { id: 'module-path-major', args: ['list', '-m'], files: { 'go.mod': `${goMod}\nrequire lib.example/m v2.0.0\n` } },
  { id: 'insecure-flag', args: ['get', '-insecure', 'fresh.example/m'] },
];

let folders = 0;

for (const { id, args, env, files } of cases)
  test(`${id}: what go ${args.slice(0, 2).join(' ')} says is recognised`, async () => {
    folders += 1;
    const folder = join(patient.home, `case${folders}`);
    await mkdir(folder);
    for (const [name, text] of Object.entries(files ?? { 'go.mod': goMod })) await patient.write(join('..', `case${folders}`, name), text);
    const { code, output } = await patient.go(args, folder, { GOFLAGS: '', ...env?.() });
    assert.notEqual(code, 0);
    const ids = explained(output);
    assert.ok(ids.includes(id), `${ids.join(', ')} of: ${output}`);
    await rm(folder, { recursive: true });
  });

test('certificate-unknown', async () => {
  const tls = { key: readFileSync(new URL('server.key', certificates)), cert: readFileSync(new URL('server.pem', certificates)) };
  await using upstream = await startScriptedUpstream({ tls });
  const { output } = await patient.go(fresh, patient.project, { GOPROXY: upstream.url });
  assert.deepEqual(explained(output), ['certificate-unknown']);
});

test('the refusal of a proxy', async () => {
  patient.world.upstream.on(/^fresh\.example/, { status: 403, body: 'denied: not reviewed\n' });
  const { output } = await patient.go(fresh);
  patient.world.upstream.behave();
  assert.deepEqual(explained(output), ['proxy-refused']);
});

test('unknown text says so, in words and with exit code 1; a log without a failure is well', async () => {
  const { code, output } = await goyi(['doctor', '--explain'], 'go: the moon is in the wrong house\n');
  assert.equal(code, 1);
  assert.match(output, /cannot be explained:\n {4}1: go: the moon/);
  const json = await goyi(['doctor', '--explain', '--json'], 'go: x@v1: reading https://hub/x/@v/v1.info: 403 Forbidden\n');
  assert.equal(json.code, 1);
  assert.equal((JSON.parse(json.output) as { explained: readonly { id: string }[] }).explained[0]?.id, 'proxy-refused');
  assert.equal((await goyi(['doctor', '--explain'], 'ok  \tx.example/a\t0.1s\n')).code, 0);
  assert.match((await goyi(['doctor', '--explain', '--lang', 'zh'], 'checksum mismatch\n')).output, /内容与记录不符/);
});
