import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { systemClock } from '../base/clock.ts';
import { HubError, messageOf } from '../base/errors.ts';
import { silentEvents } from '../base/events.ts';
import { invariant } from '../base/invariant.ts';
import type { Log } from '../base/log.ts';
import type { HubConfig } from '../cli/config/hub-config.ts';
import { Turns } from '../hub/turns.ts';
import type { Metadata } from '../meta/metadata.ts';
import { trustedAuthorities } from '../net/connector.ts';
import type { OutboundClient } from '../net/outbound-client.ts';
import { createPinnedRoutes } from '../net/pinned-routes.ts';
import { parseProxyRules } from '../net/proxy-rules.ts';
import { createDirectOrigin } from '../origin/direct-origin.ts';
import { DIRECT_NAME } from '../origin/direct-upstream.ts';
import { createDiscoveryLocator, Discovery } from '../origin/git/discovery-locator.ts';
import { createGitSource } from '../origin/git/git-source.ts';
import type { Exclusively } from '../origin/git/mirror.ts';
import { BoundedMirrors } from '../origin/git/bounded-mirrors.ts';
import { type Locate, mirrorOf } from '../origin/git/template-locator.ts';
import { createSourceOrigin } from '../origin/source-origin.ts';
import { createUpstreamSet, type UpstreamSetOptions } from '../origin/upstream-set.ts';

export interface PublicSourceParts {
  readonly metadata: Metadata;
  readonly log: Log;
  /** A way out of its own, without configured origins, that gives up connecting after so long. */
  readonly openClient: (connectMs: number) => Promise<OutboundClient>;
  /** PATH. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** When one of them answers anything, there is a way out. */
const LANDMARKS: readonly string[] = ['https://github.com/', 'https://gitee.com/', 'https://go.googlesource.com/'];
const CONNECT_MS = 5_000;
const LANDMARK_MS = 5_000;
/** The first that can be told where to connect to. */
const GIT_VERSION_MIN = [2, 37] as const;
/** Anybody may ask for any public repository, so that less is done for each than for the company's own. */
const LIMITS = {
  answerMs: 30_000,
  transferMs: 600_000,
  repositoryBytesMax: 2 * 1024 ** 3,
  processesMax: 2,
  networkProcessesMax: 8,
  // A quarter: no host can keep the others waiting.
  serverProcessesMax: 2,
};
const MIRROR_IN_USE_MS = 600_000;
const MIRRORS_BYTES_MAX: number = 10 * 1024 ** 3;
const PROXY_SLOTS = 32;

/** The hub's own way to public repositories, when `direct` is among the upstreams; its owner is the stack. @throws {HubError} config-invalid, storage-fault */
export async function openPublicSource(
  stack: AsyncDisposableStack,
  config: HubConfig,
  { metadata, log, openClient, env }: PublicSourceParts,
): Promise<UpstreamSetOptions['direct']> {
  if (!isDirectAmong(config)) return undefined;
  const client = stack.use(await openClient(CONNECT_MS));
  const turns = stack.use(new Turns({ metadata, log }));
  const exclusively: Exclusively = (key, work, signal) => turns.run(key, work, signal);
  const ownHosts = config.publicUrl === undefined ? [] : [new URL(config.publicUrl).host];
  const discovery = new Discovery({ client, answerMs: Math.min(config.limits.upstreamMs, CONNECT_MS), ownHosts });
  const folder = join(config.dataDir, 'git-public');
  const mirrors = stack.use(
    new BoundedMirrors({ folder, bytesMax: MIRRORS_BYTES_MAX, inUseMs: MIRROR_IN_USE_MS, exclusively, clock: systemClock, log }),
  );
  const proxy = parseProxyRules(config.outbound);
  invariant(proxy.ok, 'the client has been made with it');
  const locate = createDiscoveryLocator(discovery, createPinnedRoutes({ configuredOrigins: [], proxy: proxy.value }));
  const source = stack.use(
    createGitSource({
      locator: () => noting(locate, mirrors),
      mirrors: folder,
      exclusively,
      environment: env,
      caFile: await authoritiesFile(folder, config.outbound.caFile),
      limits: LIMITS,
      clock: systemClock,
      log,
    }),
  );
  const { upstreamMs, idleMs, bytesPerSecondMin } = config.limits;
  const limits = { upstreamMs, idleMs, bytesPerSecondMin, fetchSlots: PROXY_SLOTS };
  const proxyAt = (base: URL): ReturnType<typeof createUpstreamSet> =>
    // Their names are as many as there are pages: too many for figures.
    createUpstreamSet({ upstreams: [base], client, limits, clock: systemClock, events: silentEvents, log, random: Math.random });
  const origin = stack.use(createDirectOrigin({ discovery, source: createSourceOrigin(source, DIRECT_NAME), proxyAt }));
  return { origin, reach: (signal) => reachOut(client, env, signal), returned: () => discovery.forgetHosts() };
}

function isDirectAmong({ upstreams }: HubConfig): boolean {
  return upstreams.kind === 'default' || (upstreams.kind === 'list' && upstreams.entries.some(({ kind }) => kind === 'direct'));
}

/** Has the mirrors know when they were asked for. */
export function noting(locate: Locate, mirrors: BoundedMirrors): Locate {
  return async (module, urgency, signal) => {
    const located = await locate(module, urgency, signal);
    await mirrors.used(mirrorOf(located));
    return located;
  };
}

/** git takes one file in place of the machine's authorities: the company's beside all that the hub itself trusts. */
async function authoritiesFile(folder: string, caFile: string | undefined): Promise<string | undefined> {
  if (caFile === undefined) return undefined;
  const file = join(folder, '.authorities.pem');
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(`${file}.${process.pid}`, `${trustedAuthorities(await readFile(caFile, 'utf8')).join('\n')}\n`);
    await rename(`${file}.${process.pid}`, file);
  } catch (error) {
    throw new HubError('storage-fault', `cannot write ${file}: ${messageOf(error)}`, { cause: error });
  }
  return file;
}

