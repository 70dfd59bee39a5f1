/** Zips that go against the rules in every way known, with a few that do not, as recipes. What Go says of each stands in src/protocol/testdata/zip-verdicts.json. */
import { deflateRawSync } from 'node:zlib';
import { type EntryRecipe, type ZipRecipe, centralHeader, endRecord, extraField, localHeader, writeZip, zip64End } from './zip-writer.ts';

export const MODULE = 'example.com/m';
export const VERSION = 'v1.0.0';
const PREFIX = `${MODULE}@${VERSION}/`;

export interface ZipCase {
  readonly name: string;
  readonly zip: Buffer;
  /** What we say; absent where the zip is good. */
  readonly fault?: RegExp;
  /** Go accepts it and we do not. */
  readonly stricter?: true;
}

type Outcome = RegExp | 'good' | { stricter: RegExp };

function zipCase(name: string, outcome: Outcome, recipe: ZipRecipe | Buffer): ZipCase {
  const zip = Buffer.isBuffer(recipe) ? recipe : writeZip(recipe);
  if (outcome === 'good') return { name, zip };
  return outcome instanceof RegExp ? { name, zip, fault: outcome } : { name, zip, fault: outcome.stricter, stricter: true };
}

/** A file of the module. */
export function file(path: string, content: string | Buffer = `content of ${path}`, rest: Partial<EntryRecipe> = {}): EntryRecipe {
  return { name: PREFIX + path, content, ...rest };
}

const named = (...paths: string[]): ZipRecipe => ({ entries: paths.map((path) => file(path)) });
const one = (rest: Partial<EntryRecipe>): ZipRecipe => ({ entries: [file('a.go', 'package a\n', rest), file('b.go')] });

const goodContainers: ZipCase[] = [
  zipCase('no file at all', 'good', { entries: [] }),
  zipCase('plain', 'good', named('go.mod', 'a.go', 'b/c.go')),
  zipCase('stored', 'good', one({ stored: true })),
  zipCase('sizes after the data, as the go command writes', 'good', one({ descriptor: true })),
  zipCase('sizes after the data and before', 'good', one({ descriptor: true, local: { sizeBytes: 10 } })),
  zipCase('stored, sizes after the data', 'good', one({ stored: true, descriptor: true })),
  zipCase(
    'zip64 sizes after the data',
    'good',
    one({ descriptor: 24, local: { sizeBytes: 0xffffffff, compressedBytes: 0xffffffff, extra: extraField(1, 0n, 0n) } }),
  ),
  zipCase(
    'zip64 sizes in both headers',
    'good',
    one({ stored: true, both: { sizeBytes: 0xffffffff, compressedBytes: 0xffffffff, extra: extraField(1, 10n, 10n) } }),
  ),
  zipCase('zip64 offset', 'good', one({ central: { offset: 0xffffffff, extra: extraField(1, 0n) } })),
  zipCase('zip64 end records that say the same', 'good', { ...named('a.go'), zip64: {} }),
  zipCase('zip64 end records instead', 'good', {
    ...named('a.go'),
    zip64: {},
    end: { records: 0xffff, sizeBytes: 0xffffffff, offset: 0xffffffff },
  }),
  zipCase('comment of git archive', 'good', { ...named('a.go'), comment: '0123456789abcdef0123456789abcdef01234567' }),
  zipCase('Unix modes', 'good', one({ central: { versionMade: 0x0314, attributes: 0o100755 * 65536 } })),
  zipCase('time stamps in extra fields', 'good', one({ both: { extra: extraField(0x5455, 1n) } })),
  zipCase('directories listed', 'good', {
    entries: [{ name: PREFIX, stored: true }, { name: `${PREFIX}a/`, stored: true }, file('a/b.go')],
  }),
  zipCase('a directory named go.mod', 'good', { entries: [{ name: `${PREFIX}go.mod/`, stored: true }, file('a.go')] }),
  zipCase('names beyond ASCII', 'good', named('中文.txt', 'é.txt', '𐐀.txt', 'Ａ.txt')),
  zipCase('fold only in full folding', 'good', named('straße', 'strasse', 'ﬁ', 'fi', 'i', 'ı')),
  zipCase('empty file', 'good', { entries: [file('empty', '')] }),
];

