/**
 * Private modules in a bundle. What proves them is a record in the log that the hub outside signs; a module is private in a bundle when that log has it and the
 * public database has no record of it there. Inside, the same names have to be private, so that no module ever changes from one kind to the other on its way.
 */
import { HubError } from '../base/errors.ts';
import type { Metadata } from '../meta/metadata.ts';
import { moduleFileKey } from '../protocol/layout.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { Version } from '../protocol/version.ts';
import type { BundleFile } from './bundle-file.ts';
import type { BundleCheck } from './check-bundle.ts';

/** Modules that are private where the bundle comes from. */
export function privateModulesOf({ head, entries }: BundleFile): ReadonlySet<ModulePath> {
  const modules = new Set<ModulePath>();
  if (head.own === undefined) return modules;
  for (const { item } of entries) if (item.kind === 'file') modules.add(item.module);
  for (const { item } of entries) if (item.kind === 'lookup' && item.database === head.database) modules.delete(item.module);
  return modules;
}

/** @throws {HubError} policy-denied when a name is private on one side and public on the other */
export function checkNames(bundle: BundleFile, isPrivate: (module: ModulePath) => boolean): void {
  const outside = privateModulesOf(bundle);
  for (const { item } of bundle.entries) {
    if (!('module' in item) || isPrivate(item.module) === outside.has(item.module)) continue;
    const why = outside.has(item.module)
      ? 'which is private where it comes from and public here: name it under private: in the configuration'
      : 'which is a private name here and public where it comes from';
    throw new HubError('policy-denied', `${bundle.file} carries ${item.module}, ${why}; nothing of it was taken`);
  }
}

export interface KnownVersions {
  readonly metadata: Pick<Metadata, 'file' | 'ownRecord'>;
  /** Names of the logs that this hub signs itself. */
  readonly ownLogs: readonly string[];
}

/**
 * Whatever this hub has or has recorded of the private modules of the bundle is the same: a version that was served once stays what it is.
 * @throws {HubError} checksum-mismatch; log-invalid and such for a record that does not prove
 */
export async function checkAgainstKnown(check: BundleCheck, { metadata, ownLogs }: KnownVersions): Promise<void> {
  const { bundle } = check;
  const outside = privateModulesOf(bundle);
  const seen = new Set<string>();
  for (const { item } of bundle.entries) {
    if (item.kind !== 'file' || !outside.has(item.module) || seen.has(`${item.module}@${item.version}`)) continue;
    const { module, version } = item;
    seen.add(`${module}@${version}`);
    const record = await check.record(module, version);
    if (record === undefined) continue;
    const known = await knownHashes({ module, version }, { metadata, ownLogs });
    for (const [file, h1, where] of known) {
      const recorded = file === 'zip' ? record.zipHash : record.modHash;
      if (h1 !== recorded)
        throw new HubError(
          'checksum-mismatch',
          `the .${file} of ${module}@${version} has ${h1} ${where}, and ${recorded} in ${record.database}: nothing of ${bundle.file} was taken`,
        );
    }
  }
}

type KnownHash = readonly ['mod' | 'zip', string, string];

async function knownHashes(
  { module, version }: { readonly module: ModulePath; readonly version: Version },
  { metadata, ownLogs }: KnownVersions,
): Promise<readonly KnownHash[]> {
  const known: KnownHash[] = [];
  for (const file of ['mod', 'zip'] as const) {
    const row = await metadata.file(moduleFileKey(module, version, file));
    if (row?.proof.kind === 'private' && row.h1 !== undefined) known.push([file, row.h1, 'here']);
  }
  for (const log of ownLogs) {
    const record = await metadata.ownRecord(log, module, version);
    if (record !== undefined) known.push(['mod', record.modHash, `in ${log}`], ['zip', record.zipHash, `in ${log}`]);
  }
  return known;
}
