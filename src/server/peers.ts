/**
 * Who a request is from when web servers stand in front of the hub that the operator trusts: the last hop that they name and that is none of them. Everything
 * before that was said by the client. Without such servers, or for a connection that is not from one of them, no header ever speaks for a client.
 *
 * `X-Forwarded-For` is read, or `Forwarded` (RFC 7239) where there is none.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { type AddressRange, AddressSet, plainAddress } from './address-set.ts';

/** More servers than these do not stand one behind the other. */
const HOPS_MAX = 16;

export class Peers {
  readonly #trusted: AddressSet | undefined;

  constructor(trusted: readonly AddressRange[]) {
    this.#trusted = trusted.length === 0 ? undefined : new AddressSet(trusted);
  }

  /** Undefined: the connection itself says who it is. */
  of({ headers, socket }: Pick<IncomingMessage, 'headers' | 'socket'>): string | undefined {
    if (this.#trusted === undefined || !this.#trusted.has(socket.remoteAddress)) return undefined;
    let peer: string | undefined;
    for (const hop of hopsOf(headers).slice(-HOPS_MAX).toReversed()) {
      if (isIP(hop) === 0) break;
      peer = hop;
      if (!this.#trusted.has(hop)) break;
    }
    return peer;
  }
}

/** In the order in which they were added. */
function hopsOf(headers: IncomingMessage['headers']): readonly string[] {
  const list = headers['x-forwarded-for'];
  if (list !== undefined) return (typeof list === 'string' ? list : list.join(',')).split(',').map(addressIn);
  const { forwarded = '' } = headers;
  return forwarded.split(',').map((element) => addressIn(/(?:^|;)\s*for=("?)([^",;]*)\1\s*(?:;|$)/i.exec(element)?.[2] ?? ''));
}

/** Without the port that some add. */
function addressIn(text: string): string {
  const trimmed = text.trim();
  const [, bracketed, dotted] = /^(?:\[([^\]]*)\]|(\d+(?:\.\d+){3}))(?::\d{1,5})?$/.exec(trimmed) ?? [];
  return plainAddress(bracketed ?? dotted ?? trimmed);
}
