import { HubError } from '../../base/errors.ts';
import { withoutCredentials } from '../../base/log.ts';
import { formatVariables, printTargets } from '../../scaffold/print-variables.ts';
import { type CommandSpec, type Invocation, UsageError } from '../command.ts';
import { exitCodes } from '../exit-code.ts';
import { type Profile, profilesOf, removeBlock, writeBlock } from '../profile-blocks.ts';
import { placesThatSet } from '../shadowed.ts';
import { dockerClientConfig, planProxy, type ProxyPlan, proxyVariables } from '../proxy-plan.ts';
import { printTargetOf } from './env-print.ts';

export const envProxyCommand: CommandSpec = {
  name: 'proxy',
  describe: (m) => m.env.help.envProxy,
  footer: (m) => m.env.help.envProxyFooter,
  flags: [
    { flag: '--http <url>', describe: (m) => m.env.help.http },
    { flag: '--https <url>', describe: (m) => m.env.help.https },
    { flag: '--direct <list>', describe: (m) => m.env.help.noProxyFor },
    { flag: '--dry-run', describe: (m) => m.env.help.dryRun },
    { flag: '--undo', describe: (m) => m.env.help.undoProxy },
    { flag: '--print', describe: (m) => m.env.help.print },
    { flag: '--for <place>', describe: (m) => m.env.help.for(printTargets) },
  ],
  configKeys: [],
  run: async (invocation) => {
    const { flags, messages } = invocation;
    if (flags['print'] !== true && flags['for'] !== undefined) throw new UsageError(messages.env.forWithoutPrint);
    if (flags['undo'] === true) return undo(invocation);
    if (flags['print'] === true) printTargetOf(invocation);
    const plan = planProxy(await proxyAsked(invocation));
    if (!plan.ok) throw new UsageError(plan.reason);
    return flags['print'] === true ? print(plan.value, invocation) : set(plan.value, invocation);
  },
};

/** From the flags, or else from whoever sits there. @throws {UsageError} */
async function proxyAsked(invocation: Invocation): Promise<{ http: string; https: string; inner: string }> {
  const { flags, isTerminal, messages, terminal, openStdin, signal } = invocation;
  const flag = (name: string): string | undefined => (typeof flags[name] === 'string' ? flags[name] : undefined);
  const given = flag('http') ?? flag('https');
  if (given !== undefined) return { http: flag('http') ?? given, https: flag('https') ?? given, inner: flag('direct') ?? '' };
  if (!isTerminal) throw new UsageError(messages.env.proxyNeeded);
  const lines = linesOf(openStdin(signal));
  const ask = async (question: string): Promise<string> => {
    terminal.aside(question);
    return (await lines.next()).value?.trim() ?? '';
  };
  try {
    const proxy = await ask(messages.env.askProxy);
    if (proxy === '') throw new UsageError(messages.env.proxyNeeded);
    return { http: proxy, https: proxy, inner: flag('direct') ?? (await ask(messages.env.askInner)) };
  } finally {
    // Who goes on reading keeps the process alive.
    await lines.return(undefined);
  }
}

const ANSWER_LENGTH_MAX = 10_000;

async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of input) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > ANSWER_LENGTH_MAX) throw new UsageError(`an answer is longer than ${ANSWER_LENGTH_MAX} characters`);
    yield* lines;
  }
  if (rest !== '') yield rest;
  return undefined;
}

function print(plan: ProxyPlan, invocation: Invocation): number {
  const { terminal, messages } = invocation;
  const target = printTargetOf(invocation);
  const variables = proxyVariables(plan, target);
  const text = target === 'docker' ? ({ ok: true, value: dockerClientConfig(plan) } as const) : formatVariables(target, variables);
  if (!text.ok) throw new HubError('config-invalid', text.reason);
  terminal.value({ ok: true, for: target, variables, notes: plan.notes, text: text.value });
  tellNotes(plan, invocation);
  if (target === 'docker') terminal.aside(messages.env.dockerPlaces);
  terminal.line(text.value.trimEnd());
  return exitCodes.done;
}

async function set(plan: ProxyPlan, invocation: Invocation): Promise<number> {
  const { terminal, messages, env, flags } = invocation;
  if (process.platform === 'win32') throw new UsageError(messages.env.proxyOnWindows);
  const dryRun = flags['dry-run'] === true;
  const changed: string[] = [];
  const profiles = await profilesOf(env);
  for (const profile of profiles) if (await writeBlock(profile, bodyFor(profile, plan), { dryRun })) changed.push(profile.path);
  const shown = proxyVariables(plan, 'bash').map(({ name, value }) => ({ name, value: withoutCredentials(value) }));
  terminal.value({ ok: true, dryRun, variables: shown, notes: plan.notes, files: profiles.map(({ path }) => path), changed });
  if (dryRun) terminal.line(messages.env.dry);
  for (const { name, value } of shown) terminal.line(`  ${name}=${value}`);
  for (const path of changed) terminal.line(messages.env.blockIn(path));
  terminal.line(changed.length === 0 ? messages.env.nothingToDo : dryRun ? messages.env.wouldChange : messages.env.proxyDone);
  tellNotes(plan, invocation);
  if (!dryRun) await tellOthers(plan, profiles, invocation);
  for (const sentence of messages.env.perProgram) terminal.aside(`  ${sentence}`);
  return exitCodes.done;
}

/** Lines that are none of ours and set the same variables: whichever is read last counts. */
async function tellOthers(plan: ProxyPlan, profiles: readonly Profile[], { terminal, messages, env }: Invocation): Promise<void> {
  const ours = new Set(profiles.flatMap((profile) => bodyFor(profile, plan).trimEnd().split('\n')));
  for (const { name } of proxyVariables(plan, 'bash'))
    for (const { file, line, text } of await placesThatSet(name, env))
      if (!ours.has(text)) terminal.aside(messages.env.setElsewhere(name, `${file}:${line}`));
}

/** @throws {HubError} config-invalid */
function bodyFor({ shell }: Profile, plan: ProxyPlan): string {
  const text = formatVariables(shell, proxyVariables(plan, shell));
  if (!text.ok) throw new HubError('config-invalid', text.reason);
  return text.value;
}

function tellNotes({ http, https, notes }: ProxyPlan, { terminal, messages }: Invocation): void {
  for (const { entry, kind, to } of notes) terminal.aside(messages.env.entryNote[kind](entry, to));
  const schemes = [http, https].map((address) => address.slice(0, address.indexOf(':')).toLowerCase());
  if (schemes.includes('https')) terminal.aside(messages.env.tlsToProxy);
  if (schemes.some((scheme) => scheme.startsWith('socks'))) terminal.aside(messages.env.socks);
  if ([http, https].some((address) => address.includes('@'))) terminal.aside(messages.env.passwordInFiles);
}

async function undo({ terminal, messages, env, flags }: Invocation): Promise<number> {
  const dryRun = flags['dry-run'] === true;
  const changed: string[] = [];
  for (const profile of await profilesOf(env)) if (await removeBlock(profile, { dryRun })) changed.push(profile.path);
  terminal.value({ ok: true, dryRun, changed });
  if (dryRun) terminal.line(messages.env.dry);
  for (const path of changed) terminal.line(`  ${path}`);
  terminal.line(changed.length === 0 ? messages.env.nothingToPutBack : dryRun ? messages.env.wouldPutBack : messages.env.putBack);
  return exitCodes.done;
}
