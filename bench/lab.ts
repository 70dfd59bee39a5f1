import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Contender, type RunningServer, startNode } from './contenders.ts';
import type { OriginCounts, OriginSettings } from './origin.ts';
import type { Recording } from './recording.ts';
import type { Report } from './report.ts';
import { type LinkConditions, perfectLink } from './weak-link.ts';

export interface LabOptions {
  readonly recording: Recording;
  readonly contenders: readonly Contender[];
  readonly report: Report;
  readonly rounds: number;
  readonly quick: boolean;
}

export interface RunningOrigin extends AsyncDisposable {
  readonly url: string;
  /** What was asked since the last call. */
  readonly counts: () => Promise<OriginCounts>;
}

/** What all suites work with. Everything it starts gets a folder of its own below one that goes with it. */
export class Lab implements AsyncDisposable {
  readonly options: LabOptions;
  readonly #folder: string;
  #serial = 0;

  private constructor(options: LabOptions, folder: string) {
    this.options = options;
    this.#folder = folder;
  }

  static async open(options: LabOptions): Promise<Lab> {
    return new Lab(options, await mkdtemp(join(tmpdir(), 'goyi-bench-')));
  }

  async folder(): Promise<string> {
    this.#serial += 1;
    const path = join(this.#folder, String(this.#serial));
    await mkdir(path);
    return path;
  }

  async origin(link: LinkConditions = perfectLink): Promise<RunningOrigin> {
    const settings: OriginSettings = { files: this.options.recording.files, link };
    const server = await startNode('origin.ts', [JSON.stringify(settings)]);
    const counts = async (): Promise<OriginCounts> => (await (await fetch(`${server.url}/-/counts`)).json()) as OriginCounts;
    await counts();
    return { url: server.url, counts, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  }

  async start(contender: Contender, originUrl: string, { verify }: { readonly verify: boolean }): Promise<RunningServer> {
    const folder = await this.folder();
    const server = await contender.start({ originUrl, folder, files: this.options.recording.files, verify });
    return {
      ...server,
      [Symbol.asyncDispose]: async () => {
        await server[Symbol.asyncDispose]();
        await removeFolder(folder);
      },
    };
  }

  /** The contenders in another order each round, so that none is always the first. */
  rotated<T>(items: readonly T[], round: number): readonly T[] {
    const at = items.length === 0 ? 0 : round % items.length;
    return [...items.slice(at), ...items.slice(0, at)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeFolder(this.#folder);
  }
}

/** A note about a run whose origin was not quite the recording. */
export function notesOf(added: readonly string[]): readonly string[] {
  return added.length === 0
    ? []
    : [`run again: ${added.length} answers came from the real upstream and are recorded now, first ${added[0] ?? ''}`];
}

export function removeFolder(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
