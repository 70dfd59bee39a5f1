import { open, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { WARM_BODY_BYTES_MAX, type WarmBodyKind } from '../api/warm.ts';
import { messageOf } from '../base/errors.ts';
import { UsageError } from './command.ts';
import type { Messages } from './messages/zh.ts';

/** A go.mod or go.sum file with the bytes it has. */
export interface BuildFile {
  readonly kind: Exclude<WarmBodyKind, 'modules'>;
  /** As the user named it. */
  readonly shown: string;
  readonly bytes: Buffer;
}

export interface BuildFileSource {
  readonly folder: string;
  readonly openStdin: () => AsyncIterable<Uint8Array>;
  readonly messages: Messages;
}

/** What the operands name: files, folders with a go.sum or a go.mod or both, `-`; without any, the folder. @throws {UsageError} */
export async function readBuildFiles(operands: readonly string[], source: BuildFileSource): Promise<readonly BuildFile[]> {
  const { messages } = source;
  if (operands.filter((operand) => operand === '-').length > 1) throw new UsageError(messages.warm.stdinTwice);
  const files: BuildFile[] = [];
  for (const operand of operands.length === 0 ? ['.'] : operands) {
    if (operand === '-') files.push(buildFile(operand, await readAll(operand, source.openStdin(), messages)));
    else files.push(...(await readNamed(operand, source)));
  }
  return files;
}

async function readNamed(operand: string, { folder, messages }: BuildFileSource): Promise<readonly BuildFile[]> {
  const path = resolve(folder, operand);
  try {
    if (!(await stat(path)).isDirectory()) return [buildFile(operand, await readPath(path, operand, messages))];
    // go.sum first: it says what each file has to be.
    const found: BuildFile[] = [];
    for (const name of ['go.sum', 'go.mod']) {
      const bytes = await readPath(join(path, name), join(operand, name), messages).catch((error: unknown) => {
        if (isMissing(error)) return undefined;
        throw error;
      });
      if (bytes !== undefined && bytes.length > 0) found.push(buildFile(join(operand, name), bytes));
    }
    if (found.length === 0) throw new UsageError(messages.warm.nothingThere(operand));
    return found;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const reason = error instanceof Error && 'code' in error ? String(error.code) : messageOf(error);
    throw new UsageError(messages.warm.unreadable(operand, reason), { cause: error });
  }
}

async function readPath(path: string, shown: string, messages: Messages): Promise<Buffer> {
  await using handle = await open(path, 'r');
  return await readAll(shown, handle.createReadStream({ autoClose: false }), messages);
}

async function readAll(shown: string, source: AsyncIterable<Uint8Array>, messages: Messages): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of source) {
    sizeBytes += chunk.length;
    if (sizeBytes > WARM_BODY_BYTES_MAX) throw new UsageError(messages.warm.tooLong(shown, WARM_BODY_BYTES_MAX / 1024 / 1024));
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** By its name, else by the one line that every go.mod has and no go.sum can. */
function buildFile(shown: string, bytes: Buffer): BuildFile {
  const name = basename(shown);
  const isMod = name.endsWith('.mod') || (!name.endsWith('.sum') && /^[ \t]*module[ \t]/m.test(bytes.toString('utf8')));
  return { kind: isMod ? 'go-mod' : 'go-sum', shown, bytes };
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
