import { createPrivateNames } from '../../policy/private-names.ts';
import type { Say } from './faults.ts';
import type { PrivateRuleConfig } from './hub-config.ts';
import type { Check, ResolvePath } from './own-database.ts';
import type { CheckedTree } from './schema.ts';

/** One entry of `private` as it is written. */
export interface PrivateRuleTree {
  readonly match: string;
  readonly git?: string | undefined;
  readonly uploads?: boolean | undefined;
  readonly public?: boolean | undefined;
  readonly rootElements?: number | undefined;
  readonly mode?: 'on-demand' | 'archive-on-tag' | undefined;
  readonly credential?:
    | {
        readonly username?: string | undefined;
        readonly passwordEnv?: string | undefined;
        readonly passwordFile?: string | undefined;
        readonly sshKeyFile?: string | undefined;
        readonly knownHostsFile?: string | undefined;
      }
    | undefined;
}

type GitCredentialConfig = NonNullable<Extract<PrivateRuleConfig['home'], { readonly kind: 'git' }>['credential']>;

/** What belongs to a repository. */
const gitKeys = ['rootElements', 'mode', 'credential'] as const;

/** Stands in an address for the repository's path. */
const REPO = '{repo}';

interface RuleFault {
  readonly path: readonly string[];
  readonly say: Say;
}

/** Every fault of one rule, each with the key it belongs to. */
export function faultsOfPrivateRule(rule: PrivateRuleTree): readonly RuleFault[] {
  const faults: RuleFault[] = [];
  const fault = (path: readonly string[], say: Say): void => void faults.push({ path, say });
  const names = createPrivateNames([{ match: rule.match, public: false }]);
  if (!names.ok) fault(['match'], (m) => m.config.badPrivateMatch(names.reason.replace(/^private rule 1: /, '')));
  const ways = [rule.git !== undefined, rule.uploads === true, rule.public === true].filter(Boolean).length;
  if (ways !== 1) fault([], (m) => m.config.privateWays);
  if (rule.git === undefined) {
    for (const key of gitKeys) if (rule[key] !== undefined) fault([key], (m) => m.config.onlyWithGit);
    return faults;
  }
  const scheme = schemeOf(rule.git);
  if (scheme === undefined) fault(['git'], (m) => m.config.badGitUrl);
  const { username, passwordEnv, passwordFile, sshKeyFile, knownHostsFile } = rule.credential ?? {};
  const passwords = [passwordEnv, passwordFile].filter((place) => place !== undefined).length;
  const isPassword = passwords === 1 && username !== undefined && sshKeyFile === undefined && knownHostsFile === undefined;
  const isKey = sshKeyFile !== undefined && passwords === 0 && username === undefined;
  if (rule.credential !== undefined && !isPassword && !isKey) fault(['credential'], (m) => m.config.badCredential);
  else if (isPassword && scheme === 'ssh')
    fault(['credential', passwordEnv === undefined ? 'passwordFile' : 'passwordEnv'], (m) => m.config.passwordOverSsh);
  else if (isKey && scheme !== undefined && scheme !== 'ssh') fault(['credential', 'sshKeyFile'], (m) => m.config.keyWithoutSsh);
  if (passwordEnv !== undefined && !/^(?!GOYI_)[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(passwordEnv))
    fault(['credential', 'passwordEnv'], (m) => m.config.badVariableName);
  return faults;
}

/** Undefined when it is no address of Git repositories. User and password never stand in it: they would be seen in logs. */
function schemeOf(address: string): 'https' | 'http' | 'ssh' | undefined {
  const sample = address.replaceAll(REPO, 'group/project');
  if (address.length > 2_048 || /[\s\\?#|\p{Cc}]/u.test(address) || sample.includes('{') || !URL.canParse(sample)) return undefined;
  const { protocol, username, password, hostname } = new URL(sample);
  // The user of an ssh address is no secret: most hosts have one for all.
  if (hostname === '' || password !== '' || (username !== '' && protocol !== 'ssh:')) return undefined;
  if (hostname.startsWith('-') || username.startsWith('-')) return undefined;
  const path = address.replace(/^[a-z]+:\/\/[^/]*/, '');
  if (!path.startsWith('/') || /(?:^|\/)\.\.?(?:\/|$)/.test(path)) return undefined;
  switch (protocol) {
    case 'https:':
      return 'https';
    case 'http:':
      return 'http';
    case 'ssh:':
      return 'ssh';
    default:
      return undefined;
  }
}

/** Rules over several keys: secrets that are to be there. */
export function checkPrivate(tree: CheckedTree, env: Readonly<Record<string, string | undefined>>, check: Check): void {
  for (const [index, { credential }] of tree.private.entries()) {
    const name = credential?.passwordEnv;
    const isSet = name === undefined || (env[name] ?? '') !== '';
    check(['private'], isSet, ['private', index, 'credential', 'passwordEnv'], (m) => m.config.variableNotSet(name ?? ''));
  }
}

/** Expects a tree without faults. */
export function privateOf(tree: CheckedTree, resolve: ResolvePath): readonly PrivateRuleConfig[] {
  return tree.private.map((rule, index) => ({ match: rule.match, home: homeOf(rule, index, resolve) }));
}

function homeOf(
  { git, uploads, rootElements, mode, credential }: PrivateRuleTree,
  index: number,
  resolve: ResolvePath,
): PrivateRuleConfig['home'] {
  if (git === undefined) return { kind: uploads === true ? 'uploads' : 'public' };
  return {
    kind: 'git',
    url: git,
    rootElements,
    mode: mode ?? 'on-demand',
    credential: credential && credentialOf(credential, (name, text) => resolve(text, ['private', index, 'credential', name])),
  };
}

function credentialOf(
  { username, passwordEnv, passwordFile, sshKeyFile, knownHostsFile }: NonNullable<PrivateRuleTree['credential']>,
  resolve: (name: string, text: string) => string,
): GitCredentialConfig | undefined {
  if (sshKeyFile !== undefined)
    return {
      kind: 'ssh-key',
      file: resolve('sshKeyFile', sshKeyFile),
      knownHostsFile: knownHostsFile === undefined ? undefined : resolve('knownHostsFile', knownHostsFile),
    };
  if (username === undefined) return undefined;
  return {
    kind: 'password',
    username,
    password:
      passwordFile === undefined
        ? { kind: 'variable', name: passwordEnv ?? '' }
        : { kind: 'file', file: resolve('passwordFile', passwordFile) },
  };
}

/** As it would be written. */
export function privateTree(rules: readonly PrivateRuleConfig[]): readonly PrivateRuleTree[] {
  return rules.map(({ match, home }) => {
    if (home.kind !== 'git') return { match, [home.kind]: true };
    const { url, rootElements, mode, credential } = home;
    return {
      match,
      git: url,
      ...(rootElements !== undefined && { rootElements }),
      mode,
      ...(credential !== undefined && { credential: credentialTree(credential) }),
    };
  });
}

function credentialTree(credential: GitCredentialConfig): NonNullable<PrivateRuleTree['credential']> {
  if (credential.kind === 'ssh-key') {
    const { file, knownHostsFile } = credential;
    return { sshKeyFile: file, ...(knownHostsFile !== undefined && { knownHostsFile }) };
  }
  const { username, password } = credential;
  return { username, ...(password.kind === 'file' ? { passwordFile: password.file } : { passwordEnv: password.name }) };
}
