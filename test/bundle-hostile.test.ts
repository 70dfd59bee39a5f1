// What a careless or a hostile courier brings: a changed byte anywhere, a cut, an old one, a mixed one, a stranger's. Each is refused as a whole, and the hub is as it was.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFile, copyFile, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { codeOf, HubError, messageOf } from '../src/base/errors.ts';
import { openBundle } from '../src/bundle/bundle-file.ts';
import { CarriedFiles } from '../src/store/fs-carried.ts';
import type { VerifierKey } from '../src/protocol/note.ts';
import { generateSignerKey } from '../src/protocol/note.ts';
import { BUNDLE_KEY_NAME, formatCreated } from '../src/protocol/bundle-head.ts';
import { type FileChanges, filesOf, goyiIn, type Inside, keyOf, openInside, outside, resigned } from './support/bundle-world.ts';
import { ask } from './support/hub-client.ts';
import type { HubProcess } from './support/hub-process.ts';
import { mountSmallDisk } from './support/small-disk.ts';
import { type SyntheticWorld, startWorld } from './support/synthetic-world.ts';

let world: SyntheticWorld;
let hub: HubProcess;
let key: VerifierKey;
/** A full bundle, a delta on it, and a full one that is a day younger. */
let first: string;
let delta: string;
let later: string;
let large: string;

const launcher = fileURLToPath(new URL('../bin/goyi.mjs', import.meta.url));
const modules = ['a.example/a@v1.0.0', 'b.example/B@v1.2.3', 'c.example/c@v0.1.0'];
const path = (name: string): string => join(world.folder, name);

before(async () => {
  world = await startWorld();
  for (const name of [...modules, 'd.example/d@v1.0.0']) {
    const [module = '', version = ''] = name.split('@');
    world.publish(module, version);
  }
  for (let i = 0; i < 24; i += 1) world.publish(`large.example/m${i}`, 'v1.0.0', { fillBytes: 400_000 });
  world.database.pad(300);
  hub = await world.hub();
  const made = await outside(world)('key', 'new');
  key = keyOf(made.output);
  first = await create('first.goyi', '2026-11-20T08:00:00Z', ...modules);
  world.publish('e.example/e', 'v1.0.0');
  world.database.pad(300);
  delta = await create('delta.goyi', '2026-11-21T08:00:00Z', 'd.example/d@v1.0.0', 'e.example/e@v1.0.0', '--since', first);
  later = await create('later.goyi', '2026-11-22T08:00:00Z', ...modules);
  large = await create('large.goyi', '2026-11-23T08:00:00Z', ...Array.from({ length: 24 }, (_, i) => `large.example/m${i}@v1.0.0`));
});

