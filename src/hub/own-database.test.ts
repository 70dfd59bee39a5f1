import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { addMany, hashesOf, h1, lookUp, openOwnLogBench, ownSigner, signal, textOf, version } from '../../test/support/own-log-bench.ts';
import { ownDatabaseName } from '../../test/support/station-bench.ts';
import { codeOf, HubError } from '../base/errors.ts';
import { openSqliteMetadata } from '../meta/sqlite-metadata.ts';
import { silentLog } from '../base/log.ts';
import { formatChecksumRecord, openTreeNote } from '../protocol/checksum-record.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import { generateSignerKey, parseNote, signNote } from '../protocol/note.ts';

const online = { cachedOnly: false };

suite('look-ups', () => {
  test('the first look-up of a public version appends what the public database proved, and each later one answers that', async () => {
    await using bench = await openOwnLogBench();
    const database = await bench.open();
    const first = await lookUp(database, 'one.example/m');
    const second = await lookUp(database, 'two.example/m');
    assert.deepEqual([first?.recordId, first?.text], [0, textOf('one.example/m')]);
    assert.deepEqual([second?.recordId, second?.text], [1, textOf('two.example/m')]);
    assert.deepEqual([(await lookUp(database, 'one.example/m'))?.recordId, bench.proving.lookups], [0, 2]);
    assert.equal((await bench.metadata.ownRecord(ownDatabaseName, 'one.example/m', version))?.provedBy, 'sum.public.example');
  });

  test('a version that the public database does not have, or cannot prove now, gets no record', async () => {
    await using bench = await openOwnLogBench();
    const database = await bench.open();
    bench.proving.absent.add('none.example/m');
    assert.equal(await lookUp(database, 'none.example/m'), undefined);
    for (const code of ['log-invalid', 'log-forked', 'database-unavailable', 'origin-timeout'] as const) {
      bench.proving.failure = new HubError(code, 'the test says so');
      await assert.rejects(lookUp(database, 'some.example/m'), { code });
    }
    assert.equal(await bench.metadata.ownHead(ownDatabaseName), undefined);
    bench.proving.failure = undefined;
    assert.equal((await lookUp(database, 'some.example/m'))?.recordId, 0, 'a fork of the public log is not one of ours');
  });

  test('what only may be answered from here is never appended', async () => {
    await using bench = await openOwnLogBench();
    const database = await bench.open();
    await assert.rejects(lookUp(database, 'one.example/m', { cachedOnly: true }), { code: 'not-cached' });
    assert.equal(bench.proving.lookups, 0);
    await lookUp(database, 'one.example/m');
    assert.equal((await lookUp(database, 'one.example/m', { cachedOnly: true }))?.recordId, 0);
  });

  test('names and versions that are none are refused, and nobody is asked', async () => {
    await using bench = await openOwnLogBench();
    const database = await bench.open();
    for (const [module, at] of [
      ['..', 'v1.0.0'],
      ['UPPER.example/m', 'v1.0.0'],
      ['m.example/m', 'v1'],
      ['m.example/m', 'v1.0.0/go.mod'],
      ['m.example/m', 'v2.0.0'],
      ['m.example/m', 'master'],
      ['m.example/m', 'v1.0.0+meta'],
    ] as const)
      await assert.rejects(database.lookupAnswer(module, at, online, signal), { code: 'bad-request' }, `${module}@${at}`);
    assert.deepEqual([bench.proving.lookups, await bench.metadata.ownHead(ownDatabaseName)], [0, undefined]);
  });

  test('fifty who ask for one version at once cause one proof and one record, also when some leave', async () => {
    await using bench = await openOwnLogBench();
    const database = await bench.open();
    const { promise, resolve } = Promise.withResolvers<void>();
    bench.proving.gate = promise;
    const leaving = new AbortController();
    const left = database.lookupAnswer('one.example/m', version, online, leaving.signal);
    const asked = Array.from({ length: 50 }, () => lookUp(database, 'one.example/m'));
    leaving.abort(new HubError('canceled', 'left'));
    await assert.rejects(left, { code: 'canceled' });
    resolve();
    assert.ok((await Promise.all(asked)).every((shown) => shown?.recordId === 0));
    assert.deepEqual([bench.proving.lookups, (await bench.metadata.ownHead(ownDatabaseName))?.size], [1, 1]);
  });

  test('look-ups of one moment share writes', async () => {
    await using bench = await openOwnLogBench();
    const database = await bench.open();
    let appends = 0;
    bench.metadataFaults = (point, write) => void (appends += point === 'before' && write === 'appendOwn' ? 1 : 0);
    const shown = await Promise.all(Array.from({ length: 400 }, (_, i) => lookUp(database, `m${i}.example/m`)));
    assert.equal(new Set(shown.map((one) => one?.recordId)).size, 400);
    assert.ok(appends <= 20, `${appends} writes for 400 records`);
  });
});

