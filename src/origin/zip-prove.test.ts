import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { MODULE, VERSION, ZIP_CASES, file } from '../../test/oracle-zip/cases.ts';
import { readByYauzl, writeByYazl } from '../../test/oracle-zip/other-zips.ts';
import { type EntryRecipe, writeZip } from '../../test/oracle-zip/zip-writer.ts';
import { HubError, codeOf, messageOf } from '../base/errors.ts';
import { createProveTools, proveZip } from './zip-prove.ts';
import type { ProvedZip } from './zip-prover.ts';

const folder = mkdtempSync(join(tmpdir(), 'goyi-zip-'));
const localPath = join(folder, 'm.zip');
// Written in place: some file systems flush a file that is emptied first, which takes longer than the proof.
const zipFile = openSync(localPath, 'w');
after(() => {
  closeSync(zipFile);
  rmSync(folder, { recursive: true });
});
const tools = createProveTools();

async function prove(zip: Buffer, name = { module: MODULE, version: VERSION }): Promise<ProvedZip> {
  writeSync(zipFile, zip, 0, zip.length, 0);
  ftruncateSync(zipFile, zip.length);
  return proveZip({ localPath, ...name }, tools);
}

/** The hash, or why there is none; whatever is no verdict on the zip is thrown. */
async function verdict(zip: Buffer): Promise<string> {
  try {
    return (await prove(zip)).h1;
  } catch (error) {
    if (codeOf(error) !== 'zip-invalid') throw error;
    return messageOf(error);
  }
}

const testdata = (name: string): unknown =>
  (JSON.parse(readFileSync(new URL(`../protocol/testdata/${name}`, import.meta.url), 'utf8')) as { data: unknown }).data;
const sha256 = (bytes: string | Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** The hash as go.dev/ref/mod describes it, over plain contents. */
function h1Of(entries: readonly EntryRecipe[]): string {
  const lines = entries.map(({ name, content = '' }) => ({ name: Buffer.from(name), digest: sha256(Buffer.from(content)) }));
  const summary = lines.toSorted((a, b) => Buffer.compare(a.name, b.name)).map(({ name, digest }) => `${digest}  ${name.toString()}\n`);
  return `h1:${createHash('sha256').update(summary.join('')).digest('base64')}`;
}

// Made by golang.org/x/mod/zip.Create, hashed by dirhash.HashZip: test/oracle-zip/update.sh.
for (const made of testdata('module-zips.json') as { name: string; module: string; version: string; zip: string; h1: string }[]) {
  test(`a zip that Go made: ${made.name}`, async () => {
    const zip = Buffer.from(made.zip, 'base64');
    const proved = await prove(zip, made);
    assert.equal(proved.h1, made.h1);
    assert.equal(proved.sha256, sha256(zip));
    assert.equal(proved.sizeBytes, zip.length);
  });
}

/** What Go says: empty texts where it accepts. */
interface GoVerdict {
  readonly check?: string;
  readonly unzip?: string;
  readonly hash?: string;
  readonly h1?: string;
}

const goVerdicts = testdata('zip-verdicts.json') as Readonly<Record<string, GoVerdict>>;

for (const { name, zip, fault, stricter = false } of ZIP_CASES) {
  test(`${fault === undefined ? 'good' : 'bad'} zip: ${name}`, async () => {
    const go = goVerdicts[name];
    assert.ok(go, 'no verdict of Go on record: run test/oracle-zip/update.sh');
    const goRefuses = go.check ?? go.unzip ?? go.hash;
    const said = await verdict(zip);
    if (fault === undefined) {
      assert.equal(goRefuses, undefined);
      assert.equal(said, go.h1);
    } else {
      assert.match(said, fault);
      assert.equal(goRefuses === undefined, stricter, `Go says ${goRefuses}`);
    }
  });
}

test('every verdict on record belongs to a case', () =>
  assert.deepEqual(Object.keys(goVerdicts).toSorted(), ZIP_CASES.map(({ name }) => name).toSorted()));

const small = [
  file('go.mod', 'module example.com/m\n', { descriptor: true }),
  file('a/b.go', 'package b\n\nfunc f() { f(); f(); f() }\n', { descriptor: true }),
  file('LICENSE', 'MIT', { stored: true }),
];

test('a zip cut short anywhere is refused', async () => {
  const zip = writeZip({ entries: small });
  for (let length = 0; length < zip.length; length++)
    assert.doesNotMatch(await verdict(zip.subarray(0, length)), /^h1:/, `${length} of ${zip.length} bytes`);
});

test('no flipped bit changes what is proved: the same hash, or none', async () => {
  const zip = writeZip({ entries: small });
  const h1 = h1Of(small);
  assert.equal(await verdict(zip), h1);
  let refusals = 0;
  for (let bit = 0; bit < zip.length * 8; bit++) {
    const flipped = Buffer.from(zip);
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    const said = await verdict(flipped);
    if (said === h1) continue;
    assert.doesNotMatch(said, /^h1:/, `bit ${bit}`);
    refusals += 1;
  }
  assert.ok(refusals > zip.length * 4, 'most bits matter');
});

test('bytes changed anywhere: the same hash, none, or that of what another reader finds', () =>
  fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 }), async (changes) => {
      const zip = writeZip({ entries: small });
      for (const [at, value] of changes) zip[at % zip.length] = value;
      const said = await verdict(zip);
      if (said.startsWith('h1:')) assert.equal(said, h1Of(await readByYauzl(zip)));
    }),
    { numRuns: 500 },
  ));

