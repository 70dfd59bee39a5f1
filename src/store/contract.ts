/** What every BlobStore does, whatever lies behind it. Each backend's test runs this suite on stores that it can be told to break. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { BlobKey } from '../base/blob-key.ts';
import { codeOf } from '../base/errors.ts';
import type { BlobStore, OpenBlob } from './blob-store.ts';

/** A store that can be told to break the next time a file is to become visible: before it is, or after it is but before anybody was told. */
export interface BreakableStore extends AsyncDisposable {
  readonly store: BlobStore;
  breakNext(point: 'before' | 'after'): void;
}

export const key = (text: string): BlobKey => text as BlobKey;

const zip = key('modules/rsc.io/quote/@v/v1.5.2.zip');
const list = key('modules/rsc.io/quote/@v/list');

export async function contentOf(store: BlobStore, name: BlobKey): Promise<string | undefined> {
  return (await store.readSmall(name, 1 << 20))?.bytes.toString();
}

export async function keysOf(store: BlobStore, prefix = ''): Promise<string[]> {
  const found: string[] = [];
  for await (const name of store.keys(prefix)) found.push(name);
  return found.toSorted();
}

export function blobStoreContract(name: string, make: () => Promise<BreakableStore>): void {
  suite(`BlobStore contract: ${name}`, () => {
    sealing(make);
    reading(make);
    givenDigests(make);
    keeping(make);
    changing(make);
    naming(make);
    breaking(make);
  });
}

function sealing(make: () => Promise<BreakableStore>): void {
  test('a staged file is invisible until it is sealed, then whole', async () => {
    await using made = await make();
    const { store } = made;
    await using staged = await store.stage();
    await staged.append(Buffer.from('hello '));
    await staged.append(Buffer.from('gopher'));
    assert.equal(staged.sizeBytes, 12);
    assert.equal(readFileSync(staged.localPath, 'latin1'), 'hello gopher');
    assert.equal(await store.open(zip), undefined);
    assert.deepEqual(await keysOf(store), []);
    const sealed = await staged.seal(zip);
    assert.deepEqual([sealed.sizeBytes, sealed.sha256], [12, createHash('sha256').update('hello gopher').digest('hex')]);
    await using blob = await mustOpen(store, zip);
    assert.deepEqual([blob.sizeBytes, blob.fingerprint], [12, sealed.fingerprint]);
    assert.equal(readFileSync(blob.localPath ?? '', 'latin1'), 'hello gopher');
    assert.equal((await store.readSmall(zip, 12))?.fingerprint, sealed.fingerprint);
    assert.equal(existsSync(staged.localPath), false);
  });

  test('what was appended in any pieces is what is stored, and reset begins again', async () => {
    await using made = await make();
    const { store } = made;
    let serial = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 6 }), async (pieces) => {
        await using staged = await store.stage();
        await staged.append(Buffer.from('a first try that was cut'));
        await staged.reset();
        await Promise.all(pieces.map((piece) => staged.append(piece)));
        const whole = Buffer.concat(pieces);
        const name = key(`modules/rsc.io/quote/@v/v1.0.${(serial += 1)}.zip`);
        const sealed = await staged.seal(name);
        assert.equal(sealed.sha256, createHash('sha256').update(whole).digest('hex'));
        assert.deepEqual((await store.readSmall(name, 1 << 20))?.bytes, whole);
      }),
      { numRuns: 20 },
    );
  });
}

function reading(make: () => Promise<BreakableStore>): void {
  test('reads at any position, and 0 bytes only at the end', async () => {
    await using made = await make();
    const { store } = made;
    await store.put(zip, Buffer.from('0123456789'));
    await using blob = await mustOpen(store, zip);
    await fc.assert(
      fc.asyncProperty(fc.nat(14), fc.integer({ min: 1, max: 14 }), async (position, length) => {
        const buffer = Buffer.alloc(16, '-');
        const count = await blob.read(buffer, length, position);
        const expected = '0123456789'.slice(position, position + length);
        assert.equal(buffer.subarray(0, count).toString(), expected);
        assert.equal(buffer[count], '-'.charCodeAt(0));
      }),
      { numRuns: 40 },
    );
  });

  test('what can be read at once reads the same', async () => {
    await using made = await make();
    const { store } = made;
    await store.put(zip, Buffer.from('0123456789'));
    await using blob = await mustOpen(store, zip);
    const whole = Buffer.alloc(16, '-');
    assert.equal(await blob.read(whole, 16, 0), 10);
    for (const [position, length] of [
      [0, 10],
      [3, 4],
      [8, 10],
      [10, 3],
    ] as const) {
      const buffer = Buffer.alloc(16, '-');
      const count = blob.readNow(buffer, length, position) ?? assert.fail('it was read a moment ago');
      assert.equal(buffer.subarray(0, count).toString(), '0123456789'.slice(position, position + length));
      assert.equal(buffer[count], '-'.charCodeAt(0));
    }
  });
}

