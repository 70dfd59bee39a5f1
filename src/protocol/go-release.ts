/**
 * Releases of Go: how they are named, how they follow each other, and what their archives are called.
 *
 * - A release is `go1.N.P`, or `go1.N` below 1.21 where the first release had no third number, or a preview such as `go1.27rc1`. From 1.21 on
 *   `1.N` alone is a version of the language and no release.
 * - Order: by numbers; a preview comes after the language version and before the first release of it.
 * - An archive is `go1.26.8.linux-amd64.tar.gz`, for Windows `….zip`. The same release is version `v0.0.1-go1.26.8.linux-amd64` of the module
 *   `golang.org/toolchain`; only there the 32-bit port of linux/arm is called `arm`, and `armv6l` in names of archives.
 * - In the module, files called `go.mod` are called `_go.mod`, because one below the root would begin another module; and no file is executable.
 *
 * https://go.dev/doc/toolchain, https://go.dev/dl/, https://pkg.go.dev/cmd/go/internal/gover, https://pkg.go.dev/cmd/go/internal/toolchain
 */
import type { Branded } from '../base/brand.ts';
import { invariant } from '../base/invariant.ts';
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { type ModulePath, parseModulePath } from './module-path.ts';
import { type Version, checkPathVersion } from './version.ts';

/** A release, e.g. `go1.26.8`. Only {@link parseGoRelease} makes one. */
export type GoRelease = Branded<string, 'GoRelease'>;

/** As in the names of archives, e.g. `linux` and `amd64`. */
export interface GoPlatform {
  readonly os: string;
  readonly arch: string;
}

/** The archive of a release for a platform. */
export interface SdkName extends GoPlatform {
  readonly release: GoRelease;
}

interface GoNumbers {
  readonly minor: number;
  /** -1 where there is none. */
  readonly patch: number;
  /** 0 none, then alpha, beta, rc. */
  readonly stage: number;
  readonly stageNumber: number;
}

const RELEASE = /^1\.(0|[1-9]\d{0,3})(?:\.(0|[1-9]\d{0,3})|(alpha|beta|rc)([1-9]\d{0,3}))?$/;
const STAGES = ['', 'alpha', 'beta', 'rc'];
/** From here on a first release has a third number, and archives are made from modules. */
const MINOR_WITH_PATCH = 21;

const ELEMENT = /^[a-z0-9]{1,20}$/;

/** The folder that every archive unpacks to. */
export const SDK_ROOT = 'go/';

export const TOOLCHAIN_MODULE: ModulePath = toolchainModule();

/** Takes `go1.26.8` and `1.26.8`. */
export function parseGoRelease(text: string): Parsed<GoRelease> {
  const bare = text.startsWith('go') ? text.slice(2) : text;
  const numbers = numbersOf(bare);
  if (numbers === undefined) return refused('a release of Go reads go1.N.P, such as go1.26.8');
  if (numbers.minor >= MINOR_WITH_PATCH && numbers.patch < 0 && numbers.stage === 0)
    return refused(`${bare} is a version of the language; its releases are go${bare}.0 and so on`);
  return parsed(`go${bare}` as GoRelease);
}

/** `1.26` of `go1.26.8`. */
export function languageOf(release: GoRelease): string {
  return `1.${(numbersOf(release.slice(2)) as GoNumbers).minor}`;
}

export function isStable(release: GoRelease): boolean {
  return !/[a-z]/.test(release.slice(2));
}

/** Negative, 0 or positive; older releases come first. */
export function compareReleases(a: GoRelease, b: GoRelease): number {
  const [left, right] = [numbersOf(a.slice(2)), numbersOf(b.slice(2))] as [GoNumbers, GoNumbers];
  return left.minor - right.minor || left.patch - right.patch || left.stage - right.stage || left.stageNumber - right.stageNumber;
}

function numbersOf(bare: string): GoNumbers | undefined {
  const match = RELEASE.exec(bare);
  if (match === null) return undefined;
  const [, minorText, patchText, stageText = '', stageNumberText] = match;
  const minor = Number(minorText);
  const isFirst = minor < MINOR_WITH_PATCH && stageText === '';
  const patch = patchText === undefined ? (isFirst ? 0 : -1) : Number(patchText);
  return { minor, patch, stage: STAGES.indexOf(stageText), stageNumber: Number(stageNumberText ?? 0) };
}

