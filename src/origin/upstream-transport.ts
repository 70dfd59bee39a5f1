import type { Clock } from '../base/clock.ts';
import { HubError } from '../base/errors.ts';
import type { ChecksumTransport } from './checksum-transport.ts';
import type { OriginRequest } from './module-origin.ts';
import { Upstream, type UpstreamAnswer, type UpstreamOptions } from './upstream.ts';

type TransportRequest = Parameters<ChecksumTransport['get']>[0];
type TransportAnswer = Awaited<ReturnType<ChecksumTransport['get']>>;

/** A database at its own address or at a mirror of it, such as `https://sum.golang.google.cn`: a 404 there is the database's own word. */
export function createUrlTransport(options: UpstreamOptions): ChecksumTransport {
  const upstream = new Upstream(options);
  return { origin: upstream.name, get: (request, signal) => getThrough(upstream, request.resource, request, signal) };
}

/** How long a module proxy's "I do not carry that database" is believed. */
const unsupportedMs = 60_000;

/**
 * A database through a module proxy. Its 404 counts only when it says that it carries the database (`/sumdb/NAME/supported`):
 * a proxy without databases says 404 to everything below `/sumdb`. https://go.dev/design/25530-sumdb#proxying-a-checksum-database
 */
export function createUpstreamTransport(upstream: Upstream, databaseName: string, clock: Clock): ChecksumTransport {
  const base = `sumdb/${databaseName}/`;
  let supported = false;
  let unsupportedUntilMs = Number.NEGATIVE_INFINITY;
  return {
    origin: upstream.name,
    async get(request, signal) {
      if (!supported) {
        const unsupported = new HubError('origin-unavailable', `${upstream.name} does not carry ${databaseName}`);
        if (clock.monotonicMs() < unsupportedUntilMs) throw unsupported;
        const answer = await getThrough(upstream, `${base}supported`, { ...request, sizeMaxBytes: 64 * 1024 }, signal);
        if (answer.kind === 'absent') {
          unsupportedUntilMs = clock.monotonicMs() + unsupportedMs;
          throw unsupported;
        }
        supported = true;
      }
      return getThrough(upstream, base + request.resource, request, signal);
    },
  };
}

async function getThrough(
  upstream: Upstream,
  resource: string,
  { sizeMaxBytes, priority, raised }: TransportRequest,
  signal: AbortSignal,
): Promise<TransportAnswer> {
  const admission = upstream.breaker.admit();
  if (admission === undefined)
    throw new HubError(
      'origin-unavailable',
      `${upstream.name} is down: ${upstream.breaker.lastFault ?? 'it is being asked whether it is back'}`,
    );
  const request: OriginRequest = { resource, sizeMaxBytes, priority, raised };
  const answer = await upstream.open(request, admission, signal);
  switch (answer.kind) {
    case 'absent':
      return answer;
    case 'refused':
      throw new HubError('upstream-refused', answer.reason);
    case 'found':
      return { kind: 'found', body: await readWhole(answer) };
  }
}

/** Into memory; a body that starts anew is read anew, once. */
async function readWhole(answer: Extract<UpstreamAnswer, { kind: 'found' }>): Promise<Buffer> {
  await using body = answer.body;
  try {
    return await collect(body);
  } catch (error) {
    const restart = body.takeRestart();
    if (restart === undefined) throw error;
    await using anew = restart;
    return await collect(anew);
  }
}

async function collect(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}
