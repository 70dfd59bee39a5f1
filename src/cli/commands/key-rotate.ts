import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { formatGoSumDb } from '../../api/checksum-database.ts';
import type { OwnKey } from '../backends.ts';
import { type CommandSpec, type Invocation, readInvocationConfig, UsageError, withConfig } from '../command.ts';
import type { HubConfig, OwnDatabaseConfig } from '../config/hub-config.ts';
import { variableName } from '../config/overrides.ts';
import { parseOwnDatabaseName } from '../config/parse-values.ts';
import { exitCodes } from '../exit-code.ts';
import { tellNameFaults, tellNoKey } from './key-refusals.ts';

type OwnDatabases = NonNullable<HubConfig['ownDatabase']>;

/**
 * A new key needs a new name, since clients hold both together, and the old database has to answer until the last client was changed over. So this
 * makes the key and says what to write; the configuration is the operator's, and nothing changes before it does.
 */
export const rotateCommand: CommandSpec = {
  name: 'rotate',
  describe: (m) => m.help.keyRotate,
  footer: (m) => m.help.keyRotateFooter,
  flags: [
    { flag: '--name <name>', describe: (m) => m.help.keyNewName },
    { flag: '--dry-run', describe: (m) => m.help.keyDryRun },
  ],
  configKeys: ['dataDir', 'ownDatabase.name', 'ownDatabase.keyFile'],
  run: (invocation) =>
    withConfig(invocation, async ({ ownDatabase }) => {
      const { key } = invocation.messages;
      if (ownDatabase === undefined) return tellNoKey(key.notConfigured, invocation);
      const former = await invocation.backends.readKey(ownDatabase);
      if (former === undefined) return tellNoKey(key.nothingToRotate(ownDatabase.name, ownDatabase.keyFile), invocation);
      return rotate(ownDatabase, invocation);
    }),
};

async function rotate(own: OwnDatabases, invocation: Invocation): Promise<number> {
  const { flags, configFlags, backends } = invocation;
  const name = chooseName(own, invocation);
  const next: OwnDatabaseConfig = { name, keyFile: join(dirname(own.keyFile), `${name.replaceAll('/', '_')}.key`), sign: own.sign };
  const overrides = { ...configFlags, 'ownDatabase.name': next.name, 'ownDatabase.keyFile': next.keyFile };
  const { outcome } = await readInvocationConfig({ ...invocation, configFlags: overrides });
  if (!outcome.ok) return tellNameFaults(outcome.faults, invocation);
  const dryRun = flags['dry-run'] === true;
  // Run again, it says again what it said before.
  const existing = await backends.readKey(next);
  const made = existing === undefined && !dryRun ? await backends.makeKey(outcome.config, next) : undefined;
  tell({ own, next, key: made ?? existing, made: made !== undefined, dryRun }, invocation);
  return exitCodes.done;
}

function chooseName(own: OwnDatabases, { flags, messages }: Invocation): string {
  const { former } = own;
  if (former.length >= FORMER_MAX) throw new UsageError(messages.key.tooManyFormer(FORMER_MAX));
  const taken = new Set([own, ...former].map(({ name }) => name.toLowerCase()));
  const given = flags['name'];
  if (typeof given !== 'string') return nextName(own.name, taken);
  const read = parseOwnDatabaseName(given);
  if (!read.ok) throw new UsageError(`--name ${read.say(messages)}`);
  if (taken.has(given.toLowerCase())) throw new UsageError(messages.key.nameTaken(given));
  return given;
}

/** As many as the configuration takes. */
const FORMER_MAX = 8;

/** `host/sumdb` → `host/sumdb-2` → `host/sumdb-3`; `host` → `host/2`. */
function nextName(name: string, taken: ReadonlySet<string>): string {
  const numbered = /^(?<stem>[^/]+\/(?:.*[-/])?)(?<serial>[1-9]\d{0,8})$/.exec(name)?.groups;
  const stem = numbered?.['stem'] ?? (name.includes('/') ? `${name}-` : `${name}/`);
  for (let serial = Number(numbered?.['serial'] ?? 1) + 1; ; serial += 1) {
    if (!taken.has(`${stem}${serial}`.toLowerCase())) return `${stem}${serial}`;
  }
}

interface Rotation {
  readonly own: OwnDatabases;
  readonly next: OwnDatabaseConfig;
  /** Undefined in a dry run, unless it was made before. */
  readonly key: OwnKey | undefined;
  readonly made: boolean;
  readonly dryRun: boolean;
}

function tell({ own, next, key, made, dryRun }: Rotation, { terminal, messages, env }: Invocation): void {
  const { former, witnesses, ...current } = own;
  const configuration = { ownDatabase: { ...next, former: [current, ...former] } };
  const gosumdb = key === undefined ? null : formatGoSumDb(key.verifierKey);
  terminal.value({ ok: true, dryRun, made, ...next, verifierKey: key?.verifierKey ?? null, gosumdb, configuration });
  if (made) terminal.line(messages.key.made(next.keyFile));
  else terminal.line(key === undefined ? messages.key.wouldMake(next.name, next.keyFile) : messages.key.thereAlready(next.keyFile));
  terminal.line(messages.key.rotateWrite);
  terminal.line(`\n${stringify(configuration, { lineWidth: 0, aliasDuplicateObjects: false }).trimEnd()}\n`);
  const variables = ['ownDatabase.name', 'ownDatabase.keyFile', 'ownDatabase.sign'].map(variableName).filter((name) => env[name]);
  if (variables.length > 0) terminal.line(messages.key.rotateVariables(variables));
  // A witness has a key for each log, and does not know this one yet.
  if (witnesses.length > 0) terminal.line(messages.key.rotateWitnesses);
  terminal.line(messages.key.rotateClients(own.name));
  terminal.line(`\n${gosumdb ?? formatGoSumDb(`${next.name}+…`)}\n`);
  terminal.line(messages.key.rotateEnd(own.name));
}
