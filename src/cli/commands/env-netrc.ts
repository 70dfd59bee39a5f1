import { CLIENT_SETTINGS_PATH } from '../../api/client-settings.ts';
import { HubError, messageOf } from '../../base/errors.ts';
import { isNetrcToken, namesMachine, netrcEntry, netrcMachine, withNetrcEntry, withoutNetrcEntry } from '../../scaffold/netrc.ts';
import { askSecret } from '../ask-secret.ts';
import { type Invocation, UsageError } from '../command.ts';
import { TOKEN_VARIABLE } from '../config/overrides.ts';
import type { GoSettings } from '../go-settings.ts';
import { type NetrcContent, netrcPath, type NetrcRecord, NetrcUndo, readNetrc, removeNetrc, writeNetrc } from '../netrc-file.ts';

const limits = { firstByteMs: 30_000, idleMs: 30_000 };
/** Read by its group or by everybody. */
const OTHERS_READ = 0o044;

/** What is to be written into somebody's netrc file. */
export interface NetrcPlan {
  readonly path: string;
  readonly machine: string;
  /** Undefined: it is there just so. */
  readonly write: NetrcContent | undefined;
  readonly record: NetrcRecord;
  /** Of a file that others can read. */
  readonly openMode: string | undefined;
  /** What the hub says of the token; `none`: there is none in this dry run. */
  readonly token: 'taken' | 'unknown' | 'none';
}

/**
 * Everything that can be wrong is found before anything is changed.
 * @throws {UsageError} no https, no token
 * @throws {HubError} conflict when the hub refuses the token, or the file has another entry for it; storage-fault
 */
export async function planNetrc(
  { hub, address, goVersion }: { readonly hub: URL; readonly address: string; readonly goVersion: string },
  invocation: Invocation,
): Promise<NetrcPlan> {
  const { env, flags, messages } = invocation;
  // An answer that came over plain http could name an address of somebody else's, who would get the token.
  const insecure = [hub.href, address].find((url) => !url.startsWith('https:'));
  if (insecure !== undefined) throw new UsageError(messages.env.netrc.noHttps(insecure));
  const path = await netrcPath(env, goVersion);
  const machine = netrcMachine(address, goVersion);
  const before = await readNetrc(path);
  const rest = withoutNetrcEntry(before?.text ?? '');
  if (!rest.ok) throw new HubError('conflict', messages.env.netrc.damaged(path));
  if (namesMachine(rest.value, machine)) throw new HubError('conflict', messages.env.netrc.elsewhere(path, machine));
  const token = await tokenAsked(address, invocation, flags['dry-run'] === true);
  const told = token === undefined ? 'none' : await tryToken(token, address, invocation);
  const after = withNetrcEntry(rest.value, netrcEntry(machine, token ?? ''));
  if (!after.ok) throw new HubError('conflict', messages.env.netrc.damaged(path));
  const openMode = before !== undefined && (before.mode & OTHERS_READ) !== 0 ? before.mode.toString(8).padStart(3, '0') : undefined;
  const write = { text: after.value, mode: openMode === undefined ? (before?.mode ?? 0o600) : 0o600 };
  return {
    path,
    machine,
    write: before?.text === write.text && openMode === undefined ? undefined : write,
    record: { path, how: before === undefined ? 'made' : (openMode ?? 'kept') },
    openMode,
    token: told,
  };
}

/** @throws {HubError} storage-fault */
export async function applyNetrc({ path, record, write }: NetrcPlan, { env }: Invocation): Promise<void> {
  if (write === undefined) return;
  await new NetrcUndo(env).remember(record);
  await writeNetrc(path, write);
}

export function netrcValue({ path, machine, write, openMode, token }: NetrcPlan): unknown {
  return { file: path, machine, changed: write !== undefined, modeBefore: openMode ?? null, token };
}

export function tellNetrc({ path, machine, write, openMode }: NetrcPlan, { messages, terminal }: Invocation): void {
  if (write === undefined) return;
  terminal.line(`  ${messages.env.netrc.entry(path, netrcEntry(machine, '…'))}`);
  if (openMode !== undefined) terminal.line(`    ${messages.env.netrc.wasOpen(openMode)}`);
}

/** An entry that nobody reads would be of no use: whether GOAUTH has netrc in it. */
export async function tellUnread(
  kept: GoSettings,
  wished: string | undefined,
  { path }: NetrcPlan,
  invocation: Invocation,
): Promise<boolean> {
  const { env, messages, terminal } = invocation;
  const value = wished ?? (env['GOAUTH'] || (await kept.written('GOAUTH')) || 'netrc');
  if (value.split(';').some((part) => part.trim() === 'netrc')) return false;
  terminal.aside(messages.env.netrc.unread(value, path));
  return true;
}

/** @throws {UsageError} */
async function tokenAsked(address: string, { env, messages, signal }: Invocation, dryRun: boolean): Promise<string | undefined> {
  const given = env[TOKEN_VARIABLE] || undefined;
  if (given === undefined && dryRun) return undefined;
  const token = given ?? (await askSecret(messages.env.netrc.ask(address), signal));
  if (token === undefined) throw new UsageError(messages.env.netrc.tokenNeeded);
  if (!isNetrcToken(token)) throw new UsageError(messages.env.netrc.noToken);
  return token;
}

/** Whoever asks for these settings needs no token, but a wrong one is refused. @throws {HubError} conflict */
async function tryToken(token: string, address: string, { messages, terminal, signal }: Invocation): Promise<'taken' | 'unknown'> {
  const { callHub } = await import('../../net/hub-call.ts');
  const call = {
    url: new URL(`${address}${CLIENT_SETTINGS_PATH}`),
    method: 'GET',
    contentType: '',
    body: new Uint8Array(),
    token,
  } as const;
  let answer = '';
  try {
    await using reply = await callHub({ ...call, ...limits }, signal);
    if (reply.status === 200) return 'taken';
    answer = String(reply.status);
  } catch (error) {
    signal.throwIfAborted();
    answer = messageOf(error);
  }
  if (answer === '401') throw new HubError('conflict', messages.env.netrc.wrong);
  terminal.aside(messages.env.netrc.untold(answer));
  return 'unknown';
}

/** What became of a file that had a block. */
export interface NetrcUndone {
  readonly path: string;
  readonly kind: 'removed' | 'damaged';
}

/** What cannot be taken out is told, and stays remembered. @throws {HubError} storage-fault */
export async function undoNetrc({ env, flags }: Invocation): Promise<readonly NetrcUndone[]> {
  const undo = new NetrcUndo(env);
  const undone: NetrcUndone[] = [];
  for (const { how, path } of await undo.records()) {
    const before = await readNetrc(path);
    if (before === undefined) continue;
    const rest = withoutNetrcEntry(before.text);
    if (rest.ok && rest.value === before.text) continue;
    undone.push({ path, kind: rest.ok ? 'removed' : 'damaged' });
    if (!rest.ok || flags['dry-run'] === true) continue;
    const isAsLeft = /^\d/.test(how) && before.mode === 0o600;
    await writeNetrc(path, { text: rest.value, mode: isAsLeft ? Number.parseInt(how, 8) : before.mode });
    if (how === 'made' && rest.value === '') await removeNetrc(path);
  }
  if (flags['dry-run'] !== true && !undone.some(({ kind }) => kind === 'damaged')) await undo.forget();
  return undone;
}
