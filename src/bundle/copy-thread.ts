/** The entry file of a copier's thread: copies one {@link CopyJob} at a time. A fault of its own is thrown, and ends the thread. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { HubError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import type { CopiedFile, CopyAnswer, CopyJob } from './file-copier.ts';
import { diskError } from './staging.ts';

invariant(parentPort, 'files are copied in a thread of their own');
const port = parentPort;
const buffer = Buffer.allocUnsafeSlow(1024 * 1024);

port.on('message', (job: CopyJob) => port.postMessage(answer(job)));

function answer(job: CopyJob): CopyAnswer {
  try {
    return { kind: 'copied', copied: copy(job) };
  } catch (error) {
    if (!(error instanceof HubError)) throw error;
    return { kind: 'failed', code: error.code, message: error.message };
  }
}

function copy({ from, sizeBytes, to, algorithms }: CopyJob): CopiedFile {
  const hashes = algorithms.map((algorithm) => createHash(algorithm));
  const source = openFile(from, 'r');
  try {
    for (const target of to) {
      const draft = openFile(target.path, 'r+');
      try {
        for (let done = 0; done < target.sizeBytes; ) {
          const count = readSome(source, from, Math.min(buffer.length, target.sizeBytes - done));
          const bytes = buffer.subarray(0, count);
          for (const hash of hashes) hash.update(bytes);
          writeAll(draft, bytes, { path: target.path, position: target.position + done });
          done += count;
        }
      } finally {
        closeSync(draft);
      }
    }
    if (readSync(source, buffer, 0, 1, null) !== 0) throw changed(from, sizeBytes);
  } finally {
    closeSync(source);
  }
  return { digests: hashes.map((hash) => hash.digest('hex')) };

  function readSome(descriptor: number, path: string, length: number): number {
    let count: number;
    try {
      count = readSync(descriptor, buffer, 0, length, null);
    } catch (error) {
      throw diskError(`read ${path}`, error);
    }
    if (count === 0) throw changed(path, sizeBytes);
    return count;
  }
}

function openFile(path: string, flags: 'r' | 'r+'): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    throw diskError(`open ${path}`, error);
  }
}

function writeAll(descriptor: number, bytes: Buffer, { path, position }: { readonly path: string; readonly position: number }): void {
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done, bytes.length - done, position + done);
  } catch (error) {
    throw diskError(`write ${path}`, error);
  }
}

function changed(path: string, sizeBytes: number): HubError {
  return new HubError('storage-fault', `${path} no longer has ${sizeBytes} bytes`);
}
