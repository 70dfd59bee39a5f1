import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Host of all modules in these tests; git is told to look for it at a server of the test. */
export const GIT_HOST = 'git.corp.example';

export interface GoDownload {
  readonly Path: string;
  readonly Query?: string;
  readonly Version?: string;
  readonly Error?: string;
  readonly Sum?: string;
  readonly GoModSum?: string;
  readonly GoMod?: string;
  readonly Zip?: string;
  readonly Info?: string;
  readonly Origin?: {
    readonly VCS?: string;
    readonly URL?: string;
    readonly Subdir?: string;
    readonly Hash?: string;
    readonly Ref?: string;
  };
}

/** The real go command in direct mode against `serverUrl`, with a module cache of its own below `folder`. */
export class GoDirect {
  readonly #folder: string;
  readonly #env: Readonly<Record<string, string>>;

  constructor(folder: string, serverUrl: string, more: Readonly<Record<string, string>> = {}) {
    this.#folder = folder;
    const { PATH = '', HOME = '', GOCACHE } = process.env;
    this.#env = {
      PATH,
      HOME,
      ...(GOCACHE !== undefined && { GOCACHE }),
      GOPATH: join(folder, 'gopath'),
      GOMODCACHE: join(folder, 'cache'),
      GOENV: 'off',
      GOFLAGS: '-mod=mod -modcacherw',
      GOPROXY: 'direct',
      GONOPROXY: '',
      GOPRIVATE: '',
      GOSUMDB: 'off',
      GOVCS: '*:all',
      GOINSECURE: '*',
      GOTOOLCHAIN: 'local',
      GIT_TERMINAL_PROMPT: '0',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: `url.${serverUrl}/.insteadOf`,
      GIT_CONFIG_VALUE_0: `https://${GIT_HOST}/`,
      ...more,
    };
  }

  /** One answer for each of `queries` (`MODULE@QUERY`), in their order. */
  async download(queries: readonly string[]): Promise<readonly GoDownload[]> {
    const { stdout } = await this.run(['mod', 'download', '-json', ...queries]);
    const answers = parseObjects(stdout) as GoDownload[];
    return queries.map((query) => {
      const at = query.lastIndexOf('@');
      const answer = answers.find(
        ({ Path, Query, Version }) =>
          Path === query.slice(0, at) && (Query === query.slice(at + 1) || (Query === undefined && Version === query.slice(at + 1))),
      );
      if (answer === undefined) throw new Error(`go said nothing about ${query}: ${stdout}`);
      return answer;
    });
  }

  /** As `@v/list` would have them: retracted ones included. Undefined when go fails. */
  async versions(module: string): Promise<readonly string[] | undefined> {
    const { code, stdout } = await this.run(['list', '-m', '-e', '-versions', '-retracted', '-json', `${module}`]);
    const [listed] = parseObjects(stdout) as { readonly Versions?: readonly string[]; readonly Error?: unknown }[];
    return code !== 0 || listed === undefined || listed.Error !== undefined ? undefined : (listed.Versions ?? []);
  }

  async run(args: readonly string[]): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
    const directory = join(this.#folder, 'main');
    await mkdir(directory, { recursive: true });
    return new Promise((resolve) => {
      execFile(
        'go',
        [...args],
        { cwd: directory, env: this.#env, maxBuffer: 64 * 1024 * 1024, timeout: 300_000 },
        (error, stdout, stderr) => {
          resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, stdout, stderr });
        },
      );
    });
  }

  async read(file: string | undefined): Promise<Buffer> {
    return readFile(file ?? '');
  }
}

/** `{…}\n{…}\n` as go prints several answers: each closing brace that begins a line ends one. */
function parseObjects(text: string): unknown[] {
  return text
    .split(/^(?=\{)/m)
    .filter((part) => part.trim() !== '')
    .map((part) => JSON.parse(part) as unknown);
}
