// Public modules from their repositories: a hub with `direct` as the last of its upstreams, real git, discovery pages and a checksum database.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { type CodeWorld, startCodeWorld } from './support/code-world.ts';
import { makeRepository } from './support/git-repository.ts';
import { runGo } from './support/go-command.ts';
import { ask, eventually } from './support/hub-client.ts';
import type { HubProcess } from './support/hub-process.ts';
import { makeModule, type SyntheticModule } from './support/synthetic-module.ts';
import { startWorld, type SyntheticWorld } from './support/synthetic-world.ts';

let world: SyntheticWorld;
let code: CodeWorld;
let hub: HubProcess;

/** A repository with one tagged version, and what a database has recorded of it. */
async function repository(
  path: string,
  { at = path, folder = '', recorded = true, text = 'ours\n' }: { at?: string; folder?: string; recorded?: boolean; text?: string } = {},
): Promise<SyntheticModule> {
  const made = makeModule(path, 'v1.0.0', { files: { 'x.go': 'package x\n', LICENSE: text } });
  const prefix = folder === '' ? '' : `${folder}/`;
  const files = { [`${prefix}go.mod`]: made.goMod, [`${prefix}x.go`]: 'package x\n', [`${prefix}LICENSE`]: 'ours\n' };
  await makeRepository(join(world.folder, 'hosts'), at, { steps: [{ commit: 'one', files }, { tag: `${prefix}v1.0.0` }] });
  if (recorded) world.database.add(path, 'v1.0.0', made);
  return made;
}

function tag(root: string, rest: string): string {
  return `<html><head><meta name="go-import" content="${root} ${rest}"></head></html>`;
}

async function startHub(name: string, upstreams: readonly string[], up = true): Promise<HubProcess> {
  const started = await world.hub({
    dataDir: join(world.folder, name),
    upstreams,
    env: { HTTPS_PROXY: code.proxyUrl, GOYI_TLS_CA_FILE: code.caFile, GOYI_LIMITS_PREFETCH_SLOTS: '0' },
  });
  hubs.push(started);
  const said = up ? 'public Git servers can be reached' : 'public Git servers cannot be reached';
  const output = await eventually(
    async () => started.output(),
    (text) => text.includes(said),
    15_000,
  );
  assert.ok(output.includes(said), output);
  return started;
}

before(async () => {
  world = await startWorld();
  code = await startCodeWorld(join(world.folder, 'hosts'));
  hub = await startHub('data', [world.upstream.url, 'direct']);
});

beforeEach(() => {
  code.requests.length = 0;
  code.hosts.length = 0;
});

/** All that were started: one that goes on running keeps this process from ending. */
const hubs: HubProcess[] = [];
// In one hook: where one throws, the runner leaves out those after it.
after(async () => {
  await using stack = new AsyncDisposableStack();
  for (const owned of [world, code, ...hubs]) if (owned !== undefined) stack.use(owned);
});

test('a module that no upstream has comes from its repository, proved, and is then stored', async () => {
  const made = await repository('github.com/team/lib');
  for (const file of ['v1.0.0.info', 'v1.0.0.mod', 'v1.0.0.zip', 'list']) {
    const { status, firstLine } = await ask(hub, `github.com/team/lib/@v/${file}`);
    assert.equal(status, 200, `${file}: ${firstLine}`);
  }
  assert.equal((await ask(hub, 'github.com/team/lib/@v/v1.0.0.mod')).body.toString(), made.goMod);
  assert.equal((await ask(hub, 'github.com/team/lib/@v/list')).body.toString(), 'v1.0.0\n');
  const asked = code.requests.length;
  assert.equal((await ask(hub, 'github.com/team/lib/@v/v1.0.0.zip')).status, 200);
  assert.equal(code.requests.length, asked, 'what is stored is not asked for again');
  assert.ok(
    world.moduleRequests().some((url) => url.includes('github.com/team/lib')),
    'the upstream was asked first',
  );
});

test('go get works through it, with the stock go command and the public database', async () => {
  await repository('github.com/team/tool');
  const folder = join(world.folder, 'data');
  const settings = { GOPROXY: hub.url, GOSUMDB: world.goSumDb, GOMODCACHE: join(world.folder, 'cache') };
  const { code: exit, stdout, stderr } = await runGo(folder, ['mod', 'download', '-json', 'github.com/team/tool@latest'], settings);
  assert.equal(exit, 0, stderr);
  assert.equal((JSON.parse(stdout) as { Version: string }).Version, 'v1.0.0');
});

