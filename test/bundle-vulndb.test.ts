// The Go vulnerability database behind the gap: carried, checked, put in place as a whole, and served as govulncheck reads it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { codeOf, HubError, messageOf } from '../src/base/errors.ts';
import { openBundle } from '../src/bundle/bundle-file.ts';
import { BUNDLE_KEY_NAME } from '../src/protocol/bundle-head.ts';
import { generateSignerKey, type VerifierKey } from '../src/protocol/note.ts';
import { CarriedFiles } from '../src/store/fs-carried.ts';
import { writeZip } from './oracle-zip/zip-writer.ts';
import { type FileChanges, goyiIn, type Inside, keyOf, openInside, outside, resigned } from './support/bundle-world.ts';
import { ask, freePort } from './support/hub-client.ts';
import type { HubProcess } from './support/hub-process.ts';
import { startWorld, type SyntheticWorld } from './support/synthetic-world.ts';
import { makeVulnerabilities, writeVulnerabilities } from './support/vulnerability-world.ts';

const launcher = fileURLToPath(new URL('../bin/goyi.mjs', import.meta.url));
const first = makeVulnerabilities('2026-11-18T10:00:00Z', [
  { id: 'GO-2024-0001', module: 'a.example/a', fixed: '1.2.3' },
  { id: 'GO-2024-0002', module: 'stdlib' },
]);
const second = makeVulnerabilities('2026-11-25T10:00:00Z', [
  { id: 'GO-2024-0001', module: 'a.example/a', fixed: '1.2.4' },
  { id: 'GO-2025-0003', module: 'b.example/b' },
]);

let world: SyntheticWorld;
let hub: HubProcess;
let key: VerifierKey;
let full: string;
let delta: string;
const path = (file: string): string => join(world.folder, file);

before(async () => {
  world = await startWorld();
  world.publish('a.example/a', 'v1.0.0');
  world.database.pad(300);
  hub = await world.hub();
  await writeVulnerabilities(path('db-1'), first);
  await writeVulnerabilities(path('db-2'), second);
  key = keyOf((await outside(world)('key', 'new')).output);
  full = await create('full.goyi', '--vulndb', path('db-1'), '--created', '2026-11-20T08:00:00Z');
  delta = await create('delta.goyi', 'a.example/a@v1.0.0', '--vulndb', path('db-2'), '--since', full, '--created', '2026-11-26T08:00:00Z');
});

