import { execFile } from 'node:child_process';
import { hostname, networkInterfaces } from 'node:os';
import { messageOf } from '../base/errors.ts';
import { type Log, withoutCredentials } from '../base/log.ts';
import type { HubConfig, ListenAddress } from '../cli/config/hub-config.ts';
import type { Metadata } from '../meta/metadata.ts';

const wellKnown = 'https://goproxy.cn';
const rememberedSetting = 'upstreams.from-go';
const goCommandMs = 5_000;

/**
 * The addresses of the upstreams in order. With none configured: the well-known mirror, then what this machine's own Go is set to, the hub's own address left out.
 * What Go named is remembered, because after `go env -w GOPROXY=http://127.0.0.1:8080` it names only the hub.
 */
export async function resolveUpstreams(
  config: HubConfig,
  parts: { env: NodeJS.ProcessEnv; metadata: Metadata; log: Log },
): Promise<readonly string[]> {
  switch (config.upstreams.kind) {
    case 'off':
      return [];
    case 'list':
      return config.upstreams.entries.flatMap((entry) => (entry.kind === 'url' ? [entry.url] : []));
    case 'default': {
      const fromGo = upstreamsIn(await goProxySetting(parts.env, parts.log), config.listen, config.publicUrl);
      return [...new Set([wellKnown, ...(await remember(fromGo, parts.metadata))])];
    }
  }
}

async function remember(fromGo: readonly string[], metadata: Metadata): Promise<readonly string[]> {
  const remembered = await metadata.setting(rememberedSetting);
  if (fromGo.length === 0) return remembered?.split(',') ?? [];
  // Credentials stay where Go keeps them: only plain addresses are written down.
  const plain = fromGo.filter((address) => withoutCredentials(address) === new URL(address).href);
  if (plain.length > 0 && plain.join(',') !== remembered) await metadata.recordSetting(rememberedSetting, plain.join(','));
  return fromGo;
}

async function goProxySetting(env: NodeJS.ProcessEnv, log: Log): Promise<string> {
  const set = env['GOPROXY'];
  if (set !== undefined && set !== '') return set;
  return new Promise((resolve) => {
    execFile('go', ['env', 'GOPROXY'], { env, timeout: goCommandMs, maxBuffer: 64 * 1024 }, (error, stdout) => {
      if (error !== null) log.debug('no go command here to ask for its GOPROXY', { error: messageOf(error) });
      resolve(error === null ? stdout.trim() : '');
    });
  });
}

/** The addresses in a GOPROXY value, without the words `direct` and `off`, without file addresses, and without this hub. */
export function upstreamsIn(goProxy: string, listen: ListenAddress, publicUrl: string | undefined): readonly string[] {
  return goProxy
    .split(/[,|]/)
    .map((entry) => entry.trim().replace(/\/+$/, ''))
    .filter((entry) => entry !== '' && entry !== 'direct' && entry !== 'off')
    .map((entry) => (entry.includes('://') ? entry : `https://${entry}`))
    .filter((entry) => URL.canParse(entry) && /^https?:$/.test(new URL(entry).protocol) && !isThisHub(new URL(entry), listen, publicUrl));
}

function isThisHub(address: URL, listen: ListenAddress, publicUrl: string | undefined): boolean {
  if (publicUrl !== undefined && new URL(publicUrl).host === address.host) return true;
  const port = address.port === '' ? (address.protocol === 'https:' ? 443 : 80) : Number(address.port);
  if (port !== listen.port) return false;
  const host = address.hostname.replace(/^\[|\]$/g, '');
  if (host === listen.host || host === 'localhost' || host === '::1' || host.startsWith('127.')) return true;
  return (listen.host === '0.0.0.0' || listen.host === '::') && isThisMachine(host);
}

function isThisMachine(host: string): boolean {
  if (host === hostname().toLowerCase()) return true;
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === host) === true);
}