export function formatArchiveName({ release, os, arch }: SdkName): string {
  return `${release}.${os}-${arch}${os === 'windows' ? '.zip' : '.tar.gz'}`;
}

/** Inverts {@link formatArchiveName}: one spelling a file. */
export function parseArchiveName(text: string): Parsed<SdkName> {
  const no = refused('an archive of Go reads go1.N.P.OS-ARCH.tar.gz, or .zip for windows');
  if (text.length > 100) return no;
  const name = nameOf(text.replace(/\.(?:tar\.gz|zip)$/, ''));
  return name !== undefined && formatArchiveName(name) === text ? parsed(name) : no;
}

/** `linux-amd64` */
export function parsePlatform(text: string): Parsed<GoPlatform> {
  const [os = '', arch = '', more] = text.split('-');
  return more === undefined && ELEMENT.test(os) && ELEMENT.test(arch)
    ? parsed({ os, arch })
    : refused('a platform reads OS-ARCH, such as linux-amd64');
}

function nameOf(text: string): SdkName | undefined {
  const at = text.lastIndexOf('.');
  const release = parseGoRelease(text.slice(0, Math.max(at, 0)));
  const platform = parsePlatform(text.slice(at + 1));
  return release.ok && text.startsWith('go') && platform.ok ? { release: release.value, ...platform.value } : undefined;
}

/** The version of {@link TOOLCHAIN_MODULE} that has what the archive has. */
export function toolchainVersion({ release, os, arch }: SdkName): Version {
  const version = checkPathVersion(TOOLCHAIN_MODULE, `v0.0.1-${release}.${os}-${os === 'linux' && arch === 'armv6l' ? 'arm' : arch}`);
  invariant(version.ok, 'the parts of a checked name make a version');
  return version.value;
}

/** Inverts {@link toolchainVersion}; undefined for other versions. */
export function parseToolchainVersion(version: string): SdkName | undefined {
  const name = version.startsWith('v0.0.1-') ? nameOf(version.slice('v0.0.1-'.length)) : undefined;
  if (name === undefined || (name.os === 'linux' && name.arch === 'armv6l')) return undefined;
  return name.os === 'linux' && name.arch === 'arm' ? { ...name, arch: 'armv6l' } : name;
}

/** What a file of the module, below its root, is called in a folder where Go works; undefined for one that has no place there. */
export function sdkFileOf(moduleFile: string): string | undefined {
  if (/(?:^|\/)go\.mod$/.test(moduleFile)) return undefined;
  return moduleFile.replace(/(^|\/)_go\.mod$/, '$1go.mod');
}

/** Inverts {@link sdkFileOf}. */
export function moduleFileOf(sdkFile: string): string | undefined {
  if (/(?:^|\/)_go\.mod$/.test(sdkFile)) return undefined;
  return sdkFile.replace(/(^|\/)go\.mod$/, '$1_go.mod');
}

/** Which files the go command makes executable when it has unpacked the module. */
export function isExecutable(sdkFile: string): boolean {
  if (sdkFile.startsWith('bin/') || sdkFile.startsWith('pkg/tool/')) return true;
  return sdkFile.startsWith('lib/') && /^go_[^/]+_[^/]+_exec$/.test(sdkFile.slice(sdkFile.lastIndexOf('/') + 1));
}

/** Of the known releases those that are most likely meant, at most three: of the same language version first, then the newest. */
export function nearestReleases(wanted: string, known: readonly GoRelease[]): readonly GoRelease[] {
  const newestFirst = [...new Set(known)].sort((a, b) => compareReleases(b, a));
  const language = /^(?:go)?(1\.\d+)/.exec(wanted)?.[1];
  const alike = newestFirst.filter((release) => languageOf(release) === language);
  const stable = newestFirst.filter((release) => isStable(release));
  return [...new Set([...alike, ...stable])].slice(0, 3);
}

function toolchainModule(): ModulePath {
  const path = parseModulePath('golang.org/toolchain');
  invariant(path.ok, 'the module of the toolchains is well named');
  return path.value;
}
