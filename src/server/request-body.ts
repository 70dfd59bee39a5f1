import type { IncomingMessage } from 'node:http';
import { HubError } from '../base/errors.ts';
import type { Exchange } from './exchange.ts';

export interface BodyTimes {
  /** Of silence. */
  readonly idleMs: number;
  /** To the end. */
  readonly totalMs: number;
}

/**
 * The body of a request in the pieces in which it comes. Leaving early, or a failure, leaves the connection open for the answer, which is its last.
 * @throws {HubError} bad-request when it comes too slowly; canceled when the client leaves
 */
export async function* bodyOf(exchange: Exchange, times: BodyTimes): AsyncGenerator<Buffer> {
  const { req } = exchange;
  const chunks = chunksOf(req)[Symbol.asyncIterator]();
  const deadline = performance.now() + times.totalMs;
  let isWhole = false;
  try {
    for (;;) {
      const next = await inTime(chunks.next(), Math.min(times.idleMs, deadline - performance.now()));
      if (next.done === true) break;
      yield next.value;
    }
    isWhole = true;
  } finally {
    if (!isWhole) exchange.res.shouldKeepAlive = false;
  }
}

async function inTime<T>(work: Promise<T>, ms: number): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new HubError('bad-request', 'the body of the request comes too slowly')), Math.max(0, ms));
  // What comes after the time is over is nobody's.
  work.catch(() => {});
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Leaving the loop early must not destroy the socket, on which the refusal still has to go out. */
async function* chunksOf(req: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of req.iterator({ destroyOnReturn: false })) yield chunk as Buffer;
  } catch (cause) {
    throw new HubError('canceled', 'the client left before its request was complete', { cause });
  }
}
