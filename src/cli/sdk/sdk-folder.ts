import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { lstat, mkdir, open, readFile, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { HubError } from '../../base/errors.ts';
import { createProcessTable, type ProcessTable } from '../../base/process-table.ts';
import { type GoPlatform, type GoRelease, type SdkName, compareReleases, parseArchiveName } from '../../protocol/go-release.ts';
import { doing } from '../name-index.ts';

/** Why an installed SDK is believed, kept in its folder. */
export interface SdkReceipt {
  readonly file: string;
  readonly sha256: string;
  readonly origin: 'toolchain-module' | 'official';
  /** Of an SDK made of a module: its hash, and the record of it. */
  readonly h1?: string;
  readonly database?: string;
  readonly record?: number;
  readonly treeSize?: number;
  readonly from: string;
  readonly installedAt: string;
}

export interface InstalledSdk {
  readonly name: SdkName;
  /** GOROOT, absolute. */
  readonly folder: string;
  readonly receipt: SdkReceipt;
}

/** By which what is under way is told from what a dead process left. */
export const processes: ProcessTable = createProcessTable((path) => readFileSync(path, 'latin1'));

const RECEIPT = '.goyi-sdk.json';
const STAGING = 'staging';
const CURRENT = 'current';

/**
 * The folder with all SDKs of a user:
 *
 *     go1.26.8.linux-amd64/    a GOROOT each, with a receipt in it; it gets this name when it is whole and proved
 *     current                  a link to the one that is used by default
 *     env.sh, env.ps1          what a shell's profile reads to have it in PATH
 *     staging/                 what is being downloaded or unpacked
 */
export class SdkFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  get staging(): string {
    return join(this.path, STAGING);
  }

  folderOf({ release, os, arch }: SdkName): string {
    return join(this.path, `${release}.${os}-${arch}`);
  }

  /** The newest release first. */
  async installed(): Promise<readonly InstalledSdk[]> {
    const found: InstalledSdk[] = [];
    for (const entry of await this.#entries()) {
      const text = entry.replace(/^(.*\.windows-[a-z0-9]+)$/, '$1.zip');
      const name = parseArchiveName(text === entry ? `${entry}.tar.gz` : text);
      if (!name.ok) continue;
      const folder = join(this.path, entry);
      const receipt = await readFile(join(folder, RECEIPT), 'utf8').then(parseReceipt, () => undefined);
      if (receipt !== undefined) found.push({ name: name.value, folder, receipt });
    }
    return found.sort((a, b) => compareReleases(b.name.release, a.name.release));
  }

  async find(name: SdkName): Promise<InstalledSdk | undefined> {
    const folder = this.folderOf(name);
    return (await this.installed()).find((sdk) => sdk.folder === folder);
  }

  /** The one used by default. */
  async current(): Promise<InstalledSdk | undefined> {
    const target = await readlink(join(this.path, CURRENT)).catch(() => undefined);
    return target === undefined ? undefined : (await this.installed()).find(({ folder }) => basename(folder) === basename(target));
  }

  /** Atomic: who looks finds the former one or this one. @throws {HubError} storage-full, storage-fault */
  async setCurrent(sdk: InstalledSdk): Promise<void> {
    const link = join(this.path, CURRENT);
    const next = `${link}.${process.pid}`;
    await doing(`make ${link}`, async () => {
      await rm(next, { force: true });
      // On Windows a junction needs no right of its own, and an absolute target.
      if (process.platform === 'win32') {
        await rm(link, { force: true, recursive: false });
        await symlink(sdk.folder, link, 'junction');
        return;
      }
      await symlink(basename(sdk.folder), next);
      await rename(next, link);
    });
    await doing(`write ${join(this.path, 'env.sh')}`, async () => {
      const bin = join(this.path, CURRENT, 'bin');
      await replaceFile(join(this.path, 'env.sh'), `unset GOROOT\nexport PATH='${bin.replaceAll("'", "'\\''")}':"$PATH"\n`);
      await replaceFile(
        join(this.path, 'env.ps1'),
        `Remove-Item Env:GOROOT -ErrorAction SilentlyContinue\n$env:PATH = '${bin.replaceAll("'", "''")}' + [IO.Path]::PathSeparator + $env:PATH\n`,
      );
    });
  }

  /** An empty folder to unpack into; it goes with `await using` unless it was kept. @throws {HubError} storage-full, storage-fault */
  async stage(): Promise<StagedSdk> {
    const folder = join(this.staging, `${processes.ownIdentity()}.${randomBytes(4).toString('hex')}.unpack`);
    await doing(`make ${folder}`, () => mkdir(folder, { recursive: true }));
    return new StagedSdk(this, folder);
  }

  /** Removes what dead processes left half unpacked or half removed. */
  async sweep(): Promise<void> {
    for (const name of await readdir(this.staging).catch(() => [])) {
      const owner = /^([0-9a-f]+-\d+-\d+)\.[0-9a-f]{8}\.(?:unpack|removed)$/.exec(name)?.[1];
      if (owner !== undefined && !processes.isAlive(owner)) await rm(join(this.staging, name), { recursive: true, force: true });
    }
  }

  /** Out of sight at once, then file by file. @throws {HubError} storage-fault */
  async remove(sdk: InstalledSdk): Promise<void> {
    const gone = join(this.staging, `${processes.ownIdentity()}.${randomBytes(4).toString('hex')}.removed`);
    await doing(`remove ${sdk.folder}`, async () => {
      await mkdir(this.staging, { recursive: true });
      await rename(sdk.folder, gone);
      await rm(gone, { recursive: true, force: true });
    });
  }

  async #entries(): Promise<readonly string[]> {
    try {
      return await readdir(this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      return doing(`read ${this.path}`, () => Promise.reject(error as Error));
    }
  }
}

