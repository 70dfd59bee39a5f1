import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { HubError } from '../base/errors.ts';
import type { Audited } from '../hub/audit-log.ts';
import { openTreeNote } from '../protocol/checksum-record.ts';
import type { VerifierKey } from '../protocol/note.ts';
import { countNames, doing } from './name-index.ts';

/** What `goyi log audit --state FILE` knows of a log from before. */
export interface AuditState extends Audited {
  /** The folder with the names of the records, absolute; undefined when no records were read. */
  readonly namesFolder: string | undefined;
}

const FORMAT = 'goyi log audit 1';

const schema = z.strictObject({
  format: z.literal(FORMAT),
  key: z.string(),
  note: z.string(),
  records: z.int().min(0),
  hashes: z.int().min(0),
  unique: z.boolean(),
  names: z.string().nullable(),
});

/**
 * The state in a file; undefined when there is none yet.
 * @throws {HubError} config-invalid when it is another log's, or no state, or its folder of names is not as it was; storage-fault
 */
export async function readAuditState(path: string, key: VerifierKey): Promise<AuditState | undefined> {
  const text = await doing(`read ${path}`, () =>
    readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    }),
  );
  if (text === undefined) return undefined;
  const refuse = (reason: string): never => {
    throw new HubError('config-invalid', `the state file ${path} ${reason}; audit with another file, or from the start without it`);
  };
  const read = schema.safeParse(parseJson(text));
  if (!read.success) return refuse('is no state of a log audit');
  const { note, records, hashes, unique, names } = read.data;
  if (read.data.key !== key.text) return refuse(`is that of another log, ${read.data.key}`);
  const tree = openTreeNote(note, key);
  if (!tree.ok || records > tree.value.size || hashes > tree.value.size) return refuse('has been changed');
  const namesFolder = names === null ? undefined : join(dirname(path), names);
  if (names !== null && (basename(names) !== names || !names.startsWith(`${basename(path)}.names-`))) return refuse('has been changed');
  if ((namesFolder === undefined ? 0 : await countNames(namesFolder)) !== records)
    return refuse(`names the folder ${names ?? ''}, which does not have the names of ${records} records`);
  return { note, records, hashes, isUnique: unique, namesFolder };
}

/** Replaces the file, whole and durable, and then removes the folder of names that the former one named. @throws {HubError} storage-full, storage-fault */
export async function writeAuditState(path: string, key: VerifierKey, state: AuditState, former: AuditState | undefined): Promise<void> {
  const { note, records, hashes, isUnique, namesFolder } = state;
  const names = namesFolder === undefined ? null : basename(namesFolder);
  const value: z.infer<typeof schema> = { format: FORMAT, key: key.text, note, records, hashes, unique: isUnique, names };
  const half = `${path}.${randomBytes(6).toString('hex')}.part`;
  await doing(`write ${path}`, async () => {
    try {
      {
        await using file = await open(half, 'wx');
        await file.writeFile(`${JSON.stringify(value, undefined, 2)}\n`);
        await file.sync();
      }
      await rename(half, path);
      await using folder = await open(dirname(path), 'r');
      await folder.sync();
    } catch (error) {
      await rm(half, { force: true });
      throw error;
    }
  });
  if (former?.namesFolder !== undefined && former.namesFolder !== namesFolder)
    await rm(former.namesFolder, { recursive: true, force: true });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
