import { codeOf, HubError } from '../../base/errors.ts';
import type { ExchangeLimits, OutboundClient } from '../../net/outbound-client.ts';

/** What a host or a chat is told about a version. */
export interface Report {
  readonly module: string;
  readonly version: string;
  readonly verdict: 'archive' | 'block' | 'released';
  readonly reason: string;
  /** The repository's path on its host. */
  readonly path: string;
  readonly tag: string;
  readonly commit: string | undefined;
  readonly note: string | undefined;
}

export interface ReportParts {
  readonly client: OutboundClient;
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

const limits: ExchangeLimits = { firstByteMs: 20_000, idleMs: 10_000, bytesPerSecondMin: 0, sizeMaxBytes: 64 * 1024 };

/**
 * Sends JSON and answers what came back. Addresses and headers may hold secrets, so an error says `name` and its code, and nothing of what was being sent.
 * @throws {HubError} origin-unavailable, origin-timeout, upstream-invalid, or the signal's reason
 */
export async function sendJson(
  client: OutboundClient,
  {
    name,
    url,
    headers,
    body,
  }: { readonly name: string; readonly url: URL; readonly headers?: Readonly<Record<string, string>>; readonly body: object },
  signal: AbortSignal,
): Promise<Answer> {
  try {
    await using response = await client.send(
      {
        url,
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json', accept: 'application/json' },
        body: Buffer.from(JSON.stringify(body)),
        limits,
        followRedirects: false,
      },
      signal,
    );
    const chunks: Buffer[] = [];
    for await (const chunk of response.body) chunks.push(chunk);
    return { status: response.status, text: Buffer.concat(chunks).toString('utf8') };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    const code = codeOf(error);
    if (code === undefined) throw error;
    // Without the cause as well: its text has the address.
    throw new HubError(code, `${name} cannot be told: ${code === 'origin-timeout' ? 'it does not answer' : 'it cannot be reached'}`);
  }
}

/** @throws {HubError} origin-unavailable when it may go well later, upstream-refused when it will not */
export function expectSuccess(name: string, { status }: Answer): void {
  if (status >= 200 && status < 300) return;
  const isForNow = status === 429 || status === 408 || status >= 500;
  throw new HubError(isForNow ? 'origin-unavailable' : 'upstream-refused', `${name} cannot be told: it answers ${status}`);
}

/** One line that neither a terminal nor a renderer of Markdown obeys. */
export function plainText(text: string, lengthMax: number): string {
  const line = text
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]+/gu, ' ')
    .replace(/[`*_[\]<>]/g, (mark) => ({ '<': '‹', '>': '›' })[mark] ?? '');
  return line.length <= lengthMax ? line : `${line.slice(0, lengthMax - 1)}…`;
}
