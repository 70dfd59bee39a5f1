import { parseChecksumDatabaseEntry } from '../../../protocol/checksum-database-entry.ts';
import { matchesPattern, parseModulePatterns, splitPatterns } from '../../../protocol/module-pattern.ts';
import { placesThatSet } from '../../shadowed.ts';
import { wayToDatabase } from '../database.ts';
import type { Facts } from '../facts.ts';
import { type Check, type Finding, typed } from '../finding.ts';
import { below } from '../proxy-list.ts';
import { quoted, settingFix, shown } from '../setting-fix.ts';

/** What is written with `go env -w` and has no effect, because the environment says something else. */
export const shadowing: Check = {
  finds: ['variable-shadowed', 'value-quoted', 'setting-ignored'],
  async run(facts) {
    const { settings, env } = facts;
    const found: Finding[] = settings.ignored.map((line) => {
      const [, assignment] = /^\s*(?:export\s+|set\s+)?([A-Z]\w*=.*)$/i.exec(line) ?? [];
      const [name = '', ...rest] = (assignment ?? '').split('=');
      const better = name === '' ? 'go env -w NAME=VALUE' : `go env -w ${quoted(`${name.toUpperCase()}=${rest.join('=')}`)}`;
      return { id: 'setting-ignored', subject: line, proof: [{ ran: settings.file ?? 'go env GOENV', got: line }], fix: typed(better) };
    });
    for (const [name, value] of settings.written) {
      const own = env[name];
      if (own && own !== value) {
        const places = await placesThatSet(name, env);
        found.push({
          id: 'variable-shadowed',
          subject: `${name}=${own}`,
          proof: [
            { ran: settings.file ?? 'go env GOENV', got: `${name}=${value}` },
            { ran: `printenv ${name}`, got: own },
            ...places.map(({ file, line, text }) => ({ ran: `${file}:${line}`, got: text })),
          ],
          fix: typed(...places.map(({ file, line }) => `# ${file}:${line}`), `unset ${name}`),
        });
      }
      if (/^(["'“]).*(["'”])$/.test(value) && value.length > 1)
        found.push({
          id: 'value-quoted',
          subject: `${name}=${value}`,
          proof: [{ ran: settings.file ?? 'go env GOENV', got: `${name}=${value}` }],
          fix: await settingFix(facts, name, value.slice(1, -1)),
        });
    }
    return found;
  },
};

export const database: Check = {
  finds: ['sumdb-malformed', 'sumdb-off'],
  async run(facts) {
    const value = facts.settings.value('GOSUMDB');
    const proof = [{ ran: 'go env GOSUMDB', got: value }];
    const fix = await settingFix(facts, 'GOSUMDB', undefined);
    if (value === 'off') {
      const { apply, ...told } = fix;
      // Where no database can be reached, nothing new could be fetched any more: that is a person's decision.
      const mends = apply !== undefined && (await isReachable(facts));
      return [{ id: 'sumdb-off', subject: shown(facts, 'GOSUMDB'), proof, fix: mends ? fix : { ...told, undo: [] } }];
    }
    const entry = parseChecksumDatabaseEntry(value);
    // Quote marks are told of already, and taking them off may be all that is needed.
    if (value === '' || entry.ok || value.startsWith('"')) return [];
    return [{ id: 'sumdb-malformed', subject: shown(facts, 'GOSUMDB'), proof: [...proof, { ran: 'GOSUMDB', got: entry.reason }], fix }];
  },
};

async function isReachable({ proxies, network }: Facts): Promise<boolean> {
  const way = network.blind ? undefined : await wayToDatabase('sum.golang.org', proxies, network);
  if (way?.base === undefined) return false;
  const answer = await network.get(below(way.base, 'latest'));
  return answer.kind === 'answer' && answer.status === 200;
}

export const goFlags: Check = {
  finds: ['goflags-insecure'],
  async run(facts) {
    const flags = facts.settings.value('GOFLAGS').split(/\s+/).filter(Boolean);
    const rest = flags.filter((flag) => !/^--?insecure(?:=|$)/.test(flag));
    if (rest.length === flags.length) return [];
    return [
      {
        id: 'goflags-insecure',
        subject: shown(facts, 'GOFLAGS'),
        proof: [{ ran: 'go env GOFLAGS', got: flags.join(' ') }],
        fix: await settingFix(facts, 'GOFLAGS', rest.join(' ') || undefined),
      },
    ];
  },
};

/** Well-known public modules of many hosts: a pattern that covers one of them covers more than a company's own code. */
const PUBLIC_MODULES = [
  'github.com/spf13/cobra',
  'github.com/gin-gonic/gin',
  'golang.org/x/text',
  'google.golang.org/grpc',
  'gopkg.in/yaml.v3',
  'go.uber.org/zap',
  'k8s.io/api',
  'rsc.io/quote',
  'gitlab.com/gitlab-org/labkit',
  'gitee.com/openeuler/uniproton',
] as const;

export const privatePatterns: Check = {
  finds: ['nosumdb-everything', 'private-too-wide', 'pattern-malformed'],
  async run(facts) {
    const { settings } = facts;
    const names = new Set([settings.decides('GONOSUMDB'), settings.decides('GONOPROXY')]);
    const found: Finding[] = [];
    for (const name of names) {
      const value = settings.value(name);
      const wrong = splitPatterns(value).flatMap((pattern) => lookAt(pattern));
      if (wrong.length === 0) continue;
      const bad = new Set(wrong.map(({ pattern }) => pattern));
      const kept = splitPatterns(value).filter((pattern) => !bad.has(pattern));
      const everything = wrong.find(({ kind }) => kind === 'everything') !== undefined && name !== 'GONOPROXY';
      const malformed = wrong.every(({ kind }) => kind === 'malformed');
      found.push({
        id: everything ? 'nosumdb-everything' : malformed ? 'pattern-malformed' : 'private-too-wide',
        subject: shown(facts, name),
        proof: [{ ran: `go env ${name}`, got: value }, ...wrong.map(({ pattern, got }) => ({ ran: pattern, got }))],
        fix: everything || malformed ? await settingFix(facts, name, kept.join(',') || undefined) : narrower(name),
      });
    }
    return found;
  },
};

function narrower(name: string): Finding['fix'] {
  return typed(`go env -w ${name}=git.corp.example,github.com/OUR-TEAM`);
}

interface WrongPattern {
  readonly pattern: string;
  readonly kind: 'everything' | 'wide' | 'malformed';
  readonly got: string;
}

function lookAt(pattern: string): readonly WrongPattern[] {
  const patterns = parseModulePatterns(pattern);
  if (!patterns.ok) return [{ pattern, kind: 'malformed', got: patterns.reason }];
  const covered = PUBLIC_MODULES.filter((path) => matchesPattern(patterns.value, path));
  if (covered.length === 0) return [];
  return [{ pattern, kind: covered.length === PUBLIC_MODULES.length ? 'everything' : 'wide', got: covered.slice(0, 3).join(', ') }];
}

export const proxyList: Check = {
  finds: ['proxy-entry-invalid', 'credentials-over-http', 'proxy-pipe-direct'],
  async run(facts) {
    const value = facts.settings.value('GOPROXY');
    const found: Finding[] = [];
    for (const entry of facts.proxies) {
      if (entry.kind === 'invalid' && entry.plain !== undefined) {
        const { host, pathname, href } = entry.plain;
        const base = href.replace(/\/$/, '');
        found.push({
          id: 'credentials-over-http',
          subject: entry.text,
          proof: [{ ran: 'go env GOPROXY', got: entry.reason }],
          fix: typed(
            `go env -w GOPROXY=${quoted(value.replace(entry.text, `https://${host}${pathname}`.replace(/\/$/, '')))}`,
            `# ~/.netrc: machine ${facts.network.machineOf(new URL(`https://${host}`))} login USER password TOKEN`,
            `go env -w GOPROXY=${quoted(value.replace(entry.text, base))}`,
          ),
        });
        continue;
      }
      if (entry.kind === 'invalid' && !/^["'“]/.test(value))
        found.push({
          id: 'proxy-entry-invalid',
          subject: entry.text,
          proof: [{ ran: 'go env GOPROXY', got: entry.reason }],
          fix: typed(`go env -w GOPROXY=https://HUB`),
        });
      if (entry.kind === 'direct' && entry.before === '|')
        found.push({
          id: 'proxy-pipe-direct',
          subject: 'GOPROXY',
          proof: [{ ran: 'go env GOPROXY', got: value }],
          fix: await settingFix(facts, 'GOPROXY', value.replace(/\|(\s*)direct\b/, ',$1direct')),
        });
    }
    return found;
  },
};

export const modulesOff: Check = {
  finds: ['modules-off'],
  async run(facts) {
    if (facts.settings.value('GO111MODULE') !== 'off') return [];
    return [
      {
        id: 'modules-off',
        subject: shown(facts, 'GO111MODULE'),
        proof: [{ ran: 'go env GO111MODULE', got: 'off' }],
        fix: await settingFix(facts, 'GO111MODULE', undefined),
      },
    ];
  },
};
