/**
 * What is known of a stored SDK archive, as JSON beside it. It is written once, after the archive, so that an archive with a manifest is whole.
 *
 *     sdk/go1.26.8.linux-amd64.tar.gz
 *     sdk/go1.26.8.linux-amd64.tar.gz.json
 */
import type { BlobKey } from '../base/blob-key.ts';
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { type Hash, parseHash } from './dirhash.ts';
import { type SdkName, formatArchiveName, parseArchiveName } from './go-release.ts';

/** Where an archive comes from: made of a module that a checksum database proves, or as the Go project has made it. */
export type SdkOrigin =
  | { readonly kind: 'toolchain-module'; readonly module: string; readonly version: string; readonly h1: Hash }
  /** `index`: whose list its SHA-256 stands in; `mirror`: who sent the bytes. */
  | { readonly kind: 'official'; readonly index: string; readonly mirror: string };

export interface SdkManifest {
  readonly name: SdkName;
  /** 64 lower-case hex digits. */
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Of the file as it was sealed. */
  readonly fingerprint: string;
  readonly origin: SdkOrigin;
}

export const SDK_PREFIX = 'sdk/';
export const SDK_MANIFEST_BYTES_MAX: number = 16 * 1024;

const MANIFEST = '.json';

export function sdkArchiveKey(name: SdkName): BlobKey {
  return `${SDK_PREFIX}${formatArchiveName(name)}` as BlobKey;
}

export function sdkManifestKey(name: SdkName): BlobKey {
  return `${sdkArchiveKey(name)}${MANIFEST}` as BlobKey;
}

/** Inverts {@link sdkManifestKey}; undefined for every other key. */
export function parseSdkManifestKey(key: string): SdkName | undefined {
  if (!key.startsWith(SDK_PREFIX) || !key.endsWith(MANIFEST)) return undefined;
  const name = parseArchiveName(key.slice(SDK_PREFIX.length, -MANIFEST.length));
  return name.ok ? name.value : undefined;
}

export function formatSdkManifest({ name, sha256, sizeBytes, fingerprint, origin }: SdkManifest): string {
  return `${JSON.stringify({ file: formatArchiveName(name), sha256, size: sizeBytes, fingerprint, origin }, undefined, 2)}\n`;
}

/** `name`: whose manifest it has to be. */
export function parseSdkManifest(text: string, name: SdkName): Parsed<SdkManifest> {
  let tree: unknown;
  try {
    tree = JSON.parse(text);
  } catch {
    return refused('the manifest is no JSON');
  }
  if (!isRecord(tree) || tree['file'] !== formatArchiveName(name)) return refused('the manifest is of another file');
  const { sha256, size, fingerprint } = tree;
  const origin = originOf(tree['origin']);
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return refused('the manifest has no SHA-256');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return refused('the manifest has no size');
  if (typeof fingerprint !== 'string' || origin === undefined) return refused('the manifest does not say where the archive comes from');
  return parsed({ name, sha256, sizeBytes: size, fingerprint, origin });
}

function originOf(tree: unknown): SdkOrigin | undefined {
  if (!isRecord(tree)) return undefined;
  const { kind, module, version, h1, index, mirror } = tree;
  const hash = typeof h1 === 'string' ? parseHash(h1) : undefined;
  if (kind === 'toolchain-module' && typeof module === 'string' && typeof version === 'string' && hash?.ok === true)
    return { kind, module, version, h1: hash.value };
  if (kind === 'official' && typeof index === 'string' && typeof mirror === 'string') return { kind, index, mirror };
  return undefined;
}

function isRecord(tree: unknown): tree is Readonly<Record<string, unknown>> {
  return typeof tree === 'object' && tree !== null && !Array.isArray(tree);
}
