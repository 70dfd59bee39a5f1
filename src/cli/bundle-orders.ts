import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { SdkOrder } from '../bundle/plan-sources.ts';
import { parseToolOrder, type ToolOrder } from '../bundle/tools.ts';
import type { VulnerabilityPlace } from '../bundle/vulnerability-source.ts';
import { parsePlatform } from '../protocol/go-release.ts';
import { listed } from './bundle-options.ts';
import { type Invocation, UsageError } from './command.ts';
import { chooseRelease, parseSdkQuery } from './sdk/sdk-query.ts';

/** Releases of Go, of `--sdk` and `--platform`. @throws {UsageError} */
export function sdkOrders({ flags, messages }: Pick<Invocation, 'flags' | 'messages'>): readonly SdkOrder[] {
  const platforms = listed(flags['platform'] ?? 'linux/amd64').map((text) => {
    const platform = parsePlatform(text.replace('/', '-'));
    if (!platform.ok) throw new UsageError(messages.bundle.badSdk(text));
    return platform.value;
  });
  return listed(flags['sdk']).map((shown) => {
    const query = parseSdkQuery(shown);
    if (!query.ok) throw new UsageError(messages.bundle.badSdk(shown));
    const exact = query.value.kind === 'exact' ? query.value.release : undefined;
    return { shown, platforms, exact, choose: (known) => chooseRelease(query.value, known) };
  });
}

/** Of `--tools`. @throws {UsageError} */
export function toolOrders({ flags, messages }: Pick<Invocation, 'flags' | 'messages'>): readonly ToolOrder[] {
  return listed(flags['tools']).map((text) => {
    const order = parseToolOrder(text);
    if (order === undefined) throw new UsageError(messages.bundle.badTool(text));
    return order;
  });
}

/** Of `--vulndb`. @throws {UsageError} */
export async function vulnerabilityPlace({ flags, folder, messages }: Invocation): Promise<VulnerabilityPlace | undefined> {
  const { vulndb: text } = flags;
  if (typeof text !== 'string') return undefined;
  const url = URL.parse(text);
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return { kind: 'url', url };
  const path = resolve(folder, text);
  const stats = await stat(path).catch(() => undefined);
  if (stats === undefined) throw new UsageError(messages.bundle.badVulndb(text));
  return { kind: stats.isDirectory() ? 'folder' : 'zip', path };
}
