import type { BlobKey } from '../base/blob-key.ts';
import { invariant } from '../base/invariant.ts';
import { type AddressRange, AddressSet } from './address-set.ts';
import type { Exchange } from './exchange.ts';

interface Common {
  /** Before a file's key; ends with a slash. Checked text of the operator that needs no encoding. */
  readonly prefix: string;
  /** Smaller files the hub sends itself. */
  readonly minBytes: number;
}

export type HandOverSettings =
  | { readonly kind: 'off' }
  /** `to`: who may be told by a header to send a file itself. Everybody else would get an empty answer. */
  | (Common & {
      readonly kind: 'x-accel-redirect' | 'x-sendfile';
      readonly to: readonly AddressRange[];
    })
  | (Common & { readonly kind: 'redirect' });

/** `header`: the answer has no body, and who stands in front puts the file in its place. `location`: the client is to ask there. */
export type HandedOver =
  | { readonly kind: 'header'; readonly name: 'X-Accel-Redirect' | 'X-Sendfile'; readonly value: string }
  | { readonly kind: 'location'; readonly url: string };

/** Leaves it to others to send large stored files: decides by the settings, the file and the connection alone, never by what a request says. */
export class HandOver {
  readonly #settings: HandOverSettings;
  readonly #front: AddressSet;

  constructor(settings: HandOverSettings) {
    this.#settings = settings;
    this.#front = new AddressSet('to' in settings ? settings.to : []);
  }

  /** How the file called `key` is sent by somebody else; undefined when the hub sends it. */
  choose(exchange: Exchange, key: BlobKey, sizeBytes: number): HandedOver | undefined {
    const settings = this.#settings;
    if (settings.kind === 'off' || sizeBytes < settings.minBytes) return undefined;
    // Whoever follows a redirect has shown nobody that it may.
    if (settings.kind === 'redirect')
      return exchange.isPrivate ? undefined : { kind: 'location', url: `${settings.prefix}${encodePath(key)}` };
    if (!this.#front.has(exchange.req.socket.remoteAddress)) return undefined;
    if (settings.kind === 'x-accel-redirect')
      return { kind: 'header', name: 'X-Accel-Redirect', value: `${settings.prefix}${encodePath(key)}` };
    // mod_xsendfile takes the value as it is, lighttpd decodes it: it must be the same either way, which a plus is and nothing else that is encoded.
    return { kind: 'header', name: 'X-Sendfile', value: `${settings.prefix}${encodePath(key).replaceAll('%2B', '+')}` };
  }
}

/** Percent-encodes what is no letter, digit or one of `/ - . _ ~ ! @`; of what is in a key that is only `+`, which some servers take for a blank. */
export function encodePath(path: string): string {
  const encoded = path
    .split('/')
    .map((part) =>
      encodeURIComponent(part)
        .replaceAll('%40', '@')
        .replace(/['()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`),
    )
    .join('/');
  invariant(/^[\w/.~!@%-]*$/.test(encoded), 'a header holds plain letters only');
  return encoded;
}
