// A checksum database of our own, read by stock go commands: correct code passes; a changed zip, a rewritten record and a forked log each stop it.
import assert from 'node:assert/strict';
import { cp, mkdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseLookupAnswer } from '../src/protocol/checksum-record.ts';
import { type GoResult, runGo } from './support/go-command.ts';
import { ask, askUntilFound, eventually, metric, ownDatabaseKey } from './support/hub-client.ts';
import { type HubOptions, type HubProcess, startHub } from './support/hub-process.ts';
import { OwnLogAuditor } from './support/own-log-auditor.ts';
import { address, makeModule, type SyntheticModule } from './support/synthetic-module.ts';
import { serveModule, startWorld, type SyntheticWorld } from './support/synthetic-world.ts';

const name = 'goyi.example/sumdb';

let world: SyntheticWorld;
let hub: HubProcess;
let auditor: OwnLogAuditor;
let modules: readonly SyntheticModule[];
/** NAME+HASH+KEY. */
let key = '';
let clients = 0;

const signing = (options: Partial<HubOptions> = {}): Promise<HubProcess> =>
  world.hub({ workers: 2, ...options, env: { GOYI_OWN_DATABASE_NAME: name, ...options.env } });

before(async () => {
  world = await startWorld();
  auditor = await OwnLogAuditor.build();
  const leaves = Array.from({ length: 12 }, (_, i) => world.publish(`leaf${i}.example/Pkg`, `v1.${i}.0`));
  const roots = [0, 1, 2].map((i) =>
    world.publish(`root${i}.example/m`, 'v1.0.0', {
      requires: Object.fromEntries(leaves.slice(4 * i, 4 * i + 6).map(({ path, version }) => [path, version])),
    }),
  );
  modules = [...leaves, ...roots];
  hub = await signing();
  key = await ownDatabaseKey(hub);
});

