import { isIP, isIPv6 } from 'node:net';
import type { Say } from './faults.ts';
import type { AddressRange, HandOverConfig } from './hub-config.ts';
import type { Check } from './own-database.ts';
import { parsePublicUrl, type Read } from './parse-values.ts';
import type { CheckedTree } from './schema.ts';

const usualLocation = '/goyi-store/';
const prefixLengthMax = 1_024;
const loopback = ['127.0.0.0/8', '::1'] as const;

/** What of it needs several keys: a prefix reads differently for each kind, and the go command is never sent from https to http. */
export function checkHandOver(tree: CheckedTree, check: Check): void {
  const read = readPrefix(tree, '/');
  const reads = ['handOver.kind', 'handOver.prefix'];
  const at = ['handOver', 'prefix'] as const;
  check(reads, read.ok, at, read.ok ? noFault : read.say);
  const isHttp = tree.handOver.kind === 'redirect' && /^http:/i.test(tree.handOver.prefix ?? '');
  const clientsUseHttp = tree.tls.certFile === undefined && /^http:/i.test(tree.publicUrl ?? '');
  check([...reads, 'publicUrl', 'tls.certFile'], !isHttp || clientsUseHttp, at, (m) => m.config.redirectToHttp);
}

const noFault: Say = () => '';

/** Expects a tree that {@link checkHandOver} found faultless. `dataDir` is absolute. */
export function handOverOf(tree: CheckedTree, dataDir: string): HandOverConfig {
  const { kind, minBytes } = tree.handOver;
  const read = readPrefix(tree, dataDir);
  const prefix = read.ok ? read.value : '';
  switch (kind) {
    case 'off':
      return { kind };
    case 'redirect':
      return { kind, prefix, minBytes };
    case 'x-accel-redirect':
    case 'x-sendfile': {
      const ranges = parseAddressRanges(tree.handOver.to?.map((text) => text.trim()) ?? loopback);
      return { kind, prefix, minBytes, to: ranges.ok ? ranges.value : [] };
    }
  }
}

/** What stands before the name of a stored file: it ends with a slash. */
function readPrefix({ handOver: { kind, prefix } }: CheckedTree, dataDir: string): Read<string> {
  // Together with the name of a file it has to fit into a header.
  const given = prefix === undefined || prefix.length <= prefixLengthMax ? prefix : '';
  switch (kind) {
    case 'off':
      return { ok: true, value: '' };
    case 'x-accel-redirect':
      return isLocation(given ?? usualLocation)
        ? { ok: true, value: given ?? usualLocation }
        : { ok: false, say: (m) => m.config.badAccelPrefix };
    case 'x-sendfile': {
      const folder = given ?? dataDir;
      const isPath = /^\/[\w./~!@+-]*$/.test(folder) && !hasDots(folder);
      return isPath ? { ok: true, value: folder.replace(/\/*$/, '/') } : { ok: false, say: (m) => m.config.badSendfilePrefix };
    }
    case 'redirect': {
      const url = parsePublicUrl(given ?? '');
      return url.ok ? { ok: true, value: `${url.value}/` } : { ok: false, say: (m) => m.config.badRedirectPrefix };
    }
  }
}

/** Letters only that mean the same however often they are decoded. */
function isLocation(text: string): boolean {
  return /^\/(?:[\w.~-]+\/)+$/.test(text) && !hasDots(text);
}

function hasDots(path: string): boolean {
  return path.split('/').some((part) => part === '.' || part === '..');
}

/** `ADDRESS` or `ADDRESS/BITS`. */
export function parseAddressRanges(texts: readonly string[]): Read<readonly AddressRange[]> {
  const ranges: AddressRange[] = [];
  for (const [entry, text] of texts.entries()) {
    const [, address = '', bits] = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
    const bitsMax = isIPv6(address) ? 128 : 32;
    if (isIP(address) === 0 || Number(bits ?? 0) > bitsMax) return { ok: false, say: (m) => m.config.badAddressRange, entry };
    ranges.push({ address, bits: bits === undefined ? bitsMax : Number(bits) });
  }
  return { ok: true, value: ranges };
}

export function formatAddressRange({ address, bits }: AddressRange): string {
  return `${address}/${bits}`;
}
