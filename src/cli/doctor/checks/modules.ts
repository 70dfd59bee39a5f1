import { withoutCredentials } from '../../../base/log.ts';
import { nameOf } from '../../../protocol/main-go-mod.ts';
import { declaredModulePath } from '../../../protocol/go-mod-facts.ts';
import type { Facts } from '../facts.ts';
import { type Check, type Finding, type Proof, typed } from '../finding.ts';
import type { Asked, Examined, Step } from '../module-bench.ts';
import { describe } from '../network.ts';
import { lookAtRepository } from '../repository.ts';
import { quoted } from '../setting-fix.ts';
import { proxyCredentials } from './network.ts';

/** Modules that cannot be got, and what the go command does then. */
export const modules: Check = {
  finds: [
    'module-refused',
    'module-absent',
    'module-error',
    'private-credentials',
    'private-host-unreachable',
    'private-vanity',
    'private-pattern-missing',
    'git-missing',
    'proxy-credentials',
    'major-version-path',
  ],
  async run(facts) {
    const found: Finding[] = [];
    for (const examined of await facts.modules.examined()) {
      const { asked, cached } = examined;
      if (asked === undefined || cached.zip !== undefined) continue;
      found.push(...(await lookAtWay(examined, asked, facts)));
    }
    return found;
  },
};

async function lookAtWay(examined: Examined, asked: Asked, facts: Facts): Promise<readonly Finding[]> {
  const { end, steps } = asked;
  const { path } = examined.module;
  const subject = nameOf(examined.module);
  const proof = proofsOf(steps, facts);
  switch (end.kind) {
    case 'found':
    case 'unknown':
      return [];
    case 'stopped': {
      const { answer, entry } = end.at;
      // That a proxy does not answer at all is told by the check of proxies.
      if (answer.kind === 'failed') return [];
      // A proxy may ask for credentials for some modules only.
      if (answer.status === 401 || answer.status === 407)
        return [{ id: 'proxy-credentials', subject: entry.text, proof, fix: proxyCredentials(entry.url, facts.network) }];
      const isPolicy = answer.status >= 400 && answer.status < 500;
      return [{ id: isPolicy ? 'module-refused' : 'module-error', subject, proof, fix: typed(`go mod download -x ${subject}`) }];
    }
    case 'absent': {
      const [reason] = steps.flatMap(({ answer }) =>
        answer.kind === 'answer' && PATH_MAJOR.test(answer.body.toString('utf8')) ? [describe(answer)] : [],
      );
      if (reason === undefined) return [{ id: 'module-absent', subject, proof, fix: typed(`go list -m -versions ${path}`) }];
      const major = /^v(\d+)/.exec(examined.module.version)?.[1] ?? '2';
      return [{ id: 'major-version-path', subject, proof, fix: typed(`go get ${path}/v${major}@latest`) }];
    }
    case 'direct':
      return await lookAtDirect(examined, asked, facts);
  }
}

/** As the go command, and proxies after it, say that a `+incompatible` version has a go.mod or that a path lacks its /vN. */
const PATH_MAJOR = /must match major version|should be v\d/;

async function lookAtDirect(examined: Examined, asked: Asked, facts: Facts): Promise<readonly Finding[]> {
  const { path } = examined.module;
  const { settings } = facts;
  const host = path.split('/')[0] ?? path;
  const found = await lookAtRepository(path, facts);
  const proof = [
    ...proofsOf(asked.steps, facts),
    ...(facts.modules.covers('GONOPROXY', path)
      ? [{ ran: `go env ${settings.decides('GONOPROXY')}`, got: settings.value('GONOPROXY') }]
      : []),
    ...found.proof,
  ];
  const subject = nameOf(examined.module);
  switch (found.kind) {
    case 'reachable': {
      const { record } = asked;
      if (record?.ok !== true || record.value !== 'absent') return [];
      const patterns = [settings.value('GOPRIVATE'), host].filter(Boolean).join(',');
      const unknown = { ran: `GOSUMDB ${subject}`, got: '404' };
      return [{ id: 'private-pattern-missing', subject, proof: [...proof, unknown], fix: typed(`go env -w GOPRIVATE=${patterns}`) }];
    }
    // One host is one fault, however many modules it has.
    case 'credentials':
      return [{ id: 'private-credentials', subject: host, proof, fix: credentialLines(found.repository) }];
    case 'unreachable':
      return [{ id: 'private-host-unreachable', subject: host, proof, fix: typed(`git ls-remote ${quoted(found.repository)}`) }];
    case 'no-meta':
      return [{ id: 'private-vanity', subject: path, proof, fix: typed(`curl 'https://${path}?go-get=1'`) }];
    case 'no-git':
      return [{ id: 'git-missing', subject: host, proof, fix: typed('apt-get install git', 'yum install git') }];
    case 'unknown':
      return [];
  }
}

