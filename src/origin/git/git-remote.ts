/**
 * A repository on a server: what git needs to be let in, and what its complaints mean.
 *
 * A password reaches git through a credential helper that reads it from git's own environment, and git asks that helper for the configured host
 * only. A key file is used by ssh alone, without agent, configuration or prompt. Neither stands in arguments, addresses, logs or errors.
 */
import { isIP } from 'node:net';
import { type ErrorCode, HubError } from '../../base/errors.ts';
import { withoutCredentials } from '../../base/log.ts';
import { hostOf, portOf } from '../../net/address-guard.ts';
import type { PinnedRoutes } from '../../net/pinned-routes.ts';
import { type GitResult, type GitRun, firstLine } from './git-command.ts';

export type GitCredential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  | {
      readonly kind: 'sshKey';
      /** The private key: readable by the hub's user alone, without a passphrase. */
      readonly file: string;
      /** Host keys that are accepted, and no others. Without it the first key that a host shows is kept beside the mirrors and required from then on. */
      readonly knownHostsFile?: string | undefined;
    };

export interface GitRemote {
  /** https, ssh, or http where it is so written; without credentials. */
  readonly url: string;
  readonly credential: GitCredential | undefined;
  /** Of a public repository, whose address nobody configured: git connects where these let it, and nowhere else. */
  readonly routes?: PinnedRoutes | undefined;
}

/**
 * Fit for `run`: settings and environment with which git reaches the remote and nothing else. `knownHostsFile` is where first-seen host keys go.
 * @throws {HubError} origin-unavailable when a public repository's host is not to be reached; the signal's reason
 */
export async function accessTo(
  remote: GitRemote,
  knownHostsFile: string,
  signal: AbortSignal,
): Promise<Pick<GitRun, 'settings' | 'environment'>> {
  const { protocol, origin } = new URL(remote.url);
  const scheme = protocol.slice(0, -1);
  if (remote.routes !== undefined) return pinnedAccess(new URL(remote.url), remote.routes, signal);
  const settings: (readonly [string, string])[] = [[`protocol.${scheme}.allow`, 'always']];
  const allow = { GIT_ALLOW_PROTOCOL: scheme };
  if (scheme === 'ssh') return { settings, environment: { ...allow, ...sshEnvironment(remote.credential, knownHostsFile) } };
  if (remote.credential?.kind !== 'password') return { settings, environment: allow };
  settings.push([`credential.${origin}.helper`, HELPER]);
  // Newer gits then send it at once and save a round trip; older ones do not know the setting.
  settings.push(['http.proactiveAuth', 'basic']);
  const { username, password } = remote.credential;
  return { settings, environment: { ...allow, GOYI_GIT_USERNAME: username, GOYI_GIT_PASSWORD: password } };
}

/** The machine's own proxy variables are of no account: git reads NO_PROXY by other rules, and would go directly where the guard counted on the proxy. */
async function pinnedAccess(url: URL, routes: PinnedRoutes, signal: AbortSignal): Promise<Pick<GitRun, 'settings' | 'environment'>> {
  if (url.protocol !== 'https:')
    throw new HubError('not-found', `public repositories are read by https alone: ${withoutCredentials(url.href)}`);
  const route = await routes.of(url, signal);
  const settings: (readonly [string, string])[] = [['protocol.https.allow', 'always']];
  if (route.kind === 'proxy') settings.push(['http.proxy', route.proxy.href]);
  else if (isIP(hostOf(url)) !== 0) settings.push(['http.proxy', '']);
  else {
    const addresses = route.addresses.map(({ address, family }) => (family === 6 ? `[${address}]` : address));
    settings.push(['http.proxy', ''], ['http.curloptResolve', `${hostOf(url)}:${portOf(url)}:${addresses.join(',')}`]);
  }
  return { settings, environment: { GIT_ALLOW_PROTOCOL: 'https', NO_PROXY: '', no_proxy: '' } };
}

/** `printf` is built into the shell, so that the password is nobody's argument. */
const HELPER = `!f() { test "$1" = get && printf 'username=%s\\npassword=%s\\n' "$GOYI_GIT_USERNAME" "$GOYI_GIT_PASSWORD"; }; f`;