const written = fc.array(
  fc.record({ content: fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes)), compress: fc.boolean() }),
  { maxLength: 8 },
);

test('zips of another writer are read as another reader reads them', () =>
  fc.assert(
    fc.asyncProperty(written, async (contents) => {
      const entries = contents.map((entry, i) => ({ ...entry, name: `${MODULE}@${VERSION}/${i % 3}/中${i}.go` }));
      const zip = await writeByYazl(entries);
      const said = await verdict(zip);
      assert.equal(said, h1Of(entries));
      assert.equal(said, h1Of(await readByYauzl(zip)));
    }),
    { numRuns: 50 },
  ));

test('content larger than every buffer', async () => {
  const random = Buffer.alloc(3_000_000);
  for (let i = 0; i < random.length; i++) random[i] = (i * 2654435761) >>> 13;
  const entries = [
    file('a', 'before'),
    file('zeros', Buffer.alloc(9_000_000)),
    file('random', random, { descriptor: true }),
    file('stored', random, { stored: true }),
    file('z', 'behind'),
  ];
  assert.equal(await verdict(writeZip({ entries })), h1Of(entries));
});

test('66,000 entries, which takes zip64 records', async () => {
  const entries = Array.from({ length: 66_000 }, (_, i) => file(`d${i % 500}/${i}.go`, '', { stored: true }));
  const zip = writeZip({ entries, zip64: {} });
  const started = performance.now();
  const proved = await prove(zip);
  assert.ok(performance.now() - started < 20_000);
  assert.equal(proved.h1, h1Of(entries));
  assert.equal(proved.entries, 66_000);
});

test('more than 100,000 entries are refused before they are read', async () => {
  const end = writeZip({
    entries: [],
    end: { records: 0xffff, sizeBytes: 0xffffffff },
    zip64: { records: 100_001n, sizeBytes: 20_000_000n, offset: 0n, at: 20_000_000n },
  });
  assert.match(await verdict(Buffer.concat([Buffer.alloc(20_000_000), end])), /more than 100000 entries/);
});

test('a bomb is inflated to its declared size at most', async () => {
  const content = Buffer.alloc(2 ** 20);
  const data = deflateRawSync(content);
  // Hundreds of entries with one body: the classic that unpacks to any size where overlaps are allowed.
  const overlapping = Array.from({ length: 600 }, (_, i) => file(`f${i}`, content, { data, absent: i > 0, central: { offset: 0 } }));
  assert.match(await verdict(writeZip({ entries: overlapping.slice(0, 400) })), /overlaps/);
  assert.match(await verdict(writeZip({ entries: overlapping })), /overlaps|larger than/);
});

test('a file that is not there, or is a folder, is a fault of the store', async () => {
  const isFault = (error: unknown): boolean => error instanceof HubError && error.code === 'storage-fault';
  await assert.rejects(proveZip({ localPath: join(folder, 'nothing'), module: MODULE, version: VERSION }, tools), isFault);
  await assert.rejects(proveZip({ localPath: folder, module: MODULE, version: VERSION }, tools), isFault);
});