after(async () => {
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

async function create(name: string, created: string, ...args: readonly string[]): Promise<string> {
  const file = path(name);
  const result = await outside(world)('create', ...args, '--out', file, '--hub', hub.url, '--created', created);
  assert.equal(result.code, 0, result.output);
  return file;
}

let serial = 0;
/** An empty data folder. */
async function emptyFolder(): Promise<string> {
  serial += 1;
  const folder = path(`inside-${serial}`);
  await mkdir(folder);
  return folder;
}

async function emptyInside(): Promise<Inside> {
  return openInside({ root: await emptyFolder(), database: world.database.key });
}

/** The sentence with which a hub refuses a bundle. It has to be as it was. */
async function refusal(file: string, inside: Inside, keys: readonly VerifierKey[] = [key]): Promise<string> {
  const before = await inside.state();
  const error = await inside.import(file, keys).then(
    () => assert.fail(`${file} was taken`),
    (reason: unknown) => reason,
  );
  assert.notEqual(codeOf(error), undefined, `refused with a sentence: ${messageOf(error)}`);
  assert.deepEqual(await inside.state(), before, 'nothing has changed');
  return messageOf(error);
}

test('one changed bit, wherever it is, and nothing is taken', async () => {
  const honest = await readFile(first);
  const file = path('changed.goyi');
  await using inside = await emptyInside();
  const positions = fc.oneof(
    fc.nat(honest.length - 1),
    fc.nat(6000),
    fc.nat(3000).map((fromEnd) => honest.length - 1 - fromEnd),
  );
  await fc.assert(
    fc.asyncProperty(positions, fc.integer({ min: 0, max: 7 }), async (position, bit) => {
      const changed = Buffer.from(honest);
      changed[position] = (changed[position] ?? 0) ^ (1 << bit);
      await writeFile(file, changed);
      await refusal(file, inside);
    }),
    { numRuns: 150 },
  );
  assert.equal((await inside.state()).rows.length, 0);
  await inside.import(first, [key]);
  assert.equal((await inside.state()).rows.length, 9, 'and the honest one is');
});

test('cut anywhere, or with something added', async () => {
  const { length } = await readFile(first);
  await using inside = await emptyInside();
  const file = path('cut.goyi');
  await fc.assert(
    fc.asyncProperty(fc.nat(length - 1), async (at) => {
      await copyFile(first, file);
      await truncate(file, at);
      await refusal(file, inside);
    }),
    { numRuns: 40 },
  );
  await copyFile(first, file);
  await appendFile(file, Buffer.alloc(512));
  assert.match(await refusal(file, inside), /512 bytes more than it should/);
});

test('signed by a key that is not trusted', async () => {
  const stranger = generateSignerKey(BUNDLE_KEY_NAME).signer.verifier;
  await using inside = await emptyInside();
  assert.match(await refusal(first, inside, [stranger]), /not signed by/);
  assert.match(await refusal(first, inside, []), /no key is trusted/);
});

test('older than what was imported, without its parent, from the future', async () => {
  await using inside = await emptyInside();
  assert.match(await refusal(delta, inside), /only adds to the bundle [0-9a-f]{12}/);
  const future = await create('future.goyi', formatCreated(Date.now() + 3 * 86_400_000), ...modules);
  assert.match(await refusal(future, inside), /yet to come/);
  await inside.import(later, [key]);
  assert.match(await refusal(first, inside), /made at 2026-11-20T08:00:00Z, and one of the same key made at 2026-11-22/);
});

test('a delta after its parent is taken, and moves the head on', async () => {
  await using inside = await emptyInside();
  const one = await inside.import(first, [key]);
  const two = await inside.import(delta, [key]);
  assert.ok(two.treeSize > one.treeSize);
  assert.deepEqual([two.files, two.present, two.missing], [6, 9, 0]);
  const { rows } = await inside.state();
  assert.ok(rows.every(({ proof, kind, fingerprint }) => fingerprint !== '' && (kind === 'info' || proof.kind === 'checksum-database')));
});

test('a delta under the very head of its parent stands by itself as well', async () => {
  await using inside = await emptyInside();
  await inside.import(first, [key]);
  await inside.import(delta, [key]);
  const same = await create('same.goyi', '2026-11-21T09:00:00Z', 'large.example/m0@v1.0.0', '--since', delta);
  const report = await inside.import(same, [key]);
  assert.equal(report.files, 3);
  const verified = await outside(world)('verify', same);
  assert.equal(verified.code, 0, verified.output);
});

test('of a delta only what the manifest says is in a bundle before counts as not proved yet', async () => {
  const { signer } = generateSignerKey(BUNDLE_KEY_NAME);
  await using honest = await openBundle({ file: delta, keys: [key] });
  const folder = 'modules/sumdb/sum.test.example/';
  const files = await filesOf(honest);
  const lookup = (name: string): string => `${folder}lookup/${name}`;
  const tile = honest.entries.find(({ name, carried }) => !carried && name.startsWith(`${folder}tile/8/0/`))?.name ?? '';
  const verify = async (name: string, changes: FileChanges): Promise<{ code: number | null; output: string }> => {
    const file = await resigned(honest, { file: path(`delta-${name}.goyi`), signer, changes });
    return outside(world)('verify', file, '--key', signer.verifier.text);
  };
  const fair = await verify('fair', new Map());
  assert.equal(fair.code, 0, fair.output);
  for (const [name, changes] of [
    ['no-record', new Map([[lookup('e.example/e@v1.0.0'), undefined]])],
    ['other-record', new Map([[lookup('e.example/e@v1.0.0'), files.get(lookup('d.example/d@v1.0.0'))]])],
    ['no-tile', new Map([[tile, undefined]])],
  ] as const)
    assert.equal((await verify(name, changes)).code, 5, name);
});

test('a file that was lost is put back by the next bundle that has it, or by the same', async () => {
  const root = await emptyFolder();
  const env = { GOYI_CHECKSUM_DATABASES: world.goSumDb };
  const files = ['a.example/a/@v/v1.0.0.zip', 'a.example/a/@v/v1.0.0.mod', 'a.example/a/@v/v1.0.0.info'];
  {
    await using taking = await openInside({ root, database: world.database.key });
    await taking.import(first, [key]);
    for (const file of files) await rm(join(root, 'modules', file));
    const report = await taking.import(later, [key]);
    assert.deepEqual([report.files, report.present, report.missing], [3, 6, 0]);
    const { imported } = await taking.state();
    assert.equal((await taking.import(later, [key])).known, true);
    await rm(join(root, 'modules', files[0] ?? ''));
    const again = await taking.import(later, [key]);
    assert.deepEqual([again.known, again.files], [false, 1]);
    assert.equal((await taking.state()).imported, imported);
  }
  await using inside = await world.hub({ dataDir: root, upstreams: ['off'], env });
  for (const file of files) assert.equal((await ask(inside, file)).status, 200, file);
});

test('files of one bundle in the frame of another', async () => {
  // Same names and sizes, other bytes: a mix that only digests can tell.
  const [a, b] = [await readFile(first), await readFile(later)];
  await using inside = await emptyInside();
  const file = path('mixed.goyi');
  await writeFile(file, Buffer.concat([a.subarray(0, 20 * 512), b.subarray(20 * 512)]));
  await refusal(file, inside);
  await writeFile(file, Buffer.concat([b.subarray(0, 2 * 512), a.subarray(2 * 512)]));
  await refusal(file, inside);
});

test('signed by the right key, but with a module that the checksum database does not know so', async () => {
  const { signer } = generateSignerKey(BUNDLE_KEY_NAME);
  await using honest = await openBundle({ file: first, keys: [key] });
  const files = await filesOf(honest);
  const resign = (name: string, changes: FileChanges): Promise<string> => resigned(honest, { file: path(name), signer, changes });
  const keys = [signer.verifier];
  await using inside = await emptyInside();
  const zipA = files.get('modules/a.example/a/@v/v1.0.0.zip') as Buffer;
  const lookup = 'modules/sumdb/sum.test.example/lookup/a.example/a@v1.0.0';
  const cases: readonly [string, ReadonlyMap<string, Buffer | undefined>, RegExp][] = [
    [
      'mod',
      new Map([['modules/a.example/a/@v/v1.0.0.mod', Buffer.from('module a.example/a\n\nrequire evil.example/e v1.0.0\n')]]),
      /recorded h1:/,
    ],
    ['zip', new Map([['modules/c.example/c/@v/v0.1.0.zip', zipA]]), /c\.example\/c@v0\.1\.0/],
    ['record', new Map([[lookup, undefined]]), /without its record/],
    ['other-record', new Map([[lookup, files.get('modules/sumdb/sum.test.example/lookup/c.example/c@v0.1.0') as Buffer]]), /is another/],
    [
      'tile',
      new Map([['modules/sumdb/sum.test.example/tile/8/0/000', Buffer.alloc(8192, 1)]]),
      /does not combine|not that of the signed tree/,
    ],
    ['list', new Map([['modules/a.example/a/@v/list', Buffer.from('v1.0.0\nv9.9.9\n')]]), /not the list of the versions/],
    ['info', new Map([['modules/a.example/a/@v/v1.0.0.info', Buffer.from('{"Version":"v9.9.9"}')]]), /v1\.0\.0\.info/],
    ['unknown', new Map([['modules/a.example/a/@v/v1.0.0.exe', Buffer.from('MZ')]]), /nothing that this goyi knows/],
    ['outside', new Map([['modules/../../etc/passwd', Buffer.from('x')]]), /nothing that this goyi knows/],
    ['too-large', new Map([['modules/a.example/a/@v/v1.0.0.info', Buffer.alloc(70_000, 32)]]), /more than the 65536/],
  ];
  for (const [name, changes, sentence] of cases)
    assert.match(await refusal(await resign(`signed-${name}.goyi`, changes), inside, keys), sentence, name);
  await inside.import(await resign('signed-honest.goyi', new Map()), keys);
});

test('a checksum database that signed two trees is frozen, and nothing is taken', async () => {
  await using inside = await emptyInside();
  await inside.import(first, [key]);
  const before = await inside.state();
  // What the hub has seen of the same size has another root.
  const fork = world.database.split();
  await inside.metadata.clearFork('sum.test.example', { forgetHead: true });
  const root = Buffer.alloc(32, 7).toString('base64');
  await inside.metadata.advanceHead({ database: 'sum.test.example', treeSize: before.head ?? 0, root, note: fork.note() }, undefined);
  const error = await inside.import(delta, [key]).catch((reason: unknown) => reason);
  assert.equal(codeOf(error), 'log-forked', messageOf(error));
  assert.notEqual(await inside.metadata.fork('sum.test.example'), undefined, 'the evidence is kept');
  assert.deepEqual(await inside.state(), before);
});

test('a private name of the hub is not taken from a bundle', async () => {
  await using inside = await emptyInside();
  const isPrivate = (module: string): boolean => module.startsWith('b.example/');
  const error = await inside.import(first, [key], { isPrivate }).catch((reason: unknown) => reason);
  assert.equal(codeOf(error), 'policy-denied');
  assert.equal((await inside.state()).rows.length, 0);
});

/** Rows of the data folder of a hub that does not run. */
async function rowsIn(root: string): Promise<number> {
  await using inside = await openInside({ root, database: world.database.key });
  return (await inside.state()).rows.length;
}

test('killed at any moment, the hub has the old state or the new one', async () => {
  const env = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', LANG: 'C', GOYI_CHECKSUM_DATABASES: world.goSumDb };
  const seen = new Set<string>();
  for (const ms of [200, 400, 550, 750]) {
    const data = await emptyFolder();
    const goyi = goyiIn(world, data.slice(world.folder.length + 1));
    assert.equal((await goyi('key', 'trust', key.text)).code, 0);
    assert.equal((await goyi('import', later)).code, 0);
    const child = spawn(process.execPath, [launcher, 'bundle', 'import', large, '--data-dir', data], { env, stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const timer = setTimeout(() => child.kill('SIGKILL'), ms);
    await ended;
    clearTimeout(timer);
    const rows = await rowsIn(data);
    assert.ok(rows === 9 || rows === 9 + 72, `${rows} rows`);
    const isNew = rows > 9;
    seen.add(isNew ? 'new' : 'old');
    {
      await using inside = await world.hub({ dataDir: data, upstreams: ['off'], env: { GOYI_CHECKSUM_DATABASES: world.goSumDb } });
      for (let i = 0; i < 24; i += 1)
        for (const file of ['info', 'mod', 'zip'])
          assert.equal(
            (await ask(inside, `large.example/m${i}/@v/v1.0.0.${file}`)).status,
            isNew ? 200 : 404,
            `m${i}.${file} after ${ms} ms`,
          );
      for (const name of modules) assert.equal((await ask(inside, `${name.replace('B', '!b').replace('@', '/@v/')}.zip`)).status, 200);
    }
    assert.equal((await goyi('import', large)).code, 0, 'and it can be imported now');
    assert.equal(await rowsIn(data), 9 + 72);
  }
  assert.ok(seen.has('old'), 'some were killed before the end');
});

test('killed after it was decided, the next start gives the files their names', async () => {
  const data = await emptyFolder();
  {
    await using inside = await openInside({ root: data, database: world.database.key });
    await inside.import(later, [key]);
    // As a process that ends between the transaction and the names.
    const reopen = async (digest: string): Promise<CarriedFiles | undefined> => {
      const carried = await CarriedFiles.reopen(data, digest);
      if (carried !== undefined) carried.place = () => Promise.reject(new HubError('storage-fault', 'killed'));
      return carried;
    };
    const changes = { reopen };
    await assert.rejects(inside.import(large, [key], changes), /killed/);
  }
  assert.equal(await rowsIn(data), 9 + 72);
  await using inside = await world.hub({ dataDir: data, upstreams: ['off'], env: { GOYI_CHECKSUM_DATABASES: world.goSumDb } });
  for (let i = 0; i < 24; i += 1) assert.equal((await ask(inside, `large.example/m${i}/@v/v1.0.0.zip`)).status, 200, `m${i}`);
});

test('killed behind the last step, the next import of the same bundle writes the lists', async () => {
  const data = await emptyFolder();
  const goyi = goyiIn(world, data.slice(world.folder.length + 1));
  {
    await using inside = await openInside({ root: data, database: world.database.key });
    await inside.import(later, [key]);
  }
  assert.equal((await goyi('import', later, '--key', key.text)).code, 0);
  assert.equal(await readFile(join(data, 'modules/a.example/a/@v/list'), 'utf8'), 'v1.0.0\n');
});

test('a disk that is full in the middle: nothing is taken, and it is said', async (t) => {
  await using disk = await mountSmallDisk(path('small'), 'size=200m,nr_inodes=130', (reason) => t.diagnostic(reason));
  if (disk === undefined) return t.skip('no small file system can be mounted here');
  const data = join(path('small'), 'data');
  const goyi = goyiIn(world, 'small/data', disk.wrap);
  assert.equal((await goyi('key', 'trust', key.text)).code, 0);
  assert.equal((await goyi('import', later)).code, 0);
  const full = await goyi('import', large);
  assert.equal(full.code, 7, full.output);
  assert.match(full.output, /no space left|ENOSPC/i);
  const imported = await goyi('imported', '--json');
  assert.equal((JSON.parse(imported.output) as { readonly imported: readonly unknown[] }).imported.length, 1);
  await disk.run('sh', '-c', `test -z "$(ls ${data}/staging | grep import-)"`);
});
