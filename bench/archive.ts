import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { formatLookupAnswer, parseLookupAnswer } from '../src/protocol/checksum-record.ts';
import { realUpstream } from '../test/support/go-command.ts';

const attemptsMax = 4;
const downloadMs = 180_000;

/** A folder of answers to paths, which asks the real upstream, once and for ever, for what it lacks; what does not exist is remembered too. */
export class Archive {
  readonly #folder: string;
  readonly #running = new Map<string, Promise<Buffer | undefined>>();
  /** Paths that came from the upstream since this archive was opened. */
  readonly fetched: string[] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Undefined when the upstream has no such thing, or refuses it. @throws {Error} when it cannot be reached */
  get(path: string): Promise<Buffer | undefined> {
    let running = this.#running.get(path);
    if (running === undefined) {
      running = this.#get(path).finally(() => this.#running.delete(path));
      this.#running.set(path, running);
    }
    return running;
  }

  async #get(path: string): Promise<Buffer | undefined> {
    if (normalize(path) !== path || !/^\/(?:sumdb\/.|.+\/@v\/.|.+\/@latest$)/.test(path)) return undefined;
    const file = join(this.#folder, path);
    const known = await readFile(file).catch(() => undefined);
    if (known !== undefined) return known;
    const absence = join(this.#folder, '.absent', encodeURIComponent(path));
    if ((await readFile(absence).catch(() => undefined)) !== undefined) return undefined;
    const bytes = await this.#download(path);
    this.fetched.push(path);
    if (bytes === undefined) await write(absence, '');
    else await write(file, bytes);
    return bytes;
  }

  /** A record comes with the note of the recorded tree: a mirror's answers have notes of many trees, whose edges would all be asked for. */
  async #download(path: string): Promise<Buffer | undefined> {
    const bytes = await download(`${await realUpstream()}${path}`);
    const database = /^\/sumdb\/[^/]+(?=\/lookup\/)/.exec(path)?.[0];
    if (bytes === undefined || database === undefined) return bytes;
    const note = (await this.get(`${database}/latest`))?.toString();
    const answer = parseLookupAnswer(bytes);
    return answer.ok && note !== undefined ? Buffer.from(formatLookupAnswer({ ...answer.value, note })) : undefined;
  }
}

async function download(url: string): Promise<Buffer | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const answer = await fetch(url, { headers: { 'accept-encoding': 'identity' }, signal: AbortSignal.timeout(downloadMs) });
      if (answer.status === 200) return Buffer.from(await answer.arrayBuffer());
      if (answer.status < 500 && answer.status !== 429) return undefined;
      throw new Error(`${url} answers ${answer.status}`);
    } catch (error) {
      if (attempt === attemptsMax) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** attempt));
  }
}

/** Whole or not at all: a run may be ended at any time. */
async function write(file: string, bytes: Uint8Array | string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const unfinished = `${file}.${process.pid}.unfinished`;
  await writeFile(unfinished, bytes);
  await rename(unfinished, file);
}
