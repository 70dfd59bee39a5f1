import { createHash } from 'node:crypto';
import { type EntryRecipe, writeZip } from '../oracle-zip/zip-writer.ts';
import { hashGoMod } from '../../src/protocol/dirhash.ts';

/** Everything a proxy serves of one module version, with the hashes that a checksum database would record of it. */
export interface SyntheticModule {
  readonly path: string;
  readonly version: string;
  readonly info: string;
  readonly goMod: string;
  readonly zip: Buffer;
  readonly zipHash: string;
  readonly modHash: string;
}

export interface ModuleRecipe {
  readonly goMod?: string;
  /** Module paths and versions, for the require lines. */
  readonly requires?: Readonly<Record<string, string>>;
  /** Below the module's root; go.mod is added, and a Go file when there is none. */
  readonly files?: Readonly<Record<string, string | Buffer>>;
  /** Bytes that do not compress, in a file of their own. */
  readonly fillBytes?: number;
  /** Further entries, as wrong as a test wants them; names in full. */
  readonly entries?: readonly EntryRecipe[];
  readonly info?: string;
}

/** Makes a small module. What a test does not say is as the go command would have made it. */
export function makeModule(path: string, version: string, recipe: ModuleRecipe = {}): SyntheticModule {
  const requires = Object.entries(recipe.requires ?? {}).map(([required, at]) => `require ${required} ${at}\n`);
  const goMod = recipe.goMod ?? `module ${path}\n\ngo 1.21\n${requires.length > 0 ? '\n' : ''}${requires.join('')}`;
  const name = packageName(path);
  const imports = Object.keys(recipe.requires ?? {}).map((required) => `import _ "${required}"\n`);
  const files = recipe.files ?? { [`${name}.go`]: `package ${name}\n\n${imports.join('')}\nconst Version = "${version}"\n` };
  const prefix = `${path}@${version}/`;
  const entries: EntryRecipe[] = [
    { name: `${prefix}go.mod`, content: goMod },
    ...Object.entries(files).map(([file, content]) => ({ name: prefix + file, content })),
    ...(recipe.fillBytes === undefined
      ? []
      : [{ name: `${prefix}fill.bin`, content: noise(`${path}@${version}`, recipe.fillBytes), stored: true }]),
    ...(recipe.entries ?? []),
  ];
  return {
    path,
    version,
    info: recipe.info ?? JSON.stringify({ Version: version, Time: '2024-05-06T07:08:09Z' }),
    goMod,
    zip: writeZip({ entries }),
    zipHash: carelessHash(entries),
    modHash: hashGoMod(Buffer.from(goMod)),
  };
}

/** The h1 of the entries as it comes out when nobody looks at their names: what a database would record that was fooled. */
export function carelessHash(entries: readonly EntryRecipe[]): string {
  const lines = entries
    .map((entry) => ({
      name: String(entry.name),
      sha256: createHash('sha256')
        .update(entry.content ?? '')
        .digest('hex'),
    }))
    .toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
    .map(({ name, sha256 }) => `${sha256}  ${name}\n`);
  return `h1:${createHash('sha256').update(lines.join('')).digest('base64')}`;
}

/** Bytes that look random and are the same in every run. */
export function noise(seed: string, sizeBytes: number): Buffer {
  return createHash('shake256', { outputLength: sizeBytes }).update(seed).digest();
}

/** Each capital becomes `!` and its small letter, as in URLs. */
export function escaped(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`);
}

/** `MODULE/@v/VERSION.` as it stands in URLs, ready for `info`, `mod` or `zip`. */
export function address({ path, version }: { readonly path: string; readonly version: string }): string {
  return `${escaped(path)}/@v/${escaped(version)}.`;
}

function packageName(path: string): string {
  const last = path.split('/').findLast((element) => !/^v\d+$/.test(element)) ?? 'm';
  return last.replace(/[^a-z]/g, '') || 'm';
}
