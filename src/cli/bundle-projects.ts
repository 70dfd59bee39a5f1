import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Project } from '../bundle/closure.ts';
import type { ModuleQuery } from '../bundle/create-plan.ts';
import { parseGoSum } from '../protocol/go-sum.ts';
import { inWorkspace, parseGoWork } from '../protocol/go-work.ts';
import { type MainGoMod, parseMainGoMod } from '../protocol/main-go-mod.ts';
import { parseModulePath } from '../protocol/module-path.ts';
import { UsageError } from './command.ts';
import type { Messages } from './messages/zh.ts';

export interface BundleOperands {
  readonly projects: readonly Project[];
  readonly modules: readonly ModuleQuery[];
}

/** Of all source trees together. */
const PROJECTS_MAX = 2_000;
const DEPTH_MAX = 12;
const FILE_BYTES_MAX = 16 * 1024 * 1024;

/** No main module of anybody's lies there. */
const notSources = new Set(['vendor', 'node_modules', 'testdata']);

/**
 * What operands of `bundle create` name: go.mod, go.work and go.sum files, folders in which every main module counts, and `MODULE@QUERY`. A go.mod is read with the
 * go.sum beside it, a go.work with its go.work.sum and the modules that it uses, wherever they lie.
 * @throws {UsageError}
 */
export async function readBundleOperands(
  operands: readonly string[],
  { folder, messages }: { folder: string; messages: Messages },
): Promise<BundleOperands> {
  const projects = new Map<string, Project>();
  const modules: ModuleQuery[] = [];
  for (const operand of operands) {
    const path = resolve(folder, operand);
    const stats = await stat(path).catch(() => undefined);
    if (stats === undefined) modules.push(moduleQuery(operand, messages));
    else if (stats.isDirectory()) {
      const found = await filesBelow(path, messages);
      for (const file of found.goMods) addProject(projects, await readProject(file, file.replace(path, operand), messages));
      for (const file of found.goWorks) await addWorkspace(projects, file, { shown: file.replace(path, operand), messages });
    } else if (path.endsWith('.work')) await addWorkspace(projects, path, { shown: operand, messages });
    else addProject(projects, await readProject(path, operand, messages));
    if (projects.size > PROJECTS_MAX) throw new UsageError(messages.bundle.tooManyProjects(PROJECTS_MAX));
  }
  return { projects: [...projects.values()], modules };
}

function addProject(projects: Map<string, Project>, { file, project }: { file: string; project: Project }): void {
  projects.set(file, project);
}

/** Its main modules, each as it is built there, and what go.work.sum names besides. */
async function addWorkspace(
  projects: Map<string, Project>,
  path: string,
  { shown, messages }: { readonly shown: string; readonly messages: Messages },
): Promise<void> {
  const work = parseGoWork(await readText(path, shown, messages));
  if (!work.ok) throw new UsageError(messages.bundle.unreadable(shown, work.reason));
  for (const use of work.value.use) {
    const { file, project } = await readProject(resolve(dirname(path), use, 'go.mod'), `${shown}: ${join(use, 'go.mod')}`, messages);
    addProject(projects, { file, project: { ...project, main: inWorkspace(project.main, work.value) } });
  }
  const sumFile = `${path}.sum`;
  if ((await stat(sumFile).catch(() => undefined)) !== undefined)
    addProject(projects, await readProject(sumFile, `${shown}.sum`, messages));
}

/** `MODULE@VERSION`, `MODULE@latest`, `MODULE`. @throws {UsageError} */
function moduleQuery(text: string, messages: Messages): ModuleQuery {
  const at = text.lastIndexOf('@');
  const path = parseModulePath(at < 0 ? text : text.slice(0, at));
  const query = at < 0 ? 'latest' : text.slice(at + 1);
  if (!path.ok || !/^[\w.+~/-]{1,240}$/.test(query)) throw new UsageError(messages.bundle.badOperand(text));
  return { path: path.value, query };
}

async function readProject(path: string, shown: string, messages: Messages): Promise<{ file: string; project: Project }> {
  const folder = dirname(path);
  const isSum = path.endsWith('.sum');
  const modText = isSum ? undefined : await readText(path, shown, messages);
  const sumText = isSum
    ? await readText(path, shown, messages)
    : await readBeside(join(folder, basename(path).replace(/\.mod$/, '.sum')), shown, messages);
  const main = modText === undefined ? undefined : parseMainGoMod(modText);
  const sums = sumText === undefined ? undefined : parseGoSum(sumText);
  if (main?.ok === false) throw new UsageError(messages.bundle.unreadable(shown, main.reason));
  if (sums?.ok === false) throw new UsageError(messages.bundle.unreadable(shown, sums.reason));
  const unread = main?.value.unread[0];
  if (unread !== undefined) throw new UsageError(messages.bundle.unreadable(shown, `line ${unread.line}: ${unread.reason}`));
  return { file: path, project: { shown, main: main?.value ?? nothing, sums: sums?.value } };
}

/** A go.sum by itself says everything that is to be carried. */
const nothing: MainGoMod = { module: '', go: '1.26', require: [], exclude: new Set(), replace: new Map(), unread: [] };

async function readBeside(path: string, shown: string, messages: Messages): Promise<string | undefined> {
  return (await stat(path).catch(() => undefined)) === undefined ? undefined : readText(path, shown, messages);
}

async function readText(path: string, shown: string, messages: Messages): Promise<string> {
  try {
    if ((await stat(path)).size > FILE_BYTES_MAX) throw new UsageError(messages.bundle.unreadable(shown, `> ${FILE_BYTES_MAX} B`));
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(messages.bundle.unreadable(shown, String((error as NodeJS.ErrnoException).code)), { cause: error });
  }
}

interface FoundFiles {
  readonly goMods: readonly string[];
  readonly goWorks: readonly string[];
}

/** @throws {UsageError} for a folder that cannot be read: what lies in it would be missing inside */
async function filesBelow(folder: string, messages: Messages, depth = 0): Promise<FoundFiles> {
  const [goMods, goWorks]: [string[], string[]] = [[], []];
  if (depth > DEPTH_MAX) return { goMods, goWorks };
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(messages.bundle.unreadable(folder, String(error.code)), { cause: error });
  });
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isFile() && entry.name === 'go.mod') goMods.push(path);
    else if (entry.isFile() && entry.name === 'go.work') goWorks.push(path);
    else if (entry.isDirectory() && !entry.name.startsWith('.') && !entry.name.startsWith('_') && !notSources.has(entry.name)) {
      const below = await filesBelow(path, messages, depth + 1);
      goMods.push(...below.goMods);
      goWorks.push(...below.goWorks);
    }
  }
  return { goMods: goMods.toSorted(), goWorks: goWorks.toSorted() };
}