after(async () => {
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

async function create(file: string, ...args: readonly string[]): Promise<string> {
  const made = await outside(world)('create', '--out', path(file), '--hub', hub.url, ...args);
  assert.equal(made.code, 0, made.output);
  return path(file);
}

let serial = 0;
async function emptyInside(): Promise<Inside> {
  serial += 1;
  const root = path(`inside-${serial}`);
  await mkdir(root);
  return openInside({ root, database: world.database.key });
}

/** What lies in the data folder is this database. */
async function assertHas({ root }: Pick<Inside, 'root'>, files: ReadonlyMap<string, Buffer>): Promise<void> {
  for (const [name, bytes] of files) assert.deepEqual(await readFile(join(root, 'vulndb', name)), bytes, name);
}

test('from a folder, a zip and an address it is the same bundle; the plan and the list say what there is', async () => {
  const entries = [...first].map(([name, content]) => ({ name, content }));
  await writeFile(path('vulndb.zip'), writeZip({ entries }));
  const made = ['--created', '2026-11-20T08:00:00Z'];
  const zip = await create('zip.goyi', '--vulndb', path('vulndb.zip'), ...made);
  assert.ok((await readFile(zip)).equals(await readFile(full)));
  const server = createServer((request, response) => {
    const bytes = first.get((request.url ?? '').replace('/base/', ''));
    response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/base`;
  try {
    assert.ok((await readFile(await create('url.goyi', '--vulndb', address, ...made))).equals(await readFile(full)));
  } finally {
    server.closeAllConnections();
    server.close();
  }
  const plan = await outside(world)(
    'create',
    '--vulndb',
    path('db-1'),
    '--out',
    path('plan.goyi'),
    '--hub',
    hub.url,
    '--dry-run',
    '--json',
  );
  assert.match(plan.output, /"vulnerabilities": 5/);
  assert.match((await outside(world)('list', full)).output, /vulnerability database of 2 entries/);
  assert.match((await outside(world)('diff', full, delta)).output, /\+ GO-2025-0003[\s\S]*- GO-2024-0002/);
  assert.equal((await outside(world)('verify', full)).code, 0);
});

for (const [what, change, sentence] of [
  [
    'an entry that is another',
    ['ID/GO-2024-0001.json', first.get('ID/GO-2024-0002.json')],
    /ID\/GO-2024-0001\.json: it is not GO-2024-0001/,
  ],
  ['an entry that is missing', ['ID/GO-2024-0002.json', undefined], /ID\/GO-2024-0002\.json: it is not there/],
  ['an index that is none', ['index/modules.json', Buffer.from('<html>')], /index\/modules\.json: it is no list/],
  ['no time', ['index/db.json', Buffer.from('{}')], /index\/db\.json/],
  ['a time to come', ['index/db.json', Buffer.from('{"modified":"2999-01-01T00:00:00Z"}')], /2999-01-01T00:00:00Z, which is yet to come/],
  ['no database at all', ['index/db.json', undefined], /is no Go vulnerability database/],
] as const)
  test(`what is no database is not carried: ${what}`, async () => {
    const folder = path('wrong');
    await rm(folder, { recursive: true, force: true });
    const files = new Map(first);
    const [name, bytes] = change;
    if (bytes === undefined) files.delete(name);
    else files.set(name, bytes);
    await writeVulnerabilities(folder, files);
    const made = await outside(world)('create', '--vulndb', folder, '--out', path('wrong.goyi'), '--hub', hub.url);
    assert.equal(made.code, 5, made.output);
    assert.match(made.output, sentence);
  });

test('imported it takes the place of the older one, and never of a newer one', async () => {
  await using inside = await emptyInside();
  const one = await inside.import(full, [key]);
  await assertHas(inside, first);
  assert.deepEqual([one.files, one.present, one.missing], [0, 0, 0]);
  await inside.import(delta, [key]);
  await assertHas(inside, second);
  const old = await create('old.goyi', 'a.example/a@v1.0.0', '--vulndb', path('db-1'), '--created', '2026-11-26T09:00:00Z');
  await inside.import(old, [key]);
  await assertHas(inside, second);
  // What was lost is put back by a later bundle. One that is known brings only modules: it may be the older one.
  await rm(join(inside.root, 'vulndb/index/db.json'));
  assert.equal((await inside.import(old, [key])).known, true);
  await assert.rejects(readFile(join(inside.root, 'vulndb/index/db.json')));
  const later = ['--vulndb', path('db-2'), '--created', '2026-11-26T10:00:00Z'];
  await inside.import(await create('later.goyi', 'a.example/a@v1.0.0', ...later), [key]);
  await assertHas(inside, second);
});

test('killed after it was decided, the next run brings it to its end, and no index is ever newer than its entries', async () => {
  await using inside = await emptyInside();
  await inside.import(full, [key]);
  const placed: string[] = [];
  const reopen = async (digest: string): Promise<CarriedFiles | undefined> => {
    const carried = await CarriedFiles.reopen(inside.root, digest);
    if (carried !== undefined) {
      placed.push(...carried.keys.filter((name) => name.startsWith('vulndb/')));
      carried.place = () => Promise.reject(new HubError('storage-fault', 'killed'));
    }
    return carried;
  };
  await assert.rejects(inside.import(delta, [key], { reopen }), /killed/);
  assert.deepEqual(placed.slice(-3), ['vulndb/index/vulns.json', 'vulndb/index/modules.json', 'vulndb/index/db.json']);
  await assertHas(inside, first);
  await inside.import(delta, [key]);
  await assertHas(inside, second);
});

test('signed by the right key, but no vulnerability database', async () => {
  const { signer } = generateSignerKey(BUNDLE_KEY_NAME);
  await using honest = await openBundle({ file: full, keys: [key] });
  const cases: readonly [string, FileChanges, RegExp][] = [
    ['entry', new Map([['vulndb/ID/GO-2024-0001.json', first.get('ID/GO-2024-0002.json')]]), /it is not GO-2024-0001/],
    ['missing', new Map([['vulndb/ID/GO-2024-0001.json', undefined]]), /names GO-2024-0001, which is not there/],
    ['index', new Map([['vulndb/index/modules.json', Buffer.from('{}')]]), /it is no list/],
    ['future', new Map([['vulndb/index/db.json', Buffer.from('{"modified":"2999-01-01T00:00:00Z"}')]]), /which is yet to come/],
    ['no-db', new Map([['vulndb/index/db.json', undefined]]), /has no vulndb\/index\/db\.json/],
    ['page', new Map([['vulndb/index/vulns.json', Buffer.from('[{"id":"../../goyi.db"}]')]]), /no entry of the database/],
    ['large', new Map([['vulndb/ID/GO-2024-0001.json', Buffer.alloc(2 * 1024 * 1024 + 1, 32)]]), /more than the 2097152/],
    ['outside', new Map([['vulndb/../goyi.db', Buffer.from('x')]]), /nothing that this goyi knows/],
  ];
  for (const [what, changes, sentence] of cases) {
    await using inside = await emptyInside();
    const before = await inside.state();
    const file = await resigned(honest, { file: path(`signed-${what}.goyi`), signer, changes });
    const error = await inside.import(file, [signer.verifier]).then(
      () => assert.fail(`${what} was taken`),
      (reason: unknown) => reason,
    );
    assert.notEqual(codeOf(error), undefined, messageOf(error));
    assert.match(messageOf(error), sentence, what);
    assert.deepEqual(await inside.state(), before);
    await assert.rejects(readFile(join(inside.root, 'vulndb/index/db.json')));
  }
});

/** As govulncheck asks: over http for the packed files alone, which come as files and not as an encoding. */
async function assertServes(served: { readonly url: string }, files: ReadonlyMap<string, Buffer>): Promise<void> {
  for (const [name, bytes] of files) {
    const plain = await ask(served, `vulndb/${name}`);
    assert.equal(plain.status, 200, `${name}: ${plain.firstLine}`);
    assert.deepEqual(plain.body, bytes);
    const packed = await ask(served, `vulndb/${name}.gz`);
    assert.equal(packed.headers.get('content-encoding'), null);
    assert.deepEqual(gunzipSync(packed.body), bytes, name);
  }
}

test('a hub serves it, with the next one as soon as that is imported', async () => {
  const data = path('served');
  const goyi = goyiIn(world, 'served');
  assert.equal((await goyi('key', 'trust', key.text)).code, 0);
  await using inside = await world.hub({ dataDir: data, upstreams: ['off'], env: { GOYI_CHECKSUM_DATABASES: world.goSumDb } });
  const none = await ask(inside, 'vulndb/index/db.json.gz');
  assert.equal(none.status, 404);
  assert.match(none.firstLine, /goyi bundle import/);
  assert.equal((await goyi('import', full)).code, 0);
  await assertServes(inside, first);
  assert.equal((await goyi('import', delta)).code, 0);
  await assertServes(inside, second);
  const { headers } = await ask(inside, 'vulndb/index/modules.json.gz');
  const again = await ask(inside, 'vulndb/index/modules.json.gz', { headers: { 'If-None-Match': headers.get('etag') ?? '' } });
  assert.equal(again.status, 304);
  for (const wrong of ['vulndb/', 'vulndb/ID/index.json', 'vulndb/index/%2e%2e%2findex/db.json', 'vulndb/ID/GO-2024-9999.json'])
    assert.equal((await fetch(`${inside.url}/${wrong}`)).status, 404, wrong);
});

test('from the file itself, and extracted for any static server, it is the same', async () => {
  const folder = path('extracted');
  assert.equal((await outside(world)('extract', full, '--to', folder)).code, 0);
  for (const [name, bytes] of first) {
    assert.deepEqual(await readFile(join(folder, 'vulndb', name)), bytes);
    assert.deepEqual(gunzipSync(await readFile(join(folder, 'vulndb', `${name}.gz`))), bytes);
  }
  const port = await freePort();
  const env = { PATH: process.env['PATH'] ?? '', LANG: 'C', GOYI_DATA_DIR: path('data') };
  const server = spawn(process.execPath, [launcher, 'bundle', 'serve', full, '--listen', `127.0.0.1:${port}`], { env });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  try {
    await new Promise((resolve) => server.stdout.once('data', resolve));
    await assertServes({ url: `http://127.0.0.1:${port}` }, first);
  } finally {
    server.kill('SIGTERM');
  }
  assert.equal(await ended, 0);
});
