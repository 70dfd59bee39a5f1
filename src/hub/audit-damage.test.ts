import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestLogReader as Reader, audit, grow } from '../../test/support/audit-bench.ts';
import {
  TestChecksumDatabase,
  type Lie,
  absent,
  changeBody,
  flipBit,
  found,
  onlyAt,
  tilePath,
} from '../../test/support/checksum-database-server.ts';
import { formatTilePath } from '../protocol/proxy-request.ts';

/** 274 tiles of level 0, two of level 1, one of level 2. */
const SIZE = 70_000;

const database = grow(new TestChecksumDatabase(), SIZE);

interface Damage {
  readonly name: string;
  readonly lie: Lie;
  /** Ids of all findings. */
  readonly ids: readonly string[];
  /** In one of the findings. */
  readonly what: RegExp;
  readonly isComplete?: boolean;
  /** With the tiles of hashes alone; the same when not given. */
  readonly hashIds?: readonly string[];
}

const at = (path: string): RegExp => new RegExp(`^${path.replaceAll('.', '\\.')}$`);
const data = (index: number, width = 256): string => formatTilePath({ level: 'data', index, width });
const [data0, data200, dataEdge] = [data(0), data(200), data(273, 112)];
const shorter = (path: string, cut: number): Lie => changeBody(at(path), (body) => body.subarray(0, body.length - cut));

const damages: readonly Damage[] = [
  {
    name: 'a bit in a full tile of level 0',
    lie: flipBit(at(tilePath(0, 100)), 300),
    ids: ['tile-mismatch'],
    what: /^tile\/8\/0\/100 does not combine/,
    hashIds: ['tile-mismatch', 'records-unproved'],
  },
  {
    name: 'a bit in the edge of level 0',
    lie: flipBit(at(tilePath(0, 273, 112)), -1),
    ids: ['tile-mismatch'],
    what: /^tile\/8\/0\/273\.p\/112 is not what/,
    hashIds: ['root-mismatch'],
    isComplete: true,
  },
  {
    name: 'a bit in a full tile of level 1',
    lie: flipBit(at(tilePath(1, 0)), 0),
    ids: ['tile-mismatch'],
    what: /^tile\/8\/1\/000 does not combine/,
  },
  {
    name: 'a bit in the edge of level 1',
    lie: flipBit(at(tilePath(1, 1, 17)), 40),
    ids: ['tile-mismatch'],
    what: /^tile\/8\/1\/001\.p\/17 is not what/,
  },
  {
    name: 'a bit in the edge of level 2',
    lie: flipBit(at(tilePath(2, 0, 1)), 31),
    ids: ['tile-mismatch'],
    what: /^tile\/8\/2\/000\.p\/1 is not what/,
  },
  { name: 'a bit in a record', lie: flipBit(at(data200), 30), ids: ['record-mismatch'], what: /^record 51200 is not the one/, hashIds: [] },
  {
    name: 'a bit in the last record',
    lie: flipBit(at(dataEdge), -30),
    ids: ['record-mismatch'],
    what: /^record 69999 is not the one/,
    hashIds: [],
  },
  {
    name: 'a record left out',
    lie: changeBody(at(data0), (body) => body.subarray(body.indexOf('\n\n') + 2)),
    ids: ['data-tile-malformed', 'record-mismatch'],
    what: /has 255 records and 0 further bytes, not 256/,
    hashIds: [],
  },
  {
    name: 'a record twice in a tile',
    lie: changeBody(at(data0), (body) => Buffer.concat([body.subarray(0, body.indexOf('\n\n') + 2), body])),
    ids: ['data-tile-malformed', 'record-mismatch'],
    what: /has 257 records/,
    hashIds: [],
  },
  {
    name: 'a tile of records cut off',
    lie: shorter(data200, 1),
    ids: ['data-tile-malformed'],
    what: /has 255 records and \d+ further bytes/,
    hashIds: [],
  },
  {
    name: 'a tile of records with more behind it',
    lie: changeBody(at(data200), (body) => Buffer.concat([body, Buffer.from('x')])),
    ids: ['data-tile-malformed'],
    what: /has 256 records and 1 further bytes/,
    hashIds: [],
  },
  {
    name: 'an empty tile of records',
    lie: changeBody(at(data200), () => ''),
    ids: ['data-tile-malformed'],
    what: /has 0 records/,
    hashIds: [],
  },
  {
    name: 'a tile of records that is gone',
    lie: onlyAt(at(data200), () => absent('gone')),
    ids: ['tile-missing'],
    what: /^the log has no tile\/8\/data\/200/,
    hashIds: [],
  },
  {
    name: 'a tile of hashes that is gone',
    lie: onlyAt(at(tilePath(0, 100)), () => absent('gone')),
    ids: ['tile-missing'],
    what: /^the log has no tile\/8\/0\/100/,
    hashIds: ['tile-missing', 'records-unproved'],
  },
  {
    name: 'a tile of level 1 that is gone',
    lie: onlyAt(at(tilePath(1, 0)), () => absent('gone')),
    ids: ['tile-missing'],
    what: /^the log has no tile\/8\/1\/000/,
  },
  {
    name: 'an edge that is gone',
    lie: onlyAt(/^tile\/8\/1\/001/, () => absent('gone')),
    ids: ['tile-missing'],
    what: /^the log has no tile\/8\/1\/001\.p\/17/,
  },
  {
    name: 'a short tile of hashes',
    lie: shorter(tilePath(0, 100), 32),
    ids: ['tile-length'],
    what: /has 8160 bytes, not 8192/,
    hashIds: ['tile-length', 'records-unproved'],
  },
  {
    name: 'a long tile of hashes',
    lie: changeBody(at(tilePath(1, 0)), (body) => Buffer.concat([body, body])),
    ids: ['tile-length'],
    what: /has 16384 bytes/,
  },
  {
    name: 'tiles of two levels, of which the lower one is rebuilt for the upper one in vain',
    lie: (r, h) => flipBit(at(tilePath(1, 0)), 0)(r, h) ?? flipBit(at(tilePath(0, 9)), 0)(r, h),
    ids: ['tile-mismatch', 'records-unproved'],
    what: /nothing can be said about records 0 to 65535/,
  },
  {
    name: 'another root signed',
    lie: onlyAt(/^latest$/, () => found(database.note(SIZE, { root: Buffer.alloc(32) }))),
    ids: ['root-mismatch'],
    what: /do not combine to its signed root/,
    isComplete: false,
  },
  {
    name: 'a note by another key',
    lie: onlyAt(/^latest$/, () => found(new TestChecksumDatabase({ seed: 'x' }).note())),
    ids: ['note-invalid'],
    what: /not signed by/,
    isComplete: false,
  },
  {
    name: 'a captive portal',
    lie: onlyAt(/^latest$/, () => found('<html>')),
    ids: ['note-invalid'],
    what: /latest is refused/,
    isComplete: false,
  },
];

