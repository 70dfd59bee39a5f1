import { readFile, rm, writeFile } from 'node:fs/promises';
import { HubError } from '../base/errors.ts';
import { fileError } from './private-folder.ts';
import { isAlive, ownIdentity } from './process-identity.ts';

/**
 * Keeps two commands from writing one file, each of which would write into what the other has begun: `FILE.lock` names the process, and counts for as long as that lives.
 * @throws {HubError} overloaded, storage-full, storage-fault
 */
export async function holdOutput(file: string): Promise<AsyncDisposable> {
  const path = `${file}.lock`;
  for (;;) {
    try {
      await writeFile(path, ownIdentity(), { flag: 'wx' });
      return { [Symbol.asyncDispose]: () => rm(path, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fileError(`write ${path}`, error);
    }
    const holder = (await readFile(path, 'latin1').catch(() => '')).trim();
    // Empty is one that is being written.
    if (holder === '' || isAlive(holder))
      throw new HubError('overloaded', `another command writes ${file} already: wait for its end, or remove ${path} when there is none`);
    await rm(path, { force: true });
  }
}
