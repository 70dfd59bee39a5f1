import { HubError } from '../../base/errors.ts';
import { hashFiles } from '../../protocol/dirhash.ts';
import { type SdkName, TOOLCHAIN_MODULE, moduleFileOf, toolchainVersion } from '../../protocol/go-release.ts';
import { type LogProof, checkLogProof } from '../../protocol/log-proof.ts';
import type { VerifierKey } from '../../protocol/note.ts';
import type { UnpackedSdk } from './sdk-unpack.ts';

export interface ProvedSdk {
  readonly h1: string;
  readonly database: string;
  readonly record: number;
  readonly treeSize: number;
}

/**
 * Whether just these files are what the checksum database has on record for the release: their names are turned back into those of the module, and the
 * hash over all of them is the recorded one. So it does not matter who made the archive, or who carried it here.
 * @throws {HubError} log-invalid when the proof does not hold, checksum-mismatch when the files are others
 */
export function proveUnpacked(
  name: SdkName,
  { files }: UnpackedSdk,
  against: { readonly proof: LogProof; readonly key: VerifierKey },
): ProvedSdk {
  const { proof, key } = against;
  const version = toolchainVersion(name);
  const checked = checkLogProof(proof, key);
  if (!checked.ok) throw new HubError('log-invalid', checked.reason);
  const { record, tree } = checked.value;
  if (record.module !== TOOLCHAIN_MODULE || record.version !== version)
    throw new HubError('log-invalid', `the proof is of ${record.module}@${record.version} and not of ${TOOLCHAIN_MODULE}@${version}`);
  const prefix = `${TOOLCHAIN_MODULE}@${version}/`;
  const inModule = files.map(({ name: file, sha256 }) => {
    const moduleFile = moduleFileOf(file);
    if (moduleFile === undefined) throw new HubError('checksum-mismatch', `${file} is no file of an SDK made of a module`);
    return { name: prefix + moduleFile, sha256 };
  });
  const h1 = hashFiles(inModule);
  if (!h1.ok || h1.value !== record.zipHash)
    throw new HubError('checksum-mismatch', `the files have ${h1.ok ? h1.value : h1.reason} where ${key.name} records ${record.zipHash}`);
  return { h1: record.zipHash, database: key.name, record: proof.recordId, treeSize: tree.size };
}
