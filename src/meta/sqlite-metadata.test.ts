import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { suite, test } from 'node:test';
import { HubError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import { type MetadataBench, metadataContract, rowOf } from './contract.ts';
import { accessContract } from './access-contract.ts';
import { newLeaseOwner } from './leases.ts';
import { importContract } from './import-contract.ts';
import { jobsContract } from './jobs-contract.ts';
import { ownLogsContract } from './own-logs-contract.ts';
import { migrations } from './migrations/all.ts';
import { isAlive, ownIdentity } from './process-identity.ts';
import { openSqliteMetadata, type SqliteMetadataOptions } from './sqlite-metadata.ts';
import { memoryFile } from './sqlite-open.ts';
import { statements } from './sqlite-statements.ts';
import { ThreadWriterHost } from './sqlite-writer-host.ts';
import type { WriteCall } from './sqlite-writes.ts';

async function folder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'goyi-meta-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

function bench(
  make: (options: Omit<SqliteMetadataOptions, 'file'>) => Promise<Omit<MetadataBench, 'wallMs' | 'sharedMs' | 'breakNext'>>,
): () => Promise<MetadataBench> {
  return async () => {
    const time = { wallMs: 1_800_000_000_000, sharedMs: 1_000_000 };
    let armed: 'before' | 'after' | undefined;
    const made = await make({
      log: silentLog,
      clock: { wallMs: () => time.wallMs },
      sharedMs: () => time.sharedMs,
      faults: (point) => {
        if (point !== armed) return;
        armed = undefined;
        throw new HubError('storage-fault', 'the test says so');
      },
    });
    const breakNext = (point: 'before' | 'after'): void => {
      armed = point;
    };
    return Object.assign(time, made, { breakNext });
  };
}

const onFile = bench(async (options) => {
  const place = await folder();
  const metadata = await openSqliteMetadata({ ...options, file: join(place.path, 'data', 'goyi.db') });
  const dispose = async (): Promise<void> => {
    await metadata[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  };
  return { metadata, [Symbol.asyncDispose]: dispose };
});

const inMemory = bench(async (options) => {
  const metadata = await openSqliteMetadata({ ...options, file: memoryFile });
  return { metadata, [Symbol.asyncDispose]: () => metadata[Symbol.asyncDispose]() };
});

for (const [name, make] of [
  ['SQLite file', onFile],
  ['SQLite in memory', inMemory],
] as const) {
  metadataContract(name, make);
  ownLogsContract(name, make);
  accessContract(name, make);
  jobsContract(name, make);
  importContract(name, make);
}

suite('the file', () => {
  test('everything is there after closing, in the one file, and the log stays beside it for a start on a full disk', async () => {
    await using place = await folder();
    const file = join(place.path, 'goyi.db');
    await using first = await openSqliteMetadata({ file, log: silentLog });
    await first.recordFile(rowOf(1));
    await first[Symbol.asyncDispose]();
    assert.equal((await readFile(`${file}-wal`)).length, 0);
    assert.ok((await readFile(`${file}-shm`)).length > 0);
    await rm(`${file}-wal`);
    await rm(`${file}-shm`);
    await using second = await openSqliteMetadata({ file, log: silentLog });
    assert.deepEqual(await second.file(rowOf(1).key), rowOf(1));
  });

  test('two that are open at once see each other, share the feed and exclude each other from leases', async () => {
    await using place = await folder();
    const file = join(place.path, 'goyi.db');
    await using left = await openSqliteMetadata({ file, log: silentLog });
    await using right = await openSqliteMetadata({ file, log: silentLog });
    await left.recordFile(rowOf(1));
    assert.deepEqual(await right.file(rowOf(1).key), rowOf(1));
    assert.equal((await left.acquireLease('a')).kind, 'acquired');
    assert.deepEqual(await right.acquireLease('a'), { kind: 'held', ours: false });
    await right.releaseLease('a');
    assert.equal((await right.acquireLease('a')).kind, 'held');
    await left[Symbol.asyncDispose]();
    assert.equal((await right.acquireLease('a')).kind, 'acquired');
  });

  test('the lease of a dead process is void at once, whatever its number is now', async () => {
    await using place = await folder();
    const file = join(place.path, 'goyi.db');
    const own = ownIdentity();
    assert.equal(isAlive(own), true);
    const [boot, pid, ticks] = own.split('-');
    const dead = [`${boot}-${pid}-${Number(ticks) + 1}`, `${boot}-4194305-7`, `${'0'.repeat(11)}1-${pid}-${ticks}`, 'nonsense', ''];
    await using living = await openSqliteMetadata({ file, log: silentLog });
    for (const owner of dead) {
      assert.equal(isAlive(owner), false, owner);
      // Not disposed of before the end: a killed process gives nothing back.
      await using killed = await openSqliteMetadata({ file, log: silentLog, owner });
      assert.equal((await killed.acquireLease('a')).kind, 'acquired');
      assert.equal((await living.acquireLease('a')).kind, 'acquired');
      await killed.releaseLease('a');
      assert.equal((await killed.acquireLease('a')).kind, 'held');
      await living.releaseLease('a');
    }
  });

  test('failures that nobody asks after do not pile up', async () => {
    await using place = await folder();
    const file = join(place.path, 'goyi.db');
    let sharedMs = 1000;
    await using metadata = await openSqliteMetadata({ file, log: silentLog, sharedMs: () => sharedMs });
    for (let round = 0; round < 50; round += 1) {
      await metadata.acquireLease(`m${round}`);
      await metadata.releaseLease(`m${round}`, { code: 'origin-timeout', message: 'x'.repeat(100_000), failureTtlMs: 1 });
      sharedMs += 10;
    }
    using reader = new DatabaseSync(file, { readOnly: true });
    assert.deepEqual(
      { ...reader.prepare('SELECT count(*) AS rows, max(length(failure_message)) AS length FROM lease').get() },
      { rows: 1, length: 2000 },
    );
  });

  test('queries are bounded, the oldest go, and lists stay', async () => {
    await using metadata = await openSqliteMetadata({ file: memoryFile, log: silentLog });
    const answer = { body: '', origin: 'o' } as const;
    const kept = async (name: (serial: number) => string): Promise<boolean[]> =>
      Promise.all(Array.from({ length: 10_600 }, async (_, serial) => (await metadata.answer(name(serial))) !== undefined));
    const query = (serial: number): string => `m/@v/branch-${serial}.info`;
    const list = (serial: number): string => `m${serial}/@v/list`;
    for (let serial = 0; serial < 10_600; serial += 1) {
      await metadata.recordAnswer({ ...answer, name: query(serial), fetchedAtMs: serial });
      await metadata.recordAnswer({ ...answer, name: list(serial), fetchedAtMs: serial });
    }
    const queries = await kept(query);
    const count = queries.filter(Boolean).length;
    assert.ok(count >= 10_000 && count < 10_000 + 256, `${count} are kept`);
    assert.deepEqual([queries[0], queries.at(-1)], [false, true]);
    assert.ok((await kept(list)).every(Boolean));
  });

  test('answers of a database from before queries were bounded are taken over, and what did not exist is forgotten', async () => {
    await using place = await folder();
    const file = join(place.path, 'goyi.db');
    {
      using old = new DatabaseSync(file);
      old.exec(`PRAGMA journal_mode = WAL; ${migrations[0]}; PRAGMA application_id = ${0x676f7969}; PRAGMA user_version = 1`);
      old.exec("INSERT INTO answer VALUES ('m/@v/list', 'found', 'v1.0.0', 'o', 5), ('n/@v/list', 'absent', '', 'o', 5)");
    }
    await using metadata = await openSqliteMetadata({ file, log: silentLog });
    assert.deepEqual(await metadata.answer('m/@v/list'), { name: 'm/@v/list', body: 'v1.0.0', origin: 'o', fetchedAtMs: 5 });
    assert.equal(await metadata.answer('n/@v/list'), undefined);
  });

  test('after closing, everything is refused with a code', async () => {
    await using place = await folder();
    const metadata = await openSqliteMetadata({ file: join(place.path, 'goyi.db'), log: silentLog });
    await metadata[Symbol.asyncDispose]();
    await metadata[Symbol.asyncDispose]();
    await assert.rejects(metadata.file(rowOf(1).key), { code: 'storage-fault' });
    await assert.rejects(metadata.recordFile(rowOf(1)), { code: 'storage-fault' });
  });

  test('writes that were handed in before closing are finished', async () => {
    await using place = await folder();
    const file = join(place.path, 'goyi.db');
    const metadata = await openSqliteMetadata({ file, log: silentLog });
    const writes = Array.from({ length: 100 }, (_, serial) => metadata.recordFile(rowOf(serial)));
    await metadata[Symbol.asyncDispose]();
    await Promise.all(writes);
    await using again = await openSqliteMetadata({ file, log: silentLog });
    assert.equal((await again.totals()).files, 100);
  });
});

test('a writer thread that dies fails what it had not answered, and another takes its place', async () => {
  await using place = await folder();
  const missing = join(place.path, 'missing');
  await using host = new ThreadWriterHost({ file: join(missing, 'goyi.db'), owner: newLeaseOwner() });
  const call: WriteCall = { name: 'recordSetting', args: ['name', 'value'] };
  await assert.rejects(host.submit(call), { code: 'storage-fault', message: /ended/ });
  await (await openSqliteMetadata({ file: join(missing, 'goyi.db'), log: silentLog }))[Symbol.asyncDispose]();
  assert.deepEqual(await host.submit(call), { ok: true, value: undefined });
});

suite('a file that is not as it should be', () => {
  test('a damaged file is refused with the way out', async () => {
    await using place = await folder();
    const file = join(place.path, 'goyi.db');
    await (await openSqliteMetadata({ file, log: silentLog }))[Symbol.asyncDispose]();
    const handle = await open(file, 'r+');
    await handle.write(Buffer.alloc(4096, 0x55), 0, 4096, 0);
    await handle.close();
    await assert.rejects(
      openSqliteMetadata({ file, log: silentLog }),
      (error) =>
        error instanceof HubError && error.code === 'storage-fault' && error.message.includes('the file is damaged: stop the hub, move'),
    );
  });

  test('damage found while reading is named as such', async () => {
    await using place = await folder();
    const file = join(place.path, 'goyi.db');
    {
      await using metadata = await openSqliteMetadata({ file, log: silentLog });
      await Promise.all(Array.from({ length: 400 }, (_, serial) => metadata.recordFile(rowOf(serial))));
    }
    const size = (await readFile(file)).length;
    const handle = await open(file, 'r+');
    const from = 4096 * 60; // Beyond the schema: rows and indexes.
    await handle.write(Buffer.alloc(size - from, 0x55), 0, size - from, from);
    await handle.close();
    await using metadata = await openSqliteMetadata({ file, log: silentLog });
    await assert.rejects(metadata.filesAfter(undefined, 1000), { code: 'storage-fault', message: /the file is damaged/ });
  });

  test("a newer schema, another program's database and no database at all are refused, and left as they are", async () => {
    await using place = await folder();
    const newer = join(place.path, 'newer.db');
    await (await openSqliteMetadata({ file: newer, log: silentLog }))[Symbol.asyncDispose]();
    const foreign = join(place.path, 'foreign.db');
    for (const [file, sql] of [
      [newer, `PRAGMA user_version = ${migrations.length + 1}`],
      [foreign, 'CREATE TABLE other (id)'],
    ] as const) {
      using database = new DatabaseSync(file);
      database.exec(sql);
    }
    const text = join(place.path, 'text.db');
    await writeFile(text, 'this is a text of some length that is no database\n'.repeat(200));
    await assert.rejects(openSqliteMetadata({ file: newer, log: silentLog }), { code: 'storage-fault', message: /newer goyi/ });
    await assert.rejects(openSqliteMetadata({ file: foreign, log: silentLog }), { code: 'storage-fault', message: /not one of goyi/ });
    await assert.rejects(openSqliteMetadata({ file: text, log: silentLog }), { code: 'storage-fault', message: /the file is damaged/ });
    assert.match(await readFile(text, 'latin1'), /^this is a text/);
    using database = new DatabaseSync(foreign);
    assert.deepEqual(
      database
        .prepare('SELECT name FROM sqlite_schema')
        .all()
        .map((row) => row['name']),
      ['other'],
    );
  });
});

test('no statement walks through a whole table', async () => {
  using database = new DatabaseSync(memoryFile);
  for (const migration of migrations) database.exec(migration);
  assert.ok(Object.keys(statements).length > 30);
  for (const [name, sql] of Object.entries(statements)) {
    const plan = database
      .prepare(`EXPLAIN QUERY PLAN ${sql}`)
      .all()
      .map((row) => String(row['detail']));
    for (const step of plan) {
      assert.doesNotMatch(step, /^SCAN (?!.*USING (COVERING )?INDEX)|TEMP B-TREE/, `${name}: ${plan.join('; ')}`);
      // To find where a bound lies, some thousand entries of an index are counted.
      if (!name.endsWith('Beyond') && name !== 'keptUntil') assert.doesNotMatch(step, /^SCAN/, `${name}: ${plan.join('; ')}`);
    }
  }
});

test('a lease does not wait until thousands of uses are written', async () => {
  const done: string[] = [];
  await using place = await folder();
  const faults: SqliteMetadataOptions['faults'] = (point, write) => void (point === 'after' && done.push(write));
  await using metadata = await openSqliteMetadata({ file: join(place.path, 'goyi.db'), log: silentLog, faults });
  const uses = metadata.recordUses(Array.from({ length: 2_000 }, (_, serial) => ({ key: rowOf(serial).key, count: 1, lastUsedAtMs: 1 })));
  await metadata.acquireLease('a');
  await uses;
  assert.ok(done.indexOf('acquireLease') <= 1, `the lease was the ${done.indexOf('acquireLease') + 1}th write of ${done.length}`);
  assert.equal(done.length, 21);
});

test('with 100 000 files it opens and answers at once', async (t) => {
  await using place = await folder();
  const file = join(place.path, 'goyi.db');
  await (await openSqliteMetadata({ file, log: silentLog }))[Symbol.asyncDispose]();
  {
    using database = new DatabaseSync(file);
    database.exec(`
      BEGIN;
      INSERT INTO file (key, kind, module, version, size_bytes, sha256, fingerprint, h1, origin, stored_at_ms)
        WITH RECURSIVE s (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < 99999)
        SELECT printf('modules/example.com/m%d/@v/v1.0.%d.zip', n % 1000, n), 'zip', printf('example.com/m%d', n % 1000), printf('v1.0.%d', n), n, printf('%064x', n), 'f', 'h1:', 'o', n FROM s;
      INSERT INTO file_use SELECT id, 0, stored_at_ms FROM file;
      INSERT INTO index_entry SELECT id, module, version FROM file;
      COMMIT`);
  }
  const startMs = performance.now();
  await using metadata = await openSqliteMetadata({ file, log: silentLog });
  const totals = await metadata.totals();
  t.diagnostic(`opened and counted in ${Math.round(performance.now() - startMs)} ms`);
  assert.deepEqual([totals.files, totals.versions], [100_000, 100_000]);
  const readMs = performance.now();
  for (let serial = 0; serial < 1000; serial += 1)
    assert.notEqual(await metadata.file(rowOf(serial * 97, { module: `example.com/m${(serial * 97) % 1000}` }).key), undefined);
  t.diagnostic(`a read by key takes ${Math.round(performance.now() - readMs)} µs`);
  assert.equal((await metadata.storedVersions('example.com/m7', 'public')).length, 100);
});
