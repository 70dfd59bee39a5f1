import assert from 'node:assert/strict';
import { lstat, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { codeOf, messageOf } from '../../base/errors.ts';
import { TAR_END, formatTarHeader, tarPadding } from '../../protocol/tar-format.ts';
import { unpackSdk } from './sdk-unpack.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'goyi-unpack-'));
});
after(() => rm(folder, { recursive: true, force: true }));

interface Item {
  readonly name: string;
  readonly content?: string | Buffer;
  readonly mode?: number;
  readonly type?: string;
  readonly link?: string;
  readonly sizeBytes?: number;
}

/** A tar with headers as wrong as a test wants them. */
function tarOf(items: readonly Item[], end: Buffer = TAR_END): Buffer {
  const blocks = items.flatMap(({ name, content = '', mode = 0o644, type = '0', link = '', sizeBytes }) => {
    const bytes = Buffer.from(content);
    const header = formatTarHeader({ name: 'go/x', sizeBytes: sizeBytes ?? bytes.length, mode, modifiedSeconds: 0 }) as Buffer;
    header.fill(0, 0, 100);
    header.write(name, 0, 100);
    header.write(type, 156);
    header.write(link, 157, 100);
    header.write('        ', 148);
    header.write(
      `${header
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\u0000 `,
      148,
    );
    return [header, bytes, Buffer.alloc(tarPadding(bytes.length))];
  });
  return Buffer.concat([...blocks, end]);
}

async function unpack(
  archive: Buffer,
  form: 'tar.gz' | 'zip' = 'tar.gz',
): Promise<{ readonly into: string; readonly outcome: string; readonly code: string | undefined }> {
  const home = await mkdtemp(join(folder, 'case-'));
  const path = join(home, 'archive');
  const into = join(home, 'into', 'deep');
  await mkdir(into, { recursive: true });
  await writeFile(path, archive);
  const request = { path, form, into, onFile: () => {} };
  return unpackSdk(request, AbortSignal.timeout(20_000)).then(
    ({ files }) => ({ into, outcome: files.map(({ name }) => name).join(' '), code: undefined }),
    (error: unknown) => ({ into, outcome: messageOf(error), code: codeOf(error) }),
  );
}

/** Files outside of where they belong. */
async function strays(into: string): Promise<readonly string[]> {
  const names = await readdir(join(into, '..', '..'), { recursive: true, withFileTypes: true });
  return names.filter((entry) => !entry.isDirectory() && !join(entry.parentPath, entry.name).startsWith(into)).map(({ name }) => name);
}

const good: readonly Item[] = [
  { name: 'go/', type: '5', mode: 0o755 },
  { name: 'go/VERSION', content: 'go1.30.2\n' },
  { name: 'go/bin/go', content: '#!/bin/sh\n', mode: 0o755 },
  { name: 'go/src/empty.go' },
];

test('files and folders below go/, with modes that are either executable or not', async () => {
  const long = `go/${'d'.repeat(80)}/${'f'.repeat(80)}.go`;
  const record = (text: string): string => {
    const length = text.length + 3;
    return `${length + String(length).length - 2} ${text}\n`.replace(/^\d+/, (digits) => String(text.length + 2 + digits.length));
  };
  const pax: Item = { name: 'PaxHeaders/x', type: 'x', content: record(`path=${long}`) };
  const setuid: Item = { name: 'go/bin/gofmt', content: 'x', mode: 0o4777 };
  const { into, outcome } = await unpack(gzipSync(tarOf([...good, pax, { name: 'go/short', content: 'long' }, setuid])));
  assert.equal(outcome, `VERSION bin/go src/empty.go ${long.slice(3)} bin/gofmt`);
  assert.equal(await readFile(join(into, 'VERSION'), 'utf8'), 'go1.30.2\n');
  assert.equal(await readFile(join(into, long.slice(3)), 'utf8'), 'long');
  const modes = await Promise.all(['VERSION', 'bin/go', 'bin/gofmt'].map(async (name) => (await lstat(join(into, name))).mode & 0o7111));
  assert.deepEqual(modes, [0, 0o111, 0o111]);
  assert.deepEqual(await strays(into), ['archive']);
});

const refused: readonly { readonly what: string; readonly archive: Buffer; readonly says: RegExp }[] = [
  { what: 'a way upward', archive: tarOf([...good, { name: 'go/../../evil', content: 'x' }]), says: /has no place/ },
  { what: 'an absolute name', archive: tarOf([{ name: '/tmp/goyi-evil', content: 'x' }]), says: /has no place/ },
  { what: 'a name beside go/', archive: tarOf([...good, { name: 'gone/x', content: 'x' }]), says: /has no place/ },
  { what: 'a name with a backslash', archive: tarOf([{ name: 'go/..\\..\\evil', content: 'x' }]), says: /has no place/ },
  {
    what: 'a symbolic link',
    archive: tarOf([
      { name: 'go/src', type: '2', link: '/tmp' },
      { name: 'go/src/x', content: 'x' },
    ]),
    says: /neither a file nor a folder/,
  },
  { what: 'a hard link', archive: tarOf([{ name: 'go/passwd', type: '1', link: '/etc/passwd' }]), says: /neither a file nor a folder/ },
  { what: 'a device', archive: tarOf([{ name: 'go/null', type: '3' }]), says: /neither a file nor a folder/ },
  { what: 'a file twice', archive: tarOf([...good, { name: 'go/VERSION', content: 'go1.0' }]), says: /twice/ },
  { what: 'a file twice on a disk that ignores case', archive: tarOf([...good, { name: 'go/version', content: 'x' }]), says: /twice/ },
  { what: 'more than there can be', archive: tarOf([{ name: 'go/huge', sizeBytes: 2 ** 31 }]), says: /larger than an SDK/ },
  { what: 'a long header', archive: tarOf([{ name: 'x', type: 'x', sizeBytes: 1_000_000 }]), says: /header that is too long/ },
  {
    what: 'an end in the middle of a file',
    archive: tarOf([{ name: 'go/cut', sizeBytes: 10_000 }], Buffer.alloc(0)),
    says: /ends too early/,
  },
  { what: 'no end', archive: tarOf(good, Buffer.alloc(0)), says: /ends too early/ },
  { what: 'a wrong sum', archive: Buffer.concat([Buffer.alloc(512, 'x'), TAR_END]), says: /wrong sum/ },
];
for (const { what, archive, says } of refused)
  test(`${what} is refused`, async () => {
    const { into, outcome, code } = await unpack(gzipSync(archive));
    assert.equal(code, 'zip-invalid', outcome);
    assert.match(outcome, says);
    assert.deepEqual(await strays(into), ['archive']);
  });

test('a damaged or cut gzip is refused, and so is what is none', async () => {
  const whole = gzipSync(tarOf([...good, { name: 'go/fill', content: Buffer.alloc(200_000, 'fill') }]), { level: 0 });
  const damaged = Buffer.from(whole);
  damaged[100_000] = (damaged[100_000] ?? 0) ^ 1;
  for (const archive of [damaged, whole.subarray(0, -4), whole.subarray(0, 1_000), Buffer.from('no gzip'), Buffer.alloc(0)]) {
    assert.equal((await unpack(archive)).code, 'zip-invalid');
  }
  assert.equal((await unpack(Buffer.from('no zip'), 'zip')).code, 'zip-invalid');
});