test('a discovery page leads to it, also into a folder, and its root has to agree', async () => {
  await repository('vanity.example/lib', { at: 'code.example/real/lib' });
  code.pages.set('vanity.example/lib', { text: tag('vanity.example/lib', 'git https://code.example/real/lib') });
  assert.equal((await ask(hub, 'vanity.example/lib/@v/v1.0.0.zip')).status, 200);
  assert.ok(code.requests.includes('GET vanity.example/lib?go-get=1'));

  await repository('vanity.example/part', { at: 'code.example/real/parts', folder: 'go/part' });
  code.pages.set('vanity.example/part', { text: tag('vanity.example/part', 'git https://code.example/real/parts go/part') });
  assert.equal((await ask(hub, 'vanity.example/part/@v/v1.0.0.zip')).status, 200);

  code.pages.set('vanity.example/two/faced', { text: tag('vanity.example/two', 'git https://code.example/real/lib') });
  code.pages.set('vanity.example/two', { text: tag('vanity.example/two', 'git https://code.example/real/other') });
  const { status, firstLine } = await ask(hub, 'vanity.example/two/faced/@v/list');
  assert.equal(status, 502);
  assert.match(firstLine, /different things/);
});

test('bytes that differ from the record are refused and not stored', async () => {
  await repository('github.com/team/forged', { text: 'something else\n' });
  const { status, firstLine } = await ask(hub, 'github.com/team/forged/@v/v1.0.0.zip');
  assert.equal(status, 502, firstLine);
  assert.match(firstLine, /database|record|hash/i);
  const stored = await readdir(join(world.folder, 'data/modules/github.com/team/forged/@v')).catch(() => []);
  assert.ok(!stored.some((name) => name.endsWith('.zip')), stored.join());
});

test('a page that names a module proxy is answered from it, and proved', async () => {
  const made = makeModule('vanity.example/proxied', 'v1.0.0');
  world.database.add('vanity.example/proxied', 'v1.0.0', made);
  code.pages.set('vanity.example/proxied', { text: tag('vanity.example', 'mod https://proxy.example/base') });
  code.pages.set('vanity.example/', { text: tag('vanity.example', 'mod https://proxy.example/base') });
  code.pages.set('proxy.example/base/vanity.example/proxied/@v/v1.0.0.mod', { text: made.goMod });
  const { status, body, firstLine } = await ask(hub, 'vanity.example/proxied/@v/v1.0.0.mod');
  assert.equal(status, 200, firstLine);
  assert.equal(body.toString(), made.goMod);
  assert.equal((await ask(hub, 'vanity.example/proxied/@v/v1.9.0.mod')).status, 404);
});

const absences: readonly { readonly name: string; readonly path: string; readonly page?: string; readonly says: RegExp }[] = [
  { name: 'no repository', path: 'github.com/team/missing', says: /no repository/ },
  { name: 'no page', path: 'vanity.example/missing', says: /names no repository/ },
  { name: 'another system', path: 'vanity.example/hg', page: 'hg https://code.example/real/lib', says: /Git alone/ },
  { name: 'not by https', path: 'vanity.example/http', page: 'git http://code.example/real/lib', says: /https/ },
  { name: 'another transport', path: 'vanity.example/ext', page: 'git ext::sh', says: /https/ },
  { name: 'a password in the address', path: 'vanity.example/user', page: 'git https://a:b@code.example/real/lib', says: /https/ },
  { name: 'a private address', path: 'vanity.example/inward', page: 'git https://10.0.0.1/lib', says: /not configured/ },
  { name: 'an odd spelling of loopback', path: 'vanity.example/odd', page: 'git https://0x7f.1/lib', says: /not configured/ },
  { name: 'a name of the local network', path: 'vanity.example/lan', page: 'git https://git.corp/lib', says: /not configured/ },
  { name: 'a proxy inside', path: 'vanity.example/mod', page: 'mod https://169.254.169.254/latest', says: /not configured/ },
  { name: 'a folder that climbs', path: 'vanity.example/climb', page: 'git https://code.example/real/lib ../../etc', says: /folder/ },
];
for (const { name, path, page, says } of absences) {
  test(`404 with a sentence: ${name}`, async () => {
    if (page !== undefined) code.pages.set(path, { text: tag(path, page) });
    const { status, body } = await ask(hub, `${path}/@v/v1.0.0.info`);
    assert.equal(status, 404, body.toString());
    assert.doesNotMatch(code.hosts.join(), /10\.0\.0\.1|127\.|169\.254|git\.corp/);
    const alone = await ask(await direct(), `${path}/@v/v1.0.0.info`);
    assert.equal(alone.status, 404, alone.body.toString());
    assert.match(alone.body.toString(), says);
  });
}

