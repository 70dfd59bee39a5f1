/**
 * Module paths whose repository is known without asking anybody, as the go command knows it:
 *
 * - five hosts whose repositories lie at a fixed depth;
 * - on any other host, an element that ends in `.git` is where the repository ends. Its address is without that ending.
 *
 * Everything else is asked for by a discovery page. Other version control systems than Git are refused: they are not read here.
 *
 * https://go.dev/ref/mod#vcs-find
 */
export type KnownRepository =
  /** `root`: the module path of the repository's root. */
  { readonly kind: 'repository'; readonly root: string; readonly url: string } | { readonly kind: 'refused'; readonly reason: string };

interface CodeHost {
  readonly prefix: string;
  readonly pattern: RegExp;
  /** Whether an ending such as `.git` is refused, because it would be a second name of the same repository. */
  readonly isBare: boolean;
}

const CODE_HOSTS: readonly CodeHost[] = [
  { prefix: 'github.com', pattern: /^(github\.com\/[\w.-]+\/[\w.-]+)(?:\/[\w.-]+)*$/, isBare: true },
  { prefix: 'bitbucket.org', pattern: /^(bitbucket\.org\/[\w.-]+\/[\w.-]+)(?:\/[\w.-]+)*$/, isBare: true },
  { prefix: 'hub.jazz.net/git', pattern: /^(hub\.jazz\.net\/git\/[a-z0-9]+\/[\w.-]+)(?:\/[\w.-]+)*$/, isBare: true },
  { prefix: 'git.apache.org', pattern: /^(git\.apache\.org\/[a-z0-9_.-]+\.git)(?:\/[\w.-]+)*$/, isBare: false },
  { prefix: 'git.openstack.org', pattern: /^(git\.openstack\.org\/[\w.-]+\/[\w.-]+)(?:\/[\w.-]+)*$/, isBare: false },
];
const OTHER_SYSTEMS = /\.(?:bzr|fossil|hg|svn)$/;
const ANY_SYSTEM = /\.(?:bzr|fossil|git|hg|svn)$/;

/** Undefined: a discovery page has to be asked. */
export function knownRepository(module: string): KnownRepository | undefined {
  if (module === 'chiselapp.com' || module.startsWith('chiselapp.com/'))
    return { kind: 'refused', reason: `${module} is in Fossil, and this hub reads Git alone` };
  const host = CODE_HOSTS.find(({ prefix }) => module === prefix || module.startsWith(`${prefix}/`));
  if (host === undefined) return namedRepository(module);
  const root = host.pattern.exec(module)?.[1];
  if (root === undefined) return { kind: 'refused', reason: `${module} names no repository on ${host.prefix}` };
  if (host.isBare && ANY_SYSTEM.test(root))
    return { kind: 'refused', reason: `${root}: repositories on ${host.prefix} are named without an ending` };
  return { kind: 'repository', root, url: `https://${root}` };
}

function namedRepository(module: string): KnownRepository | undefined {
  const [host = '', ...elements] = module.split('/');
  if (!/^[a-z0-9-][a-z0-9.-]*\.[a-z0-9.-]+$/.test(host) || !elements.every((element) => /^~?[\w.-]+$/.test(element))) return undefined;
  const index = elements.findIndex((element) => ANY_SYSTEM.test(element) && /[^~]/.test(element.replace(ANY_SYSTEM, '')));
  if (index < 0) return undefined;
  const root = [host, ...elements.slice(0, index + 1)].join('/');
  if (OTHER_SYSTEMS.test(root)) return { kind: 'refused', reason: `${root} is not in Git, and this hub reads Git alone` };
  return { kind: 'repository', root, url: `https://${root.slice(0, -'.git'.length)}` };
}