const names: ZipCase[] = [
  zipCase('another module', /does not begin with/, { entries: [{ name: 'example.com/n@v1.0.0/a.go' }] }),
  zipCase('no prefix', /does not begin with/, { entries: [{ name: 'a.go' }] }),
  zipCase('slip', /ends with a dot|dots/, named('../../etc/passwd')),
  zipCase('slip further down', /ends with a dot|dots/, named('a/../../b')),
  zipCase('absolute', /empty element/, named('/etc/passwd')),
  zipCase('double slash', /empty element/, named('a//b')),
  zipCase('dot', /dot/, named('./a')),
  zipCase('backslash', /character/, named('a\\b')),
  zipCase('drive', /character/, named('C:a')),
  zipCase('NUL', /character/, named('a\0b')),
  zipCase('newline', /character/, named('a\nb')),
  zipCase('carriage return', /character/, named('a\rb')),
  zipCase('DEL', /character/, named('a\x7fb')),
  zipCase('device', /device/, named('sub/con.txt')),
  zipCase('trailing dot', /dot/, named('a.')),
  zipCase('no letter: emoji', /letter/, named('😀')),
  zipCase('no letter: combining mark', /letter/, named('e\u0301')),
  zipCase('right-to-left override', /letter/, named('a\u202eb')),
  zipCase('byte order mark', /letter/, named('\ufeffa')),
  zipCase('not UTF-8', /UTF-8/, { entries: [{ name: Buffer.from(`${PREFIX}\xff`, 'latin1') }] }),
  zipCase('overlong UTF-8', /UTF-8/, { entries: [{ name: Buffer.from(`${PREFIX}\xc0\xaf`, 'latin1') }] }),
  zipCase('UTF-8 not declared', { stricter: /not declared/ }, { entries: [file('é', '', { both: { flags: 0 } })] }),
  zipCase('empty name', /name has 0 bytes/, { entries: [{ name: '' }] }),
  zipCase('case', /only in case/, named('README', 'readme')),
  zipCase('case of a directory', /only in case/, named('a/x', 'A/y')),
  zipCase('case of a file and a directory', /only in case/, named('a', 'A/y')),
  zipCase('Unicode case: sharp s', /only in case/, named('ß', 'ẞ')),
  zipCase('Unicode case: Kelvin', /only in case/, named('k', '\u212a')),
  zipCase('Unicode case: final sigma', /only in case/, named('Σ', 'ς')),
  zipCase('Unicode case: long s', /only in case/, named('s.txt', '\u017f.txt')),
  zipCase('Unicode case: three forms', /only in case/, named('ǅ', 'ǆ')),
  zipCase('file and directory', /file and a directory/, named('a', 'a/b')),
  zipCase('directory and file', /file and a directory/, named('a/b', 'a')),
  zipCase('file and listed directory', /file and a directory/, { entries: [file('a'), { name: `${PREFIX}a/`, stored: true }] }),
  zipCase('twice', /stands twice/, named('a', 'a')),
  zipCase('twice, apart', /stands twice/, named('a/x', 'b/x', 'a/x')),
  zipCase(
    'directory twice',
    { stricter: /stands twice/ },
    {
      entries: [
        { name: `${PREFIX}a/`, stored: true },
        { name: `${PREFIX}a/`, stored: true },
      ],
    },
  ),
  zipCase(
    'root twice',
    { stricter: /stands twice/ },
    {
      entries: [
        { name: PREFIX, stored: true },
        { name: PREFIX, stored: true },
      ],
    },
  ),
  zipCase('nested go.mod', /outside of the root/, named('go.mod', 'sub/go.mod')),
  zipCase('nested GO.MOD', /outside of the root/, named('go.mod', 'sub/GO.MOD')),
  zipCase('GO.mod', /small letters/, named('GO.mod')),
  zipCase('symbolic link', { stricter: /neither a regular file/ }, one({ central: { versionMade: 0x0314, attributes: 0o120777 * 65536 } })),
  zipCase('device node', { stricter: /neither a regular file/ }, one({ central: { versionMade: 0x0314, attributes: 0o020666 * 65536 } })),
  zipCase('directory by its attributes only', { stricter: /by its attributes/ }, one({ central: { attributes: 0x10 } })),
  zipCase(
    'file by its attributes only',
    { stricter: /by its attributes/ },
    { entries: [{ name: `${PREFIX}a/`, stored: true, central: { versionMade: 0x0314, attributes: 0o100644 * 65536 } }] },
  ),
  zipCase('directory with content', /directory with content/, { entries: [{ name: `${PREFIX}a/`, content: 'x' }] }),
];

