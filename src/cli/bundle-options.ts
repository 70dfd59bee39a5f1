import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createdMs, formatCreated } from '../protocol/bundle-head.ts';
import { parseChecksumDatabaseEntry } from '../protocol/checksum-database-entry.ts';
import { parseVerifierKey, type VerifierKey } from '../protocol/note.ts';
import type { BundleFile } from '../bundle/bundle-file.ts';
import { BUNDLE_SM2_KEY_NAME } from '../protocol/bundle-sm2.ts';
import { parseSm2VerifierKey, type Sm2VerifierKey } from '../protocol/sm2.ts';
import type { BundleBackends, BundleKeyFiles, BundleKeys } from './bundle-backends.ts';
import { type Invocation, UsageError } from './command.ts';
import type { HubConfig } from './config/hub-config.ts';
import { keysFolderOf } from './config/own-database.ts';

/** Where the keys are: beside the data folder, or where `--key-file` says. */
export function keyFilesOf({ dataDir }: HubConfig, { flags, folder }: Pick<Invocation, 'flags' | 'folder'>): BundleKeyFiles {
  const keys = keysFolderOf(dataDir);
  const named = flags['key-file'];
  const keyFile = typeof named === 'string' ? resolve(folder, named) : join(keys, 'bundle.key');
  return { keyFile, sm2KeyFile: `${keyFile}.sm2`, trustedFile: join(keys, 'bundle.trusted') };
}

/** Those of `--key` alone, else all that are trusted here. @throws {UsageError} */
export async function trustedKeysOf(config: HubConfig, invocation: Invocation, bundles: BundleBackends): Promise<BundleKeys> {
  const { key } = invocation.flags;
  return typeof key === 'string' ? parseKeys(key, invocation) : bundles.trusted(keyFilesOf(config, invocation));
}

/** Public keys of either kind, comma separated. @throws {UsageError} */
export function parseKeys(text: string, { messages }: Pick<Invocation, 'messages'>): BundleKeys {
  const keys: VerifierKey[] = [];
  const sm2Keys: Sm2VerifierKey[] = [];
  for (const one of text.split(',').map((part) => part.trim())) {
    const sm2 = parseSm2VerifierKey(one);
    const key = parseVerifierKey(one);
    if (sm2.ok) sm2Keys.push(sm2.value);
    else if (key.ok) keys.push(key.value);
    else throw new UsageError(messages.bundle.badKey(one.startsWith(`${BUNDLE_SM2_KEY_NAME}+`) ? sm2.reason : key.reason));
  }
  return { keys, sm2Keys };
}

export interface OpenOperand {
  readonly config: HubConfig;
  readonly keys: BundleKeys;
  readonly bundles: BundleBackends;
  readonly listOnly?: boolean;
}

/** The bundle that an operand names. */
export function openOperand(
  operand: string,
  { config, keys, bundles, listOnly = false }: OpenOperand,
  { folder }: Pick<Invocation, 'folder'>,
): Promise<BundleFile> {
  return bundles.open(resolve(folder, operand), keys, { sm2Required: config.bundles.sm2 === 'required', listOnly });
}

/** The database that proves. */
export function databaseOf({ checksumDatabases }: HubConfig): VerifierKey {
  const entry = parseChecksumDatabaseEntry(checksumDatabases[0] ?? '');
  if (!entry.ok) throw new UsageError(`checksumDatabases: ${entry.reason}`);
  return entry.value.key;
}

/** `4G` in bytes; binary units. @throws {UsageError} */
export function parseSplit(text: string | true | undefined, { messages }: Pick<Invocation, 'messages'>): number | undefined {
  if (text === undefined) return undefined;
  const [, count, unit] = /^([1-9]\d{0,5})([MG])$/.exec(text === true ? '' : text) ?? [];
  const bytes = Number(count) * (unit === 'G' ? 1024 ** 3 : 1024 ** 2);
  if (count === undefined || bytes > 1000 * 1024 ** 3) throw new UsageError(messages.bundle.badSplit(String(text)));
  // A file of 4 GiB is one byte too long for FAT.
  return bytes === 4 * 1024 ** 3 ? bytes - 512 : bytes;
}

/** @throws {UsageError} */
export function parseCreated({ flags, env, messages }: Pick<Invocation, 'flags' | 'env' | 'messages'>): string {
  const text = typeof flags['created'] === 'string' ? flags['created'] : env['SOURCE_DATE_EPOCH'];
  if (text === undefined || text === '') return formatCreated(Date.now());
  const created = /^\d{1,11}$/.test(text) ? formatCreated(Number(text) * 1000) : text;
  if (createdMs({ created }) === undefined) throw new UsageError(messages.bundle.badCreated(text));
  return created;
}

export function listed(text: string | true | undefined): readonly string[] {
  return typeof text === 'string'
    ? text
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== '')
    : [];
}

/** `127.0.0.1:8081` @throws {UsageError} */
export function parseListen(
  text: string | true | undefined,
  { messages }: Pick<Invocation, 'messages'>,
): { readonly host: string; readonly port: number } {
  const [, host = '127.0.0.1', port] = /^(?:\[?([0-9A-Za-z:.-]*)\]?:)?(\d{1,5})$/.exec(typeof text === 'string' ? text : '8081') ?? [];
  if (port === undefined || Number(port) > 65_535) throw new UsageError(messages.bundle.badListen(String(text)));
  return { host: host === '' ? '0.0.0.0' : host, port: Number(port) };
}

/** Undefined when there is no such file, it cannot be read, or it is longer. */
export async function readSmallFile(path: string, sizeMaxBytes: number): Promise<string | undefined> {
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isFile() !== true || stats.size > sizeMaxBytes) return undefined;
  return readFile(path, 'utf8').catch(() => undefined);
}