function givenDigests(make: () => Promise<BreakableStore>): void {
  test('a digest that is given at the end is believed, and told from one that was computed', async () => {
    await using made = await make();
    const { store } = made;
    const sha256 = createHash('sha256').update('gopher').digest('hex');
    for (const round of ['first', 'the same again']) {
      await using staged = await store.stage({ digest: 'given' });
      await staged.append(Buffer.from('lost'));
      await staged.reset();
      await staged.append(Buffer.from('gopher'));
      const sealed = await staged.seal(zip, sha256);
      assert.deepEqual([sealed.sizeBytes, sealed.sha256], [6, sha256], round);
    }
    await using other = await store.stage({ digest: 'given' });
    await other.append(Buffer.from('Gopher'));
    await assert.rejects(
      other.seal(zip, createHash('sha256').update('Gopher').digest('hex')),
      (error) => codeOf(error) === 'storage-fault',
    );
    assert.equal(await contentOf(store, zip), 'gopher');
    await using without = await store.stage({ digest: 'given' });
    await assert.rejects(without.seal(list), { name: 'InvariantError' });
    await using computed = await store.stage();
    await assert.rejects(computed.seal(list, sha256), { name: 'InvariantError' });
  });
}

function keeping(make: () => Promise<BreakableStore>): void {
  test('disposing of a staged file removes it', async () => {
    await using made = await make();
    const staged = await made.store.stage();
    await staged.append(randomBytes(100));
    await staged[Symbol.asyncDispose]();
    await staged[Symbol.asyncDispose]();
    assert.equal(existsSync(staged.localPath), false);
    await assert.rejects(staged.append(randomBytes(1)));
    await assert.rejects(staged.seal(zip));
    assert.deepEqual(await keysOf(made.store), []);
  });

  test('a name keeps its first bytes: the same again is success, others are refused', async () => {
    await using made = await make();
    const { store } = made;
    const first = await store.put(zip, Buffer.from('one'));
    assert.deepEqual(await store.put(zip, Buffer.from('one')), first);
    for (const other of ['two', 'longer', '']) await assert.rejects(store.put(zip, Buffer.from(other)), { code: 'storage-fault' });
    assert.equal(await contentOf(store, zip), 'one');
    assert.deepEqual(await keysOf(store), [zip]);
  });

  test('of many who seal one name at once, all with the same bytes succeed', async () => {
    await using made = await make();
    const { store } = made;
    const outcomes = await Promise.allSettled(['a', 'b', 'a', 'b', 'a', 'b'].map((text) => store.put(zip, Buffer.from(text))));
    const kept = await contentOf(store, zip);
    assert.ok(kept === 'a' || kept === 'b');
    for (const [index, outcome] of outcomes.entries()) assert.equal(outcome.status === 'fulfilled', kept === (index % 2 === 0 ? 'a' : 'b'));
  });
}

function changing(make: () => Promise<BreakableStore>): void {
  test('replace changes a name; the last writer wins and a reader keeps what it opened', async () => {
    await using made = await make();
    const { store } = made;
    await store.replace(list, Buffer.from('v1.0.0\n'));
    await using before = await mustOpen(store, list);
    await store.replace(list, Buffer.from('v1.0.0\nv1.1.0\n'));
    assert.equal(await contentOf(store, list), 'v1.0.0\nv1.1.0\n');
    const buffer = Buffer.alloc(32);
    assert.equal(buffer.subarray(0, await before.read(buffer, 32, 0)).toString(), 'v1.0.0\n');
    await using after = await mustOpen(store, list);
    assert.notEqual(after.fingerprint, before.fingerprint);
    const texts = Array.from({ length: 12 }, (_, index) => `${index}\n`.repeat(100));
    await Promise.all(texts.map((text) => store.replace(list, Buffer.from(text))));
    assert.ok(texts.includes((await contentOf(store, list)) ?? ''));
  });

  test('set aside and removed files are gone, readers keep theirs, and the name is free again', async () => {
    await using made = await make();
    const { store } = made;
    for (const act of [(name: BlobKey) => store.setAside(name, 'its digest differs'), (name: BlobKey) => store.remove(name)]) {
      await store.put(zip, Buffer.from('bad'));
      await using reader = await mustOpen(store, zip);
      assert.equal(await act(zip), true);
      assert.equal(await act(zip), false);
      assert.equal(await store.open(zip), undefined);
      assert.equal(await store.readSmall(zip, 10), undefined);
      const buffer = Buffer.alloc(3);
      assert.equal(await reader.read(buffer, 3, 0), 3);
      assert.equal(buffer.toString(), 'bad');
      await store.put(zip, Buffer.from('good'));
      assert.equal(await contentOf(store, zip), 'good');
      await store.remove(zip);
    }
    assert.deepEqual(await keysOf(store), []);
  });

  test('readSmall refuses what is longer than expected', async () => {
    await using made = await make();
    await made.store.put(zip, Buffer.alloc(11));
    await assert.rejects(made.store.readSmall(zip, 10), { code: 'storage-fault' });
    assert.equal((await made.store.readSmall(zip, 11))?.bytes.length, 11);
  });
}