let lonely: HubProcess | undefined;
/** A hub that has nothing else. */
async function direct(): Promise<HubProcess> {
  return (lonely ??= await startHub('alone', ['direct']));
}

test('a redirect of a page is followed to https alone, and git follows none', async () => {
  code.pages.set('vanity.example/moved', { status: 302, text: '', location: 'http://code.example/page' });
  const moved = await ask(await direct(), 'vanity.example/moved/@v/list');
  assert.equal(moved.status, 404);
  assert.match(moved.firstLine, /redirect/);
  await repository('vanity.example/elsewhere', { at: 'code.example/real/elsewhere' });
  code.pages.set('vanity.example/elsewhere', { status: 302, text: '', location: 'https://code.example/page' });
  code.pages.set('code.example/page', { text: tag('vanity.example/elsewhere', 'git https://code.example/real/elsewhere') });
  assert.equal((await ask(hub, 'vanity.example/elsewhere/@v/v1.0.0.mod')).status, 200);
});

test('a broken code host is a fault, and one that nobody can reach says nothing against the absence', async () => {
  code.pages.set('vanity.example/broken', { status: 500, text: 'oops' });
  assert.equal((await ask(hub, 'vanity.example/broken/@v/list')).status, 502);
  code.dead.add('code.example');
  code.pages.set('vanity.example/dead', { text: tag('vanity.example/dead', 'git https://code.example/dead') });
  // The mirror of other modules has made the host known as one that answers.
  const fresh = await startHub('fresh', [world.upstream.url, 'direct']);
  assert.equal((await ask(fresh, 'vanity.example/dead/@v/list')).status, 404);
  const only = await ask(await direct(), 'dead.example/lib/@v/list');
  assert.equal(only.status, 502, only.body.toString());
  code.dead.delete('code.example');
  await fresh.stop();
});

test('an upstream that refuses, or is up and fails, is not gone around; one that is down is', async () => {
  await repository('github.com/team/ruled');
  world.upstream.on('github.com/team/ruled/@v/v1.0.0.mod', { status: 403, body: 'blocked by rule 7\n' });
  assert.equal((await ask(hub, 'github.com/team/ruled/@v/v1.0.0.mod')).status, 403);
  world.upstream.on('github.com/team/ruled/@v/v1.0.0.info', { status: 500 });
  assert.equal((await ask(hub, 'github.com/team/ruled/@v/v1.0.0.info')).status, 502);
  assert.ok(!code.requests.some((request) => request.includes('ruled')));

  const down = await startHub('down', ['http://127.0.0.1:9', 'direct']);
  assert.equal((await ask(down, 'github.com/team/ruled/@v/v1.0.0.mod')).status, 200);
  await down.stop();
});

test('without a way out the other upstreams decide: their 404 stands at once, and with none of them it is 502', async () => {
  code.dead.add('*');
  const inside = await startHub('inside', [world.upstream.url, 'direct'], false);
  assert.equal((await ask(inside, 'github.com/team/nowhere/@v/list')).status, 404);
  assert.equal((await ask(inside, 'vanity.example/nowhere/@v/list')).status, 404);
  assert.ok(!code.hosts.includes('vanity.example'), 'nobody waits for what is known to be down');
  const cut = await startHub('cut', ['http://127.0.0.1:9', 'direct'], false);
  const { status, firstLine } = await ask(cut, 'github.com/team/nowhere/@v/list');
  assert.equal(status, 502);
  assert.match(firstLine, /direct is down/);
  code.dead.delete('*');
  const back = await eventually(
    () => ask(cut, 'github.com/team/lib/@v/list'),
    (answer) => answer.status === 200,
    20_000,
  );
  assert.equal(back.status, 200, 'it comes back by itself');
  await inside.stop();
  await cut.stop();
});
