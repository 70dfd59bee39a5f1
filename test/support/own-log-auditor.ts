import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryFolder } from './hub-process.ts';

export interface Audit {
  readonly size: number;
  readonly root: string;
  readonly records: number;
  readonly notes: number;
}

/** The auditor of test/oracle-sumdb/verifier, built once: golang.org/x/mod/sumdb looks at a whole log from outside. */
export class OwnLogAuditor implements AsyncDisposable {
  readonly #folder: Awaited<ReturnType<typeof temporaryFolder>>;

  private constructor(folder: Awaited<ReturnType<typeof temporaryFolder>>) {
    this.#folder = folder;
  }

  static async build(): Promise<OwnLogAuditor> {
    const folder = await temporaryFolder();
    const cwd = new URL('../oracle-sumdb', import.meta.url);
    await promisify(execFile)('go', ['build', '-o', join(folder.path, 'verifier'), './verifier'], { cwd, timeout: 300_000 });
    return new OwnLogAuditor(folder);
  }

  /** `place` is an address or a folder. Rejects with what the auditor found, if anything of the log or of these signed notes is untrue. */
  async audit(key: string, place: string, notes: readonly string[] = []): Promise<Audit> {
    const file = join(this.#folder.path, 'notes');
    await writeFile(file, notes.map((note) => `${JSON.stringify(note)}\n`).join(''));
    const { stdout } = await promisify(execFile)(join(this.#folder.path, 'verifier'), [key, place, file], { timeout: 300_000 });
    return JSON.parse(stdout) as Audit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]();
  }
}