function naming(make: () => Promise<BreakableStore>): void {
  test('keys answers every name below a prefix', async () => {
    await using made = await make();
    const { store } = made;
    const names = [
      'modules/rsc.io/quote/@v/v1.0.0.mod',
      'modules/rsc.io/quote/v3/@v/v3.0.0.mod',
      'modules/rsc.io/qux/@v/list',
      'modules/sumdb/d/latest',
      'sdk/go.tar.gz',
    ];
    for (const name of names) await store.put(key(name), Buffer.from(name));
    await using staged = await store.stage();
    await staged.append(Buffer.from('half'));
    await store.put(key('modules/rsc.io/old/@v/list'), Buffer.from('x'));
    await store.setAside(key('modules/rsc.io/old/@v/list'), 'bad');
    for (const prefix of [
      '',
      'modules/',
      'modules/rsc.io/qu',
      'modules/rsc.io/quote/',
      'modules/rsc.io/quote/@v/v1.0.0.mod',
      'sdk/',
      'none/',
      'modules/nowhere/',
      'staging/',
      '../',
    ]) {
      assert.deepEqual(await keysOf(store, prefix), names.filter((name) => name.startsWith(prefix)).toSorted(), prefix);
    }
  });

  const strange = [
    '',
    '/',
    'modules',
    'modules/',
    '/modules/a',
    'modules//a',
    'modules/./a',
    'modules/../a',
    'modules/a/..',
    '../a/b',
    'a/b\0c',
    'a\\..\\b/c',
  ];
  for (const text of [...strange, 'staging/a', 'Staging/a', 'a/\ud800', `a/${'b'.repeat(5000)}`]) {
    test(`the key ${JSON.stringify(text.slice(0, 30))} leads nowhere`, async () => {
      await using made = await make();
      const { store } = made;
      const refusal = { code: 'bad-request' };
      const bytes = Buffer.from('x');
      await assert.rejects(store.open(key(text)), refusal);
      await assert.rejects(store.readSmall(key(text), 10), refusal);
      await assert.rejects(store.put(key(text), bytes), refusal);
      await assert.rejects(store.replace(key(text), bytes), refusal);
      await assert.rejects(store.setAside(key(text), 'bad'), refusal);
      await assert.rejects(store.remove(key(text)), refusal);
      await using staged = await store.stage();
      await assert.rejects(staged.seal(key(text)), refusal);
      assert.deepEqual(await keysOf(store), []);
    });
  }
}

function breaking(make: () => Promise<BreakableStore>): void {
  test('a fault before the file is visible leaves nothing, and the next try succeeds', async () => {
    await using made = await make();
    const { store } = made;
    await using staged = await store.stage();
    await staged.append(Buffer.from('bytes'));
    made.breakNext('before');
    await assert.rejects(staged.seal(zip), (error) => codeOf(error) === 'storage-full');
    assert.equal(existsSync(staged.localPath), false);
    assert.equal(await store.open(zip), undefined);
    assert.equal((await store.put(zip, Buffer.from('bytes'))).sizeBytes, 5);
  });

  test('a fault after the file is visible leaves it whole, and the next try succeeds', async () => {
    await using made = await make();
    const { store } = made;
    await using staged = await store.stage();
    await staged.append(Buffer.from('bytes'));
    made.breakNext('after');
    await assert.rejects(staged.seal(zip), (error) => codeOf(error) === 'storage-full');
    assert.equal(existsSync(staged.localPath), false);
    assert.equal(await contentOf(store, zip), 'bytes');
    const sealed = await store.put(zip, Buffer.from('bytes'));
    await using blob = await mustOpen(store, zip);
    assert.equal(blob.fingerprint, sealed.fingerprint);
  });

  test('a fault while a name is replaced leaves the old or the new bytes', async () => {
    await using made = await make();
    const { store } = made;
    await store.replace(list, Buffer.from('old'));
    made.breakNext('before');
    await assert.rejects(store.replace(list, Buffer.from('new')), (error) => codeOf(error) === 'storage-full');
    assert.equal(await contentOf(store, list), 'old');
    made.breakNext('after');
    await assert.rejects(store.replace(list, Buffer.from('new')), (error) => codeOf(error) === 'storage-full');
    assert.equal(await contentOf(store, list), 'new');
  });

  test('a working store says so', async () => {
    await using made = await make();
    const health = await made.store.health();
    assert.deepEqual([health.readable, health.writable, health.reason], [true, true, undefined]);
    assert.equal(await made.store.sweep(), 0);
  });
}

export async function mustOpen(store: BlobStore, name: BlobKey): Promise<OpenBlob> {
  const blob = await store.open(name);
  assert.ok(blob !== undefined, `${name} is not stored`);
  return blob;
}
