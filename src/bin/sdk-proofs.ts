import type { HubConfig } from '../cli/config/hub-config.ts';
import { SdkProofs } from '../hub/sdk-proofs.ts';
import { parseChecksumDatabaseEntry } from '../protocol/checksum-database-entry.ts';
import type { WiredHub } from './wire-hub.ts';

/** By the database that proves everything else here; undefined where nothing is proved. */
export function openSdkProofs(config: HubConfig, { station, proving }: WiredHub): SdkProofs | undefined {
  const entry = config.checksumDatabases
    .map((text) => parseChecksumDatabaseEntry(text))
    .find((parsed) => parsed.ok && parsed.value.name === proving?.name);
  return entry?.ok ? new SdkProofs({ station, key: entry.value.key, isMirrored: config.sdk.mirrors.length > 0 }) : undefined;
}
