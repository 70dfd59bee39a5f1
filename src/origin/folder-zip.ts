/**
 * The module zip of a folder on the disk, by the rules of `zip.CreateFromDir`: what version control keeps for itself, other modules below, vendored
 * packages and everything that is no regular file stay out; names and sizes are checked. The same files give the same bytes.
 *
 * https://pkg.go.dev/golang.org/x/mod/zip#CreateFromDir
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { codeOf, HubError, messageOf } from '../base/errors.ts';
import { readGoModFacts } from '../protocol/go-mod-facts.ts';
import { MODULE_ZIP_LIMITS } from '../protocol/module-zip.ts';
import { planModuleZip, type SourceFile } from '../protocol/module-zip-plan.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { Version } from '../protocol/version.ts';
import { writeModuleZip, type ZipInput } from './git/zip-stream.ts';

export interface FolderZip {
  /** Absolute. */
  readonly folder: string;
  readonly module: ModulePath;
  readonly version: Version;
  /** Absolute; must not be there yet. */
  readonly file: string;
}

const versionControl: ReadonlySet<string> = new Set(['.bzr', '.git', '.hg', '.svn']);

/** @throws {HubError} zip-invalid with the rule that was broken; storage-fault, storage-full; the signal's reason */
export async function writeFolderZip({ folder, module, version, file }: FolderZip, signal: AbortSignal): Promise<void> {
  try {
    const files = await listFiles(folder, signal);
    const goMod = files.find(({ path, kind }) => path === 'go.mod' && kind === 'regular');
    const go = goMod && readGoModFacts(await readFile(join(folder, 'go.mod'), 'utf8')).go;
    const plan = planModuleZip(files, go);
    if (!plan.ok) throw new HubError('zip-invalid', `${folder} makes no module zip: ${plan.reason}`);
    const bytes = writeModuleZip(`${module}@${version}/`, inputs(folder, [...plan.value]));
    await pipeline(bytes, createWriteStream(file, { flags: 'wx' }), { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (codeOf(error) !== undefined) throw error;
    const errno = (error as NodeJS.ErrnoException).code;
    const code = errno === 'ENOSPC' || errno === 'EDQUOT' ? 'storage-full' : 'storage-fault';
    throw new HubError(code, `making the zip of ${folder}: ${messageOf(error)}`, { cause: error });
  }
}

/** In the order of their names. */
async function listFiles(folder: string, signal: AbortSignal): Promise<readonly SourceFile[]> {
  const files: SourceFile[] = [];
  const walk = async (below: string): Promise<void> => {
    signal.throwIfAborted();
    const entries = await readdir(join(folder, below), { withFileTypes: true });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!versionControl.has(entry.name)) await walk(path);
      } else if (entry.isFile() || entry.isSymbolicLink()) {
        files.push({
          path,
          wellFormed: entry.name.isWellFormed() && !entry.name.includes('\ufffd'),
          kind: entry.isFile() ? 'regular' : 'symlink',
        });
        if (files.length > MODULE_ZIP_LIMITS.entriesMax)
          throw new HubError('zip-invalid', `${folder} has more than ${MODULE_ZIP_LIMITS.entriesMax} files`);
      }
    }
  };
  await walk('');
  return files;
}

async function* inputs(folder: string, paths: readonly string[]): AsyncGenerator<ZipInput, void, undefined> {
  for (const path of paths) {
    const { size } = await lstat(join(folder, path));
    yield { path, sizeBytes: size, body: bodyOf(join(folder, path), size) };
  }
}

/** A file that changes while it is read makes no zip. */
async function* bodyOf(file: string, sizeBytes: number): AsyncGenerator<Buffer, void, undefined> {
  let read = 0;
  for await (const chunk of createReadStream(file)) {
    read += (chunk as Buffer).length;
    if (read > sizeBytes) break;
    yield chunk as Buffer;
  }
  if (read !== sizeBytes) throw new HubError('storage-fault', `${file} changed while it was read`);
}
