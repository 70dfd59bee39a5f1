/** Hashes of what lies in a module cache, made here and not believed from the files beside it. */
import { hash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { inflateRawSync } from 'node:zlib';
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
    const { size } = await stat(path);
    if (size > MODULE_ZIP_BYTES_MAX) return refused(`the zip is larger than ${MODULE_ZIP_BYTES_MAX} bytes`);
    return hashZip(await readFile(path));
  } catch (error) {
    return refused(messageOf(error));
  }
}

export function hashZip(bytes: Buffer): Parsed<Hash> {
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
    const sha256 = hashEntry(bytes, entry, directory.value);
    if (!sha256.ok) return sha256;
    files.push({ name: entry.name, sha256: sha256.value });
  }
  return hashFiles(files);
}

function hashEntry(bytes: Buffer, entry: ZipEntry, directory: ZipDirectory): Parsed<string> {
  const span = bytes.subarray(entry.offset, entry.offset + entry.spanBytes);
  const layout = checkLocalHeader(span, entry, directory);
  if (!layout.ok) return layout;
  const data = span.subarray(layout.value.dataAt, layout.value.dataAt + entry.compressedBytes);
  try {
    // Stops at the size that the zip says, whatever it unpacks to.
    const content = entry.method === 'stored' ? data : inflateRawSync(data, { maxOutputLength: Math.max(entry.sizeBytes, 1) });
    return parsed(hash('sha256', content, 'hex'));
  } catch (error) {
    return refused(`${entry.name}: ${messageOf(error)}`);
  }
}

/** The hash of an unpacked module (`dirhash.HashDir`); undefined when the folder is not there. Most files are small: reading them whole is much the quickest. */
export async function hashModuleFolder(folder: string, module: ModuleAt): Promise<Hash | undefined> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return undefined;
  const files: HashedFile[] = [];
  for (const entry of entries) {
    if (entry.isDirectory()) continue;
    const path = join(entry.parentPath, entry.name);
    const name = `${nameOf(module)}/${relative(folder, path).split(sep).join('/')}`;
    files.push({ name, sha256: hashFile(path) });
  }
  const whole = hashFiles(files);
  return whole.ok ? whole.value : undefined;
}

/** An unreadable file has a hash that no file has. */
function hashFile(path: string): string {
  try {
    return statSync(path).size > MODULE_ZIP_BYTES_MAX ? '' : hash('sha256', readFileSync(path), 'hex');
  } catch {
    return '';
  }
}
