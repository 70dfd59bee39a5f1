import { unreachable } from '../base/invariant.ts';
import type { Served } from '../hub/served.ts';
import type { Exchange } from './exchange.ts';
import type { HandedOver, HandOver } from './hand-over.ts';
import { chooseRange, matchesNone, type ByteRange } from './preconditions.ts';
import { formatErrorBody } from './printable.ts';
import { type BlobSender, sendBlob, sendBytes } from './send-blob.ts';

export interface Sender extends BlobSender {
  readonly handOver: HandOver;
  /** Names and values by turns, on every answer. */
  readonly commonHeaders: readonly string[];
  /** True while the server stops: every answer then ends its connection. */
  isStopping(): boolean;
}

export const TEXT = 'text/plain; charset=utf-8';

const IMMUTABLE = 'public, max-age=31536000, immutable';
const PRIVATE_IMMUTABLE = 'private, max-age=31536000, immutable';
const SHORT_LIVED = 'max-age=60';
const PRIVATE_SHORT_LIVED = 'private, max-age=60';
export const NO_STORE = 'no-store';

/**
 * Sends what the hub answered, or the part or the 304 that the request's headers ask for, and disposes of the blob whatever happens.
 * @throws {HubError} as {@link sendBlob}
 */
export async function sendServed(sender: Sender, exchange: Exchange, served: Served): Promise<void> {
  exchange.outcome = served.outcome;
  if (served.kind === 'bytes') return sendMemory(sender, exchange, served);
  await using blob = served.blob;
  const { res } = exchange;
  const plan = planOf(exchange, served, blob.sizeBytes);
  if (plan.kind === 'unsatisfiable') return refuseRange(sender, exchange, blob.sizeBytes);
  if (exchange.isHead || plan.kind === 'not-modified' || blob.sizeBytes === 0) {
    begin(sender, exchange, plan.status, headersOf(exchange, served, plan, blob.sizeBytes));
    res.end();
    return;
  }
  const { range } = plan;
  const handedOver =
    served.storedAs === undefined || !served.immutable ? undefined : sender.handOver.choose(exchange, served.storedAs, blob.sizeBytes);
  if (handedOver !== undefined) return leaveTo(sender, exchange, served, handedOver, range);
  await sendBlob(sender, exchange, {
    blob,
    range,
    begin: () => begin(sender, exchange, plan.status, headersOf(exchange, served, plan, blob.sizeBytes)),
  });
}

/** The range, like everything else about the body, is for who sends it: the whole file is what was found to be unchanged. */
function leaveTo(sender: Sender, exchange: Exchange, served: Served, handedOver: HandedOver, range: ByteRange): void {
  exchange.handedOverBytes = range.end - range.start;
  switch (handedOver.kind) {
    case 'header': {
      // Of what size it is says who sends it.
      const headers = [
        'Content-Type',
        served.contentType,
        'Content-Length',
        '0',
        'Cache-Control',
        immutable(exchange),
        'Goyi-Cache',
        served.outcome,
      ];
      if (served.etag !== undefined) headers.push('ETag', served.etag);
      // nginx says by itself that there are parts of it to be had, and would say it twice.
      if (handedOver.name === 'X-Sendfile') headers.push('Accept-Ranges', 'bytes');
      begin(sender, exchange, 200, [...headers, handedOver.name, handedOver.value]);
      exchange.res.end();
      return;
    }
    case 'location': {
      const { url } = handedOver;
      // Each client is to ask here again, because each time it is found out whether the file is what it was.
      const headers = ['Location', url, 'Cache-Control', NO_STORE, 'Goyi-Cache', served.outcome];
      sendText(sender, exchange, 302, TEXT, `the file is at ${url}\n`, headers);
      return;
    }
    default:
      return unreachable(handedOver);
  }
}

/** Sends a body that the server made. `headers`: names and values by turns, beyond type and length. */
export function sendText(
  sender: Sender,
  exchange: Exchange,
  status: number,
  contentType: string,
  body: string,
  headers: readonly string[],
): void {
  const bytes = Buffer.from(body);
  begin(sender, exchange, status, ['Content-Type', contentType, 'Content-Length', String(bytes.length), ...headers]);
  if (exchange.isHead) {
    exchange.res.end();
  } else {
    exchange.sentBytes = bytes.length;
    exchange.res.end(bytes);
  }
}

/** The head of a 200 whose body is written line by line as things happen. */
export function beginStream(sender: Sender, exchange: Exchange, contentType: string): void {
  // A proxy in front that collects lines would hide the progress.
  begin(sender, exchange, 200, ['Content-Type', contentType, 'Cache-Control', NO_STORE, 'X-Accel-Buffering', 'no']);
  exchange.res.flushHeaders();
}

