import { Agent, get } from 'node:http';

export interface Replay {
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** What each took, in the order in which they were answered: with one in flight that of the paths. */
  readonly latenciesMs: readonly number[];
  readonly bytes: number;
  /** `STATUS PATH` of what was not answered with 200, the first few. */
  readonly failures: readonly string[];
}

/** Asks for every path once, in order, so many at a time, and reads every body to its end. */
export async function replay(
  url: string,
  paths: readonly string[],
  { inFlight, timeoutMs }: { readonly inFlight: number; readonly timeoutMs: number },
): Promise<Replay> {
  const agent = new Agent({ keepAlive: true, maxSockets: inFlight });
  const latencies: number[] = [];
  const failures: string[] = [];
  let bytes = 0;
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < paths.length) {
      const path = paths[next] ?? '';
      next += 1;
      const startedMs = performance.now();
      const { status, sizeBytes } = await read(`${url}${path}`, agent, timeoutMs);
      latencies.push(performance.now() - startedMs);
      bytes += sizeBytes;
      if (status !== 200 && failures.length < 5) failures.push(`${status} ${path}`);
    }
  };
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: inFlight }, one));
  const seconds = (performance.now() - startedMs) / 1000;
  agent.destroy();
  const sorted = latencies.toSorted((a, b) => a - b);
  const percentile = (percent: number): number => sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? 0;
  return { seconds, p50Ms: percentile(50), p99Ms: percentile(99), latenciesMs: latencies, bytes, failures };
}

/** Status 0: no answer, or one that broke off. */
function read(url: string, agent: Agent, timeoutMs: number): Promise<{ readonly status: number; readonly sizeBytes: number }> {
  return new Promise((resolve) => {
    let sizeBytes = 0;
    const fail = (): void => resolve({ status: 0, sizeBytes });
    const request = get(url, { agent, signal: AbortSignal.timeout(timeoutMs) }, (response) => {
      response.on('data', (chunk: Buffer) => void (sizeBytes += chunk.length));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, sizeBytes }));
      response.on('error', fail);
      response.on('aborted', fail);
    });
    request.on('error', fail);
  });
}