suite('private modules', () => {
  const privateModules = (
    hashes: ReturnType<typeof hashesOf> | undefined,
  ): { isPrivate(module: string): boolean; hash(module: string): Promise<ReturnType<typeof hashesOf> | undefined> } => ({
    isPrivate: (module) => module.startsWith('corp.example/'),
    hash: async () => hashes,
  });

  test('they are hashed here and never asked for elsewhere', async () => {
    await using bench = await openOwnLogBench();
    const database = await bench.open({ privateModules: privateModules(hashesOf('built')) });
    const shown = await lookUp(database, 'corp.example/m');
    assert.equal(shown?.text, formatChecksumRecord({ module: 'corp.example/m', version, ...hashesOf('built') }));
    assert.equal((await bench.metadata.ownRecord(ownDatabaseName, 'corp.example/m', version))?.provedBy, undefined);
    const absent = await bench.open({ privateModules: privateModules(undefined) });
    assert.equal(await lookUp(absent, 'corp.example/other'), undefined);
    assert.equal(bench.proving.lookups, 0);
  });

  test('a public record cannot become that of a private module', async () => {
    await using bench = await openOwnLogBench();
    const database = await bench.open({ privateModules: privateModules(hashesOf('built')) });
    await database.recordProved('corp.example/m' as ModulePath, version, { database: 'sum.public.example', ...hashesOf('public') });
    assert.equal(await bench.metadata.ownHead(ownDatabaseName), undefined);
  });

  test('with `sign: private` a public module has no record here', async () => {
    await using bench = await openOwnLogBench();
    const database = await bench.open({ sign: 'private', privateModules: privateModules(hashesOf('built')) });
    assert.equal(await lookUp(database, 'one.example/m'), undefined);
    await addMany(database, 0, 3);
    assert.deepEqual([bench.proving.lookups, await bench.metadata.ownHead(ownDatabaseName)], [0, undefined]);
    assert.equal((await lookUp(database, 'corp.example/m'))?.recordId, 0);
  });

  test('a version that is built otherwise later keeps its record, and the drift is noted', async () => {
    await using bench = await openOwnLogBench();
    const first = await bench.open({ privateModules: privateModules(hashesOf('built')) });
    const { promise: gate, resolve } = Promise.withResolvers<void>();
    const moved = await bench.open({
      privateModules: {
        ...privateModules(hashesOf('built otherwise')),
        hash: async () => {
          await gate;
          return hashesOf('built otherwise');
        },
      },
    });
    const late = lookUp(moved, 'corp.example/m');
    await lookUp(first, 'corp.example/m');
    resolve();
    assert.equal((await late)?.text, formatChecksumRecord({ module: 'corp.example/m', version, ...hashesOf('built') }));
    assert.deepEqual(bench.seen.filter((event) => event.startsWith('drift')).sort(), [
      'drift mod corp.example/m',
      'drift zip corp.example/m',
    ]);
    const [drift] = await bench.metadata.drifts(10);
    assert.deepEqual([drift?.recordedHash, drift?.offeredHash], [hashesOf('built').modHash, hashesOf('built otherwise').modHash]);
  });
});

suite('heads', () => {
  test('an empty log has a head, signed', async () => {
    await using bench = await openOwnLogBench();
    const tree = openTreeNote(await (await bench.open()).latest(), ownSigner.verifier);
    assert.ok(tree.ok);
    assert.deepEqual([tree.value.size, tree.value.root.toString('base64')], [0, '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=']);
  });

  test('no note leaves before its head is remembered beside the data', async () => {
    await using bench = await openOwnLogBench();
    const database = await bench.open();
    for (let i = 0; i < 5; i += 1) {
      const shown = await lookUp(database, `m${i}.example/m`);
      assert.ok((bench.signedHeads.heads.get(ownDatabaseName)?.treeSize ?? 0) >= (shown?.size ?? 0));
    }
    for (const point of ['before', 'after'] as const) {
      bench.signedHeads.faults = (at) => {
        if (at === point) throw new HubError('storage-full', 'the disk with the keys is full');
      };
      await assert.rejects(lookUp(database, `${point}.example/m`), { code: 'storage-full' });
      await assert.rejects(database.latest(), { code: 'storage-full' });
      assert.equal((await lookUp(database, 'm1.example/m'))?.recordId, 1, 'what was shown before is shown again');
    }
    bench.signedHeads.faults = () => {};
    assert.deepEqual(
      [(await lookUp(database, 'before.example/m'))?.recordId, (await lookUp(database, 'after.example/m'))?.recordId],
      [5, 6],
    );
  });

  test('every process shows the same note of one head, and `latest` is never older than what another one showed', async () => {
    await using bench = await openOwnLogBench();
    const left = await bench.open();
    const right = await bench.open();
    for (let i = 0; i < 6; i += 1) {
      const shown = await lookUp(i % 2 === 0 ? left : right, `m${i}.example/m`);
      assert.equal(await left.latest(), shown?.note);
      assert.equal(await right.latest(), shown?.note);
    }
    assert.equal((await left.state()).treeSize, 6);
  });

  test('cosignatures stand on the note of their head alone', async () => {
    await using bench = await openOwnLogBench();
    const database = await bench.open();
    const shown = await lookUp(database, 'one.example/m');
    const witness = generateSignerKey('witness.example', Buffer.alloc(32, 1)).signer;
    const text = `${shown?.note.split('\n\n')[0]}\n`;
    const line = signNote(text, witness).split('\n\n')[1]!.trimEnd();
    assert.equal(database.attachCosignatures(0, [line]), false);
    assert.throws(() => database.attachCosignatures(1, ['no signature']), { code: 'bad-request' });
    assert.throws(() => database.attachCosignatures(1, [`${line}\n\nmore`]), { code: 'bad-request' });
    assert.equal(database.attachCosignatures(1, [line]), true);
    const note = await database.latest();
    assert.ok(openTreeNote(note, ownSigner.verifier).ok && openTreeNote(note, witness.verifier).ok);
    assert.equal((await lookUp(database, 'one.example/m'))?.note, note);
    await lookUp(database, 'two.example/m');
    const later = parseNote(await database.latest());
    assert.equal(later.ok && later.value.signatures.length, 1);
  });
});

