import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, test } from 'node:test';
import { TestLogReader, grow } from '../../../test/support/audit-bench.ts';
import { TestChecksumDatabase, type Lie, absent, flipBit, found, onlyAt } from '../../../test/support/checksum-database-server.ts';
import { cosign, generateCosigner } from '../../protocol/cosignature.ts';
import type { Backends } from '../backends.ts';
import { runCli } from '../main.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'goyi-log-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const { cosigner } = generateCosigner('witness.example/w1', Buffer.alloc(32, 7));

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly url: string | undefined;
}

async function goyi(
  argv: readonly string[],
  more: {
    database?: TestChecksumDatabase;
    lie?: Lie;
    isTerminal?: boolean;
    stdin?: string;
    env?: Record<string, string>;
    signal?: AbortSignal;
  } = {},
): Promise<Ran> {
  let [out, err] = ['', ''];
  let url: string | undefined;
  const backends = {
    openLog: async (_config: unknown, address: URL) => {
      url = address.href;
      return { reader: new TestLogReader(more.database!, more.lie), [Symbol.asyncDispose]: async () => {} };
    },
  } as Partial<Backends> as Backends;
  const code = await runCli({
    argv: ['log', ...argv],
    env: more.env ?? {},
    cwd: folder,
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    openStdin: () => Readable.from([Buffer.from(more.stdin ?? '')]),
    isTerminal: more.isTerminal ?? false,
    version: '1.2.3',
    cores: 2,
    backends,
    signal: more.signal ?? new AbortController().signal,
  });
  return { code, out, err, url };
}

const files = async (): Promise<string[]> => (await readdir(folder)).map((name) => name.replace(/-[0-9a-f]{12}$/, '-X')).sort();

test('an audit keeps its state, and the next one reads what is new', async () => {
  const database = grow(new TestChecksumDatabase(), 600);
  const audit = (...more: readonly string[]): Promise<Ran> =>
    goyi(['audit', 'https://sum.test.example', '--key', database.key.text, '--state', 'a.json', ...more], { database });
  const first = await audit();
  assert.equal(first.code, 0, first.err);
  assert.match(
    first.out,
    /^sum\.test\.example: signed tree of 600 records, root \S+=\nverified records 0 to 599: 3 tiles of records, 4 tiles of hashes\nnothing was found wrong\n$/,
  );
  assert.equal(first.err, `state saved in ${join(folder, 'a.json')}\n`, 'quiet in a pipe');
  assert.deepEqual(await files(), ['a.json', 'a.json.names-X']);

  grow(database, 100);
  const second = await audit();
  assert.match(second.out, /continues the log of the last audit, which had verified 600 records\nverified records 600 to 699:/);
  assert.deepEqual(await files(), ['a.json', 'a.json.names-X'], 'the former folder of names is gone');
  assert.match((await audit()).out, /there are no new records since the last audit\nnothing was found wrong/);
  assert.match((await audit('--from-start')).out, /verified records 0 to 699:/);
  assert.match((await audit('--hashes-only')).out, /no new records/);
  assert.equal((JSON.parse(await readFile(join(folder, 'a.json'), 'utf8')) as { records: number }).records, 700);

  database.add('m.example/m3', 'v1.0.0');
  const repeated = await audit('--json');
  assert.equal(repeated.code, 5);
  const report = JSON.parse(repeated.out) as Record<string, unknown>;
  assert.deepEqual(
    [report['ok'], report['database'], report['treeSize'], report['from'], report['to'], report['findingCount'], report['stateSaved']],
    [false, 'sum.test.example', 701, 700, 701, 1, false],
  );
  assert.deepEqual(report['findings'], [
    {
      id: 'module-twice',
      what: 'records 3 and 700 are of one module version, m.example/m3@v1.0.0',
      proof: { first: 3, again: 700, name: 'm.example/m3@v1.0.0' },
    },
  ]);
  assert.deepEqual(await files(), ['a.json', 'a.json.names-X']);
  assert.equal(
    (JSON.parse(await readFile(join(folder, 'a.json'), 'utf8')) as { records: number }).records,
    700,
    'the state stays where it was',
  );
});

