// Upstreams that send wrong, broken or endless things. Nothing of it is stored or served, no fault looks like an absence, and the truth is taken as soon as it is told.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { HubProcess } from './support/hub-process.ts';
import { ask, askUntilFound, leftInStaging, metric, storedFiles } from './support/hub-client.ts';
import { type Behaviour, type ScriptedUpstream, startScriptedUpstream } from './support/scripted-upstream.ts';
import { address, makeModule, type ModuleRecipe, type SyntheticModule } from './support/synthetic-module.ts';
import { type SyntheticWorld, serveModule, startWorld } from './support/synthetic-world.ts';

interface Lie {
  readonly name: string;
  readonly file: 'info' | 'mod' | 'zip';
  readonly tell: (truth: SyntheticModule) => Behaviour;
  readonly status?: 502 | 504;
  readonly code: RegExp;
  readonly says: RegExp;
  readonly recipe?: ModuleRecipe;
}

const login = { body: '<!DOCTYPE html><html><body>Please log in</body></html>', headers: { 'content-type': 'text/html' } };
const bulky: ModuleRecipe = { fillBytes: 300_000 };
const mismatch = { code: /^checksum-mismatch$/, says: /does not match the checksum database/ };
const broken = { code: /^origin-(unavailable|timeout)$/, says: /cut|broke off|ended after|silent|failed|reset|closed|bytes/ };

const lies: readonly Lie[] = [
  {
    name: 'another zip under the right names',
    file: 'zip',
    tell: ({ path, version }) => ({ body: makeModule(path, version, { files: { 'm.go': 'package evil\n' } }).zip }),
    ...mismatch,
  },
  {
    name: "another version's zip",
    file: 'zip',
    tell: ({ path }) => ({ body: makeModule(path, 'v0.9.0').zip }),
    code: /^zip-invalid$/,
    says: /v0\.9\.0/,
  },
  { name: 'one more line in go.mod', file: 'mod', tell: ({ goMod }) => ({ body: `${goMod}// evil\n` }), ...mismatch },
  { name: 'an empty go.mod', file: 'mod', tell: () => ({ body: '' }), ...mismatch },
  {
    name: 'a zip cut inside, with the length of what is there',
    file: 'zip',
    tell: ({ zip }) => ({ body: zip.subarray(0, zip.length - 40) }),
    code: /^zip-invalid$/,
    says: /zip/,
  },
  {
    name: 'a connection cut again and again, with Content-Length',
    file: 'zip',
    tell: () => ({ cutAfterBytes: 1000 }),
    recipe: bulky,
    ...broken,
  },
  {
    name: 'a connection cut without Content-Length, which cannot be continued',
    file: 'zip',
    tell: () => ({ cutAfterBytes: 1000, noLength: true, ignoreRange: true }),
    recipe: bulky,
    ...broken,
  },
  {
    name: 'a Content-Length that is too large',
    file: 'zip',
    tell: ({ zip }) => ({ declaredBytes: zip.length + 100, ignoreRange: true }),
    ...broken,
  },
  { name: 'an endless go.mod', file: 'mod', tell: () => ({ endless: true }), code: /^upstream-invalid$/, says: /more than|larger than/ },
  { name: 'an endless .info', file: 'info', tell: () => ({ endless: true }), code: /^upstream-invalid$/, says: /more than|larger than/ },
  {
    name: 'a zip of a few bytes at a time',
    file: 'zip',
    tell: () => ({ drip: { sizeBytes: 4, everyMs: 100 } }),
    recipe: bulky,
    status: 504,
    code: /^origin-timeout$/,
    says: /only \d+ bytes in/,
  },
  {
    name: 'silence in the middle of a zip',
    file: 'zip',
    tell: () => ({ stallAfterBytes: 2000 }),
    recipe: bulky,
    status: 504,
    code: /^origin-timeout$/,
    says: /silent for/,
  },
  { name: 'no answer at all', file: 'zip', tell: () => ({ hang: true }), status: 504, code: /^origin-timeout$/, says: /./ },
  {
    name: 'a head of a megabyte',
    file: 'info',
    tell: () => ({ headBytes: 1_000_000 }),
    code: /^(origin-unavailable|upstream-invalid)$/,
    says: /./,
  },
  {
    name: 'an .info of another version',
    file: 'info',
    tell: () => ({ body: '{"Version":"v1.0.1","Time":"2024-05-06T07:08:09Z"}' }),
    code: /^upstream-invalid$/,
    says: /v1\.0\.1/,
  },
  { name: 'an .info that is no JSON', file: 'info', tell: () => ({ body: 'v1.0.0' }), code: /^upstream-invalid$/, says: /\.info/ },
  { name: 'a captive portal for an .info', file: 'info', tell: () => login, code: /^(upstream-invalid|origin-unavailable)$/, says: /./ },
  { name: 'a captive portal for a go.mod', file: 'mod', tell: () => login, code: /^(checksum-mismatch|upstream-invalid)$/, says: /./ },
  { name: 'a captive portal for a zip', file: 'zip', tell: () => login, code: /^(zip-invalid|upstream-invalid)$/, says: /./ },
  { name: 'status 500', file: 'zip', tell: () => ({ status: 500 }), code: /^origin-unavailable$/, says: /500/ },
  {
    name: 'status 206 to a question for the whole',
    file: 'zip',
    tell: ({ zip }) => ({ status: 206, body: zip }),
    code: /^(origin-unavailable|upstream-invalid)$/,
    says: /206/,
  },
  { name: 'status 204', file: 'mod', tell: () => ({ status: 204 }), code: /^(origin-unavailable|upstream-invalid)$/, says: /204/ },
  {
    name: 'bytes that are no HTTP',
    file: 'mod',
    tell: () => ({ garbage: 'SSH-2.0-OpenSSH_9.9\r\n' }),
    code: /^(origin-unavailable|upstream-invalid)$/,
    says: /./,
  },
  {
    name: 'a redirect to a file',
    file: 'mod',
    tell: () => ({ redirectTo: 'file:///etc/hostname' }),
    code: /^(origin-unavailable|upstream-invalid)$/,
    says: /redirect|forbidden|file:/,
  },
  {
    name: 'a redirect to the address of cloud metadata',
    file: 'mod',
    tell: () => ({ redirectTo: 'http://169.254.169.254/latest/meta-data/' }),
    code: /^(origin-unavailable|upstream-invalid)$/,
    says: /169\.254\.169\.254/,
  },
  {
    name: 'a redirect that spells loopback as a number',
    file: 'mod',
    tell: () => ({ redirectTo: 'http://2130706433:9/go.mod' }),
    code: /^(origin-unavailable|upstream-invalid)$/,
    says: /not configured/,
  },
  {
    name: 'a redirect to itself for ever',
    file: 'info',
    tell: (truth) => ({ redirectTo: `/${address(truth)}info` }),
    code: /^(origin-unavailable|upstream-invalid)$/,
    says: /redirect/,
  },
];

