/**
 * Which modules a main module builds with, by the go command's own rules (cmd/go/internal/modload, readModGraph), as far as go.mod files tell:
 *
 * - It reads the go.mod of every module that the main module requires. Where the main module's go line is older than 1.17, or where that of a
 *   required module is, it reads on below, without end: only since go 1.17 the requirements of a go.mod are complete.
 * - Of each module the highest version that any go.mod read so far requires is selected. If that is not the one the main module names, the go
 *   command would write it there: its go.mod is read as well, until nothing changes.
 * - `go mod download` then takes the zip of every module that the main module requires; with a go line older than 1.17, of every selected one.
 *
 * https://go.dev/ref/mod#minimal-version-selection, https://go.dev/ref/mod#graph-pruning
 */
import { isPruned, type GoMod } from '../protocol/go-mod.ts';
import { type MainGoMod, type ModuleAt, nameOf, replacementOf } from '../protocol/main-go-mod.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import { compareVersions, type Version } from '../protocol/version.ts';

export interface BuildListReader {
  /** The go.mod of a module version; undefined when it cannot be had, which ends the walk below it and nowhere else. Asked once for each. */
  readonly goMod: (module: ModuleAt) => Promise<GoMod | undefined>;
  /** Told as soon as it is known that the build takes this zip; perhaps twice, and for two versions of a module whose go.mod is not tidy. */
  readonly built: (module: ModuleAt) => void;
}

/** Resolves when every go.mod was read and every zip told. @throws what the reader throws */
export async function walkBuildList(main: MainGoMod, reader: BuildListReader): Promise<void> {
  const walk = new Walk(main, reader);
  const isMainPruned = isPruned(main.go);
  const admitted = main.require.filter((required) => !main.exclude.has(nameOf(required)));
  for (const required of admitted) walk.select(required);
  // A tidy go.mod names what will be selected: its zips need not wait for the graph.
  for (let roots = walk.selectedOf(admitted); roots.length > 0; roots = isMainPruned ? walk.unread(admitted) : []) {
    if (isMainPruned) for (const root of roots) walk.tellBuilt(root);
    await Promise.all(roots.map((root) => walk.enter(root, isMainPruned ? 'pruned' : 'unpruned')));
  }
  for (const chosen of isMainPruned ? walk.selectedOf(admitted) : walk.allSelected()) walk.tellBuilt(chosen);
}

class Walk {
  readonly #main: MainGoMod;
  readonly #reader: BuildListReader;
  readonly #selected = new Map<ModulePath, Version>();
  readonly #entered = new Map<string, 'pruned' | 'unpruned'>();
  readonly #goMods = new Map<string, Promise<GoMod | undefined>>();

  constructor(main: MainGoMod, reader: BuildListReader) {
    this.#main = main;
    this.#reader = reader;
  }

  select({ path, version }: ModuleAt): void {
    const known = this.#selected.get(path);
    if (known === undefined || compareVersions(version, known) > 0) this.#selected.set(path, version);
  }

  selectedOf(modules: readonly ModuleAt[]): readonly ModuleAt[] {
    const versions = new Map(modules.map(({ path, version }) => [path, this.#selected.get(path) ?? version]));
    return [...versions].map(([path, version]) => ({ path, version }));
  }

  /** The selected versions of these modules whose go.mod was not read so far. */
  unread(modules: readonly ModuleAt[]): readonly ModuleAt[] {
    return this.selectedOf(modules).filter((module) => !this.#entered.has(nameOf(module)));
  }

  allSelected(): readonly ModuleAt[] {
    return [...this.#selected].map(([path, version]) => ({ path, version }));
  }

  tellBuilt(module: ModuleAt): void {
    // A dependency may require an older version of the main module itself; that is never built.
    const actual = replacementOf(this.#main, module);
    if (actual !== 'folder' && module.path !== this.#main.module) this.#reader.built(actual);
  }

  async enter(module: ModuleAt, pruning: 'pruned' | 'unpruned'): Promise<void> {
    const name = nameOf(module);
    const before = this.#entered.get(name);
    if (before === 'unpruned' || before === pruning) return;
    this.#entered.set(name, pruning);
    const goMod = await this.#goMod(module);
    if (goMod === undefined) return;
    const required = goMod.require.filter((below) => !this.#main.exclude.has(nameOf(below)));
    for (const below of required) this.select(below);
    if (pruning === 'pruned' && isPruned(goMod.go)) return;
    await Promise.all(required.map((below) => this.enter(below, 'unpruned')));
  }

  #goMod(module: ModuleAt): Promise<GoMod | undefined> {
    const actual = replacementOf(this.#main, module);
    if (actual === 'folder') return Promise.resolve(undefined);
    const name = nameOf(actual);
    let reading = this.#goMods.get(name);
    if (reading === undefined) {
      reading = this.#reader.goMod(actual);
      this.#goMods.set(name, reading);
    }
    return reading;
  }
}