test('a state of hashes alone, then the records, then hashes again', async () => {
  const database = grow(new TestChecksumDatabase(), 600);
  const audit = async (...more: readonly string[]): Promise<unknown[]> => {
    const { code, err } = await goyi(['audit', '--key', database.key.text, '--state', 'a.json', ...more], { database });
    const { records, hashes, names } = JSON.parse(await readFile(join(folder, 'a.json'), 'utf8')) as {
      records: number;
      hashes: number;
      names: string | null;
    };
    return [code, err.replace(folder, ''), records, hashes, names !== null];
  };
  const saved = 'state saved in /a.json\n';
  assert.deepEqual(await audit('--hashes-only'), [0, saved, 0, 600, false]);
  assert.deepEqual(await audit(), [0, saved, 600, 600, true]);
  grow(database, 50);
  assert.deepEqual(await audit('--hashes-only', '--from-start'), [0, saved, 600, 650, true]);
  assert.deepEqual(await audit(), [0, saved, 650, 650, true]);
});

test('a fork, a damaged tile and a log that went back have their exit codes, and change no state', async () => {
  const database = grow(new TestChecksumDatabase(), 600);
  const args = ['audit', '--key', database.key.text, '--state', 'a.json'];
  await goyi(args, { database });
  const state = await readFile(join(folder, 'a.json'), 'utf8');
  const fork = grow(grow(new TestChecksumDatabase(), 599), 5, 'evil');
  const forked = await goyi(args, { database: fork });
  assert.equal(forked.code, 5);
  assert.match(forked.out, /1 finding:\n {2}fork \(the log has forked\): the signed tree of 604 records contradicts that of 600/);
  const back = await goyi(args, { database, lie: onlyAt(/^latest$/, () => found(database.note(10))) });
  assert.deepEqual([back.code, /rolled-back/.test(back.out)], [1, true]);
  const damaged = await goyi([...args, '--from-start'], { database, lie: flipBit(/^tile\/8\/0\/001$/, 3) });
  assert.equal(damaged.code, 5);
  assert.match(damaged.out, /tile-mismatch \(a tile is wrong\): tile\/8\/0\/001 does not combine/);
  assert.match(damaged.err, /was left as it was/);
  const chinese = await goyi([...args, '--from-start', '--lang', 'zh'], { database, lie: flipBit(/^tile\/8\/0\/001$/, 3) });
  assert.match(chinese.out, /发现 1 个问题：\n {2}tile-mismatch（瓦片不符）|tile-mismatch \(瓦片不符\)/);
  assert.equal(await readFile(join(folder, 'a.json'), 'utf8'), state);
  assert.deepEqual(await files(), ['a.json', 'a.json.names-X']);
});

test('many findings are counted, and the first ones told', async () => {
  const database = grow(new TestChecksumDatabase(), 600);
  for (let i = 0; i < 30; i += 1) database.addText(`odd ${i}\n`);
  const { code, out } = await goyi(['audit', '--key', database.key.text], { database });
  assert.equal(code, 5);
  assert.match(out, /30 findings:\n/);
  assert.match(out, /… and 10 more; --json lists up to 1000\n$/);
  assert.equal(out.split('record-malformed').length - 1, 20);
});