const bomb = deflateRawSync(Buffer.alloc(1_000_000));
const contents: ZipCase[] = [
  zipCase('wrong CRC', /CRC-32/, one({ both: { crc32: 1 } })),
  zipCase('CRC left out', { stricter: /CRC-32/ }, one({ both: { crc32: 0 } })),
  zipCase('larger than declared', /larger than declared/, one({ data: bomb })),
  zipCase('smaller than declared', /smaller than declared/, one({ both: { sizeBytes: 11 } })),
  zipCase('stored, two sizes', /two different sizes/, one({ stored: true, both: { sizeBytes: 11 } })),
  zipCase(
    'bytes after the deflated data',
    { stricter: /after the end of the compressed/ },
    one({ data: Buffer.concat([deflateRawSync('package a\n'), Buffer.from('hidden')]) }),
  ),
  zipCase('deflated data cut short', /damaged|smaller/, one({ data: deflateRawSync('package a\n').subarray(0, -2) })),
  zipCase('not deflated data', /damaged/, one({ data: Buffer.from([0x07, 1, 2, 3]) })),
  zipCase('deflated to nothing', /deflated to nothing/, { entries: [file('a', '', { data: Buffer.alloc(0) })] }),
  zipCase('declares 501 MiB', /larger than 524288000/, one({ both: { sizeBytes: 501 * 2 ** 20 } })),
  zipCase('declares 251 MiB twice', /larger than 524288000/, {
    entries: ['a', 'b'].map((path) => file(path, '', { both: { sizeBytes: 251 * 2 ** 20 } })),
  }),
  zipCase('declares a go.mod of 17 MiB', /larger than 16777216/, { entries: [file('go.mod', '', { both: { sizeBytes: 17 * 2 ** 20 } })] }),
  zipCase('declares a LICENSE of 17 MiB', /larger than 16777216/, {
    entries: [file('LICENSE', '', { both: { sizeBytes: 17 * 2 ** 20 } })],
  }),
  zipCase('declares 2^63 bytes', /beyond any file/, one({ both: { sizeBytes: 0xffffffff, extra: extraField(1, 2n ** 63n) } })),
];

const hiddenEnd = Buffer.concat([
  centralHeader({ name: `${PREFIX}evil.go` }),
  endRecord({ records: 1, sizeBytes: 74, offset: 0 }, Buffer.alloc(0)),
]);

/** A directory of exactly 65,535 bytes whose last 20 are a zip64 locator inside an extra field: archive/zip then reads the other directory. */
function directoryOf65535(): Buffer {
  const hidden = localHeader({ name: `${PREFIX}b.go` });
  const evil = centralHeader({ name: `${PREFIX}b.go` });
  const content = Buffer.concat([hidden, evil, zip64End({}, { records: 1, sizeBytes: evil.length, offset: 0, at: 0 }).subarray(0, 56)]);
  const at = 30 + PREFIX.length + 1 + content.length - 56;
  content.writeBigUInt64LE(BigInt(at - evil.length), content.length - 8);
  const locator = zip64End({ at: BigInt(at) }, { records: 0, sizeBytes: 0, offset: 0, at: 0 }).subarray(56);
  const extra = Buffer.alloc(65535 - 46 - PREFIX.length - 1);
  extra.writeUInt16LE(0xcafe, 0);
  extra.writeUInt16LE(extra.length - 4, 2);
  locator.copy(extra, extra.length - 20);
  return writeZip({ entries: [file('a', content, { stored: true, central: { extra } })] });
}

