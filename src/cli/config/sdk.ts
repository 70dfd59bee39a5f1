import { type Read, parseHttpUrl } from './parse-values.ts';

/** Where the list of the Go project is that can be reached from most places. */
const INDEX = 'https://golang.google.cn/dl/';

/** `sdk` as it is written. */
export interface SdkTree {
  readonly mirrors?: readonly string[] | undefined;
  readonly index: string;
}

/** Folders with the Go project's archives; answered without slash at the end. */
export function parseSdkMirrors(texts: readonly string[]): Read<readonly string[]> {
  const mirrors: string[] = [];
  for (const [entry, text] of texts.entries()) {
    const read = parseSdkIndexUrl(text);
    if (!read.ok) return { ok: false, say: read.say, entry };
    mirrors.push(read.value.replace(/\/+$/, ''));
  }
  return { ok: true, value: mirrors };
}

/** Where `?mode=json` is answered. */
export function parseSdkIndexUrl(text: string): Read<string> {
  const url = parseHttpUrl(text);
  return url === undefined || url.username !== '' ? { ok: false, say: (m) => m.config.badSdkMirror } : { ok: true, value: url.href };
}

export const sdkIndexDefault: string = INDEX;

export function sdkOf({ mirrors = [], index }: SdkTree): { readonly mirrors: readonly string[]; readonly index: string } {
  const read = parseSdkMirrors(mirrors.map((text) => text.trim()));
  return { mirrors: read.ok ? read.value : [], index };
}