/** An SDK that is being unpacked. */
export class StagedSdk implements AsyncDisposable {
  readonly folder: string;
  readonly #home: SdkFolder;

  constructor(home: SdkFolder, folder: string) {
    this.#home = home;
    this.folder = folder;
  }

  /** Makes it visible under its name; an SDK that is there by now is as good. @throws {HubError} storage-full, storage-fault */
  async keep(name: SdkName, receipt: SdkReceipt): Promise<InstalledSdk> {
    const folder = this.#home.folderOf(name);
    await doing(`write ${folder}`, async () => {
      await using file = await open(join(this.folder, RECEIPT), 'wx');
      await file.writeFile(`${JSON.stringify(receipt, undefined, 2)}\n`);
      await file.sync();
    });
    const present = await lstat(folder).catch(() => undefined);
    // A folder without a receipt is none of ours, or was left by hand: it is not built upon.
    if (present !== undefined && (await this.#home.find(name)) === undefined)
      throw new HubError('conflict', `${folder} is there and is no SDK that goyi has installed`);
    if (present === undefined) await doing(`make ${folder}`, () => rename(this.folder, folder));
    return { name, folder, receipt };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}

export function samePlatform(a: GoPlatform, b: GoPlatform): boolean {
  return a.os === b.os && a.arch === b.arch;
}

export function releasesFor(installed: readonly InstalledSdk[], platform: GoPlatform): readonly GoRelease[] {
  return installed.filter(({ name }) => samePlatform(name, platform)).map(({ name }) => name.release);
}

export async function replaceFile(path: string, text: string): Promise<void> {
  const next = `${path}.${process.pid}`;
  await writeFile(next, text);
  await rename(next, path);
}

function parseReceipt(text: string): SdkReceipt | undefined {
  try {
    const tree = JSON.parse(text) as SdkReceipt;
    return typeof tree.file === 'string' && typeof tree.sha256 === 'string' ? tree : undefined;
  } catch {
    return undefined;
  }
}
