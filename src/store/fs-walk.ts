import type { Dir } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobKey } from '../base/blob-key.ts';
import { errnoOf, storageError } from './fs-operations.ts';
import { parseBlobKey, STAGING_FOLDER } from './key-path.ts';

/** Deeper than the path of any module: what lies below is not ours. */
const depthMax = 256;

/**
 * Every plain file below `root` whose key begins with `prefix`, one open folder a level at a time, nothing collected.
 * Files that come or go meanwhile may or may not be seen; symbolic links are not.
 */
export async function* walkKeys(root: string, prefix: string): AsyncGenerator<BlobKey> {
  const start = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  if (start !== '' && !parseBlobKey(`${start}x`).ok) return;
  try {
    yield* walk(root, start, prefix);
  } catch (error) {
    throw storageError(`list what lies below ${root}/${start}`, error);
  }
}

/** `folder` is '' or ends with a slash. */
async function* walk(root: string, folder: string, prefix: string): AsyncGenerator<BlobKey> {
  if (folder.split('/').length > depthMax) return;
  const entries = await openFolder(join(root, folder));
  if (entries === undefined) return;
  for await (const entry of entries) {
    const key = `${folder}${entry.name}`;
    if (folder === '' && entry.name === STAGING_FOLDER) continue;
    if (entry.isDirectory()) {
      if (`${key}/`.startsWith(prefix)) yield* walk(root, `${key}/`, prefix);
    } else if (entry.isFile() && key.startsWith(prefix)) {
      const parsedKey = parseBlobKey(key);
      // A name that is not UTF-8 arrives with replacement characters and could not be opened.
      if (parsedKey.ok && !key.includes('\uFFFD')) yield parsedKey.value;
    }
  }
}

/** Undefined when somebody removed the folder since it was seen. */
async function openFolder(path: string): Promise<Dir | undefined> {
  try {
    return await opendir(path, { bufferSize: 256 });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}
