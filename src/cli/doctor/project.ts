import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseGoMod } from '../../protocol/go-mod.ts';
import { type GoSumLine, parseGoSum } from '../../protocol/go-sum.ts';
import { type MainGoMod, type ModuleAt, parseMainGoMod, replacementOf } from '../../protocol/main-go-mod.ts';

const TEXT_LENGTH_MAX = 16 * 1024 * 1024;

/** What lies in the folder that is looked at. */
export interface Project {
  /** Where go.mod is: the folder or the nearest one above it. Without go.mod the folder itself. */
  readonly folder: string;
  /** As written; undefined without go.mod. */
  readonly goModText: string | undefined;
  readonly goMod: MainGoMod | undefined;
  readonly goModFault: string | undefined;
  readonly toolchain: string | undefined;
  readonly goSumText: string | undefined;
  readonly goSum: readonly GoSumLine[];
  readonly goSumFault: string | undefined;
  /** `vendor/modules.txt`. */
  readonly vendorText: string | undefined;
  /** Files of older tools. */
  readonly leftovers: readonly string[];
}

const LEFTOVERS = [
  'Gopkg.lock',
  'Gopkg.toml',
  'glide.lock',
  'glide.yaml',
  'vendor/vendor.json',
  'vendor/vendor.conf',
  'Godeps/Godeps.json',
];

export async function readProject(folder: string, modulesOn: boolean): Promise<Project> {
  const home = (modulesOn ? await nearestWith(folder, 'go.mod') : undefined) ?? folder;
  const [goModText, goSumText, vendorText] = await Promise.all(
    ['go.mod', 'go.sum', join('vendor', 'modules.txt')].map((name) => textOf(join(home, name))),
  );
  const main = goModText === undefined ? undefined : parseMainGoMod(goModText);
  const lax = goModText === undefined ? undefined : parseGoMod(goModText);
  const sum = goSumText === undefined ? undefined : parseGoSum(goSumText);
  const leftovers: string[] = [];
  for (const name of LEFTOVERS) if (await isFile(join(home, name))) leftovers.push(name);
  return {
    folder: home,
    goModText,
    goMod: main?.ok === true ? main.value : undefined,
    goModFault: main?.ok === false ? main.reason : undefined,
    toolchain: lax?.ok === true ? lax.value.toolchain : undefined,
    goSumText,
    goSum: sum?.ok === true ? sum.value : [],
    goSumFault: sum?.ok === false ? sum.reason : undefined,
    vendorText,
    leftovers,
  };
}

/** Every module that a build may read: required ones, as replaced, and those whose zip go.sum names. Each once. */
export function modulesOf({ goMod, goSum }: Project): readonly ModuleAt[] {
  const found = new Map<string, ModuleAt>();
  for (const required of goMod?.require ?? []) {
    const used = goMod === undefined ? required : replacementOf(goMod, required);
    if (used !== 'folder') found.set(`${used.path}@${used.version}`, used);
  }
  for (const { path, version, file } of goSum) if (file === 'zip') found.set(`${path}@${version}`, { path, version });
  return [...found.values()];
}

async function nearestWith(folder: string, name: string): Promise<string | undefined> {
  for (let at = folder; ; at = dirname(at)) {
    if (await isFile(join(at, name))) return at;
    if (dirname(at) === at) return undefined;
  }
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function textOf(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || !found.isFile() || found.size > TEXT_LENGTH_MAX) return undefined;
  return await readFile(path, 'utf8').catch(() => undefined);
}
