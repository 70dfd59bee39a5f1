import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { withoutCredentials } from '../../base/log.ts';
import type { Facts } from './facts.ts';
import type { Proof } from './finding.ts';
import { type Answer, describe } from './network.ts';

export type RepositoryFound =
  | { readonly kind: 'reachable' | 'credentials' | 'unreachable' | 'no-git'; readonly repository: string; readonly proof: readonly Proof[] }
  /** `unknown`: it leads to where goyi does not follow, such as another private host. */
  | { readonly kind: 'no-meta' | 'unknown'; readonly proof: readonly Proof[] };

const GIT_MS = 20_000;
const OUTPUT_BYTES_MAX = 8 * 1024 * 1024;

/** Does what the go command does for a module that is not for proxies: finds its repository and lists its references. */
export async function lookAtRepository(path: string, facts: Facts): Promise<RepositoryFound> {
  const host = path.split('/')[0] ?? path;
  const known = facts.lostHosts.get(host);
  if (known !== undefined) return known;
  const found = await lookFor(path, facts);
  if (found.kind === 'unreachable') facts.lostHosts.set(host, found);
  return found;
}

async function lookFor(path: string, facts: Facts): Promise<RepositoryFound> {
  const named = staticRepository(path);
  if (named !== undefined) return await listReferences(named, [], facts);
  const { proof, page, isBarred } = await askForMeta(path, facts);
  if (isBarred) return { kind: 'unknown', proof };
  if (page === undefined) return { kind: 'unreachable', repository: `https://${path}`, proof };
  const repository = repositoryOf(page, path);
  if (repository === undefined) return { kind: 'no-meta', proof };
  // The page is not ours: git would run a command for an address that begins with ext::, and read any folder.
  return /^(?:https?|ssh|git):\/\//.test(repository) ? await listReferences(repository, proof, facts) : { kind: 'unknown', proof };
}

/** Hosts that the go command knows without asking, and paths that say where the repository ends. */
function staticRepository(path: string): string | undefined {
  const elements = path.split('/');
  const git = elements.findIndex((element, index) => index > 0 && element.endsWith('.git'));
  if (git > 0) return `https://${elements.slice(0, git + 1).join('/')}`;
  return /^(?:github\.com|bitbucket\.org)$/.test(elements[0] ?? '') && elements.length >= 3
    ? `https://${elements.slice(0, 3).join('/')}`
    : undefined;
}

interface MetaAnswer {
  readonly proof: readonly Proof[];
  readonly page: string | undefined;
  readonly isBarred: boolean;
}

async function askForMeta(path: string, facts: Facts): Promise<MetaAnswer> {
  const proof: Proof[] = [];
  let isBarred = false;
  const schemes = facts.modules.covers('GOINSECURE', path) ? ['https', 'http'] : ['https'];
  for (const scheme of schemes) {
    const url = new URL(`${scheme}://${path}?go-get=1`);
    const answer: Answer = await facts.network.get(url);
    proof.push({ ran: `GET ${url.href}`, got: describe(answer) });
    // The go command reads the page whatever its status is.
    if (answer.kind === 'answer') return { proof, page: answer.body.toString('utf8'), isBarred: false };
    isBarred ||= answer.fault === 'forbidden';
  }
  return { proof, page: undefined, isBarred };
}

/** `<meta name="go-import" content="PREFIX VCS ADDRESS">`, the first whose prefix is the path or above it. */
function repositoryOf(page: string, path: string): string | undefined {
  for (const [tag] of page.matchAll(/<meta\b[^>]{0,2000}>/gi)) {
    if (!/name\s*=\s*["']?go-import\b/i.test(tag)) continue;
    const [prefix = '', kind = '', address = ''] = (/content\s*=\s*["']([^"']*)["']/i.exec(tag)?.[1] ?? '').trim().split(/\s+/);
    if (kind === 'git' && (path === prefix || path.startsWith(`${prefix}/`))) return address;
  }
  return undefined;
}

/** What git and ssh say when they were not let in; hosts that hide what may not be seen say that it is not there. */
const WANTS_CREDENTIALS =
  /could not read (?:Username|Password)|terminal prompts disabled|Authentication failed|Permission denied|HTTP Basic: Access denied|error: 40[13]|not found|Host key verification failed/i;

async function listReferences(repository: string, before: readonly Proof[], { env, signal }: Facts): Promise<RepositoryFound> {
  const shown = withoutCredentials(repository);
  const own = {
    GIT_TERMINAL_PROMPT: '0',
    GCM_INTERACTIVE: 'never',
    ...(env['GIT_SSH_COMMAND'] ? {} : { GIT_SSH_COMMAND: 'ssh -o BatchMode=yes' }),
  };
  const options = { env: { ...env, ...own, LC_ALL: 'C' }, cwd: tmpdir(), timeout: GIT_MS, maxBuffer: OUTPUT_BYTES_MAX, signal };
  const { ok, isMissing, said } = await new Promise<{ ok: boolean; isMissing: boolean; said: string }>((resolve, reject) => {
    execFile('git', ['ls-remote', '--end-of-options', repository, 'HEAD'], options, (error, _stdout, stderr) => {
      if (signal.aborted) return reject(signal.reason as Error);
      resolve({ ok: error === null, isMissing: error?.code === 'ENOENT', said: stderr.trim() || (error?.message ?? '') });
    });
  });
  const lines = said.split('\n').map((line) => line.trim());
  const telling =
    lines.find((line) => WANTS_CREDENTIALS.test(line)) ?? lines.findLast((line) => /^fatal:|denied|remote:/.test(line)) ?? lines[0] ?? '';
  const proof = [...before, { ran: `git ls-remote ${shown} HEAD`, got: ok ? 'ok' : withoutCredentials(telling).slice(0, 300) }];
  if (isMissing) return { kind: 'no-git', repository: shown, proof };
  if (ok) return { kind: 'reachable', repository: shown, proof };
  return { kind: WANTS_CREDENTIALS.test(said) ? 'credentials' : 'unreachable', repository: shown, proof };
}
