/** Bytes of bodies that are being received: bounded for all of them, and for each client, so that one alone cannot keep the others out. */
import { isIPv6 } from 'node:net';

const BYTES_MAX: number = 64 << 20;
/** Room for one of the largest bodies and what comes beside it. */
export const CLIENT_BYTES_MAX: number = 16 << 20;

export interface BodyShare extends Disposable {
  /** False: there is no room for these bytes, and the body is to be let go. */
  add(bytes: number): boolean;
}

export class BodyShares {
  #bytes = 0;
  /** Of clients of whom something is being received. */
  readonly #clients = new Map<string, number>();

  open(address: string): BodyShare {
    const client = networkOf(address);
    let taken = 0;
    const count = (bytes: number): void => {
      taken += bytes;
      this.#bytes += bytes;
      const ofClient = (this.#clients.get(client) ?? 0) + bytes;
      if (ofClient === 0) this.#clients.delete(client);
      else this.#clients.set(client, ofClient);
    };
    return {
      add: (bytes) => {
        if (this.#bytes + bytes > BYTES_MAX || (this.#clients.get(client) ?? 0) + bytes > CLIENT_BYTES_MAX) return false;
        count(bytes);
        return true;
      },
      [Symbol.dispose]: () => count(-taken),
    };
  }
}

/** Whoever has one address of IPv6 has all that begin with the same 64 bits. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.includes('.')) return address;
  const [head = '', tail] = address.split('::', 2);
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0');
  return [...before, ...zeros, ...after].slice(0, 4).join(':');
}
