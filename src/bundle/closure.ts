/**
 * What has to be carried so that the go command does its work inside as outside. For a main module:
 *
 * - the go.mod of every version in its module graph (pruned or not: `hub/build-list.ts`), and `.mod` and `.info` of the version selected of every
 *   module that any of them names: `go list -m all` asks for both;
 * - the zip of what is built: every module that the main module requires, or, with a go line older than 1.17, every selected one;
 * - what go.sum names: `go mod tidy` looks into the modules of the tests of dependencies, and whatever it looked into it writes there. Without a
 *   go.sum nobody can tell which modules those are without reading packages, so then the zips of all selected modules are carried.
 *
 * A module version that is wanted by itself counts as a main module that requires it, without a go.sum.
 */
import type { ArtefactKind } from '../base/events.ts';
import { walkBuildList } from '../hub/build-list.ts';
import { type GoMod, parseGoMod } from '../protocol/go-mod.ts';
import type { GoSumLine } from '../protocol/go-sum.ts';
import { type MainGoMod, type ModuleAt, nameOf, replacementOf } from '../protocol/main-go-mod.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import { compareVersions, type Version } from '../protocol/version.ts';

/** A main module: what a build starts from. */
export interface Project {
  /** As the user named it. */
  readonly shown: string;
  readonly main: MainGoMod;
  readonly sums: readonly GoSumLine[] | undefined;
}

/** A file that is to be carried. */
export interface Wanted extends ModuleAt {
  readonly file: ArtefactKind;
}

export interface ClosureParts {
  /** The bytes of a go.mod; undefined when it cannot be had, which {@link Closure} leaves to who gives them to report. */
  readonly goMod: (module: ModuleAt) => Promise<Buffer | undefined>;
}

/** Collects what is wanted, each file once. */
export class Closure {
  readonly #parts: ClosureParts;
  readonly #wanted = new Map<string, Wanted>();
  readonly #goMods = new Map<string, Promise<GoMod | undefined>>();

  constructor(parts: ClosureParts) {
    this.#parts = parts;
  }

  get wanted(): readonly Wanted[] {
    return [...this.#wanted.values()];
  }

  /** Some files of a version, and nothing that it needs. */
  addFiles(module: ModuleAt, files: readonly ArtefactKind[]): void {
    this.#want(module, files);
  }

  async addProject({ main, sums }: Project): Promise<void> {
    const selected = await this.#follow(main);
    for (const { path, version, file } of sums ?? []) {
      this.#want({ path, version }, file === 'zip' ? ['info', 'mod', 'zip'] : ['mod']);
    }
    if (sums === undefined) for (const module of selected) this.#want(module, ['info', 'mod', 'zip']);
  }

  /** `all`: with the zips of its whole graph; `built`: with those alone that building it takes. */
  async addModule(module: ModuleAt, zips: 'all' | 'built'): Promise<void> {
    this.#want(module, ['info', 'mod', 'zip']);
    const goMod = await this.#goMod(module);
    if (goMod === undefined) return;
    const { go } = goMod;
    const main: MainGoMod = {
      module: goMod.module,
      ...(go !== undefined && { go }),
      require: goMod.require,
      exclude: new Set(),
      replace: new Map(),
      unread: [],
    };
    const selected = await this.#follow(main);
    if (zips === 'all') for (const other of selected) this.#want(other, ['info', 'mod', 'zip']);
  }

  /** Answers what stands for every module of the graph. */
  async #follow(main: MainGoMod): Promise<readonly ModuleAt[]> {
    const highest = new Map<ModulePath, Version>();
    const see = (required: readonly ModuleAt[]): void => {
      for (const module of required) {
        if (main.exclude.has(nameOf(module))) continue;
        const known = highest.get(module.path);
        if (known === undefined || compareVersions(module.version, known) > 0) highest.set(module.path, module.version);
      }
    };
    see(main.require);
    await walkBuildList(main, {
      goMod: async (module) => {
        const goMod = await this.#goMod(module);
        see(goMod?.require ?? []);
        return goMod;
      },
      built: (module) => this.#want(module, ['info', 'mod', 'zip']),
    });
    highest.delete(main.module as ModulePath);
    const selected = [...highest].flatMap(([path, version]) => {
      const actual = replacementOf(main, { path, version });
      return actual === 'folder' ? [] : [actual];
    });
    for (const module of selected) this.#want(module, ['info', 'mod']);
    return selected;
  }

  #goMod(module: ModuleAt): Promise<GoMod | undefined> {
    const name = nameOf(module);
    let reading = this.#goMods.get(name);
    if (reading === undefined) {
      this.#want(module, ['mod']);
      reading = this.#parts.goMod(module).then((bytes) => {
        const parsed = bytes && parseGoMod(bytes.toString('utf8'));
        return parsed?.ok === true ? parsed.value : undefined;
      });
      this.#goMods.set(name, reading);
    }
    return reading;
  }

  #want({ path, version }: ModuleAt, files: readonly ArtefactKind[]): void {
    for (const file of files) this.#wanted.set(`${path}@${version} ${file}`, { path, version, file });
  }
}
