import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface GoResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface GoSettings {
  readonly GOPROXY: string;
  readonly GOMODCACHE: string;
  readonly GOSUMDB?: string;
  readonly GOTOOLCHAIN?: string;
  readonly GOFLAGS?: string;
  readonly GOBIN?: string;
}

/** Runs the real go command in `directory` with nothing of this machine's own settings, the module cache being the one given. Never throws for its exit code. */
export async function runGo(directory: string, args: readonly string[], settings: GoSettings, timeoutMs = 300_000): Promise<GoResult> {
  await mkdir(settings.GOMODCACHE, { recursive: true });
  const { PATH = '', HOME = '', GOCACHE } = process.env;
  const env = {
    PATH,
    HOME,
    ...(GOCACHE !== undefined && { GOCACHE }),
    // The client's own copy of the checksum database lives below GOPATH: a fresh one, so that nothing is known beforehand.
    GOPATH: join(settings.GOMODCACHE, '..', 'gopath'),
    GOENV: 'off',
    GOFLAGS: '-mod=mod -modcacherw',
    GOPRIVATE: '',
    GONOSUMDB: 'none',
    GONOPROXY: 'none',
    GOSUMDB: 'sum.golang.org',
    GOTOOLCHAIN: 'local',
    GOVCS: '*:off',
    ...settings,
  };
  return new Promise((resolve) => {
    execFile('go', [...args], { cwd: directory, env, timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, stdout, stderr });
    });
  });
}

let upstream: Promise<string> | undefined;

/** The module proxy that this machine's own Go uses: the first address in `go env GOPROXY`. */
export function realUpstream(): Promise<string> {
  upstream ??= new Promise((resolve, reject) => {
    execFile('go', ['env', 'GOPROXY'], { timeout: 20_000 }, (error, stdout) => {
      const address = stdout
        .trim()
        .split(/[,|]/)
        .find((entry) => /^https?:/.test(entry));
      if (error !== null || address === undefined)
        reject(new Error(`these tests need a Go module proxy: set GOPROXY (go env GOPROXY says ${JSON.stringify(stdout.trim())})`));
      else resolve(address.replace(/\/+$/, ''));
    });
  });
  return upstream;
}
