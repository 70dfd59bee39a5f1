import { stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { withoutCredentials } from '../../../base/log.ts';
import { openTreeNote } from '../../../protocol/checksum-record.ts';
import { parseChecksumDatabaseEntry } from '../../../protocol/checksum-database-entry.ts';
import type { Facts } from '../facts.ts';
import { type Check, type Finding, typed } from '../finding.ts';
import { type Answer, describe, isNotTls, type Network, outboundSettings } from '../network.ts';
import { below, type ProxyEntry } from '../proxy-list.ts';
import { quoted } from '../setting-fix.ts';

/** Certificates and signatures of credentials stop being valid at about this much. */
const SKEW_MS_MAX = 5 * 60_000;

type ProxyUrl = ProxyEntry & { readonly kind: 'proxy' };

function proxiesOf({ proxies: entries, network }: Facts): readonly ProxyUrl[] {
  return network.blind ? [] : entries.filter((entry) => entry.kind === 'proxy');
}

function probeUrl(facts: Facts, { url }: ProxyUrl): URL {
  const database = parseChecksumDatabaseEntry(facts.settings.value('GOSUMDB'));
  return below(url, `sumdb/${database.ok ? database.value.name : 'sum.golang.org'}/supported`);
}

/** Reachability, latency, TLS and credentials of every proxy in GOPROXY. */
export const proxies: Check = {
  finds: ['proxy-unreachable', 'proxy-slow', 'proxy-certificate', 'proxy-not-tls', 'proxy-error', 'proxy-credentials'],
  async run(facts) {
    const found = await Promise.all(proxiesOf(facts).map((entry) => lookAtProxy(facts, entry)));
    return found.flat();
  },
};

async function lookAtProxy(facts: Facts, entry: ProxyUrl): Promise<readonly Finding[]> {
  const url = probeUrl(facts, entry);
  const outbound = facts.network.proxyFor(url);
  // An outbound proxy that does not work is told of once, and not again for everything behind it.
  if (outbound !== undefined && (await outboundFault(facts, outbound)) !== undefined) return [];
  const answer = await facts.network.get(url);
  const subject = entry.text;
  const proof = [{ ran: `GET ${withoutCredentials(url.href)}`, got: describe(answer) }];
  if (answer.kind === 'failed') {
    if (answer.fault === 'untrusted' && (await missingAuthorities(facts)) !== undefined) return [];
    if (answer.fault === 'untrusted') return [{ id: 'proxy-certificate', subject, proof, fix: certificateFix(answer.code) }];
    if (url.protocol === 'https:' && isNotTls(answer))
      return [{ id: 'proxy-not-tls', subject, proof, fix: typed(`# GOPROXY: http://${entry.url.host}${entry.url.pathname}`) }];
    return [{ id: 'proxy-unreachable', subject, proof, fix: typed(`curl -v ${quoted(withoutCredentials(url.href))}`) }];
  }
  if (answer.status === 401 || answer.status === 407) {
    return [{ id: 'proxy-credentials', subject, proof, fix: proxyCredentials(entry.url, facts.network) }];
  }
  if (answer.status >= 500 || answer.status === 429)
    return [{ id: 'proxy-error', subject, proof, fix: typed(`curl -v ${quoted(withoutCredentials(url.href))}`) }];
  if (answer.tookMs <= facts.slowMs) return [];
  const slow = [{ ran: `GET ${withoutCredentials(url.href)}`, got: seconds(answer.tookMs) }];
  return [{ id: 'proxy-slow', subject, proof: slow, fix: typed(`curl -o /dev/null -w '%{time_total}\\n' ${quoted(url.href)}`) }];
}

/** The go command sends no credentials over http, from wherever they come. */
export function proxyCredentials(url: URL, network: Network): Finding['fix'] {
  const line = `# ~/.netrc: machine ${network.machineOf(url)} login USER password TOKEN`;
  return url.protocol === 'https:' ? typed(line) : typed(`# GOPROXY: https://${url.host}${url.pathname}`, line);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function certificateFix(code: string): Finding['fix'] {
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') return typed('date');
  return typed('cp COMPANY-CA.crt /usr/local/share/ca-certificates/ && update-ca-certificates', 'export SSL_CERT_FILE=COMPANY-CA.pem');
}

/** The checksum database on the way that the go command takes to it. */
export const databaseNetwork: Check = {
  finds: ['database-unreachable', 'database-certificate', 'database-other-key', 'database-slow'],
  async run(facts) {
    const way = await facts.modules.wayToDatabase();
    // Of a list that the go command does not take it is told already.
    if (way === undefined || facts.proxies.some(({ kind }) => kind === 'invalid')) return [];
    const asked = way.asked.map((step) => ({ ran: `GET ${withoutCredentials(step.url.href)}`, got: describe(step.answer) }));
    const fix = typed('# GOPROXY: https://HUB (relays the database)', 'go env -w GOSUMDB=sum.golang.google.cn');
    const subject = way.key.name;
    if (way.base === undefined) {
      const last = way.asked.at(-1)?.answer;
      const isRefusal = last?.kind === 'answer' && last.status !== 401 && last.status < 500;
      return isRefusal ? [{ id: 'database-unreachable', subject, proof: asked, fix }] : [];
    }
    const url = below(way.base, 'latest');
    const outbound = facts.network.proxyFor(url);
    if (outbound !== undefined && (await outboundFault(facts, outbound)) !== undefined) return [];
    const answer = await facts.network.get(url);
    const proof = [...asked, { ran: `GET ${withoutCredentials(url.href)}`, got: describe(answer) }];
    if (answer.kind === 'failed' && answer.fault === 'untrusted')
      return [{ id: 'database-certificate', subject, proof, fix: certificateFix(answer.code) }];
    if (answer.kind === 'failed' || answer.status !== 200) return [{ id: 'database-unreachable', subject, proof, fix }];
    const head = openTreeNote(answer.body.toString('utf8'), way.key);
    const ran = `GET ${withoutCredentials(url.href)}`;
    if (head.ok && answer.tookMs <= facts.slowMs) return [];
    if (head.ok) return [{ id: 'database-slow', subject, proof: [{ ran, got: seconds(answer.tookMs) }], fix }];
    return [{ id: 'database-other-key', subject, proof: [...proof, { ran: 'GOSUMDB', got: head.reason }], fix: typed('go env GOSUMDB') }];
  },
};

export const clock: Check = {
  finds: ['clock-skew'],
  async run(facts) {
    const asked: { url: URL; answer: Answer }[] = [];
    for (const entry of proxiesOf(facts)) {
      const url = probeUrl(facts, entry);
      asked.push({ url, answer: await facts.network.get(url) });
    }
    const dated = asked.flatMap(({ url, answer }) =>
      answer.kind === 'answer' && answer.clockAheadMs !== undefined ? [{ url, aheadMs: answer.clockAheadMs }] : [],
    );
    // One server's clock can be wrong; that of all of them is not.
    if (dated.length === 0 || dated.some(({ aheadMs }) => Math.abs(aheadMs) <= SKEW_MS_MAX)) return [];
    const proof = dated.map(({ url, aheadMs }) => ({
      ran: `GET ${withoutCredentials(url.href)}`,
      got: `Date: ${new Date(Date.now() + aheadMs).toUTCString()}`,
    }));
    const subject = `${Math.round(Math.abs(dated[0]?.aheadMs ?? 0) / 60_000)} min`;
    return [
      {
        id: 'clock-skew',
        subject,
        proof: [...proof, { ran: 'date -u', got: new Date().toUTCString() }],
        fix: typed('timedatectl set-ntp true'),
      },
    ];
  },
};

/** HTTP_PROXY and HTTPS_PROXY themselves. */
export const outbound: Check = {
  finds: ['outbound-proxy-invalid', 'outbound-proxy-tls', 'outbound-proxy-unreachable'],
  async run(facts) {
    const { rulesFault } = facts.network;
    const { httpProxy, httpsProxy } = outboundSettings(facts.env);
    if (rulesFault !== undefined)
      return [
        {
          id: 'outbound-proxy-invalid',
          subject: 'HTTP_PROXY, HTTPS_PROXY',
          proof: [{ ran: 'printenv HTTP_PROXY HTTPS_PROXY', got: rulesFault }],
          fix: typed('export HTTPS_PROXY=http://HOST:PORT'),
        },
      ];
    const used = new Map<string, URL>();
    for (const { url } of proxiesOf(facts)) {
      const proxy = facts.network.proxyFor(url);
      if (proxy !== undefined) used.set(proxy.href, proxy);
    }
    const found = await Promise.all([...used.values()].map((proxy) => outboundFault(facts, proxy)));
    return found.flatMap((finding) => finding ?? []).map((finding) => nameVariables(finding, { httpProxy, httpsProxy }));
  },
};

function nameVariables(finding: Finding, { httpProxy, httpsProxy }: { httpProxy: string; httpsProxy: string }): Finding {
  const names = Object.entries({ HTTP_PROXY: httpProxy, HTTPS_PROXY: httpsProxy }).filter(([, value]) =>
    finding.subject.includes(hostPart(value)),
  );
  const name = names.map(([variable]) => variable).join(', ') || 'HTTPS_PROXY';
  return { ...finding, subject: `${name}=${finding.subject}` };
}

function hostPart(text: string): string {
  return text.replace(/^\w+:\/\//, '').replace(/^[^@]*@/, '') || '\u0000';
}

/** What is wrong with an outbound proxy, asked by itself. An ordinary one answers a plain request somehow. */
async function outboundFault(facts: Facts, proxy: URL): Promise<Finding | undefined> {
  const self = new URL(`${proxy.protocol}//${proxy.host}/`);
  const answer = await facts.network.getDirect(self);
  if (answer.kind === 'answer') return undefined;
  const proof = [{ ran: `GET ${self.href}`, got: answer.reason }];
  const subject = `${proxy.protocol}//${proxy.host}`;
  if (proxy.protocol === 'https:' && isNotTls(answer)) {
    const plain = `http://${proxy.host}`;
    const second = await facts.network.getDirect(new URL(plain));
    proof.push({ ran: `GET ${plain}/`, got: describe(second) });
    return { id: 'outbound-proxy-tls', subject, proof, fix: typed(`export HTTPS_PROXY=${plain} HTTP_PROXY=${plain}`) };
  }
  // One that speaks only CONNECT may close without a word: it is there.
  if (answer.fault === 'cut' || answer.fault === 'garbled') return undefined;
  return {
    id: 'outbound-proxy-unreachable',
    subject,
    proof,
    fix: typed(`curl -v ${subject}`, 'unset HTTP_PROXY HTTPS_PROXY http_proxy https_proxy'),
  };
}

/** Entries of NO_PROXY that no request can match, by Go's rules. */
export const noProxy: Check = {
  finds: ['no-proxy-entry'],
  run({ env }) {
    const { noProxy: text } = outboundSettings(env);
    const entries = text
      .split(',')
      .map((part) => part.trim())
      .filter((entry) => entry !== '');
    const whole = entries.map((entry) => betterEntry(entry) ?? entry).join(',');
    return entries.flatMap((entry) => {
      const better = betterEntry(entry);
      if (better === undefined) return [];
      const fix = typed(`# NO_PROXY: ${entry} -> ${better}`, `export NO_PROXY=${quoted(whole)}`);
      return [{ id: 'no-proxy-entry' as const, subject: entry, proof: [{ ran: 'printenv NO_PROXY', got: text }], fix }];
    });
  },
};

/** What was most likely meant by an entry that matches nothing. */
function betterEntry(entry: string): string | undefined {
  if (/^[a-z]+:\/\//i.test(entry)) return entry.replace(/^[a-z]+:\/\//i, '').replace(/\/.*$/, '');
  if (/\s/.test(entry)) return entry.split(/\s+/).join(',');
  const plain = entry.replace(/^\^/, '').replace(/\$$/, '').replaceAll('\\', '');
  if (plain !== entry) return betterEntry(plain) ?? plain;
  const numbers = /^(\d{1,3}(?:\.\d{1,3}){0,2})\.?(?:\*|\.\*)*\.?$/.exec(entry)?.[1]?.split('.');
  if (numbers !== undefined && isIP(entry) === 0) return `${[...numbers, '0', '0', '0'].slice(0, 4).join('.')}/${numbers.length * 8}`;
  if (entry !== '*' && entry.replace(/^\*\./, '').includes('*')) return entry.replace(/^.*\*\.?/, '') || '*';
  if (entry.includes('/')) {
    const [base = '', length = ''] = entry.split('/', 2);
    const bitsMax = isIP(base) === 6 ? 128 : 32;
    if (isIP(base) === 0 || !/^\d{1,3}$/.test(length) || Number(length) > bitsMax) return base;
  }
  return undefined;
}

const CA_FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
  '/etc/ssl/certs',
  '/etc/pki/tls/certs',
];

/** Go on Linux has no authorities of its own: without the system's, every https address is untrusted. */
export const authorities: Check = {
  finds: ['authorities-missing'],
  async run(facts) {
    const finding = await missingAuthorities(facts);
    return finding === undefined ? [] : [finding];
  },
};

async function missingAuthorities({ env, proxies: entries }: Facts): Promise<Finding | undefined> {
  if (process.platform !== 'linux' || !entries.some((entry) => entry.kind === 'proxy' && entry.url.protocol === 'https:')) return undefined;
  const own = env['SSL_CERT_FILE'];
  const files = own ? [own] : [...CA_FILES, ...(env['SSL_CERT_DIR']?.split(':') ?? [])];
  for (const file of files) if (await hasSomething(file)) return undefined;
  return {
    id: 'authorities-missing',
    subject: own ? `SSL_CERT_FILE=${own}` : '/etc/ssl/certs',
    proof: files.map((file) => ({ ran: `stat ${file}`, got: 'ENOENT' })),
    fix: own ? typed('unset SSL_CERT_FILE') : typed('apt-get install ca-certificates', 'yum install ca-certificates'),
  };
}

async function hasSomething(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.size > 0,
    () => false,
  );
}
