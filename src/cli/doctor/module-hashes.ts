/** Hashes of what lies in a module cache, made here and not believed from the files beside it. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, readFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createInflateRaw } from 'node:zlib';
import { messageOf } from '../../base/errors.ts';
import { type Parsed, parsed, refused } from '../../base/parsed.ts';
import { type Hash, type HashedFile, hashFiles } from '../../protocol/dirhash.ts';
import { nameOf, type ModuleAt } from '../../protocol/main-go-mod.ts';
import { MODULE_ZIP_BYTES_MAX, MODULE_ZIP_LIMITS } from '../../protocol/module-zip.ts';
import type { ZipSource } from '../../protocol/zip-end.ts';
import { checkLocalHeader, type ZipEntry, type ZipDirectory, readZipDirectory } from '../../protocol/zip-format.ts';

const CONTENT_BYTES_MAX = MODULE_ZIP_BYTES_MAX;

/** The hash of a module zip as it stands in go.sum; refused when it is no zip that can be read. */
export async function hashZipFile(path: string): Promise<Parsed<Hash>> {
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    if (size > MODULE_ZIP_BYTES_MAX) return refused(`the zip is larger than ${MODULE_ZIP_BYTES_MAX} bytes`);
    return await hashZip(await readFile(path));
  } catch (error) {
    return refused(messageOf(error));
  }
}

export async function hashZip(bytes: Buffer): Promise<Parsed<Hash>> {
  const source: ZipSource = {
    sizeBytes: bytes.length,
    read: (target, position) => void bytes.copy(target, 0, position, position + target.length),
  };
  const directory = readZipDirectory(source, MODULE_ZIP_LIMITS);
  if (!directory.ok) return directory;
  const files: HashedFile[] = [];
  let contentBytes = 0;
  for (const entry of directory.value.entries) {
    contentBytes += entry.sizeBytes;
    if (contentBytes > CONTENT_BYTES_MAX) return refused(`the content is larger than ${CONTENT_BYTES_MAX} bytes`);
    const sha256 = await hashEntry(bytes, entry, directory.value);
    if (!sha256.ok) return sha256;
    files.push({ name: entry.name, sha256: sha256.value });
  }
  return hashFiles(files);
}

async function hashEntry(bytes: Buffer, entry: ZipEntry, directory: ZipDirectory): Promise<Parsed<string>> {
  const span = bytes.subarray(entry.offset, entry.offset + entry.spanBytes);
  const layout = checkLocalHeader(span, entry, directory);
  if (!layout.ok) return layout;
  const data = span.subarray(layout.value.dataAt, layout.value.dataAt + entry.compressedBytes);
  const digest = createHash('sha256');
  let sizeBytes = 0;
  const count = async function* (parts: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const part of parts) {
      sizeBytes += part.length;
      if (sizeBytes > entry.sizeBytes) throw new Error('more content than the zip says');
      yield part;
    }
  };
  try {
    if (entry.method === 'stored') digest.update(data);
    else await pipeline([data], createInflateRaw(), count, digest);
  } catch (error) {
    return refused(`${entry.name}: ${messageOf(error)}`);
  }
  return parsed(digest.digest('hex'));
}

/** The hash of an unpacked module (`dirhash.HashDir`); undefined when the folder is not there. */
export async function hashModuleFolder(folder: string, module: ModuleAt): Promise<Hash | undefined> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return undefined;
  const files: HashedFile[] = [];
  for (const entry of entries) {
    if (entry.isDirectory()) continue;
    const path = join(entry.parentPath, entry.name);
    const name = `${nameOf(module)}/${relative(folder, path).split(sep).join('/')}`;
    const digest = createHash('sha256');
    await pipeline(createReadStream(path), digest).catch(() => digest.update('unreadable'));
    files.push({ name, sha256: digest.digest('hex') });
  }
  const hash = hashFiles(files);
  return hash.ok ? hash.value : undefined;
}
