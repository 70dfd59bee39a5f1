import { type ChecksumDatabaseEntry, parseChecksumDatabaseEntry } from '../protocol/checksum-database-entry.ts';
import { type CosignerKey, parseCosignerKey } from '../protocol/cosignature.ts';
import { type VerifierKey, parseVerifierKey } from '../protocol/note.ts';
import { type FlagSpec, type Invocation, UsageError } from './command.ts';
import type { HubConfig } from './config/hub-config.ts';
import { listeningAt, parseHubAddress } from './hub-address.ts';

/** A log, and by what it is believed. */
export interface LogTarget {
  readonly key: VerifierKey;
  /** Of the database itself, or of a hub with `/sumdb/NAME`. */
  readonly url: URL;
}

export const keyFlags: readonly FlagSpec[] = [
  { flag: '--key <key>', describe: (m) => m.help.logKey },
  { flag: '--database <entry>', describe: (m) => m.help.logDatabase },
];

export const cosignedByFlag: FlagSpec = { flag: '--cosigned-by <keys>', describe: (m) => m.help.logCosignedBy };

/**
 * Which log is meant: by an address, an entry as in GOSUMDB, a key, or any of them together. Without an address it is asked for at the hub of this
 * configuration; without a key its name must be well known or stand in `checksumDatabases`.
 * @throws {UsageError}
 */
export function logTarget(address: string | undefined, config: HubConfig, invocation: Invocation): LogTarget {
  const { messages } = invocation;
  const url = address === undefined ? undefined : parseHubAddress(address);
  if (address !== undefined && url === undefined) throw new UsageError(messages.log.badUrl(address));
  const entry = entryOf(invocation);
  const named = /\/sumdb\/([^?#]+?)\/?$/.exec(url?.pathname ?? '')?.[1];
  const key = entry?.key ?? keyOfName(named ?? (url === undefined ? config.checksumDatabases[0] : undefined), config);
  if (key === undefined) throw new UsageError(messages.log.keyNeeded(named ?? address ?? ''));
  if (url !== undefined) return { key, url };
  if (entry?.url !== undefined) return { key, url: new URL(entry.url) };
  const hub = listeningAt(config);
  hub.pathname = `/sumdb/${key.name}`;
  return { key, url: hub };
}

/** By what a note is believed that these have signed: the key that was given, else that of the first one that is known. @throws {UsageError} */
export function keyForSigners(names: readonly string[], config: HubConfig, invocation: Invocation): VerifierKey {
  const entry = entryOf(invocation);
  if (entry !== undefined) return entry.key;
  for (const name of names) {
    const key = keyOfName(name, config);
    if (key !== undefined) return key;
  }
  throw new UsageError(invocation.messages.log.keyNeeded(names[0] ?? ''));
}

/** The keys of `--cosigned-by`, separated by commas. @throws {UsageError} */
export function cosignersOf({ flags, messages }: Invocation): readonly CosignerKey[] {
  const text = flags['cosigned-by'];
  if (typeof text !== 'string') return [];
  return text.split(',').map((part) => {
    const key = parseCosignerKey(part.trim());
    if (!key.ok) throw new UsageError(messages.log.badKey(key.reason));
    return key.value;
  });
}

function entryOf({ flags, messages }: Invocation): Pick<ChecksumDatabaseEntry, 'key' | 'url'> | undefined {
  const { key: keyText, database } = flags;
  if (typeof keyText === 'string') {
    const key = parseVerifierKey(keyText);
    if (!key.ok) throw new UsageError(messages.log.badKey(key.reason));
    return { key: key.value };
  }
  if (typeof database !== 'string') return undefined;
  const entry = parseChecksumDatabaseEntry(database);
  if (!entry.ok) throw new UsageError(messages.log.badKey(entry.reason));
  return entry.value;
}

/** `text` is a name, or an entry as in GOSUMDB. */
function keyOfName(text: string | undefined, { checksumDatabases }: HubConfig): VerifierKey | undefined {
  if (text === undefined) return undefined;
  const own = parseChecksumDatabaseEntry(text);
  const name = own.ok ? own.value.name : text;
  const configured = checksumDatabases.map(parseChecksumDatabaseEntry).find((entry) => entry.ok && entry.value.name === name);
  const entry = configured ?? own;
  return entry.ok ? entry.value.key : undefined;
}