function refuseRange(sender: Sender, exchange: Exchange, sizeBytes: number): void {
  exchange.failure = 'range-unsatisfiable';
  const body = formatErrorBody(`the range asked for lies outside of the ${sizeBytes} bytes`);
  sendText(sender, exchange, 416, TEXT, body, ['Content-Range', `bytes */${sizeBytes}`, 'Cache-Control', NO_STORE]);
}

function sendMemory(sender: Sender, exchange: Exchange, served: Served & { kind: 'bytes' }): void | Promise<void> {
  const { res } = exchange;
  const { bytes } = served;
  const plan = planOf(exchange, served, bytes.length);
  if (plan.kind === 'unsatisfiable') return refuseRange(sender, exchange, bytes.length);
  begin(sender, exchange, plan.status, headersOf(exchange, served, plan, bytes.length));
  if (exchange.isHead || plan.kind === 'not-modified') {
    res.end();
    return;
  }
  const body = plan.status === 200 ? bytes : bytes.subarray(plan.range.start, plan.range.end);
  if (body.length > sender.limits.chunkBytes) return sendBytes(exchange, body, sender.limits.chunkBytes);
  exchange.sentBytes = body.length;
  res.end(body);
}

type Plan =
  | { readonly kind: 'body'; readonly status: 200 | 206; readonly range: ByteRange }
  | { readonly kind: 'not-modified'; readonly status: 304 }
  | { readonly kind: 'unsatisfiable' };

const NOT_MODIFIED: Plan = { kind: 'not-modified', status: 304 };
const UNSATISFIABLE: Plan = { kind: 'unsatisfiable' };

/** The order is RFC 9110 §13.2.2's: first whether the client has it already, then which part it wants. */
function planOf(exchange: Exchange, served: Served, sizeBytes: number): Plan {
  const { headers } = exchange.req;
  const ifNoneMatch = headers['if-none-match'];
  if (ifNoneMatch !== undefined && matchesNone(ifNoneMatch, served.etag)) return NOT_MODIFIED;
  // Ranges are defined for GET alone.
  if (headers.range !== undefined && served.immutable && !exchange.isHead) {
    const ifRange = headers['if-range'];
    const choice = chooseRange(headers.range, Array.isArray(ifRange) ? ifRange[0] : ifRange, served.etag, sizeBytes);
    switch (choice.kind) {
      case 'unsatisfiable':
        return UNSATISFIABLE;
      case 'part':
        return { kind: 'body', status: 206, range: choice.range };
      case 'whole':
        break;
      default:
        return unreachable(choice);
    }
  }
  return { kind: 'body', status: 200, range: { start: 0, end: sizeBytes } };
}

/** One flat array of names and values, which `writeHead` takes as it is. */
function headersOf(exchange: Exchange, served: Served, plan: Exclude<Plan, { kind: 'unsatisfiable' }>, sizeBytes: number): string[] {
  const headers = ['Cache-Control', served.immutable ? immutable(exchange) : shortLived(exchange), 'Goyi-Cache', served.outcome];
  if (plan.kind === 'body') {
    headers.push('Content-Type', served.contentType, 'Content-Length', String(plan.range.end - plan.range.start));
    if (plan.status === 206) headers.push('Content-Range', `bytes ${plan.range.start}-${plan.range.end - 1}/${sizeBytes}`);
  }
  if (served.etag !== undefined) headers.push('ETag', served.etag);
  if (served.immutable) headers.push('Accept-Ranges', 'bytes');
  if (served.ageSeconds !== undefined) headers.push('Age', String(Math.max(0, Math.floor(served.ageSeconds))));
  if (served.stale === true) headers.push('Warning', '110 - "Response is Stale"');
  return headers;
}

function immutable({ isPrivate }: Exchange): string {
  return isPrivate ? PRIVATE_IMMUTABLE : IMMUTABLE;
}

/** For what may change, and for what is not there. */
export function shortLived({ isPrivate }: Exchange): string {
  return isPrivate ? PRIVATE_SHORT_LIVED : SHORT_LIVED;
}

function begin(sender: Sender, exchange: Exchange, status: number, headers: string[]): void {
  const { res } = exchange;
  exchange.status = status;
  if (sender.isStopping()) res.shouldKeepAlive = false;
  if (exchange.isPrivate) headers.push('Vary', 'Authorization');
  headers.push('X-Request-Id', exchange.id, ...sender.commonHeaders);
  res.writeHead(status, headers);
}