suite('what was shown and what there is', () => {
  test('an older state of the metadata is refused at the start, with the way out', async () => {
    await using bench = await openOwnLogBench();
    const database = await bench.open();
    await addMany(database, 0, 300);
    await database.latest();
    const older = await openSqliteMetadata({ file: ':memory:', log: silentLog });
    const old = await bench.open({ metadata: older }).catch((error: unknown) => error);
    assert.ok(old instanceof HubError);
    assert.equal(old.code, 'log-forked');
    assert.match(old.message, /has 0 records, and a tree of 300 was signed and shown.*Put back a backup.*ownDatabase\.name/s);
    await older[Symbol.asyncDispose]();
  });

  test('another tree of the size that was shown is refused at the start, and a longer one that does not continue it', async () => {
    for (const count of [300, 301, 900]) {
      await using bench = await openOwnLogBench();
      await addMany(await bench.open(), 0, 300);
      await (await bench.open()).latest();
      await using other = await openOwnLogBench();
      await addMany(await other.open(), 1, count + 1);
      await assert.rejects(
        bench.open({ metadata: other.metadata, store: other.store }),
        { code: 'log-forked', message: /contradicts/ },
        `${count}`,
      );
    }
  });

  test('a later state goes on, at every size', async () => {
    await using bench = await openOwnLogBench();
    for (const [from, to] of [
      [0, 1],
      [1, 255],
      [255, 256],
      [256, 257],
      [257, 520],
    ] as const) {
      const database = await bench.open();
      await addMany(database, from, to);
      await database.latest();
      await database.settled();
      assert.equal((await (await bench.open()).state()).treeSize, to);
    }
    // What was shown last is a while ago: others have appended since.
    const database = await bench.open();
    await addMany(database, 520, 1100);
    assert.equal((await (await bench.open()).state()).treeSize, 1100);
  });

  test('a metadata that goes back under a running process freezes it', async () => {
    await using bench = await openOwnLogBench();
    const database = await bench.open();
    await addMany(database, 0, 10);
    await database.latest();
    let back: { size: number; root: string } | undefined;
    const { metadata } = bench;
    const restored = new Proxy(metadata, {
      get(target, name) {
        if (name === 'ownHead') return async (log: string) => back ?? target.ownHead(log);
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const running = await bench.open({ metadata: restored });
    back = { size: 9, root: h1('other').slice(3) };
    await assert.rejects(running.latest(), { code: 'log-forked', message: /frozen.*from 10 records to 9/ });
    back = undefined;
    await assert.rejects(running.latest(), { code: 'log-forked' });
    await assert.rejects(lookUp(running, 'm1.example/m'), { code: 'log-forked' });
    await assert.rejects(lookUp(running, 'new.example/m'), { code: 'log-forked' });
    await assert.rejects(running.tile({ level: 0, index: 0, width: 5 }, online, signal), { code: 'log-forked' });
    assert.match((await running.state()).frozen ?? '', /^its metadata went back from 10 records to 9$/);
    assert.equal((await bench.metadata.ownHead(ownDatabaseName))?.size, 10);
  });

  test('a head that somebody else remembers otherwise freezes it', async () => {
    await using bench = await openOwnLogBench();
    const database = await bench.open();
    await addMany(database, 0, 3);
    bench.signedHeads.heads.set(ownDatabaseName, { name: ownDatabaseName, treeSize: 3, root: 'other', note: '' });
    await assert.rejects(database.latest(), { code: 'log-forked' });
    bench.signedHeads.heads.clear();
    await assert.rejects(database.latest(), { code: 'log-forked' });
  });
});

test('a log that takes no more makes new look-ups wait no longer than their own failure', async () => {
  await using bench = await openOwnLogBench();
  const database = await bench.open();
  bench.metadataFaults = (point, write) => {
    if (point === 'before' && write === 'appendOwn') throw new HubError('storage-full', 'no space');
  };
  const outcomes = await Promise.allSettled(Array.from({ length: 30 }, (_, i) => lookUp(database, `m${i}.example/m`)));
  assert.ok(outcomes.every((outcome) => outcome.status === 'rejected' && codeOf(outcome.reason) === 'storage-full'));
  bench.metadataFaults = () => {};
  assert.equal((await lookUp(database, 'm1.example/m'))?.recordId, 0);
});
