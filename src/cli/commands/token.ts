import { parseGrants } from '../../policy/access.ts';
import type { Token } from '../access-backends.ts';
import { type CommandSpec, type Invocation, UsageError, withConfig } from '../command.ts';
import { isName } from '../config/access.ts';
import { splitList } from '../config/overrides.ts';
import type { HubConfig } from '../config/hub-config.ts';
import { exitCodes } from '../exit-code.ts';
import { formatDay, parseDuration } from '../format.ts';

/** Prints the secret and nothing else to standard output, so that a script can take it. */
const newCommand: CommandSpec = {
  name: 'new',
  describe: (m) => m.access.help.tokenNew,
  flags: [
    { flag: '--name <name>', describe: (m) => m.access.help.tokenName, required: true },
    { flag: '--scope <grants>', describe: (m) => m.access.help.tokenScope },
    { flag: '--group <groups>', describe: (m) => m.access.help.tokenGroup },
    { flag: '--expires <duration>', describe: (m) => m.access.help.tokenExpires, required: true },
    { flag: '--dry-run', describe: (m) => m.access.help.tokenDryRun },
  ],
  configKeys: ['dataDir'],
  run: (invocation) => withConfig(invocation, (config) => makeToken(config, invocation)),
};

async function makeToken(config: HubConfig, invocation: Invocation): Promise<number> {
  const { messages, terminal, backends, flags } = invocation;
  const texts = messages.access.token;
  const request = readRequest(config, invocation);
  const { name, grants, groups, expiresAtMs } = request;
  const shown = { name, grants, groups, expires: expiresAtMs === undefined ? null : new Date(expiresAtMs).toISOString() };
  if (flags['dry-run'] === true) {
    const isTaken = (await backends.tokens(config)).some((token) => token.name === name);
    if (isTaken) return tellTaken(name, invocation);
    terminal.value({ ok: true, dryRun: true, ...shown });
    terminal.line(texts.wouldMake(name, [...grants, ...groups].join(', ')));
    return exitCodes.done;
  }
  const secret = await backends.newToken(config, request);
  if (secret === undefined) return tellTaken(name, invocation);
  terminal.value({ ok: true, dryRun: false, ...shown, token: secret });
  terminal.aside(texts.made(name));
  terminal.line(secret);
  return exitCodes.done;
}

function tellTaken(name: string, { messages, terminal }: Invocation): number {
  const message = messages.access.token.taken(name);
  terminal.value({ ok: false, error: { code: 'conflict', message } });
  terminal.aside(`goyi: ${message}`);
  return exitCodes.refused;
}

function readRequest(config: HubConfig, { flags, messages }: Invocation): Parameters<Invocation['backends']['newToken']>[1] {
  const texts = messages.access.token;
  const valueOf = (name: string): string => (typeof flags[name] === 'string' ? flags[name] : '');
  const listOf = (name: string): readonly string[] => splitList(valueOf(name)).filter((text) => text !== '');
  const [name, grants, groups] = [valueOf('name'), listOf('scope'), listOf('group')];
  if (!isName(name)) throw new UsageError(texts.badName);
  const read = parseGrants(grants);
  if (!read.ok) throw new UsageError(texts.badScope(read.reason));
  const unknown = groups.find((group) => !config.access.groups.some((known) => known.name === group));
  if (unknown !== undefined) throw new UsageError(texts.noSuchGroup(unknown));
  if (grants.length + groups.length === 0) throw new UsageError(texts.nothingGranted);
  const lifeMs = valueOf('expires') === 'never' ? Number.POSITIVE_INFINITY : parseDuration(valueOf('expires'));
  if (lifeMs === undefined) throw new UsageError(texts.badExpires);
  return { name, grants, groups, expiresAtMs: lifeMs === Number.POSITIVE_INFINITY ? undefined : Date.now() + lifeMs };
}

const listCommand: CommandSpec = {
  name: 'list',
  describe: (m) => m.access.help.tokenList,
  flags: [],
  configKeys: ['dataDir'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { messages, terminal, backends } = invocation;
      const tokens = await backends.tokens(config);
      const now = Date.now();
      terminal.value({ ok: true, tokens: tokens.map((token) => ({ ...token, state: stateOf(token, now) })) });
      if (tokens.length === 0) terminal.line(messages.access.token.none);
      for (const token of tokens) tell(token, now, invocation);
      return exitCodes.done;
    }),
};

function stateOf({ expiresAtMs, revokedAtMs }: Token, now: number): 'valid' | 'expired' | 'revoked' {
  if (revokedAtMs !== undefined) return 'revoked';
  return expiresAtMs !== undefined && expiresAtMs <= now ? 'expired' : 'valid';
}

function tell(token: Token, now: number, { messages, terminal }: Invocation): void {
  const texts = messages.access.token;
  const { name, grants, groups, expiresAtMs, lastUsedAtMs } = token;
  const facts = [
    texts[stateOf(token, now)],
    [...grants, ...groups.map((group) => `--group ${group}`)].join(' '),
    expiresAtMs === undefined ? texts.never : texts.until(formatDay(expiresAtMs)),
    lastUsedAtMs === undefined ? texts.unused : texts.lastUsed(formatDay(lastUsedAtMs)),
  ];
  terminal.line(`${name}  ${facts.join('  ')}`);
}

const revokeCommand: CommandSpec = {
  name: 'revoke',
  describe: (m) => m.access.help.tokenRevoke,
  argument: { name: 'name', describe: (m) => m.access.help.tokenRevokeName },
  flags: [{ flag: '--dry-run', describe: (m) => m.access.help.tokenDryRun }],
  configKeys: ['dataDir'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { messages, terminal, backends, argument: name = '', flags } = invocation;
      const texts = messages.access.token;
      const dryRun = flags['dry-run'] === true;
      const found = dryRun ? await wouldRevoke(config, name, invocation) : await backends.revokeToken(config, name);
      terminal.value({ ok: found !== 'absent', dryRun, name, found });
      if (found === 'absent') {
        terminal.aside(`goyi: ${texts.absent(name)}`);
        return exitCodes.absent;
      }
      terminal.line(found === 'already' ? texts.already(name) : dryRun ? texts.wouldRevoke(name) : texts.revokedNow(name));
      return exitCodes.done;
    }),
};

async function wouldRevoke(config: HubConfig, name: string, { backends }: Invocation): Promise<'revoked' | 'already' | 'absent'> {
  const token = (await backends.tokens(config)).find((one) => one.name === name);
  if (token === undefined) return 'absent';
  return token.revokedAtMs === undefined ? 'revoked' : 'already';
}

export const tokenCommand: CommandSpec = {
  name: 'token',
  describe: (m) => m.access.help.token,
  flags: [],
  configKeys: [],
  commands: [newCommand, listCommand, revokeCommand],
};
