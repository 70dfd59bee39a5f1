import type { BlobKey } from '../base/blob-key.ts';
import type { Events } from '../base/events.ts';
import type { FileRow, Metadata } from '../meta/metadata.ts';
import type { BlobStore } from '../store/blob-store.ts';

/** A stored file that was read and found to be bad. */
export interface BadFile {
  readonly key: BlobKey;
  /** Of the file as it was read. */
  readonly fingerprint: string;
  /** With which it was compared; undefined when there is none. */
  readonly row: Pick<FileRow, 'fingerprint' | 'proof'> | undefined;
}

/**
 * Takes a bad file out of the store and its row out of the metadata. Reading a large file takes seconds, in which another process may have come
 * to the same verdict and stored a good one: a file or a row that is no longer the one that was judged stays. False then.
 * The file goes first: a crash between leaves a row without a file, which is a plain miss. The row of a private file stays: it is the record of what
 * the version's bytes are, and of that there were any.
 */
export async function condemn(
  parts: { readonly store: BlobStore; readonly metadata: Metadata; readonly events: Events },
  bad: BadFile,
  reason: string,
): Promise<boolean> {
  const { store, metadata, events } = parts;
  const present = await fingerprintOf(store, bad.key);
  if (present !== undefined && present !== bad.fingerprint) return false;
  const moved = present !== undefined && (await store.setAside(bad.key, reason));
  if (bad.row !== undefined && bad.row.proof.kind !== 'private') await metadata.forgetFile(bad.key, bad.row.fingerprint);
  if (moved) events.fileSetAside({ key: bad.key, reason });
  return moved;
}

async function fingerprintOf(store: BlobStore, key: BlobKey): Promise<string | undefined> {
  const opened = await store.open(key);
  if (opened === undefined) return undefined;
  await using blob = opened;
  return blob.fingerprint;
}
