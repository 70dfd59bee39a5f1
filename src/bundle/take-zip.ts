import type { BlobKey } from '../base/blob-key.ts';
import type { ZipProver } from '../origin/zip-prover.ts';
import type { CarriedFiles } from '../store/fs-carried.ts';
import type { BundleEntry } from './bundle-file.ts';
import type { BundleCheck } from './check-bundle.ts';

export interface TakeZipParts {
  readonly carried: CarriedFiles;
  readonly prover: ZipProver;
  /** Its bytes, for where they do not lie in one file. */
  readonly stream: () => AsyncIterable<Buffer>;
  readonly onBytes: (sizeBytes: number) => void;
}

/** Proves a zip of a bundle and copies it to what is carried in, in one pass over its bytes and off the event loop. @throws as {@link BundleCheck.zip} */
export async function takeZip(
  check: BundleCheck,
  entry: BundleEntry,
  { carried, prover, stream, onBytes }: TakeZipParts,
  signal: AbortSignal,
): ReturnType<BundleCheck['zip']> {
  const key = entry.name as BlobKey;
  const place = await check.bundle.place(entry);
  if (place === undefined) return check.zip(entry, await carried.add(key, stream()), (zip) => prover.prove(zip, signal));
  const within = { position: place.position, sizeBytes: entry.sizeBytes };
  const taken = await carried.fill(key, (copyTo) =>
    check.zip(entry, { localPath: place.path, within, copyTo }, (zip) => prover.prove(zip, signal)),
  );
  onBytes(entry.sizeBytes);
  return taken;
}
