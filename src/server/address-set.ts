import { BlockList, isIP, isIPv6 } from 'node:net';

/** IPv4 and IPv6 addresses by their first bits. */
export interface AddressRange {
  readonly address: string;
  readonly bits: number;
}

export class AddressSet {
  readonly #list = new BlockList();

  constructor(ranges: readonly AddressRange[]) {
    for (const { address, bits } of ranges) this.#list.addSubnet(address, bits, familyOf(address));
  }

  /** False for what is no address. */
  has(address: string | undefined): boolean {
    if (address === undefined) return false;
    const plain = plainAddress(address);
    return isIP(plain) !== 0 && this.#list.check(plain, familyOf(plain));
  }
}

/** On a socket for both families an IPv4 address comes in the clothes of IPv6. */
export function plainAddress(address: string): string {
  return /^::ffff:([\d.]+)$/i.exec(address)?.[1] ?? address;
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4';
}
