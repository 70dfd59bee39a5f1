import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { HubError } from '../base/errors.ts';
import type { OpenLog, StoredLogRequest } from '../cli/backends.ts';
import type { HubConfig } from '../cli/config/hub-config.ts';
import { type StoredAuditReport, auditStored } from '../hub/audit-stored.ts';
import { createHttpLogReader } from '../origin/log-reader.ts';
import { readFsStore } from '../store/fs-reading.ts';
import { openOutboundClient } from './wire-hub.ts';

/** A log at an address that the operator named, by the configuration's own way out. @throws {HubError} config-invalid */
export async function openLog(config: HubConfig, url: URL, version: string): Promise<OpenLog> {
  const client = await openOutboundClient(config, { configuredOrigins: [url], version });
  const { upstreamMs: firstByteMs, idleMs, bytesPerSecondMin } = config.limits;
  return {
    reader: createHttpLogReader({ url, client, limits: { firstByteMs, idleMs, bytesPerSecondMin } }),
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
