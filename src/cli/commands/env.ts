import { type CommandSpec, type Invocation, UsageError, withConfig } from '../command.ts';
import { askClientFacts, hubAsked } from '../client-facts.ts';
import { exitCodes } from '../exit-code.ts';
import { GoSettings, UndoFile } from '../go-settings.ts';
import { listeningAt } from '../hub-address.ts';
import { placesThatSet, type SetPlace } from '../shadowed.ts';
import {
  type ClientProfile,
  clientProfiles,
  type ClientSetting,
  clientSettings,
  type ClientWishes,
} from '../../scaffold/client-settings.ts';
import { formatVariables, type PrintTarget, printTargets } from '../../scaffold/print-variables.ts';
import { HubError } from '../../base/errors.ts';

import { applyNetrc, netrcValue, planNetrc, tellNetrc, tellUnread, undoNetrc } from './env-netrc.ts';
import { printTargetOf } from './env-print.ts';
import { envProxyCommand } from './env-proxy.ts';
import { envWhyCommand } from './env-why.ts';

export const envCommand: CommandSpec = {
  name: 'env',
  describe: (m) => m.env.help.env,
  footer: (m) => m.env.help.envFooter,
  flags: [
    { flag: '--hub <url>', describe: (m) => m.env.help.hub },
    { flag: '--profile <name>', describe: (m) => m.env.help.profile },
    { flag: '--toolchain <value>', describe: (m) => m.env.help.toolchain },
    { flag: '--goflags <value>', describe: (m) => m.env.help.goflags },
    { flag: '--goauth <value>', describe: (m) => m.env.help.goauth },
    { flag: '--netrc', describe: (m) => m.env.help.netrc },
    { flag: '--dry-run', describe: (m) => m.env.help.dryRun },
    { flag: '--undo', describe: (m) => m.env.help.undo },
    { flag: '--print', describe: (m) => m.env.help.print },
    { flag: '--for <place>', describe: (m) => m.env.help.for(printTargets) },
  ],
  configKeys: [],
  commands: [envProxyCommand, envWhyCommand],
  run: async (invocation) => {
    const { flags, messages } = invocation;
    if (flags['undo'] === true) return putBack(invocation);
    const wishes = wishesOf(invocation);
    if (flags['print'] !== true && flags['for'] !== undefined) throw new UsageError(messages.env.forWithoutPrint);
    if (flags['print'] === true && flags['netrc'] === true) throw new UsageError(messages.env.netrc.withPrint);
    const target = flags['print'] === true ? printTargetOf(invocation) : undefined;
    const go = async (hub: URL): Promise<number> => {
      const facts = await askClientFacts(hub, invocation);
      const settings = clientSettings(facts, wishes);
      return target === undefined
        ? setUp({ hub, address: facts.address, settings, wishes }, invocation)
        : printFor(target, settings, invocation);
    };
    const hub = hubAsked(invocation);
    return hub === undefined ? withConfig(invocation, (config) => go(listeningAt(config))) : go(hub);
  },
};

/** @throws {UsageError} */
function wishesOf({ flags, messages }: Invocation): ClientWishes {
  const text = (flag: string): string | undefined => {
    const value = flags[flag];
    if (typeof value !== 'string') return undefined;
    if (!/^[\x20-\x7e]{1,1000}$/.test(value)) throw new UsageError(messages.env.oddValue(`--${flag}`));
    return value;
  };
  const profile = text('profile');
  const known = clientProfiles.find((name): name is ClientProfile => name === profile);
  if (profile !== undefined && known === undefined) throw new UsageError(messages.env.unknownProfile(profile, clientProfiles));
  return { profile: known, toolchain: text('toolchain'), flags: text('goflags'), auth: text('goauth') };
}

function printFor(target: PrintTarget, settings: readonly ClientSetting[], { terminal }: Invocation): number {
  const text = formatVariables(target, settings);
  if (!text.ok) throw new HubError('config-invalid', text.reason);
  terminal.value({ ok: true, for: target, settings: settings.map(({ name, value }) => ({ name, value })), text: text.value });
  terminal.line(text.value.trimEnd());
  return exitCodes.done;
}

interface Change {
  readonly setting: ClientSetting;
  readonly before: string | undefined;
}

interface Shadow {
  readonly name: string;
  readonly value: string;
  readonly places: readonly SetPlace[];
}

interface SetUp {
  readonly hub: URL;
  /** Of the hub, as its clients are to write it. */
  readonly address: string;
  readonly settings: readonly ClientSetting[];
  readonly wishes: ClientWishes;
}

