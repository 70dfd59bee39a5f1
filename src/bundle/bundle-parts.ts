import { type FileHandle, open } from 'node:fs/promises';
import { HubError, messageOf } from '../base/errors.ts';

/** More parts than this are no bundle that anybody split for sticks. */
export const PARTS_MAX = 999;

interface Part {
  readonly path: string;
  readonly handle: FileHandle;
  readonly start: number;
  readonly sizeBytes: number;
}

/** One file, or the parts `.001`, `.002` … of one that was cut for sticks, read as if they were one. */
export class BundleParts implements AsyncDisposable {
  readonly #parts: readonly Part[];
  readonly sizeBytes: number;

  private constructor(parts: readonly Part[]) {
    this.#parts = parts;
    this.sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
  }

  /** `file` is the bundle, its first part, or the name that the parts have in common. @throws {HubError} not-found, storage-fault */
  static async open(file: string): Promise<BundleParts> {
    const parts: Part[] = [];
    try {
      const whole = file.endsWith('.001') ? undefined : await openPart(file, 0);
      if (whole !== undefined) return new BundleParts([whole]);
      const common = file.replace(/\.001$/, '');
      for (let start = 0; parts.length < PARTS_MAX; start += parts.at(-1)?.sizeBytes ?? 0) {
        const part = await openPart(partName(common, parts.length + 1), start);
        if (part === undefined) break;
        parts.push(part);
      }
      if (parts.length === 0) throw new HubError('not-found', `there is no bundle ${file}, nor ${partName(common, 1)}`);
      return new BundleParts(parts);
    } catch (error) {
      await Promise.all(parts.map(({ handle }) => handle.close()));
      throw error instanceof HubError ? error : new HubError('storage-fault', `cannot open ${file}: ${messageOf(error)}`, { cause: error });
    }
  }

  /** The bytes from `position` on, fewer than `length` only at the end. @throws {HubError} storage-fault */
  async read(position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(length, this.sizeBytes - position)));
    for (let filled = 0; filled < buffer.length; ) {
      const at = position + filled;
      const part = this.#parts.find(({ start, sizeBytes }) => at >= start && at < start + sizeBytes);
      const room = part === undefined ? 0 : Math.min(buffer.length - filled, part.start + part.sizeBytes - at);
      const bytesRead = part === undefined ? 0 : await readAt(part, buffer.subarray(filled, filled + room), at - part.start);
      if (bytesRead === 0) throw new HubError('storage-fault', 'the bundle was shortened while it was read');
      filled += bytesRead;
    }
    return buffer;
  }

  /** The file that has all of these bytes, and where in it; undefined when they lie in two. */
  locate(position: number, length: number): { readonly path: string; readonly position: number } | undefined {
    const part = this.#parts.find(({ start, sizeBytes }) => position >= start && position + length <= start + sizeBytes);
    return part && { path: part.path, position: position - part.start };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#parts.map(({ handle }) => handle.close()));
  }
}

/** `b.goyi.001` */
export function partName(file: string, number: number): string {
  return `${file}.${String(number).padStart(3, '0')}`;
}

async function openPart(path: string, start: number): Promise<Part | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const stats = await handle.stat();
  if (stats.isFile()) return { path, handle, start, sizeBytes: stats.size };
  await handle.close();
  throw new HubError('not-found', `${path} is no file`);
}

async function readAt({ handle }: Part, into: Buffer, position: number): Promise<number> {
  try {
    return (await handle.read(into, 0, into.length, position)).bytesRead;
  } catch (error) {
    throw new HubError('storage-fault', `cannot read the bundle: ${messageOf(error)}`, { cause: error });
  }
}
