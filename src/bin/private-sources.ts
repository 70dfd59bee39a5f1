import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { HubError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { HubConfig, PrivateRuleConfig } from '../cli/config/hub-config.ts';
import type { PrivateSource } from '../hub/homes.ts';
import { Turns } from '../hub/turns.ts';
import type { Metadata } from '../meta/metadata.ts';
import type { GitCredential } from '../origin/git/git-remote.ts';
import { BoundedMirrors } from '../origin/git/bounded-mirrors.ts';
import { createGitSource } from '../origin/git/git-source.ts';
import type { Exclusively } from '../origin/git/mirror.ts';
import { createTemplateLocator } from '../origin/git/template-locator.ts';
import { createSourceOrigin } from '../origin/source-origin.ts';
import { noting } from './public-source.ts';
import { readSecret } from './read-secret.ts';

export interface PrivateSourcesParts {
  readonly metadata: Metadata;
  readonly log: Log;
  /** Where passwords are, and what git's own way out needs. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Longer than a fetch and the making of one zip after it may take. */
const MIRROR_IN_USE_MS = 2 * 3_600_000;

/** By the number of the rule; their owner is the stack. @throws {HubError} config-invalid when a secret is not there */
export async function openPrivateSources(
  stack: AsyncDisposableStack,
  config: HubConfig,
  { metadata, log, env }: PrivateSourcesParts,
): Promise<readonly (PrivateSource | undefined)[]> {
  const turns = stack.use(new Turns({ metadata, log }));
  const { httpProxy, httpsProxy, noProxy, caFile } = config.outbound;
  const environment = {
    ...env,
    http_proxy: httpProxy,
    https_proxy: httpsProxy,
    HTTPS_PROXY: httpsProxy,
    no_proxy: noProxy,
    NO_PROXY: noProxy,
  };
  const folder = join(config.dataDir, 'git');
  const exclusively: Exclusively = (key, work, signal) => turns.run(key, work, signal);
  const mirrors = stack.use(
    new BoundedMirrors({ folder, bytesMax: config.limits.mirrorBytes, inUseMs: MIRROR_IN_USE_MS, exclusively, clock: systemClock, log }),
  );
  const open = async ({ home }: PrivateRuleConfig): Promise<PrivateSource | undefined> => {
    if (home.kind !== 'git') return undefined;
    const { url: template, rootElements } = home;
    const credential = await credentialOf(home.credential, env);
    const source = stack.use(
      createGitSource({
        locator: (tools) => noting(createTemplateLocator({ template, credential, rootElements, ...tools }), mirrors),
        mirrors: folder,
        exclusively,
        environment,
        caFile,
        clock: systemClock,
        log,
      }),
    );
    return { origin: createSourceOrigin(source, template), mode: home.mode };
  };
  const sources: (PrivateSource | undefined)[] = [];
  for (const rule of config.private) sources.push(await open(rule));
  return sources;
}

type GitHome = Extract<PrivateRuleConfig['home'], { readonly kind: 'git' }>;

async function credentialOf(credential: GitHome['credential'], env: PrivateSourcesParts['env']): Promise<GitCredential | undefined> {
  switch (credential?.kind) {
    case undefined:
      return undefined;
    case 'ssh-key':
      return { kind: 'sshKey', file: credential.file, knownHostsFile: credential.knownHostsFile };
    case 'password': {
      const place = credential.password;
      const password = await readSecret(place, env);
      if (password === '' && place.kind === 'variable')
        throw new HubError('config-invalid', `the environment variable ${place.name}, which is to hold a password, is not set`);
      return { kind: 'password', username: credential.username, password };
    }
  }
}