after(async () => {
  await hub?.stop();
  await auditor?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

interface Client {
  /** With the module cache and the client's memory of the database below it. */
  readonly folder: string;
}

function newClient(): Client {
  clients += 1;
  return { folder: join(world.folder, `client${clients}`) };
}

/** `go mod download` of modules, all of them unless said otherwise. */
async function download(
  client: Client,
  settings: { GOPROXY: string; GOSUMDB?: string },
  wanted: readonly SyntheticModule[] = modules,
): Promise<GoResult> {
  const names = wanted.map(({ path, version }) => `${path}@${version}`);
  return runGo(world.folder, ['mod', 'download', ...names], { GOSUMDB: key, ...settings, GOMODCACHE: join(client.folder, 'mod') }, 120_000);
}

function assertPasses({ code, stderr }: GoResult): void {
  assert.equal(code, 0, stderr);
}

function assertStops({ code, stderr }: GoResult, why: RegExp, what = ''): void {
  assert.notEqual(code, 0, `${what}: it should have been stopped`);
  assert.match(stderr, why, what);
}

/** Between a client and the hub: changes bodies of answers with 200. */
async function between(change: (path: string, body: Buffer) => Buffer | undefined): Promise<{ url: string } & AsyncDisposable> {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '/');
    void fetch(`${hub.url}${request.url}`).then(async (answer) => {
      const honest = Buffer.from(await answer.arrayBuffer());
      response.writeHead(answer.status).end(answer.status === 200 ? (change(path, honest) ?? honest) : honest);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('a look-up fetches no module, and all workers answer one record', async () => {
  const [module] = modules;
  assert.ok(module !== undefined);
  const requests = world.moduleRequests().length;
  const path = `sumdb/${name}/lookup/leaf0.example/!pkg@v1.0.0`;
  const answers = await Promise.all(Array.from({ length: 12 }, () => ask(hub, path)));
  for (const { body, firstLine } of answers) {
    const answer = parseLookupAnswer(body);
    assert.ok(answer.ok, firstLine);
    assert.equal(answer.value.recordId, 0);
    assert.ok(answer.value.text.includes(module.zipHash) && answer.value.text.includes(module.modHash));
  }
  assert.equal(world.moduleRequests().length, requests);
  assert.equal((await ask(hub, `sumdb/${name}/supported`)).status, 200);
});

test('stock go commands at once, with empty caches: everything passes, through the GOPROXY and by an explicit address', async () => {
  const explicit = `${key} ${hub.url}/sumdb/${name}`;
  const fresh = [newClient(), newClient(), newClient(), newClient()];
  const results = await Promise.all([
    download(fresh[0]!, { GOPROXY: hub.url }),
    download(fresh[1]!, { GOPROXY: hub.url }),
    download(fresh[2]!, { GOPROXY: hub.url, GOSUMDB: explicit }),
    download(fresh[3]!, { GOPROXY: world.upstream.url, GOSUMDB: explicit }),
  ]);
  for (const result of results) assertPasses(result);
  const stored = await readFile(join(fresh[0]!.folder, 'gopath', 'pkg', 'sumdb', name, 'latest'), 'utf8');
  assert.match(stored, /^go\.sum database tree\n15\n/, 'one record a version');
  // With what they know by now they pass again, and so does a whole build.
  for (const client of fresh) {
    await rm(join(client.folder, 'mod'), { recursive: true, force: true });
    assertPasses(await download(client, { GOPROXY: hub.url }));
  }
  const audit = await auditor.audit(key, `${hub.url}/sumdb/${name}`);
  assert.deepEqual([audit.size, audit.records], [15, 15]);
});

test('go get with a go.sum of its own: every line is checked against the log', async () => {
  const project = join(world.folder, 'project');
  await mkdir(project);
  const settings = { GOPROXY: hub.url, GOSUMDB: key, GOMODCACHE: join(newClient().folder, 'mod') };
  assertPasses(await runGo(project, ['mod', 'init', 'project.example/m'], settings));
  assertPasses(await runGo(project, ['get', 'root0.example/m@v1.0.0', 'root1.example/m@v1.0.0'], settings));
  assert.match(await readFile(join(project, 'go.sum'), 'utf8'), /^leaf0\.example\/Pkg v1\.0\.0 h1:/m);
  assertPasses(await runGo(project, ['mod', 'download'], settings));
});

test('a changed zip, go.mod, record, tile or note on the way stops the client', async () => {
  const [module] = modules;
  assert.ok(module !== undefined);
  const evil = makeModule(module.path, module.version, { files: { 'm.go': 'package evil\n' } });
  const lies: readonly (readonly [string, (path: string, body: Buffer) => Buffer | undefined, RegExp])[] = [
    ['zip', (path) => (path.endsWith('!pkg/@v/v1.0.0.zip') ? evil.zip : undefined), /SECURITY ERROR|checksum mismatch/],
    [
      'go.mod',
      (path, body) => (path.endsWith('!pkg/@v/v1.0.0.mod') ? Buffer.concat([body, Buffer.from('\n')]) : undefined),
      /SECURITY ERROR/,
    ],
    [
      'record',
      (path, body) => (path.includes('/lookup/') ? Buffer.from(body.toString().replace(module.zipHash, evil.zipHash)) : undefined),
      /cannot authenticate record data|SECURITY ERROR/,
    ],
    ['tile', (path, body) => (path.includes('/tile/') ? flipped(body) : undefined), /SECURITY ERROR|bad|invalid|downloaded/i],
    [
      'note',
      (path, body) => (path.includes('/lookup/') ? Buffer.from(body.toString().replace(/\n15\n/, '\n16\n')) : undefined),
      /malformed|invalid|bad|signature/i,
    ],
  ];
  for (const [what, change, why] of lies) {
    await using liar = await between(change);
    assertStops(await download(newClient(), { GOPROXY: liar.url }, [module]), why, what);
    assertPasses(await download(newClient(), { GOPROXY: hub.url }, [module]));
  }
});

function flipped(body: Buffer): Buffer {
  const copy = Buffer.from(body);
  copy[5] = (copy[5] ?? 0) ^ 1;
  return copy;
}

test('a second log with the same key is a fork: a client that saw the first stops for good', async () => {
  const client = newClient();
  assertPasses(await download(client, { GOPROXY: hub.url }));
  const dataDir = join(world.folder, 'second');
  await mkdir(`${dataDir}-keys`, { mode: 0o700 });
  await cp(join(`${hub.dataDir}-keys`, 'log.key'), join(`${dataDir}-keys`, 'log.key'));
  await using second = await signing({ dataDir });
  for (const { path, version } of modules.toReversed()) await ask(second, `sumdb/${name}/lookup/${path.replace('Pkg', '!pkg')}@${version}`);
  await ask(second, `sumdb/${name}/lookup/bystander.example/m@v1.0.0`);
  const other = world.publish('forked.example/m', 'v1.0.0');
  assertPasses(await download(newClient(), { GOPROXY: second.url }, [other]));
  assertStops(await download(client, { GOPROXY: second.url }, [other]), /SECURITY ERROR[^]*misbehavior/);
  // It keeps what it downloaded from the fork, until its cache is cleaned; what it knows of the log it keeps for ever.
  await rm(join(client.folder, 'mod'), { recursive: true, force: true });
  assertPasses(await download(client, { GOPROXY: hub.url }, [other]));
});

test('what the public database does not have or cannot prove gets no record, and is no absence when it is a fault', async () => {
  const unknown = makeModule('unknown.example/m', 'v1.0.0');
  serveModule(world.upstream, unknown);
  const path = `sumdb/${name}/lookup/unknown.example/m@v1.0.0`;
  assert.equal((await ask(hub, path)).status, 404);
  world.databaseServer.lie = () => ({ status: 503, body: Buffer.from('maintenance') });
  const other = world.publish('later.example/m', 'v1.0.0');
  const faulty = await ask(hub, `sumdb/${name}/lookup/${other.path}@v1.0.0`);
  assert.ok(faulty.status === 502 || faulty.status === 504, faulty.firstLine);
  assert.equal((await ask(hub, `sumdb/${name}/lookup/leaf0.example/!pkg@v1.0.0`)).status, 200, 'what is recorded is answered');
  world.databaseServer.lie = undefined;
  await askUntilFound(hub, `sumdb/${name}/lookup/${other.path}@v1.0.0`, 20_000);
  assert.equal((await auditor.audit(key, `${hub.url}/sumdb/${name}`)).size, 17);
});

test('an origin that moves a version: refused, kept as drift with both hashes, and what is stored is served', async () => {
  const module = world.publish('moved.example/m', 'v1.0.0');
  await askUntilFound(hub, `${address(module)}mod`);
  const moved = makeModule('moved.example/m', 'v1.0.0', { files: { 'm.go': 'package moved\n' } });
  world.upstream.on(`${address(module)}zip`, { body: moved.zip });
  assert.equal((await ask(hub, `${address(module)}zip`)).headers.get('goyi-error'), 'checksum-mismatch');
  const { drifts } = JSON.parse((await ask(hub, 'api/v1/drift')).body.toString()) as { drifts: readonly Record<string, unknown>[] };
  assert.equal(drifts.length, 1);
  const [drift] = drifts;
  assert.deepEqual(
    [drift?.['module'], drift?.['kind'], drift?.['recordedHash'], drift?.['offeredHash']],
    ['moved.example/m', 'zip', module.zipHash, moved.zipHash],
  );
  assert.ok(String(drift?.['origin']).startsWith(world.upstream.url));
  assert.equal(
    await eventually(
      () => metric(hub, 'goyi_drift_total'),
      (count) => count >= 1,
    ),
    1,
  );
  assert.match(hub.output(), /an origin offers other bytes than those on record/);
  assert.equal((await ask(hub, `${address(module)}mod`)).body.toString(), module.goMod);
  world.upstream.behave();
});

test('the plain files serve a client without any hub, and an auditor', async () => {
  const files = join(hub.dataDir, 'modules');
  const size = async (): Promise<number> => Number((await ask(hub, `sumdb/${name}/latest`)).body.toString().split('\n')[1]);
  const latest = (): Promise<string> => readFile(join(files, 'sumdb', name, 'latest'), 'utf8');
  const wanted = await size();
  assert.ok((await eventually(latest, (note) => note.includes(`\n${wanted}\n`), 20_000)).includes(`\n${wanted}\n`));
  for (const module of modules) await askUntilFound(hub, `${address(module)}zip`);
  await eventually(
    () => download(newClient(), { GOPROXY: `file://${files}` }),
    ({ code }) => code === 0,
    20_000,
  );
  assertPasses(await download(newClient(), { GOPROXY: `file://${files}` }));
  assert.equal((await auditor.audit(key, join(files, 'sumdb', name))).size, wanted);
});

test('metadata older than the last signed head is refused at the start, with the way out; the newer one goes on', async () => {
  const database = join(hub.dataDir, 'goyi.db');
  const backup = join(world.folder, 'backup.db');
  await hub.stop();
  await cp(database, backup);
  hub = await signing();
  const newer = world.publish('newer.example/m', 'v1.0.0');
  const note = (await askUntilFound(hub, `sumdb/${name}/lookup/${newer.path}@v1.0.0`)).body;
  await hub.stop();
  const kept = join(world.folder, 'kept.db');
  await cp(database, kept);
  const restore = async (from: string): Promise<void> => {
    for (const suffix of ['-wal', '-shm']) await rm(database + suffix, { force: true });
    await cp(from, database);
  };
  await restore(backup);
  await assert.rejects(
    signing(),
    /ended with 5 before it listened[^]*was put back: its metadata has \d+ records, and a tree of \d+ was signed and shown[^]*Put back a backup/,
  );
  await restore(kept);
  hub = await signing();
  const shown = parseLookupAnswer(note);
  assert.ok(shown.ok);
  assert.equal((await auditor.audit(key, `${hub.url}/sumdb/${name}`, [shown.value.note])).notes, 1);
});

test('with `sign: private` a public module has no record here, and its client can still use the public database', async () => {
  const dataDir = join(world.folder, 'private');
  await using quiet = await signing({ dataDir, env: { GOYI_OWN_DATABASE_SIGN: 'private' } });
  const [module] = modules;
  assert.ok(module !== undefined);
  assert.equal((await ask(quiet, `sumdb/${name}/lookup/leaf0.example/!pkg@v1.0.0`)).status, 404);
  assertPasses(await download(newClient(), { GOPROXY: quiet.url, GOSUMDB: world.goSumDb }, [module]));
  assert.match((await ask(quiet, `sumdb/${name}/latest`)).body.toString(), /^go\.sum database tree\n0\n47DEQpj8/);
});

test('a name of the own database that a public one has is refused', async () => {
  await assert.rejects(
    startHub({ dataDir: join(world.folder, 'clash'), upstreams: ['off'], env: { GOYI_OWN_DATABASE_NAME: 'sum.golang.org' } }),
    /ended with 2/,
  );
});
