/**
 * Asks a server for the references of a repository.
 *
 * Over http git takes almost any 200 for a server of its old protocol, which has no beginning that could be told from something else: a login page of
 * one line reads as a repository without references. That is an absence made of a fault, so an empty answer counts only when the smart protocol was spoken.
 */
import { HubError } from '../../base/errors.ts';
import { withoutCredentials } from '../../base/log.ts';
import type { Urgency } from '../../base/gate.ts';
import type { GitCommand, GitResult } from './git-command.ts';
import { type GitRemote, accessTo, faultOf, remoteError } from './git-remote.ts';
import { type Refs, parseRefs } from './refs.ts';

export interface ListTools {
  readonly git: GitCommand;
  readonly knownHostsFile: string;
  readonly timeoutMs: number;
  readonly urgency: Urgency;
}

export type Listing =
  | { readonly kind: 'found'; readonly refs: Refs }
  | { readonly kind: 'absent' | 'refused' | 'unclear' | 'trouble'; readonly error: HubError };

const REFS_BYTES_MAX: number = 64 * 1024 * 1024;

/** @throws {HubError} origin-timeout, origin-unavailable, upstream-invalid, overloaded, or the signal's reason */
export async function listRemote(tools: ListTools, remote: GitRemote, signal: AbortSignal): Promise<Listing> {
  const result = await askRemote(tools, remote, {}, signal);
  if (result.code !== 0) return { kind: faultOf(remote, result), error: remoteError(remote, result) };
  const refs = parseRefs(result.stdout.toString('utf8'));
  if (refs.text.trim() !== '' || !remote.url.startsWith('http')) return { kind: 'found', refs };
  const again = await askRemote(tools, remote, { GIT_TRACE_PACKET: '1' }, signal);
  if (again.code === 0 && /packet: .*(?:# service=git-upload-pack|version [12])/.test(again.stderr)) return { kind: 'found', refs };
  return { kind: 'unclear', error: new HubError('upstream-invalid', `what answers is no Git server at ${withoutCredentials(remote.url)}`) };
}

async function askRemote(
  tools: ListTools,
  remote: GitRemote,
  trace: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<GitResult> {
  const { git, knownHostsFile, timeoutMs, urgency } = tools;
  const { settings, environment } = await accessTo(remote, knownHostsFile, signal);
  const args = ['ls-remote', '-q', '--end-of-options', remote.url];
  const server = new URL(remote.url).host;
  const variables = { ...environment, ...trace };
  const run = { args, kind: 'network', server, urgency, outputBytesMax: REFS_BYTES_MAX, timeoutMs, environment: variables } as const;
  return git.run(settings === undefined ? run : { ...run, settings }, signal);
}
