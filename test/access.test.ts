// Tokens in front of a whole hub with TLS: every way in which the go command sends them, private modules for who may read them, and a trail of all that.
import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { chmod, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type GoResult, runGo } from './support/go-command.ts';
import { eventually } from './support/hub-client.ts';
import { type HubProcess, runGoyi } from './support/hub-process.ts';
import { address, makeModule, type SyntheticModule } from './support/synthetic-module.ts';
import { startWorld, type SyntheticWorld } from './support/synthetic-world.ts';

const file = (name: string): string => fileURLToPath(new URL(`../testdata/tls/${name}`, import.meta.url));
const issuer = generateKeyPairSync('ed25519');

let world: SyntheticWorld;
let hub: HubProcess;
/** By the name that the certificate has. */
let url = '';
let ca: Buffer;
let open: SyntheticModule;
let secret: SyntheticModule;

async function goyi(...args: readonly string[]): Promise<{ code: number | null; value: Record<string, unknown>; output: string }> {
  const { code, output } = await runGoyi(['admin', ...args, '--data-dir', hub.dataDir, '--json']);
  const isOne = output.startsWith('{\n');
  return { code, output, value: isOne ? (JSON.parse(output) as Record<string, unknown>) : {} };
}

async function newToken(name: string, scope: string, expires = '90d'): Promise<string> {
  const { code, value, output } = await goyi('token', 'new', '--name', name, '--scope', scope, '--expires', expires);
  assert.equal(code, 0, output);
  return String(value['token']);
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

function ask(
  path: string,
  { authorization, method = 'GET', body }: { authorization?: string; method?: string; body?: Buffer } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { ...(authorization !== undefined && { authorization }), ...(body !== undefined && { 'content-length': body.length }) };
    const asking = request(`${url}/${path}`, { ca, agent: false, method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
    });
    asking.on('error', reject);
    asking.end(body);
  });
}

/** What `go get` of a module does for a client that knows nothing yet. */
async function get(
  module: SyntheticModule,
  client: { readonly proxy?: string; readonly env?: Readonly<Record<string, string>> },
): Promise<GoResult> {
  const folder = await mkdtemp(join(world.folder, 'client-'));
  await writeFile(join(folder, 'go.mod'), 'module app.example/app\n\ngo 1.21\n');
  const settings = {
    GOPROXY: client.proxy ?? url,
    GOMODCACHE: join(folder, 'cache', 'mod'),
    GOSUMDB: world.goSumDb,
    GONOSUMDB: '*.corp.example',
    SSL_CERT_FILE: file('ca.pem'),
    HOME: folder,
    NETRC: join(folder, 'no-netrc'),
    ...client.env,
  };
  return runGo(folder, ['get', `${module.path}@${module.version}`], settings, 60_000);
}

async function netrc(password: string, login = 'anybody'): Promise<Record<string, string>> {
  const path = join(await mkdtemp(join(world.folder, 'netrc-')), 'netrc');
  await writeFile(path, `machine ${new URL(url).host} login ${login} password ${password}\n`, { mode: 0o600 });
  return { NETRC: path };
}

before(async () => {
  ca = await readFile(file('ca.pem'));
  world = await startWorld();
  open = world.publish('open.example/m', 'v1.0.0');
  secret = makeModule('git.corp.example/team/lib', 'v1.2.0');
  const config = join(world.folder, 'goyi.yaml');
  const jwk = { ...issuer.publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'EdDSA' };
  await writeFile(join(world.folder, 'keys.json'), JSON.stringify({ keys: [jwk] }));
  await writeFile(
    config,
    `private: [{match: "git.corp.example/*", uploads: true}]
access:
  anonymous: []
  oidc: [{issuer: "https://ci.example", audience: goyi, jwksFile: keys.json, rules: [{claims: {sub: "repo:team/*"}, grants: [read, "read:git.corp.example/team/*"]}]}]
`,
  );
  const env = { GOYI_TLS_CERT_FILE: file('server.pem'), GOYI_TLS_KEY_FILE: file('server.key') };
  hub = await world.hub({ workers: 2, args: ['--config', config], env });
  url = hub.url.replace('127.0.0.1', 'localhost');
});