async function setUp({ hub, address, settings, wishes }: SetUp, invocation: Invocation): Promise<number> {
  const { messages, terminal, flags, env } = invocation;
  const dryRun = flags['dry-run'] === true;
  const kept = await findSettings(invocation);
  const netrc = flags['netrc'] === true ? await planNetrc({ hub, address, goVersion: kept.version }, invocation) : undefined;
  if (netrc !== undefined && !dryRun) await applyNetrc(netrc, invocation);
  const undo = new UndoFile(env);
  const changes: Change[] = [];
  for (const setting of settings) {
    const before = await kept.written(setting.name);
    if (before === setting.value) continue;
    changes.push({ setting, before });
    if (dryRun) continue;
    await undo.remember(setting.name, before);
    await kept.write(setting.name, setting.value);
  }
  const shadows = await shadowsOf(settings, env);
  const language = messages.env.language;
  terminal.value({
    ok: shadows.length === 0,
    dryRun,
    go: kept.version,
    file: kept.file,
    undoFile: undo.path,
    changes: changes.map(({ setting: { name, value, why }, before }) => ({ name, value, before: before ?? null, why: why[language] })),
    shadowed: shadows,
    netrc: netrc === undefined ? null : netrcValue(netrc),
  });
  if (dryRun) terminal.line(messages.env.dry);
  terminal.line(messages.env.writtenTo(kept.version, kept.file));
  if (netrc !== undefined) tellNetrc(netrc, invocation);
  for (const { setting, before } of changes) {
    terminal.line(`  ${setting.name}=${setting.value}`);
    terminal.line(`    ${setting.why[language]}`);
    if (before !== undefined) terminal.line(`    ${messages.env.before(before)}`);
  }
  if (changes.length === 0 && netrc?.write === undefined) terminal.line(messages.env.nothingToDo);
  else if (!dryRun) terminal.line(messages.env.done);
  if (isLoopback(settings)) terminal.aside(messages.env.ownMachine);
  for (const shadow of shadows) tellShadow(shadow, invocation);
  const isUnread = netrc !== undefined && (await tellUnread(kept, wishes.auth, netrc, invocation));
  return shadows.length === 0 && !isUnread ? exitCodes.done : exitCodes.attention;
}

function isLoopback(settings: readonly ClientSetting[]): boolean {
  const address = settings.find(({ name }) => name === 'GOPROXY')?.value ?? '';
  return /^https?:\/\/(?:127\.|localhost[:/]|localhost$|\[::1\])/.test(address);
}

/** A variable of the environment goes before what `go env -w` has written. */
async function shadowsOf(settings: readonly ClientSetting[], env: Invocation['env']): Promise<readonly Shadow[]> {
  const shadows: Shadow[] = [];
  for (const { name, value } of settings) {
    const shadowing = env[name] ?? '';
    if (shadowing !== '' && shadowing !== value) shadows.push({ name, value: shadowing, places: await placesThatSet(name, env) });
  }
  return shadows;
}

function tellShadow({ name, value, places }: Shadow, { messages, terminal }: Invocation): void {
  terminal.aside(messages.env.shadowed(name, value));
  for (const { file, line, text } of places) terminal.aside(`    ${file}:${line}: ${text}`);
  if (places.length === 0)
    terminal.aside(`    ${process.platform === 'win32' ? messages.env.shadowOnWindows(name) : messages.env.shadowElsewhere}`);
}

async function putBack(invocation: Invocation): Promise<number> {
  const { messages, terminal, flags, env } = invocation;
  const undo = new UndoFile(env);
  const lines = await undo.lines();
  const dryRun = flags['dry-run'] === true;
  const netrc = await undoNetrc(invocation);
  const damaged = netrc.filter(({ kind }) => kind === 'damaged');
  if (lines.length > 0 && !dryRun) await undo.putBack(await findSettings(invocation));
  terminal.value({
    ok: damaged.length === 0,
    dryRun,
    undoFile: undo.path,
    putBack: lines,
    netrc: netrc.map(({ path, kind }) => ({ file: path, removed: kind === 'removed' })),
  });
  if (dryRun) terminal.line(messages.env.dry);
  for (const { path, kind } of netrc) if (kind === 'removed') terminal.line(`  ${messages.env.netrc.takenOut(path)}`);
  for (const line of lines) terminal.line(`  ${line.startsWith('-') ? messages.env.notSet(line.slice(1)) : line}`);
  for (const { path } of damaged) terminal.aside(messages.env.netrc.damaged(path));
  const isNothing = lines.length === 0 && netrc.length === 0;
  if (damaged.length > 0) return exitCodes.refused;
  terminal.line(isNothing ? messages.env.nothingToPutBack : dryRun ? messages.env.wouldPutBack : messages.env.putBack);
  return exitCodes.done;
}

/** @throws {HubError} not-found when there is no go command */
async function findSettings({ env, messages }: Invocation): Promise<GoSettings> {
  const found = await GoSettings.find(env);
  if (found === undefined) throw new HubError('not-found', messages.env.noGo);
  return found;
}