function sshEnvironment(credential: GitCredential | undefined, knownHostsFile: string): Record<string, string> {
  const key = credential?.kind === 'sshKey' ? credential : undefined;
  const options = [
    'BatchMode=yes',
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    'PasswordAuthentication=no',
    'KbdInteractiveAuthentication=no',
    'ForwardAgent=no',
    'ForwardX11=no',
    'ClearAllForwardings=yes',
    'PermitLocalCommand=no',
    'ControlMaster=no',
    'ControlPath=none',
    'UpdateHostKeys=no',
    'ConnectTimeout=20',
    'ServerAliveInterval=15',
    'GlobalKnownHostsFile=none',
    `UserKnownHostsFile="${key?.knownHostsFile ?? knownHostsFile}"`,
    `StrictHostKeyChecking=${key?.knownHostsFile === undefined ? 'accept-new' : 'yes'}`,
  ];
  const words = ['ssh', '-F', 'none', ...options.flatMap((option) => ['-o', option]), ...(key === undefined ? [] : ['-i', key.file])];
  return { GIT_SSH_COMMAND: words.map(shellQuoted).join(' '), GIT_SSH_VARIANT: 'ssh' };
}

function shellQuoted(word: string): string {
  return /^[\w.=/-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/**
 * What a failed exchange means. `absent`: the server says that there is no such repository. `refused`: it lets us not in, and may say the same of
 * what does not exist. `unclear`: it answers, but not as a Git server. Anything else is trouble on the way.
 */
export type RemoteFault = 'absent' | 'refused' | 'unclear' | 'trouble';

const REFUSED =
  /authentication failed|could not read (?:username|password)|returned error: 40[13]\b|permission denied|access denied|host key verification failed|terminal prompts disabled|is not authorized to/i;
const ABSENT =
  /returned error: 4(?:04|10)\b|repository .* not found|repository not found|does not appear to be a git repository|repository .* does not exist|no such repository|project .*not (?:be )?found|could not be found|not exported|repository does not exist|cannot find repository|invalid repository path|invalid repo name/i;
const UNCLEAR =
  /not valid: is this a git repository|invalid server response|returned error: 3\d\d\b|unable to update url base from redirection|unexpected redirect/i;

/** What hosts say to who shows no credentials, of private repositories and of those that are not there. */
const LOGIN_WANTED = /could not read (?:username|password)|terminal prompts disabled|returned error: 401\b/i;

export function faultOf(remote: GitRemote, { stderr }: GitResult): RemoteFault {
  if (remote.routes !== undefined && LOGIN_WANTED.test(stderr)) return 'absent';
  if (REFUSED.test(stderr)) return 'refused';
  if (ABSENT.test(stderr)) return 'absent';
  return UNCLEAR.test(stderr) ? 'unclear' : 'trouble';
}

const CODES: Readonly<Record<RemoteFault, ErrorCode>> = {
  absent: 'not-found',
  refused: 'origin-unavailable',
  unclear: 'upstream-invalid',
  trouble: 'origin-unavailable',
};
const SENTENCES: Readonly<Record<RemoteFault, string>> = {
  absent: 'there is no repository at',
  refused: 'the Git server lets the hub not in at',
  unclear: 'what answers is no Git server at',
  trouble: 'the Git server cannot be read at',
};

/** The error of a failed exchange; it names the address without credentials, and what git said without them. */
export function remoteError(remote: GitRemote, result: GitResult): HubError {
  const fault = faultOf(remote, result);
  const said = redact(firstLine(result.stderr), remote.credential);
  return new HubError(CODES[fault], `${SENTENCES[fault]} ${withoutCredentials(remote.url)}: ${said}`);
}

function redact(text: string, credential: GitCredential | undefined): string {
  const bare = text.replace(/\/\/[^/@\s]*@/g, '//');
  return credential?.kind === 'password' && credential.password !== '' ? bare.replaceAll(credential.password, '***') : bare;
}