let world: SyntheticWorld;
let honest: ScriptedUpstream;
let alone: HubProcess;
let pair: HubProcess;

before(async () => {
  world = await startWorld();
  honest = await startScriptedUpstream();
  alone = await world.hub();
  pair = await world.hub({ dataDir: `${world.folder}/pair`, upstreams: [world.upstream.url, honest.url] });
});

after(async () => {
  await alone?.stop();
  await pair?.stop();
  await honest?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

/** What the hub refused so far, and what it has to serve in the end. */
const refused: { readonly path: string; readonly truth: Buffer }[] = [];

function fileOf(module: SyntheticModule, file: 'info' | 'mod' | 'zip'): Buffer {
  return file === 'zip' ? module.zip : Buffer.from(file === 'mod' ? module.goMod : module.info);
}

/** A success of each upstream, so that no breaker is open when the next lie is told. */
async function settle(hub: HubProcess, name: string): Promise<void> {
  const module = world.publish(name, 'v1.0.0');
  serveModule(honest, module);
  await askUntilFound(hub, `${address(module)}info`);
}

for (const [index, { name, file, tell, status = 502, code, says, recipe }] of lies.entries()) {
  test(`${name}: refused, with nothing stored`, async () => {
    const module = world.publish(`lie${index}.example/m`, 'v1.0.0', recipe);
    const path = `${address(module)}${file}`;
    await settle(alone, `calm${index}.example/m`);
    world.upstream.on(path, tell(module));
    const startedMs = performance.now();
    const answer = await ask(alone, path);
    assert.ok(performance.now() - startedMs < 6_000, 'answered within the time limits');
    assert.equal(answer.status, status, answer.firstLine);
    assert.match(answer.headers.get('goyi-error') ?? '', code, answer.firstLine);
    assert.match(answer.firstLine, says);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    assert.deepEqual(
      (await storedFiles(alone.dataDir)).filter((stored) => stored.startsWith(module.path)),
      [],
    );
    refused.push({ path, truth: fileOf(module, file) });
  });

  test(`${name}: an honest second upstream saves the request`, async () => {
    const module = world.publish(`pair${index}.example/m`, 'v1.0.0', recipe);
    serveModule(honest, module);
    const path = `${address(module)}${file}`;
    await settle(pair, `paircalm${index}.example/m`);
    world.upstream.on(path, tell(module));
    const answer = await ask(pair, path);
    assert.equal(answer.status, 200, answer.firstLine);
    assert.ok(answer.body.equals(fileOf(module, file)));
  });
}

test('all of it heals as soon as the upstream tells the truth', async () => {
  world.upstream.behave();
  assert.equal(refused.length, lies.length);
  await Promise.all(
    refused.map(async ({ path, truth }) => {
      const answer = await askUntilFound(alone, path);
      assert.ok(answer.body.equals(truth), path);
    }),
  );
});

/** A zip that breaks the rules, in the database with the very hash it has: the database vouches for it, the rules do not. */
const vouched: readonly { readonly name: string; readonly recipe: (prefix: string) => ModuleRecipe; readonly says: RegExp }[] = [
  {
    name: 'a newline in a file name, by which two zips have one hash',
    recipe: (prefix) => ({ entries: [{ name: `${prefix}a\nb.go`, content: 'package m\n' }] }),
    says: /a\\nb\.go|control|newline|malformed/,
  },
  {
    name: 'two names that are one on some disks',
    recipe: (prefix) => ({
      entries: [
        { name: `${prefix}readme`, content: '1' },
        { name: `${prefix}README`, content: '2' },
      ],
    }),
    says: /case|collision|readme/i,
  },
  {
    name: 'a module inside the module',
    recipe: (prefix) => ({ entries: [{ name: `${prefix}sub/go.mod`, content: 'module x\n' }] }),
    says: /go\.mod/,
  },
  { name: 'a way out of the folder', recipe: (prefix) => ({ entries: [{ name: `${prefix}../../evil`, content: 'x' }] }), says: /\.\./ },
  { name: 'an absolute name', recipe: () => ({ entries: [{ name: '/etc/passwd', content: 'x' }] }), says: /etc\/passwd/ },
  {
    name: 'a backslash',
    recipe: (prefix) => ({ entries: [{ name: `${prefix}a\\..\\b`, content: 'x' }] }),
    says: /U\+005C|name|malformed|invalid/,
  },
  {
    name: 'a size that lies about a bomb',
    recipe: (prefix) => ({ entries: [{ name: `${prefix}bomb`, content: Buffer.alloc(30_000_000), both: { sizeBytes: 1000 } }] }),
    says: /bomb/,
  },
  {
    name: 'more than 500 MiB when inflated',
    recipe: (prefix) => ({ entries: Array.from({ length: 20 }, (_, i) => ({ name: `${prefix}zeros${i}`, content: zeros })) }),
    says: /large|size|500|524288000/,
  },
];

const zeros = Buffer.alloc(30_000_000);

for (const [index, { name, recipe, says }] of vouched.entries()) {
  test(`vouched for by the database: ${name}`, async () => {
    const path = `vouched${index}.example/m`;
    // Made first: while this process compresses, its upstream and its database answer nobody.
    const module = world.publish(path, 'v1.0.0', recipe(`${path}@v1.0.0/`));
    await settle(alone, `calmvouched${index}.example/m`);
    const answer = await ask(alone, `${address(module)}zip`);
    assert.equal(answer.status, 502, answer.firstLine);
    assert.equal(answer.headers.get('goyi-error'), 'zip-invalid', answer.firstLine);
    assert.match(answer.firstLine, says);
    assert.deepEqual(
      (await storedFiles(alone.dataDir)).filter((stored) => stored.startsWith(path)),
      [],
    );
    assert.equal((await ask(alone, `${address(module)}mod`)).status, 200, 'its go.mod is sound and has its own proof');
  });
}

test('what the database has no record of is not served, and not 404', async () => {
  await settle(alone, 'calmmissing.example/m');
  const module = makeModule('missing.example/m', 'v1.0.0');
  serveModule(world.upstream, module);
  const answer = await ask(alone, `${address(module)}zip`);
  assert.equal(answer.status, 502);
  assert.equal(answer.headers.get('goyi-error'), 'checksum-missing', answer.firstLine);
  assert.match(answer.firstLine, /no record/);
  world.database.add(module.path, module.version, module);
  await askUntilFound(alone, `${address(module)}zip`);
});

test('an upstream that refuses stops the go command with its own first line', async () => {
  await settle(alone, 'calmrefuse.example/m');
  for (const status of [400, 401, 403, 451]) {
    world.upstream.on(`refused${status}.example/m/@v/v1.0.0.zip`, { status, body: `withdrawn: see case ${status}\n` });
    const answer = await ask(alone, `refused${status}.example/m/@v/v1.0.0.zip`);
    assert.equal(answer.status, 403);
    assert.match(answer.firstLine, new RegExp(`^withdrawn: see case ${status}`));
  }
  world.upstream.behave();
});

test('404 and 410 are absence, with the reason of the upstream', async () => {
  for (const status of [404, 410]) {
    world.upstream.on(`gone${status}.example/m/@v/v1.0.0.info`, { status, body: `not found: unknown revision ${status}\n` });
    const answer = await ask(alone, `gone${status}.example/m/@v/v1.0.0.info`);
    assert.equal(answer.status, 404);
    assert.match(answer.firstLine, new RegExp(`unknown revision ${status}`));
  }
  world.upstream.behave();
});

test('after all of that: no crash, no internal error, nothing left in staging, every refusal counted', async () => {
  for (const hub of [alone, pair]) {
    assert.deepEqual(await leftInStaging(hub.dataDir), []);
    assert.doesNotMatch(hub.output(), /met a bug|"code":"internal"|replaced/);
    assert.doesNotMatch(hub.output(), /etc\/hostname.*\n.*content/);
  }
  assert.ok((await metric(alone, 'goyi_verification_failures_total')) >= 10);
});