after(async () => {
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

test('netrc, a token in the address and GOAUTH all let a stock go command in, and nothing lets it in without', async () => {
  const token = await newToken('developer', 'read');
  const script = join(await mkdtemp(join(world.folder, 'goauth-')), 'goauth');
  const basic = Buffer.from(`x:${token}`).toString('base64');
  await writeFile(script, `#!/bin/sh\nprintf '%s\\n\\nAuthorization: Basic %s\\n\\n' '${url}' '${basic}'\n`);
  await chmod(script, 0o700);
  const ways: Readonly<Record<string, Parameters<typeof get>[1]>> = {
    netrc: { env: await netrc(token) },
    'netrc with the token as the login': { env: await netrc('x', token) },
    address: { proxy: url.replace('https://', `https://user:${token}@`) },
    'address with the token alone': { proxy: url.replace('https://', `https://${token}@`) },
    GOAUTH: { env: { GOAUTH: script } },
  };
  for (const [way, client] of Object.entries(ways)) {
    const { code, stderr } = await get(open, client);
    assert.equal(code, 0, `${way}: ${stderr}`);
  }
  const without = await get(open, {});
  assert.notEqual(without.code, 0);
  assert.match(without.stderr, /401 Unauthorized/);
});

test('wrong, expired and revoked tokens are 401 in every worker within seconds, with the same words', async () => {
  const token = await newToken('leaver', 'read', '1h');
  const authorization = `Bearer ${token}`;
  const list = `${open.path}/@v/list`;
  for (let turn = 0; turn < 8; turn += 1) assert.equal((await ask(list, { authorization })).status, 200);
  assert.equal((await goyi('token', 'revoke', 'leaver')).code, 0);
  // Failures of one address are counted: a round ends at the first worker that does not know yet.
  const round = async (statuses: readonly number[] = []): Promise<readonly number[]> => {
    const { status } = await ask(list, { authorization });
    if (status === 200) await pause(1_000);
    return status === 200 || statuses.length === 7 ? [...statuses, status] : round([...statuses, status]);
  };
  const statuses = await eventually(round, (all) => !all.includes(200), 10_000);
  assert.deepEqual(new Set(statuses), new Set([401]));
  const revoked = await ask(list, { authorization });
  const wrong = await ask(list, { authorization: `Bearer ${token.slice(0, -1)}${token.endsWith('x') ? 'y' : 'x'}` });
  assert.deepEqual([wrong.status, wrong.body.toString()], [revoked.status, revoked.body.toString()]);
  const client = await get(open, { env: await netrc(token) });
  assert.match(client.stderr, /401 Unauthorized/);
  assert.equal((await goyi('token', 'revoke', 'leaver')).value['found'], 'already');
  assert.equal((await goyi('token', 'revoke', 'nobody')).code, 3);
  const taken = await goyi('token', 'new', '--name', 'leaver', '--scope', 'read', '--expires', 'never');
  assert.deepEqual([taken.code, taken.value['ok']], [4, false]);
});

test('a private module is published by who may, read by who may, and not there for others', async () => {
  const publisher = `Bearer ${await newToken('publisher', 'publish:git.corp.example/team/*')}`;
  const stranger = await newToken('stranger', 'read,read:git.corp.example/other/*');
  const reader = await newToken('reader', 'read:git.corp.example/team/*');
  const target = `api/v1/modules/${address(secret)}zip`;
  const put = (authorization?: string): Promise<Answer> =>
    ask(target, { method: 'PUT', body: secret.zip, ...(authorization !== undefined && { authorization }) });
  assert.deepEqual([(await put()).status, (await put(`Bearer ${reader}`)).status], [401, 403]);
  assert.equal((await put(publisher)).status, 201);
  const real = await ask(`${address(secret)}zip`, { authorization: `Bearer ${reader}` });
  assert.ok(real.status === 200 && real.body.equals(secret.zip));
  const there = await ask(`${address(secret)}zip`, { authorization: `Bearer ${stranger}` });
  const nowhere = await ask('git.corp.example/no/such/@v/v1.0.0.zip', { authorization: `Bearer ${stranger}` });
  assert.deepEqual([there.status, there.body.toString()], [404, nowhere.body.toString()]);
  const built = await get(secret, { env: await netrc(reader) });
  assert.equal(built.code, 0, built.stderr);
  assert.match((await get(secret, { env: await netrc(stranger) })).stderr, /404 Not Found/);
});

test('a CI job gets in with the identity that its host vouches for', async () => {
  const b64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const identity = (sub: string): string => {
    const exp = Math.floor(Date.now() / 1000) + 600;
    const signed = `${b64({ alg: 'EdDSA', kid: 'k1' })}.${b64({ iss: 'https://ci.example', aud: 'goyi', sub, exp })}`;
    return `${signed}.${sign(null, Buffer.from(signed), issuer.privateKey).toString('base64url')}`;
  };
  const job = await get(secret, { env: await netrc(identity('repo:team/app')) });
  assert.equal(job.code, 0, job.stderr);
  assert.match((await get(secret, { env: await netrc(identity('repo:others/app')) })).stderr, /401 Unauthorized/);
});

test('the trail tells of all of it, holds, and neither it nor the log has a secret', async () => {
  const token = await newToken('last', 'audit');
  await hub.stop();
  const listed = await goyi('audit', 'list');
  const entries = listed.output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const has = (act: string, actor: RegExp, subject: string): boolean =>
    entries.some((entry) => entry['act'] === act && actor.test(String(entry['actor'])) && entry['subject'] === subject);
  const version = `${secret.path}@${secret.version}`;
  assert.ok(has('token.new', /^command line, user /, 'developer'));
  assert.ok(has('token.revoke', /^command line, user /, 'leaver'));
  assert.ok(has('publish', /^token publisher$/, version));
  assert.ok(has('refused', /^token reader$/, `publish ${secret.path}`));
  assert.ok(has('refused', /^token stranger$/, `read ${version}`));
  assert.ok(has('read', /^token reader$/, version));
  assert.ok(has('read', /^oidc https:\/\/ci\.example repo:team\/app$/, version));
  assert.ok(entries.some(({ act }) => act === 'log-in.failed'));
  const verified = await goyi('audit', 'verify');
  assert.deepEqual([verified.code, verified.value['ok'], verified.value['checked']], [0, true, entries.length]);
  assert.equal((await goyi('audit', 'verify', '--anchor', String(verified.value['head']))).code, 0);
  assert.equal((await goyi('audit', 'verify', '--anchor', `1:${'0'.repeat(64)}`)).code, 5);
  const tokens = (await goyi('token', 'list')).output;
  for (const text of [hub.output(), listed.output, tokens]) assert.doesNotMatch(text, /goyi_[\w-]{20}/);
  assert.match(tokens, /"developer"/);
  assert.match(token, /^goyi_/);
  for (const { headers } of world.upstream.requests) assert.equal(headers['authorization'], undefined);
});
