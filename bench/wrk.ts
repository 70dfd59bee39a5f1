import { execFile } from 'node:child_process';

export interface Load {
  readonly requestsPerSecond: number;
  readonly requests: number;
  readonly megabytes: number;
  readonly megabytesPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers other than 2xx and 3xx, and broken connections. */
  readonly failures: number;
}

export interface LoadOptions {
  readonly connections: number;
  readonly seconds: number;
  /** A Lua script that chooses what to ask for, with its arguments. */
  readonly script?: { readonly file: string; readonly args: readonly string[] };
}

/** Loads one address with wrk for so many seconds. @throws {Error} when wrk is missing, with the line that installs it */
export function runWrk(url: string, { connections, seconds, script }: LoadOptions): Promise<Load> {
  const chosen = script === undefined ? [] : ['-s', script.file];
  const args = [
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    '--timeout',
    '20s',
    '--latency',
    ...chosen,
    url,
    ...(script ? ['--', ...script.args] : []),
  ];
  return new Promise((resolve, reject) => {
    execFile('wrk', args, { timeout: (seconds + 40) * 1000 }, (error, stdout, stderr) => {
      if (error?.code === 'ENOENT') reject(new Error('wrk is needed: apt-get install -y wrk (Debian), brew install wrk (macOS)'));
      else if (error !== null) reject(new Error(`wrk failed: ${stderr}${stdout}`, { cause: error }));
      else resolve(parseWrk(stdout));
    });
  });
}

export function parseWrk(text: string): Load {
  const [, requests = '0', elapsed = '1', elapsedUnit = 's', amount = '0', amountUnit = 'B'] =
    /(\d+) requests in ([\d.]+)(us|ms|s|m), ([\d.]+)(B|KB|MB|GB|TB) read/.exec(text) ?? [];
  const seconds = (Number(elapsed) * inMs(elapsedUnit)) / 1000;
  const megabytes = (Number(amount) * (amountBytes[amountUnit] ?? 1)) / 1e6;
  const [, ...errors] = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text) ?? [];
  const refused = /Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? '0';
  return {
    requests: Number(requests),
    requestsPerSecond: Number(requests) / seconds,
    megabytes,
    megabytesPerSecond: megabytes / seconds,
    p50Ms: percentile(text, 50),
    p99Ms: percentile(text, 99),
    failures: [...errors, refused].reduce((sum, count) => sum + Number(count), 0),
  };
}

function percentile(text: string, percent: number): number {
  const [, value = 'NaN', unit = 'ms'] = new RegExp(`^\\s+${percent}%\\s+([\\d.]+)(us|ms|s|m)$`, 'm').exec(text) ?? [];
  return Number(value) * inMs(unit);
}

const amountBytes: Readonly<Record<string, number>> = { B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 };

function inMs(unit: string): number {
  return unit === 'us' ? 0.001 : unit === 'ms' ? 1 : unit === 's' ? 1000 : 60_000;
}
