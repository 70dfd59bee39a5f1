import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { OwnLog } from '../bundle/all-records.ts';
import type { TrustedDatabases } from '../bundle/check-bundle.ts';
import { createPrivateNames, parsePrivateMatch, type PrivateNames } from '../policy/private-names.ts';
import { parseChecksumDatabaseEntry } from '../protocol/checksum-database-entry.ts';
import { isDatabaseName } from '../protocol/layout.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import { matchesPattern } from '../protocol/module-pattern.ts';
import { parseVerifierKey, type VerifierKey } from '../protocol/note.ts';
import { databaseOf } from './bundle-options.ts';
import { type Invocation, UsageError } from './command.ts';
import type { HubConfig } from './config/hub-config.ts';

/** Which names are private here. Expects a configuration that was checked. */
export function privateNamesOf(config: Pick<HubConfig, 'private'>): PrivateNames {
  const names = createPrivateNames(config.private.map(({ match, home }) => ({ match, public: home.kind === 'public' })));
  if (!names.ok) throw new UsageError(names.reason);
  return names.value;
}

/** All databases of the configuration but the first are logs that others sign. */
export function foreignKeysOf({ checksumDatabases }: Pick<HubConfig, 'checksumDatabases'>): readonly VerifierKey[] {
  return checksumDatabases.slice(1).flatMap((text) => {
    const entry = parseChecksumDatabaseEntry(text);
    return entry.ok ? [entry.value.key] : [];
  });
}

/** By whose signatures a bundle is verified: those of the configuration, and `--own-key`. @throws {UsageError} */
export function trustedDatabasesOf(config: HubConfig, invocation: Pick<Invocation, 'flags' | 'messages'>): TrustedDatabases {
  const named = ownKeyOf(invocation);
  return { database: databaseOf(config), foreign: [...(named === undefined ? [] : [named]), ...foreignKeysOf(config)] };
}

/**
 * With `--private`: the log of the hub outside, and which modules are private there. Patterns are those of the flag, else those of the configuration; the key is that of
 * `--own-key`, else that of `ownDatabase`, else that of the only other database of the configuration.
 * @throws {UsageError}
 */
export async function ownLogOf(config: HubConfig, invocation: Invocation): Promise<OwnLog | undefined> {
  const { flags, messages } = invocation;
  const asked = flags['private'];
  if (asked === undefined) return undefined;
  const isPrivate = typeof asked === 'string' ? await patternsOf(asked, invocation) : configured(config, messages);
  const key = ownKeyOf(invocation) ?? (await configuredKey(config, invocation));
  if (key === undefined) throw new UsageError(messages.bundle.needOwnKey);
  if (key.name === databaseOf(config).name) throw new UsageError(messages.bundle.badKey(key.name));
  return { key, isPrivate };
}

/** @throws {UsageError} */
function ownKeyOf({ flags, messages }: Pick<Invocation, 'flags' | 'messages'>): VerifierKey | undefined {
  const text = flags['own-key'];
  if (typeof text !== 'string') return undefined;
  const key = parseVerifierKey(text.trim().replace(/^GOSUMDB=/, ''));
  if (!key.ok || !isDatabaseName(key.value.name)) throw new UsageError(messages.bundle.badKey(key.ok ? key.value.name : key.reason));
  return key.value;
}

async function configuredKey(config: HubConfig, { backends }: Invocation): Promise<VerifierKey | undefined> {
  const own = config.ownDatabase && (await backends.readKey(config.ownDatabase));
  const key = own && parseVerifierKey(own.verifierKey);
  if (key?.ok === true) return key.value;
  const foreign = foreignKeysOf(config);
  return foreign.length === 1 ? foreign[0] : undefined;
}

function configured(config: HubConfig, messages: Invocation['messages']): OwnLog['isPrivate'] {
  if (config.private.every(({ home }) => home.kind === 'public')) throw new UsageError(messages.bundle.needPatterns);
  const names = privateNamesOf(config);
  return (module) => names.of(module).kind === 'private';
}

/** A folder after `--private` was meant to be carried. */
async function patternsOf(text: string, { folder, messages }: Invocation): Promise<OwnLog['isPrivate']> {
  const patterns = parsePrivateMatch(text);
  const isFile = text.startsWith('.') || (await stat(resolve(folder, text)).catch(() => undefined)) !== undefined;
  if (!patterns.ok || isFile) throw new UsageError(messages.bundle.badPrivate(text, patterns.ok ? '' : patterns.reason));
  return (module: ModulePath) => matchesPattern(patterns.value, module);
}
