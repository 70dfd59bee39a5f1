import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { HubError } from '../base/errors.ts';
import type { OpenLog, StoredLogRequest } from '../cli/backends.ts';
import type { HubConfig } from '../cli/config/hub-config.ts';
import { type StoredAuditReport, auditStored } from '../hub/audit-stored.ts';
import type { OutboundClient } from '../net/outbound-client.ts';
import { createHttpLogReader } from '../origin/log-reader.ts';
import { readFsStore } from '../store/fs-reading.ts';
import { openOutboundClient } from './wire-hub.ts';

/** A log at an address that the operator named, by the configuration's own way out. @throws {HubError} config-invalid */
export async function openLog(config: HubConfig, url: URL, options: ClientOptions): Promise<OpenLog> {
  const client = await openClient(config, url, options);
  const { upstreamMs: firstByteMs, idleMs, bytesPerSecondMin } = config.limits;
  return {
    reader: createHttpLogReader({ url, client, limits: { firstByteMs, idleMs, bytesPerSecondMin } }),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

export interface ClientOptions {
  readonly version: string;
  readonly token: string | undefined;
}

/** The configuration's way out to one hub, which alone gets the token. @throws {HubError} config-invalid */
export async function openClient(config: HubConfig, hub: URL, { version, token }: ClientOptions): Promise<OutboundClient> {
  const client = await openOutboundClient(config, { configuredOrigins: [hub], version });
  if (token === undefined) return client;
  return {
    send: (request, signal) => {
      if (request.url.origin !== hub.origin) return client.send(request, signal);
      return client.send({ ...request, headers: { ...request.headers, Authorization: `Bearer ${token}` } }, signal);
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

/** @throws {HubError} not-found when nothing of that database lies there; storage-fault */
export async function auditStoredLog({ dataDir, key, onProgress }: StoredLogRequest, signal: AbortSignal): Promise<StoredAuditReport> {
  await access(join(dataDir, 'modules')).catch((cause: unknown) => {
    throw new HubError('not-found', `there is no hub's data in ${dataDir}`, { cause });
  });
  return auditStored({ store: readFsStore(dataDir), database: key.name, key, onProgress }, signal);
}
