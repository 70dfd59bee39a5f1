import type { BlobKey } from '../base/blob-key.ts';
import { HubError } from '../base/errors.ts';
import { type Parsed, parsed, refused } from '../base/parsed.ts';

/** Half-written things and evidence lie below this folder of a file-system store; no key does. */
export const STAGING_FOLDER = 'staging';

const keyLengthMax = 4096;

/**
 * Reads a key again at the edge of the store: relative, slash-separated, at least two elements, each of them a plain name, not below `staging`.
 * Two elements at least, because what lies directly in the data folder (the database, the lock) is no blob: to open and close one of those files
 * here would drop the locks that SQLite holds on it, which belong to the process and not to the handle.
 */
export function parseBlobKey(text: string): Parsed<BlobKey> {
  if (text.length > keyLengthMax) return refused(`longer than ${keyLengthMax} characters`);
  if (!text.isWellFormed()) return refused('no well-formed text');
  const elements = text.split('/');
  if (elements.length < 2) return refused('fewer than two elements');
  if (elements[0]?.toLowerCase() === STAGING_FOLDER) return refused('below the staging folder');
  for (const element of elements) {
    if (element === '' || element === '.' || element === '..') return refused(`element ${JSON.stringify(element)}`);
    if (element.includes('\0') || element.includes('\\')) return refused('a NUL or a backslash');
  }
  return parsed(text as BlobKey);
}

/** @throws {HubError} bad-request for a key that leads elsewhere; keys are made from checked names, so this is the second fence */
export function checkBlobKey(key: string): void {
  const checked = parseBlobKey(key);
  if (!checked.ok) throw new HubError('bad-request', `key ${JSON.stringify(key.slice(0, 200))} is not stored: ${checked.reason}`);
}

/** Immutable keys keep their first bytes; a bad file is set aside before another can take its place. */
export function otherBytes(key: BlobKey): HubError {
  return new HubError('storage-fault', `${key} is stored already with other bytes`);
}

export function tooLong(key: BlobKey, sizeBytes: number, sizeMaxBytes: number): HubError {
  return new HubError('storage-fault', `${key} has ${sizeBytes} bytes where at most ${sizeMaxBytes} are expected`);
}
