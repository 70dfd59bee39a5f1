import { formatGoSumDb, ownDatabaseAnswer, ownDatabaseUrl } from '../../api/checksum-database.ts';
import type { OwnKey } from '../backends.ts';
import { type CommandSpec, type Invocation, readInvocationConfig, UsageError, withConfig } from '../command.ts';
import type { HubConfig } from '../config/hub-config.ts';
import { parseOwnDatabaseName } from '../config/parse-values.ts';
import { exitCodes } from '../exit-code.ts';
import { listeningAt } from '../hub-address.ts';
import { rotateCommand } from './key-rotate.ts';
import { tellNameFaults, tellNoKey } from './key-refusals.ts';

/** Prints the one line that clients set; so that scripts can take it, nothing else goes to standard output. */
const showCommand: CommandSpec = {
  name: 'show',
  describe: (m) => m.help.keyShow,
  flags: [{ flag: '--url', describe: (m) => m.help.keyUrl }],
  configKeys: ['listen', 'publicUrl', 'dataDir', 'ownDatabase.name', 'ownDatabase.keyFile'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { flags, terminal, backends, messages } = invocation;
      const { ownDatabase } = config;
      if (ownDatabase === undefined) return tellNoKey(messages.key.notConfigured, invocation);
      const address = addressOf(config);
      if (flags['url'] === true && address === undefined) throw new UsageError(messages.key.needsPublicUrl);
      const key = await backends.readKey(ownDatabase);
      if (key === undefined) return tellNoKey(messages.key.none(ownDatabase.name, ownDatabase.keyFile), invocation);
      if (terminal.json) terminal.value({ ok: true, keyFile: key.keyFile, ...(await answerOf(ownDatabase, key, address, invocation)) });
      const url = flags['url'] === true && address !== undefined ? ownDatabaseUrl(address, key.name) : undefined;
      terminal.line(formatGoSumDb(key.verifierKey, url));
      return exitCodes.done;
    }),
};

/** In the same words as the API. Former keys that are gone are left out: a running hub would not have started without them. */
async function answerOf(
  { sign, former }: NonNullable<HubConfig['ownDatabase']>,
  { name, verifierKey }: OwnKey,
  address: string | undefined,
  { backends }: Invocation,
): Promise<Readonly<Record<string, unknown>>> {
  const others = await Promise.all(
    former.map(async (place) => {
      const key = await backends.readKey(place);
      return key === undefined ? [] : [{ name: key.name, verifierKey: key.verifierKey, sign: place.sign }];
    }),
  );
  const answer = ownDatabaseAnswer({ name, verifierKey, sign, former: others.flat() }, address ?? '');
  return { ...answer, gosumdbWithUrl: address === undefined ? null : answer.gosumdbWithUrl };
}

/** Where clients reach the hub, as far as the configuration says it. */
function addressOf(config: HubConfig): string | undefined {
  if (config.publicUrl !== undefined) return config.publicUrl;
  const { loopback, port } = config.listen;
  return loopback && port !== 0 ? listeningAt(config).origin : undefined;
}

const newCommand: CommandSpec = {
  name: 'new',
  describe: (m) => m.help.keyNew,
  footer: (m) => m.help.keyNewFooter,
  flags: [
    { flag: '--name <name>', describe: (m) => m.help.keyName },
    { flag: '--dry-run', describe: (m) => m.help.keyDryRun },
  ],
  configKeys: ['dataDir', 'ownDatabase.name', 'ownDatabase.keyFile'],
  run: async (invocation) => {
    const { flags, configFlags, messages } = invocation;
    const name = typeof flags['name'] === 'string' ? flags['name'] : undefined;
    if (name === undefined) return withConfig(invocation, (config) => makeKey(config, true, invocation));
    const read = parseOwnDatabaseName(name);
    if (!read.ok) throw new UsageError(`--name ${read.say(messages)}`);
    const { outcome } = await readInvocationConfig(invocation);
    const configured = outcome.ok ? outcome.config.ownDatabase?.name : undefined;
    if (configured !== undefined && configured !== name) throw new UsageError(messages.key.otherName(configured));
    const named = await readInvocationConfig({ ...invocation, configFlags: { ...configFlags, 'ownDatabase.name': name } });
    if (!named.outcome.ok) return tellNameFaults(named.outcome.faults, invocation);
    return makeKey(named.outcome.config, configured !== undefined, invocation);
  },
};

async function makeKey(config: HubConfig, isConfigured: boolean, { flags, terminal, backends, messages }: Invocation): Promise<number> {
  const place = config.ownDatabase;
  if (place === undefined) throw new UsageError(messages.key.nameNeeded);
  const dryRun = flags['dry-run'] === true;
  const { name, keyFile } = place;
  const existing = await backends.readKey(place);
  const made = existing === undefined && !dryRun ? await backends.makeKey(config, place) : undefined;
  if (existing !== undefined || (made === undefined && !dryRun)) {
    const message = messages.key.exists(keyFile);
    terminal.value({ ok: false, error: { code: 'config-invalid', message } });
    terminal.aside(`goyi: ${message}`);
    return exitCodes.attention;
  }
  const verifierKey = made?.verifierKey ?? null;
  const gosumdb = made === undefined ? null : formatGoSumDb(made.verifierKey);
  terminal.value({ ok: true, dryRun, made: made !== undefined, name, keyFile, verifierKey, gosumdb });
  if (made === undefined) {
    terminal.line(messages.key.wouldMake(name, keyFile));
    return exitCodes.done;
  }
  terminal.line(formatGoSumDb(made.verifierKey));
  terminal.aside(messages.key.made(keyFile));
  if (!isConfigured) terminal.aside(messages.key.toConfigure(`ownDatabase: {name: ${name}}`));
  return exitCodes.done;
}

export const keyCommand: CommandSpec = {
  name: 'key',
  describe: (m) => m.help.key,
  flags: [],
  configKeys: [],
  commands: [showCommand, newCommand, rotateCommand],
};
