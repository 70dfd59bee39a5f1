import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { HubError, messageOf } from '../base/errors.ts';
import { withoutCredentials } from '../base/log.ts';

/** One call of a hub's API. */
export interface HubCall {
  /** http: or https:, without user and password. */
  readonly url: URL;
  /** `POST` when left out. */
  readonly method?: 'GET' | 'POST' | 'PUT';
  readonly contentType: string;
  /** Empty for a GET, which says nothing of it. */
  readonly body: Uint8Array | HubCallStream;
  /** Of whoever calls; sent as a Bearer token, and never shown. */
  readonly token?: string | undefined;
  /** To the head of the answer. The body is read by the hub first. */
  readonly firstByteMs: number;
  /** Of silence while the answer comes. */
  readonly idleMs: number;
}

/** A body too large for memory. */
export interface HubCallStream {
  readonly sizeBytes: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface HubReply extends AsyncDisposable {
  readonly status: number;
  /** Without parameters, lower case. */
  readonly contentType: string;
  /** Reading it throws {HubError} origin-unavailable when it is cut, origin-timeout when it falls silent, or the signal's reason. */
  readonly body: AsyncIterable<Buffer>;
}

/**
 * Calls a hub that the operator named: there is no list of allowed origins, no outbound proxy and no redirect, and nothing is retried.
 * Dispose of the reply whether its body was read or not.
 * @throws {HubError} origin-unavailable, origin-timeout, or the signal's reason; config-invalid when a token would go over the network in the clear
 */
export async function callHub(
  { url, method = 'POST', contentType, body, token, firstByteMs, idleMs }: HubCall,
  signal: AbortSignal,
): Promise<HubReply> {
  const shown = withoutCredentials(url.href);
  if (token !== undefined && url.protocol !== 'https:' && !/^(?:localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname))
    throw new HubError('config-invalid', `a token is sent over https alone, and ${shown} is not`);
  const options: RequestOptions = {
    method,
    agent: false,
    headers: {
      ...(method !== 'GET' && { 'Content-Type': contentType, 'Content-Length': 'chunks' in body ? body.sizeBytes : body.length }),
      Accept: 'application/json, application/x-ndjson',
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
    },
  };
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const req = url.protocol === 'https:' ? httpsRequest(url, options) : httpRequest(url, options);
  const onAbort = (): void => void req.destroy(signal.reason as Error);
  const silence = (ms: number): void =>
    void req.setTimeout(ms, () => req.destroy(new HubError('origin-timeout', `${shown} does not answer`)));
  req.once('response', resolve);
  // Also after the head: an error without a listener would end the process.
  req.on('error', reject);
  signal.addEventListener('abort', onAbort, { once: true });
  silence(firstByteMs);
  if (signal.aborted) onAbort();
  if (!('chunks' in body)) req.end(body);
  // A refusal may come before the body is sent: then the rest of it is of no interest, and neither is that it could not be sent.
  else void pipeline(body.chunks, req).catch((error: unknown) => reject(error));
  const end = (): void => {
    signal.removeEventListener('abort', onAbort);
    req.destroy();
  };
  try {
    const response = await promise;
    silence(idleMs);
    return {
      status: response.statusCode ?? 0,
      contentType: (response.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '',
      body: translated(response, shown, signal),
      [Symbol.asyncDispose]: async () => end(),
    };
  } catch (error) {
    end();
    throw translate(error, `cannot reach the hub at ${shown}`, signal);
  }
}

async function* translated(response: IncomingMessage, shown: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of response) yield chunk as Buffer;
  } catch (error) {
    throw translate(error, `the answer of ${shown} broke off`, signal);
  }
}

function translate(error: unknown, what: string, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof HubError) return error;
  return new HubError('origin-unavailable', `${what}: ${messageOf(error) || 'no connection'}`, { cause: error });
}