function credentialLines(repository: string): Finding['fix'] {
  if (!/^https?:/.test(repository)) return typed(`git ls-remote ${quoted(repository)}`, 'ssh-add -l');
  const { host } = new URL(repository);
  return typed(
    `git config --global ${quoted(`url.ssh://git@${host}/.insteadOf`)} ${quoted(`https://${host}/`)}`,
    `# ~/.netrc: machine ${host} login USER password TOKEN`,
  );
}

/** What each proxy answered, and where the go command goes from there. */
function proofsOf(steps: readonly Step[], { proxies }: Facts): readonly Proof[] {
  return steps.map(({ entry, url, answer }) => {
    const isAbsent = answer.kind === 'answer' && (answer.status === 404 || answer.status === 410);
    const next = proxies[proxies.indexOf(entry) + 1]?.text;
    const then = (isAbsent || entry.after === '|') && next !== undefined ? next : '×';
    return { ran: `GET ${withoutCredentials(url.href)}`, got: `${describe(answer)}  [${entry.after || 'end'}] ⇒ ${then}` };
  });
}

/** Names that differ in case only, paths that the module itself does not use, majors that a path does not have. */
export const moduleNames: Check = {
  finds: ['case-collision', 'path-declared-otherwise', 'major-version-path'],
  async run(facts) {
    const { project } = facts;
    const found: Finding[] = [];
    const byLower = new Map<string, string>();
    for (const { path } of project.goMod?.require ?? []) {
      const known = byLower.get(path.toLowerCase());
      if (known !== undefined && known !== path)
        found.push({
          id: 'case-collision',
          subject: `${known}, ${path}`,
          proof: [{ ran: 'go.mod', got: `${known}, ${path}` }],
          fix: typed(`go mod why -m ${known} ${path}`),
        });
      byLower.set(path.toLowerCase(), path);
    }
    for (const { line, reason } of project.goMod?.unread ?? []) found.push(unreadLine(line, reason, project.goModText ?? ''));
    for (const examined of await facts.modules.examined()) found.push(...lookAtDeclared(examined, facts));
    return found;
  },
};

function unreadLine(line: number, reason: string, text: string): Finding {
  const got = text.split('\n')[line - 1]?.trim() ?? '';
  const subject = `go.mod:${line}: ${got}`;
  const [, path = 'MODULE', major = '2'] = /([^\s"]+)\s+v(\d+)\./.exec(got) ?? [];
  const fix = typed(`go get ${quoted(`${path}/v${major}@latest`)}`, `go get ${quoted(`${path}@latest`)}`);
  return { id: 'major-version-path', subject, proof: [{ ran: `go.mod:${line}`, got: reason }], fix };
}

/** A fork or a renamed module: its go.mod says another path, and the go command refuses it. */
function lookAtDeclared({ module, cached, asked }: Examined, { project }: Facts): readonly Finding[] {
  const text = cached.goModText ?? asked?.goModText;
  if (text === undefined || isReplacement(module.path, project.goMod?.replace)) return [];
  const declared = declaredModulePath(text);
  if (declared === '' || declared === module.path) return [];
  // A retired /vN of gopkg.in and the like is compared by the go command as text, too.
  const fix = typed(
    `go mod edit -droprequire=${module.path}`,
    `go get ${quoted(`${declared}@${module.version}`)}`,
    `go mod edit ${quoted(`-replace=${declared}=${nameOf(module)}`)}`,
  );
  const proof = [{ ran: `${nameOf(module)}/go.mod`, got: `module ${declared}` }];
  return [{ id: 'path-declared-otherwise', subject: nameOf(module), proof, fix }];
}

function isReplacement(path: string, replace: ReadonlyMap<string, unknown> | undefined): boolean {
  for (const to of replace?.values() ?? []) if (typeof to === 'object' && to !== null && 'path' in to && to.path === path) return true;
  return false;
}