const containers: ZipCase[] = [
  zipCase('nothing', /no end record/, Buffer.alloc(0)),
  zipCase('text', /no end record/, Buffer.from('<html>404</html>')),
  zipCase('bytes before', { stricter: /does not lie just before/ }, Buffer.concat([Buffer.from('#!/bin/sh\n'), writeZip(named('a.go'))])),
  zipCase(
    'bytes before, offsets right',
    { stricter: /before the first/ },
    { entries: [file('a.go', 'x', { before: Buffer.from('#!/bin/sh\n') })] },
  ),
  zipCase(
    'bytes between entries',
    { stricter: /do not end where/ },
    { entries: [file('a.go'), file('b.go', 'x', { before: Buffer.from('hidden') })] },
  ),
  zipCase(
    'entry that is not listed',
    { stricter: /do not end where/ },
    { entries: [file('a.go'), file('evil.go', 'x', { unlisted: true }), file('b.go')] },
  ),
  zipCase('last entry not listed', { stricter: /do not end where/ }, { entries: [file('a.go'), file('evil.go', 'x', { unlisted: true })] }),
  zipCase('bytes before the directory', { stricter: /do not end where/ }, { ...named('a.go'), beforeDirectory: Buffer.from('hidden') }),
  zipCase(
    'bytes after the directory',
    { stricter: /does not lie just before/ },
    { ...named('a.go'), afterDirectory: Buffer.from('hidden') },
  ),
  zipCase(
    'bytes after the directory, counted in',
    { stricter: /more bytes than its entries/ },
    { ...named('a.go'), afterDirectory: Buffer.from('hidden'), end: { sizeBytes: 46 + PREFIX.length + 4 + 6 } },
  ),
  zipCase('bytes after the end', { stricter: /after the end record/ }, { ...named('a.go'), after: Buffer.from('hidden') }),
  zipCase('comment cut short', /cut short/, { ...named('a.go'), end: { commentBytes: 9 } }),
  zipCase('binary comment', { stricter: /printable/ }, { ...named('a.go'), comment: Buffer.from([1, 2, 3]) }),
  zipCase('second directory in the comment', /./, { ...named('a.go'), comment: hiddenEnd }),
  zipCase('two zips', { stricter: /does not lie just before/ }, Buffer.concat([writeZip(named('a.go')), writeZip(named('b.go'))])),
  zipCase('other order', { stricter: /before the first|out of order/ }, { ...named('a.go', 'b.go'), reversed: true }),
  zipCase(
    'one body for two entries',
    { stricter: /overlaps/ },
    { entries: [file('a.go'), file('b.go', 'content of a.go', { absent: true, central: { offset: 0 } })] },
  ),
  zipCase('entry beyond the directory', /overlaps/, { entries: [file('a.go'), file('b.go', 'x', { central: { offset: 1_000_000 } })] }),
  zipCase('entry inside another', /overlaps|no local header/, {
    entries: [file('a.go', 'x'.repeat(99), { stored: true }), file('b.go', 'x', { absent: true, central: { offset: 60 } })],
  }),
  zipCase('too few records', /more bytes than its entries/, { ...named('a.go', 'b.go'), end: { records: 1 } }),
  zipCase('too many records', /cut short|too short/, { ...named('a.go', 'b.go'), end: { records: 3 } }),
  zipCase(
    '65,536 records too many',
    { stricter: /cut short|too short|disagree/ },
    { ...named('a.go'), end: { records: 0xffff }, zip64: { records: 65537n } },
  ),
  zipCase('local name differs', { stricter: /another name/ }, one({ local: { name: `${PREFIX}c.go` } })),
  zipCase('local name is longer', { stricter: /another name/ }, one({ local: { name: `${PREFIX}a.go.txt` } })),
  zipCase('local size differs', { stricter: /other sizes/ }, one({ local: { sizeBytes: 11 } })),
  zipCase('local compressed size differs', { stricter: /other sizes/ }, one({ local: { compressedBytes: 11 } })),
  zipCase('local CRC differs', { stricter: /another CRC/ }, one({ local: { crc32: 11 } })),
  zipCase('local size left out', { stricter: /other sizes/ }, one({ local: { sizeBytes: 0 } })),
  zipCase('local method differs', { stricter: /another method/ }, one({ local: { method: 0 } })),
  zipCase('local flags differ', { stricter: /other flags/ }, one({ local: { flags: 0x800 } })),
  zipCase('local header missing', /no local header/, one({ local: { signature: 0x04034b51 } })),
  zipCase('central header damaged', /no header/, one({ central: { signature: 0x02014b51 } })),
  zipCase('descriptor without a signature', { stricter: /do not end where/ }, one({ descriptor: 12 })),
  zipCase('descriptor with other CRC', /descriptor differs/, one({ descriptor: true, descriptorFields: { crc32: 1 } })),
  zipCase('descriptor with other size', { stricter: /descriptor differs/ }, one({ descriptor: true, descriptorFields: { sizeBytes: 1 } })),
  zipCase('descriptor with another signature', /no data descriptor/, one({ descriptor: true, descriptorFields: { signature: 1 } })),
  zipCase('descriptor longer than it should be', { stricter: /do not end where/ }, one({ descriptor: 24 })),
  zipCase('encrypted', { stricter: /unsupported flags/ }, one({ both: { flags: 0x1 } })),
  zipCase('patched data', { stricter: /unsupported flags/ }, one({ both: { flags: 0x20 } })),
  zipCase('bzip2', /unsupported compression/, one({ both: { method: 12 } })),
  zipCase('entry comment', { stricter: /has a comment/ }, one({ central: { comment: 'c' } })),
  zipCase('entry on another disk', { stricter: /another disk/ }, one({ central: { disk: 1 } })),
  zipCase('several disks', { stricter: /several disks/ }, { ...named('a.go'), end: { disk: 1 } }),
  zipCase('records of several disks', { stricter: /several disks/ }, { ...named('a.go'), end: { recordsHere: 7 } }),
  zipCase('extra field that renames', { stricter: /another name/ }, one({ central: { extra: extraField(0x7075, 1n) } })),
  zipCase('local extra field that renames', { stricter: /another name/ }, one({ local: { extra: extraField(0x7075, 1n) } })),
  zipCase('malformed extra fields', { stricter: /malformed/ }, one({ central: { extra: Buffer.from([1, 0, 9, 0, 1]) } })),
  zipCase('extra field cut short', { stricter: /malformed/ }, one({ central: { extra: Buffer.from([1, 0, 9]) } })),
  zipCase('zip64 field not asked for', { stricter: /zip64 field/ }, one({ central: { extra: extraField(1, 99n) } })),
  zipCase(
    'two zip64 fields',
    { stricter: /two zip64/ },
    one({ central: { offset: 0xffffffff, extra: Buffer.concat([extraField(1, 0n), extraField(1, 60n)]) } }),
  ),
  zipCase('zip64 field missing', /missing/, one({ central: { offset: 0xffffffff } })),
  zipCase('zip64 end records that disagree', { stricter: /disagree|does not lie/ }, { ...named('a.go', 'b.go'), zip64: { records: 1n } }),
  zipCase('zip64 end records elsewhere', { stricter: /does not lie just before its locator/ }, { ...named('a.go'), zip64: { at: 0n } }),
  zipCase('zip64 end record longer', { stricter: /malformed zip64/ }, { ...named('a.go'), zip64: { recordBytes: 45n } }),
  zipCase('zip64 on several disks', { stricter: /several disks/ }, { ...named('a.go'), zip64: { disks: 2 } }),
  zipCase('zip64 with 2^64-1 records', /more than|disagree/, {
    ...named('a.go'),
    end: { records: 0xffff },
    zip64: { records: 2n ** 64n - 1n },
  }),
  zipCase('zip64 with a directory of 2^62 bytes', /does not lie just before/, {
    ...named('a.go'),
    end: { sizeBytes: 0xffffffff },
    zip64: { sizeBytes: 2n ** 62n },
  }),
  zipCase('another directory by a locator in the directory', { stricter: /locator/ }, directoryOf65535()),
];

export const ZIP_CASES: readonly ZipCase[] = [...goodContainers, ...names, ...contents, ...containers];
