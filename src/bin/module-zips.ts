import type { Backends, ModuleZipPlace } from '../cli/backends.ts';
import { createZipProver } from '../origin/zip-prover-pool.ts';
import { writeFolderZip } from '../origin/folder-zip.ts';

/** Module zips of a machine that has no hub. */
export const moduleZips: Pick<Backends, 'makeModuleZip' | 'checkModuleZip'> = {
  makeModuleZip: writeFolderZip,
  async checkModuleZip({ file, module, version }: ModuleZipPlace, signal: AbortSignal) {
    await using prover = createZipProver({ threadsMax: 1 });
    const { h1, sizeBytes, entries } = await prover.prove({ localPath: file, module, version }, signal);
    return { zipHash: h1, sizeBytes, files: entries };
  },
};
