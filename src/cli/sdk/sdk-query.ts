import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Parsed, parsed, refused } from '../../base/parsed.ts';
import { type GoPlatform, type GoRelease, compareReleases, isStable, languageOf, parseGoRelease } from '../../protocol/go-release.ts';

/** Which release is wanted. */
export type SdkQuery =
  | { readonly kind: 'exact'; readonly release: GoRelease }
  /** The newest release of `1.26`. */
  | { readonly kind: 'language'; readonly language: string }
  /** The newest release of all, and the newest of the line before it; previews do not count. */
  | { readonly kind: 'stable' | 'oldstable' };

export function parseSdkQuery(text: string): Parsed<SdkQuery> {
  if (text === 'latest' || text === 'stable') return parsed({ kind: 'stable' });
  if (text === 'oldstable') return parsed({ kind: 'oldstable' });
  const language = /^(?:go)?(1\.(?:0|[1-9]\d{0,3}))(?:\.x)?$/.exec(text)?.[1];
  if (language !== undefined) return parsed({ kind: 'language', language });
  const release = parseGoRelease(text);
  return release.ok ? parsed({ kind: 'exact', release: release.value }) : refused(release.reason);
}

/** As one would write it. */
export function formatSdkQuery(query: SdkQuery): string {
  return query.kind === 'exact' ? query.release : query.kind === 'language' ? query.language : query.kind;
}

export function chooseRelease(query: SdkQuery, known: Iterable<GoRelease>): GoRelease | undefined {
  const newestFirst = [...known].sort((a, b) => compareReleases(b, a));
  const stable = newestFirst.filter((release) => isStable(release));
  const newest = stable[0];
  switch (query.kind) {
    case 'exact':
      return newestFirst.find((release) => release === query.release);
    case 'language': {
      const ofLanguage = (release: GoRelease): boolean => languageOf(release) === query.language;
      return stable.find(ofLanguage) ?? newestFirst.find(ofLanguage);
    }
    case 'stable':
      return newest;
    case 'oldstable':
      return newest && stable.find((release) => languageOf(release) !== languageOf(newest));
    default:
      return query satisfies never;
  }
}

/** What a project's file says about its release of Go. */
export interface ProjectRelease {
  readonly query: SdkQuery;
  /** Absolute. */
  readonly file: string;
}

const FILE_BYTES_MAX = 1024 * 1024;

const readers: readonly { readonly name: string; readonly read: (text: string) => string | undefined }[] = [
  { name: '.go-version', read: (text) => /^\s*(\S+)/m.exec(text)?.[1] },
  { name: '.tool-versions', read: (text) => /^\s*(?:golang|go)[ \t]+(\S+)/m.exec(text)?.[1] },
  { name: 'go.work', read: fromGoLines },
  { name: 'go.mod', read: fromGoLines },
];

/** The nearest file that says it, from `folder` upward. In one folder what was written for this goes before go.work and go.mod. */
export async function findProjectRelease(folder: string): Promise<ProjectRelease | undefined> {
  for (let at = folder; ; at = dirname(at)) {
    for (const { name, read } of readers) {
      const file = join(at, name);
      const text = await readFile(file, 'utf8').catch(() => '');
      const found = read(text.slice(0, FILE_BYTES_MAX));
      const query = found === undefined ? undefined : parseSdkQuery(found);
      if (query?.ok === true) return { query: query.value, file };
    }
    if (dirname(at) === at) return undefined;
  }
}

/** The toolchain line, else the go line. https://go.dev/doc/toolchain */
function fromGoLines(text: string): string | undefined {
  const toolchain = /^toolchain[ \t]+(go[^\s-]+)/m.exec(text)?.[1];
  return toolchain ?? /^go[ \t]+(\S+)/m.exec(text)?.[1];
}

const systems: Readonly<Record<string, string>> = { win32: 'windows', sunos: 'solaris' };
const machines: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', arm: 'armv6l', ppc64: 'ppc64le', mipsel: 'mipsle' };

/** In Go's words, given Node's. */
export function platformOf({ platform, arch }: { readonly platform: string; readonly arch: string }): GoPlatform {
  return { os: systems[platform] ?? platform, arch: machines[arch] ?? arch };
}