for (const { name, lie, ids, what, isComplete = true, hashIds = ids } of damages) {
  test(`found: ${name}`, async () => {
    const report = await audit(new Reader(database, lie));
    assert.deepEqual(
      report.findings.map(({ id }) => id),
      ids,
      JSON.stringify(report.findings.map((finding) => finding.what)),
    );
    assert.ok(
      report.findings.some((finding) => what.test(finding.what)),
      JSON.stringify(report.findings.map((finding) => finding.what)),
    );
    assert.equal(report.isComplete, isComplete);
    assert.equal(report.audited, undefined, 'nothing is kept');
    const hashes = await audit(new Reader(database, lie), { scope: 'hashes' });
    assert.deepEqual(
      hashes.findings.map(({ id }) => id),
      hashIds,
    );
  });
}

test('found: every malformed record that is truly in the log', async () => {
  const log = grow(new TestChecksumDatabase(), 300);
  const hash = `h1:${Buffer.alloc(32).toString('base64')}`;
  const odd = [
    'm.example/m v1.0.0 h1:padding\n',
    `m.example/m v1.0.0 ${hash}\n`,
    `m.example/m v1.0.0 ${hash}\nm.example/m v1.0.1/go.mod ${hash}\n`,
    `m.example/m v1.0.0 ${hash}\nm.example/m v1.0.0/go.mod ${hash}\nmore\n`,
    `m.example/m v1.0 ${hash}\nm.example/m v1.0/go.mod ${hash}\n`,
    `m.example/m/v2 v1.0.0 ${hash}\nm.example/m/v2 v1.0.0/go.mod ${hash}\n`,
    `nodot/m v1.0.0 ${hash}\nnodot/m v1.0.0/go.mod ${hash}\n`,
    `m.example/m v1.0.0 ${hash.replace('h1:', 'h2:')}\nm.example/m v1.0.0/go.mod ${hash}\n`,
    `m.example/m  v1.0.0 ${hash}\nm.example/m  v1.0.0/go.mod ${hash}\n`,
    '\n',
    'hello\n',
  ];
  for (const text of odd) log.addText(text);
  grow(log, 10);
  const { findings } = await audit(new Reader(log));
  assert.deepEqual(
    findings.map(({ id, proof }) => [id, proof['record']]),
    odd.map((_, i) => ['record-malformed', 300 + i]),
  );
});
