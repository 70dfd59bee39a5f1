// What people type wrongly or ask for in a bad place: each is told in a sentence, with the exit code of its kind, before anything is fetched or overwritten.
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { writeBundle } from '../src/bundle/bundle-writer.ts';
import { BUNDLE_KEY_NAME } from '../src/protocol/bundle-head.ts';
import { generateSignerKey } from '../src/protocol/note.ts';
import { goyiIn, outside } from './support/bundle-world.ts';
import type { HubProcess } from './support/hub-process.ts';
import { type SyntheticWorld, startWorld } from './support/synthetic-world.ts';

let world: SyntheticWorld;
let hub: HubProcess;
const path = (name: string): string => join(world.folder, name);
const large = Array.from({ length: 5 }, (_, i) => `large.example/m${i}@v1.0.0`);

before(async () => {
  world = await startWorld();
  world.publish('a.example/a', 'v1.0.0');
  for (const name of large) world.publish(name.split('@')[0] ?? '', 'v1.0.0', { fillBytes: 400_000 });
  hub = await world.hub();
  assert.equal((await outside(world)('key', 'new')).code, 0);
});

after(async () => {
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

async function create(file: string, ...args: readonly string[]): Promise<string> {
  const made = await outside(world)('create', ...args, '--out', path(file), '--hub', hub.url);
  assert.equal(made.code, 0, made.output);
  return path(file);
}

/** One sentence, and no stack. */
async function told(args: readonly string[], code: number, sentence: RegExp, data = 'data'): Promise<void> {
  const { code: actual, output } = await goyiIn(world, data)(...args);
  assert.equal(actual, code, output);
  assert.match(output, sentence);
  assert.doesNotMatch(output, /a bug in goyi|^\s+at /m);
}

test('a place that cannot be written into is told before anything is fetched', async () => {
  await mkdir(path('folder'));
  await writeFile(path('file'), '');
  const ask = ['create', 'a.example/a@v1.0.0', '--hub', hub.url, '--out'];
  const { length } = world.moduleRequests();
  await told([...ask, path('folder')], 7, /cannot write|is a folder/);
  await told([...ask, path('file/x.goyi')], 7, /cannot write/);
  assert.equal(world.moduleRequests().length, length);
  assert.ok(!(await readdir(world.folder)).includes('folder.staging'));
  await told(['wishes', '--out', path('folder')], 7, /cannot write/);
  await told(['wishes', '--out', path('no/folder/wishes.json')], 7, /cannot write/);
  assert.ok(!(await readdir(world.folder)).includes('folder.new'));
  await told(['extract', await create('small.goyi', 'a.example/a@v1.0.0'), '--to', path('file')], 7, /cannot write/);
});

test('a source that is away, or has no checksum database, is told before anything is fetched', async () => {
  const ask = ['create', 'a.example/a@v1.0.0', '--out', path('away.goyi'), '--hub'];
  const startMs = performance.now();
  await told([...ask, 'http://127.0.0.1:1'], 6, /connection refused/);
  assert.ok(performance.now() - startMs < 20_000);
  await told([...ask, world.upstream.url], 6, /does not relay the checksum database/);
  assert.ok(!(await readdir(world.folder)).includes('away.goyi.staging'));
});

test('an address with a password in it is not taken, for it would stand in the bundle', async () => {
  const withPassword = hub.url.replace('//', '//:secret@');
  await told(['create', 'a.example/a@v1.0.0', '--out', path('secret.goyi'), '--hub', withPassword], 2, /no address of a hub/);
  await told(
    ['create', '--vulndb', `${world.upstream.url.replace('//', '//:secret@')}/none`, '--out', path('secret.goyi'), '--hub', hub.url],
    5,
    /^goyi: error \(upstream-invalid\): http:\/\/127\.0\.0\.1:\d+\/none is no Go/m,
  );
});

test('what could not be read again is not written', async () => {
  const { signer } = generateSignerKey(BUNDLE_KEY_NAME);
  const tree = { size: 1, root: Buffer.alloc(32).toString('base64') };
  const head = { created: '2026-11-20T08:00:00Z', database: 'sum.test.example', tree, own: undefined, parent: undefined };
  const write = (source: string, file: string): Promise<unknown> => {
    const content = { head: { ...head, source }, entries: [], source: () => Buffer.alloc(0) };
    return writeBundle(content, { file: path(file), signer, partBytesMax: undefined, onBytes: () => {} }, AbortSignal.timeout(10_000));
  };
  await write('http://a.example', 'short.goyi');
  await assert.rejects(write(`http://a.example/${'long'.repeat(200)}`, 'long.goyi'), /could not be read again/);
  assert.ok(!(await readdir(world.folder)).some((name) => name.startsWith('long.goyi')));
});

test('who asks of a folder that is none makes no folder', async () => {
  await told(['imported'], 7, /there is no hub's data/, 'mistyped');
  await told(['wishes'], 7, /there is no hub's data/, 'mistyped');
  await assert.rejects(stat(path('mistyped')), /ENOENT/);
});

test('a bundle is not written over the one that it adds to', async () => {
  const first = await create('week.goyi', 'a.example/a@v1.0.0');
  const before = await readFile(first);
  await told(['create', ...large, '--since', first, '--out', first, '--hub', hub.url], 2, /--out is the bundle of --since/);
  assert.deepEqual(await readFile(first), before);
});

test('of two commands that write one bundle the second waits its turn', async () => {
  const both = await Promise.all([1, 2].map(() => outside(world)('create', ...large, '--out', path('two.goyi'), '--hub', hub.url)));
  assert.deepEqual(
    both.map(({ code }) => code).toSorted((a, b) => Number(a) - Number(b)),
    [0, 6],
  );
  assert.match(both.find(({ code }) => code === 6)?.output ?? '', /another command writes \S+two\.goyi already/);
  // One that was killed holds nothing.
  await writeFile(path('two.goyi.lock'), '0-1-1');
  await create('two.goyi', ...large);
  assert.deepEqual((await readdir(world.folder)).filter((name) => name.startsWith('two')).toSorted(), ['two.goyi', 'two.goyi.manifest']);
});

test('nothing of an older bundle of the same name is read as a part of the new one, or instead of it', async () => {
  await create('again.goyi', 'a.example/a@v1.0.0');
  await create('again.goyi', ...large, '--split', '1M');
  assert.match((await outside(world)('list', path('again.goyi'))).output, /large\.example\/m4/);
  // Of a run that was killed.
  for (const number of ['002', '003']) await writeFile(path(`again.goyi.${number}.part`), 'draft');
  await create('again.goyi', 'a.example/a@v1.0.0', '--split', '1M');
  assert.equal((await outside(world)('verify', path('again.goyi'))).code, 0);
  assert.deepEqual((await readdir(world.folder)).filter((name) => name.startsWith('again')).toSorted(), [
    'again.goyi.001',
    'again.goyi.manifest',
  ]);
});