/** @throws {HubError} origin-unavailable when there is no way out, or no git command that can be held to one */
async function reachOut(client: OutboundClient, env: PublicSourceParts['env'], signal: AbortSignal): Promise<void> {
  await checkGit(env);
  const leave = new AbortController();
  const limits = { firstByteMs: LANDMARK_MS, idleMs: LANDMARK_MS, bytesPerSecondMin: 0, sizeMaxBytes: Number.MAX_SAFE_INTEGER };
  const ask = async (address: string): Promise<void> => {
    const request = { url: new URL(address), method: 'HEAD', limits, followRedirects: false } as const;
    const response = await client.send(request, AbortSignal.any([signal, leave.signal]));
    await response[Symbol.asyncDispose]();
  };
  try {
    await Promise.any(LANDMARKS.map(ask));
  } catch (error) {
    signal.throwIfAborted();
    const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
    throw new HubError('origin-unavailable', `public Git servers cannot be reached: ${messageOf(first)}`, { cause: first });
  } finally {
    leave.abort(new HubError('canceled', 'another host has answered'));
  }
}

async function checkGit(env: PublicSourceParts['env']): Promise<void> {
  const { PATH, SystemRoot } = env;
  const { stdout } = await promisify(execFile)('git', ['version'], { env: { PATH, SystemRoot }, timeout: LANDMARK_MS }).catch(
    (error: unknown) => {
      throw new HubError('origin-unavailable', 'there is no git command', { cause: error });
    },
  );
  const [, major = '0', minor = '0'] = /(\d+)\.(\d+)/.exec(stdout) ?? [];
  const [majorMin, minorMin] = GIT_VERSION_MIN;
  if (Number(major) > majorMin || (Number(major) === majorMin && Number(minor) >= minorMin)) return;
  throw new HubError('origin-unavailable', `git ${major}.${minor} cannot be told where to connect to: ${majorMin}.${minorMin} can`);
}