test('who may not read records is told of --hashes-only', async () => {
  const database = grow(new TestChecksumDatabase(), 600);
  const args = ['audit', '--key', database.key.text];
  const refused = await goyi(args, { database, lie: onlyAt(/\/data\//, () => ({ status: 403, body: Buffer.alloc(0) })) });
  assert.deepEqual([refused.code, refused.out], [4, '']);
  assert.match(refused.err, /tile\/8\/data\/000 of the test is not given to us \(403\)\. .*--hashes-only/);
  const hidden = await goyi(args, { database, lie: onlyAt(/\/data\//, () => absent('')) });
  assert.equal(hidden.code, 3);
  assert.match(hidden.err, /--hashes-only/);
  const hashes = await goyi([...args, '--hashes-only'], { database, lie: onlyAt(/\/data\//, () => absent('')) });
  assert.deepEqual([hashes.code, /the records themselves were not read/.test(hashes.out)], [0, true]);
});

test('a bar is drawn on a terminal, and an interruption says how far it came', async () => {
  const database = grow(new TestChecksumDatabase(), 600);
  const stop = new AbortController();
  const args = ['audit', '--key', database.key.text, '--state', 'a.json'];
  const shown = await goyi(args, { database, isTerminal: true });
  assert.match(shown.err, /\[#{12}\.{18}\] 256 of 600 records, \d+\/s/);
  await rm(join(folder, 'a.json'));
  const interrupted = await goyi(args, {
    database,
    lie: (resource) => {
      // Asked for once, for the tree; what is fetched ahead comes later.
      if (resource === 'tile/8/data/002.p/88') stop.abort(new Error('stopped by SIGINT'));
      return undefined;
    },
    signal: stop.signal,
  });
  assert.equal(interrupted.code, 130);
  assert.match(interrupted.err, /interrupted at \d+ of 600 records\nstate saved in /);
  const rest = await goyi(args, { database });
  assert.deepEqual([rest.code, /nothing was found wrong/.test(rest.out)], [0, true]);
});

test('a state that is another log’s, or was changed, or has lost its names, is refused', async () => {
  const database = grow(new TestChecksumDatabase(), 600);
  const args = ['audit', '--key', database.key.text, '--state', 'a.json'];
  await goyi(args, { database });
  const path = join(folder, 'a.json');
  const state = await readFile(path, 'utf8');
  const refused = async (text: string, sentence: RegExp): Promise<void> => {
    await writeFile(path, text);
    const { code, err } = await goyi(args, { database });
    assert.equal(code, 2, err);
    assert.match(err, sentence);
    assert.equal(await readFile(path, 'utf8'), text);
  };
  await refused('', /is no state of a log audit/);
  await refused('{}', /is no state of a log audit/);
  await refused(state.replace('"records": 600', '"records": 601'), /has been changed/);
  await refused(state.replace('"records": 600', '"records": 599'), /does not have the names of 599 records/);
  await refused(state.replace(/names-[0-9a-f]+/, 'names-0/../../x'), /has been changed/);
  await refused(state.replace('tree\\n600', 'tree\\n601'), /has been changed/);
  await refused(state.replaceAll(database.key.text, new TestChecksumDatabase({ seed: 'x' }).key.text), /is that of another log/);
  await writeFile(path, state);
  const names = (await readdir(folder)).find((name) => name.includes('names'))!;
  await rm(join(folder, names), { recursive: true });
  await refused(state, /does not have the names of 600 records/);
});

test('which log is meant, and by what it is believed', async () => {
  const database = grow(new TestChecksumDatabase({ name: 'sum.test.example/x' }), 3);
  const run = async (...args: readonly string[]): Promise<string> => {
    const { code, err, url } = await goyi(['audit', ...args], { database });
    return code === 0 ? (url ?? '') : `${code} ${err.trim()}`;
  };
  const key = database.key.text;
  assert.equal(await run('--key', key), 'http://127.0.0.1:8080/sumdb/sum.test.example/x');
  assert.equal(await run('--database', key), 'http://127.0.0.1:8080/sumdb/sum.test.example/x');
  assert.equal(await run('--database', `${key} https://a.example/`), 'https://a.example/');
  assert.equal(await run('https://b.example/x', '--database', `${key} https://a.example/`), 'https://b.example/x');
  await writeFile(join(folder, 'goyi.yaml'), `listen: 127.0.0.1:99\nchecksumDatabases: ["${key}"]\n`);
  assert.equal(await run('http://hub.example/sumdb/sum.test.example/x'), 'http://hub.example/sumdb/sum.test.example/x');
  assert.equal(await run('--key', key), 'http://127.0.0.1:99/sumdb/sum.test.example/x');
  assert.match(await run('http://hub.example/sumdb/sum.golang.org'), /^5 $/, 'the well-known key, which is not that of the test');
  assert.match(await run('http://hub.example/sumdb/sum.unknown.example'), /^2 .*the key of sum\.unknown\.example is not known/);
  assert.match(await run('http://hub.example/'), /^2 .*the key of http:\/\/hub\.example\/ is not known/);
  assert.match(await run('hub.example', '--key', key), /^2 .*hub\.example is no address/);
  assert.match(await run('http://user:secret@hub.example/', '--key', key), /^2 /);
  assert.match(await run('--key', 'nonsense'), /^2 .*no key that can be used/);
  assert.match(await run('--database', 'sum.unknown.example'), /^2 .*no key that can be used/);
  assert.match(await run(), /^2 .*name the database by its address/);
  assert.match(await run('http://a.example', 'http://b.example'), /^2 .*too many arguments/);
});

test('a proof is made, checked without the log, and refused when anything in it is another', async () => {
  const database = grow(new TestChecksumDatabase(), 600);
  const text = database.note().split('\n\n')[0] ?? '';
  const cosigned = onlyAt(/^latest$/, () => found(database.note() + cosign(`${text}\n`, cosigner, 1_700_000_000)));
  const key = database.key.text;
  const made = await goyi(['prove', 'm.example/m300@v1.0.0', '--key', key, '--out', 'p.tlog-proof'], { database, lie: cosigned });
  assert.deepEqual([made.code, made.out, made.err], [0, '', 'proof written to p.tlog-proof\n']);
  const printed = await goyi(['prove', 'm.example/m300@v1.0.0', '--key', key], { database, lie: cosigned });
  const proof = await readFile(join(folder, 'p.tlog-proof'), 'utf8');
  assert.equal(printed.out, proof);
  assert.match(proof, /— witness\.example\/w1 /, 'the note with more signatures');

  const checked = await goyi(['check', 'p.tlog-proof', '--key', key, '--cosigned-by', cosigner.key.cosigner.text]);
  assert.equal(checked.code, 0, checked.err);
  assert.equal(checked.out, database.text(300));
  assert.equal(
    checked.err,
    'the proof holds: this is record 300 of sum.test.example, in its signed tree of 600 records\ncosigned by witness.example/w1 at 2023-11-14 22:13 UTC\n',
  );
  assert.equal((await goyi(['check', '-', '--key', key], { stdin: proof })).code, 0);
  const json = JSON.parse((await goyi(['check', 'p.tlog-proof', '--key', key, '--json'])).out) as Record<string, unknown>;
  assert.deepEqual(
    [json['ok'], json['module'], json['version'], json['record'], json['treeSize']],
    [true, 'm.example/m300', 'v1.0.0', 300, 600],
  );

  const refused = async (stdin: string, sentence: RegExp, ...more: readonly string[]): Promise<void> => {
    const { code, out, err } = await goyi(['check', '-', '--key', key, ...more], { stdin });
    assert.deepEqual([code, out], [5, '']);
    assert.match(err, sentence);
  };
  await refused(proof.replace('index 300', 'index 301'), /do not lead from record 301/);
  await refused(proof.replace(/^extra (..)/m, 'extra AA'), /error \(log-invalid\)/);
  await refused(proof.replace('\n600\n', '\n601\n'), /invalid signature/);
  await refused(proof.slice(0, -9), /malformed|no signature lines/);
  await refused('hello', /does not begin with c2sp\.org/);
  await refused(
    proof,
    /not cosigned by other\.example/,
    '--cosigned-by',
    generateCosigner('other.example', Buffer.alloc(32, 1)).cosigner.key.cosigner.text,
  );
  assert.equal((await goyi(['check', 'absent', '--key', key])).code, 3);
  assert.equal((await goyi(['check', 'p.tlog-proof'])).code, 2, 'the key is not well known');
  await writeFile(join(folder, 'goyi.yaml'), `checksumDatabases: ["${key}"]\n`);
  assert.equal((await goyi(['check', 'p.tlog-proof'])).code, 0, 'the key is configured');
});

test('what cannot be proved', async () => {
  const database = grow(new TestChecksumDatabase(), 600);
  const prove = async (name: string, lie?: Lie, ...more: readonly string[]): Promise<string> => {
    const { code, err, out } = await goyi(['prove', name, '--key', database.key.text, ...more], { database, ...(lie && { lie }) });
    return `${code} ${out}${err.trim()}`;
  };
  assert.match(await prove('m.example/absent@v1.0.0'), /^3 .*has no record of m\.example\/absent@v1\.0\.0/);
  assert.match(await prove('m.example/m3@latest'), /^2 .*is no MODULE@VERSION/);
  assert.match(await prove('m.example/m3'), /^2 /);
  assert.match(await prove('m.example/m3@v1.0.0', () => ({ status: 403, body: Buffer.alloc(0) })), /^4 /);
  assert.match(
    await prove(
      'm.example/m3@v1.0.0',
      onlyAt(/^lookup/, () => found(database.lookupBody('m.example/m4', 'v1.0.0')!)),
    ),
    /^5 .*not that of m\.example\/m3@v1\.0\.0/,
  );
  assert.match(await prove('m.example/m3@v1.0.0', flipBit(/^tile\/8\/0\/000$/, 100)), /^5 .*does not combine/);
  assert.match(await prove('m.example/m3@v1.0.0', flipBit(/^tile\/8\/0\/002/, 100)), /^5 .*do not combine to its signed root/);
  assert.match(await prove('m.example/m3@v1.0.0', flipBit(/^tile\/8\/1\/000/, 10)), /^0 /, 'a tile that can be made of those below it');
  assert.match(await prove('m.example/m3@v1.0.0', flipBit(/^lookup/, 80)), /^5 /);
  await writeFile(join(folder, 'there'), 'old');
  assert.match(await prove('m.example/m3@v1.0.0', undefined, '--out', 'there'), /^7 .*EEXIST/);
  assert.equal(await readFile(join(folder, 'there'), 'utf8'), 'old');
});
