import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openSqliteMetadata } from './sqlite-metadata.ts';
import { silentLog } from '../base/log.ts';
import { openWitnessState } from './witness-state.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'goyi-witness-state-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const [first, second] = [5, 9].map((size) => ({ size, root: `root ${size}`, note: `note ${size}` }));

test('a head moves only from where it is, also between two processes’ connections', async () => {
  const file = join(folder, 'a', 'witness.db');
  using one = await openWitnessState(file);
  using two = await openWitnessState(file);
  assert.equal(one.head('log'), undefined);
  assert.equal(one.advance('log', undefined, first!), true);
  assert.equal(two.advance('log', undefined, second!), false, 'there is a first head already');
  assert.deepEqual(two.head('log'), first);
  assert.equal(two.advance('log', { ...first!, root: 'other' }, second!), false);
  assert.equal(two.advance('log', { ...first!, size: 4 }, second!), false);
  assert.equal(two.advance('other', first, second!), false, 'another log has no head yet');
  assert.equal(two.advance('log', first, second!), true);
  assert.equal(one.advance('log', first, { ...second!, size: 10 }), false, 'it has moved');
  assert.deepEqual(one.head('log'), second);
});

test('everything is there after it was opened again', async () => {
  const file = join(folder, 'b', 'witness.db');
  const fork = { keptNote: 'kept', contradictingNote: 'other', seenAtMs: 1_700_000_000_000 };
  {
    using state = await openWitnessState(file);
    assert.equal(state.owner, undefined);
    state.setOwner('w+1+k');
    assert.throws(() => state.setOwner('another'), { code: 'storage-fault' });
    state.advance('log', undefined, first!);
    state.recordFork('log', fork);
    state.recordFork('log', { ...fork, contradictingNote: 'a later one' });
  }
  using state = await openWitnessState(file);
  assert.equal(state.owner, 'w+1+k');
  assert.deepEqual(state.head('log'), first);
  assert.deepEqual(state.fork('log'), fork, 'the first one');
  assert.equal(state.fork('other'), undefined);
});

test('a file that is no state of a witness is refused and left alone', async () => {
  const file = join(folder, 'c.db');
  await writeFile(file, 'no database at all, but long enough to be taken for one '.repeat(100));
  await assert.rejects(openWitnessState(file), { code: 'storage-fault', message: /must not go on with its key/ });
  const metadata = join(folder, 'goyi.db');
  await (await openSqliteMetadata({ file: metadata, log: silentLog }))[Symbol.asyncDispose]();
  await assert.rejects(openWitnessState(metadata), { code: 'storage-fault', message: /not that of a witness/ });
});
