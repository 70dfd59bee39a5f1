/**
 * The file with the signing key of a checksum database, or of a witness: one line, `PRIVATE+KEY+NAME+HASH+KEY`, as golang.org/x/mod/sumdb/note
 * reads and writes it. Whoever has it can sign any tree in the database's name, and no client would notice: so the file belongs to one user and is readable by
 * nobody else (0600), and is refused otherwise, because who could read it once may have a copy.
 *
 * It is made once and never changed: a database keeps its key for as long as it has its name (clients hold both together), and a new key comes with a
 * new name. Processes read it by themselves; it is never handed over in arguments, environment or messages.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, open, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { HubError } from '../base/errors.ts';
import { generateSignerKey, type KeyAlgorithm, parseSignerKey, type SignerKey } from '../protocol/note.ts';
import type { Parsed } from '../base/parsed.ts';
import { errnoOf, exposureOf, fileError, makePrivateFolder, syncFolder } from './private-folder.ts';

/** A name has at most 255 bytes, what stands around it about 80. */
const FILE_BYTES_MAX = 1_024;

export interface KeyFile {
  /** Absolute. */
  readonly file: string;
  /** Of the database, and so of the key. */
  readonly name: string;
  /** What the key signs; notes, unless it says otherwise. */
  readonly algorithm?: KeyAlgorithm;
}

/**
 * The key in the file; undefined when there is no such file.
 * @throws {HubError} config-invalid when the file is a symbolic link, exposed to other users, no key, or the key of another database; storage-fault
 */
export async function readKeyFile({ file, name, algorithm }: KeyFile): Promise<SignerKey | undefined> {
  return readKeyText({ file, name }, (text) => parseSignerKey(text, algorithm));
}

/** The same for a key that is read in another way. */
export async function readKeyText<T extends { readonly verifier: { readonly name: string } }>(
  { file, name }: Omit<KeyFile, 'algorithm'>,
  parse: (text: string) => Parsed<T>,
): Promise<T | undefined> {
  const text = await readPrivately(file);
  if (text === undefined) return undefined;
  const key = parse(text.replace(/\r?\n$/, ''));
  // Not even the reason is told: in a mangled line a part of the key may stand where its name should.
  if (!key.ok)
    throw new HubError('config-invalid', `the key file ${file} holds no whole signing key: put its copy from the backup in its place`);
  const found = key.value.verifier.name;
  if (found !== name) {
    throw new HubError(
      'config-invalid',
      `the key file ${file} holds the key of ${found}, not of ${name}: a key and its database have one name`,
    );
  }
  return key.value;
}

/**
 * Makes a key, and the folder for it. The file is whole and durable when it resolves, and never half there: a crash leaves no file of this name.
 * Undefined when there is a file already, whatever is in it: that one stays.
 * @throws {HubError} config-invalid when others may write in the folder; storage-full, storage-fault
 */
export async function createKeyFile({ file, name, algorithm }: KeyFile): Promise<SignerKey | undefined> {
  const { signer, text } = generateSignerKey(name, undefined, algorithm);
  return (await createKeyText(file, text)) ? signer : undefined;
}

/** The same for the text of a key. False when there is a file already. */
export async function createKeyText(file: string, text: string): Promise<boolean> {
  const folder = dirname(file);
  await makePrivateFolder(folder);
  const draft = join(folder, `.${basename(file)}.${randomBytes(6).toString('hex')}`);
  try {
    await writeDraft(draft, `${text}\n`);
    try {
      // Unlike a rename, a link never takes the place of a file that is there.
      await link(draft, file);
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false;
      throw error;
    } finally {
      await unlink(draft);
    }
    await syncFolder(folder);
    return true;
  } catch (error) {
    throw fileError(`make the key file ${file}`, error);
  }
}

async function writeDraft(draft: string, text: string): Promise<void> {
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } catch (error) {
    await unlink(draft).catch(() => {});
    throw error;
  } finally {
    await handle.close();
  }
}

async function readPrivately(file: string): Promise<string | undefined> {
  let handle: FileHandle;
  try {
    // Never through a planted symbolic link, never blocked by a planted named pipe.
    handle = await open(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throwUnlessAbsent(file, error);
    return undefined;
  }
  await using opened = handle;
  const stats = await opened.stat();
  if (!stats.isFile()) throw new HubError('config-invalid', `the key file ${file} is no regular file`);
  const exposure = exposureOf(file, stats);
  if (exposure !== undefined) throw new HubError('config-invalid', `the signing key is not used: ${exposure}`);
  const buffer = Buffer.alloc(FILE_BYTES_MAX + 1);
  const { bytesRead } = await opened.read(buffer, 0, buffer.length, 0);
  if (bytesRead > FILE_BYTES_MAX) throw new HubError('config-invalid', `the key file ${file} is longer than a key can be`);
  return buffer.toString('utf8', 0, bytesRead);
}

function throwUnlessAbsent(file: string, error: unknown): void {
  switch (errnoOf(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return;
    case 'ELOOP':
    case 'EMLINK':
      throw new HubError('config-invalid', `the key file ${file} is a symbolic link: name the file itself`, { cause: error });
    case 'EACCES':
    case 'EPERM':
      throw new HubError('config-invalid', `this user may not read the key file ${file}`, { cause: error });
    default:
      throw fileError(`read the key file ${file}`, error);
  }
}
