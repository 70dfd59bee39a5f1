/**
 * `GET /dl/?mode=json` and `&include=all`: releases of Go and their archives, in the form of golang.google.cn/dl, so that programs made for that list
 * work with this one.
 *
 * Beyond that form a file has `origin`: `toolchain-module` for an archive that the hub makes of the module golang.org/toolchain, whose bytes are not those
 * of the Go project's own archive; `official` for one that is. An archive that was not made yet has size 0 and an empty `sha256`, which no
 * file has: asking for `/dl/FILE` or `/dl/FILE.sha256` makes it.
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';

export const SDK_PATH = '/dl/';
export const SDK_INDEX_BYTES_MAX: number = 16 * 1024 * 1024;

export interface SdkFile {
  readonly filename: string;
  readonly os: string;
  readonly arch: string;
  /** Of the release: `go1.26.8`. */
  readonly version: string;
  /** 64 lower-case hex digits; '' when it is not known yet. */
  readonly sha256: string;
  /** In bytes; 0 when it is not known yet. */
  readonly size: number;
  readonly kind: 'archive' | 'installer' | 'source';
  readonly origin?: 'toolchain-module' | 'official';
}

export interface SdkRelease {
  readonly version: string;
  readonly stable: boolean;
  readonly files: readonly SdkFile[];
}

export function formatSdkIndex(releases: readonly SdkRelease[]): string {
  return `${JSON.stringify(releases, undefined, 1)}\n`;
}

/** What this version does not know is left out: other kinds of files, other keys. */
export function parseSdkIndex(text: string): Parsed<readonly SdkRelease[]> {
  let tree: unknown;
  try {
    tree = JSON.parse(text);
  } catch {
    return refused('the list of releases is no JSON');
  }
  if (!Array.isArray(tree)) return refused('the list of releases is no list');
  const releases: SdkRelease[] = [];
  for (const item of tree as readonly unknown[]) {
    if (!isRecord(item) || typeof item['version'] !== 'string' || typeof item['stable'] !== 'boolean' || !Array.isArray(item['files']))
      return refused('the list of releases has something that is no release');
    const files = (item['files'] as readonly unknown[]).flatMap((file) => readFile(file) ?? []);
    releases.push({ version: item['version'], stable: item['stable'], files });
  }
  return parsed(releases);
}

function readFile(file: unknown): SdkFile | undefined {
  if (!isRecord(file)) return undefined;
  const { filename, os, arch, version, sha256, size, kind, origin } = file;
  if (typeof filename !== 'string' || typeof os !== 'string' || typeof arch !== 'string' || typeof version !== 'string') return undefined;
  if (typeof sha256 !== 'string' || !/^(?:[0-9a-f]{64})?$/.test(sha256)) return undefined;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return undefined;
  if (kind !== 'archive' && kind !== 'installer' && kind !== 'source') return undefined;
  const known = origin === 'toolchain-module' || origin === 'official' ? { origin } : {};
  return { filename, os, arch, version, sha256, size, kind, ...known } as SdkFile;
}

function isRecord(tree: unknown): tree is Readonly<Record<string, unknown>> {
  return typeof tree === 'object' && tree !== null && !Array.isArray(tree);
}
