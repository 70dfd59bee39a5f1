/**
 * What may stand in a module zip, by the rules of `zip.CheckZip`, which the go command runs on every zip it downloads.
 *
 * - Every name begins with `PATH@VERSION/`; the rest obeys `module.CheckFilePath`, so it is relative, clean, and free of control characters.
 * - No two names are equal under simple case folding, and none is a file and a directory at once: they could not be unpacked on every disk.
 * - `go.mod` stands at the root only, spelled just so: elsewhere it would begin another module.
 * - Regular files and directories only. (`zip.Unzip` writes a symbolic link's text as a file; here it is refused, as the documentation says.)
 * - Zip and content: 500 MiB each; go.mod and LICENSE: 16 MiB each. The same for golang.org/toolchain.
 *
 * Beyond Go: no name twice, directories included, and {@link MODULE_ZIP_LIMITS}, far above any module that fits in 500 MiB and can be unpacked.
 *
 * https://go.dev/ref/mod#zip-path-size-constraints, https://pkg.go.dev/golang.org/x/mod/zip
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { checkFilePath, foldKey } from './file-path.ts';
import type { ZipEntry, ZipLimits } from './zip-format.ts';

/** The zip file itself, and also all its content together. */
export const MODULE_ZIP_BYTES_MAX: number = 500 * 1024 * 1024;
export const MODULE_GO_MOD_BYTES_MAX: number = 16 * 1024 * 1024;
export const MODULE_LICENSE_BYTES_MAX: number = 16 * 1024 * 1024;

/** A name longer than 4096 bytes is longer than a path may be on Linux. The largest public modules have some 20,000 files. */
export const MODULE_ZIP_LIMITS: ZipLimits = { entriesMax: 100_000, directoryBytesMax: 24 * 1024 * 1024, nameBytesMax: 4096 };
const DIRECTORIES_MAX = 100_000;

export interface ModuleZipName {
  /** Path and version as people write them, not escaped. */
  readonly module: string;
  readonly version: string;
}

/** Checks the directory of a zip before a byte is inflated. The value is the size of the content, in bytes, as declared. */
export function checkModuleZip(name: ModuleZipName, entries: readonly ZipEntry[]): Parsed<number> {
  const prefix = `${name.module}@${name.version}/`;
  const tree = new NameTree();
  let contentBytes = 0;
  for (const entry of entries) {
    const fault = entryFault(entry, prefix, tree);
    if (fault !== undefined) return refused(`${quote(entry.name)}: ${fault}`);
    contentBytes += entry.sizeBytes;
    if (contentBytes > MODULE_ZIP_BYTES_MAX) return refused(`content is larger than ${MODULE_ZIP_BYTES_MAX} bytes`);
  }
  return parsed(contentBytes);
}

function entryFault(entry: ZipEntry, prefix: string, tree: NameTree): string | undefined {
  if (!entry.name.startsWith(prefix)) return `name does not begin with ${prefix}`;
  if (entry.kind === 'irregular') return 'neither a regular file nor a directory';
  const path = entry.name.slice(prefix.length, entry.kind === 'directory' ? -1 : undefined);
  // The module's own directory may be an entry too.
  if (entry.name.length === prefix.length) return tree.addRoot();
  const checked = checkFilePath(path);
  if (!checked.ok) return checked.reason;
  const clash = tree.add(path, entry.kind);
  if (clash !== undefined || entry.kind === 'directory') return clash;
  return goModFault(path) ?? sizeFault(path, entry.sizeBytes);
}

function goModFault(path: string): string | undefined {
  const base = path.slice(path.lastIndexOf('/') + 1);
  if (base.length !== 'go.mod'.length || foldKey(base) !== 'go.mod') return undefined;
  if (base !== path) return 'go.mod outside of the root';
  return path === 'go.mod' ? undefined : 'go.mod is not spelled in small letters';
}

function sizeFault(path: string, sizeBytes: number): string | undefined {
  if (path === 'go.mod' && sizeBytes > MODULE_GO_MOD_BYTES_MAX) return `larger than ${MODULE_GO_MOD_BYTES_MAX} bytes`;
  if (path === 'LICENSE' && sizeBytes > MODULE_LICENSE_BYTES_MAX) return `larger than ${MODULE_LICENSE_BYTES_MAX} bytes`;
  return undefined;
}

interface TreeNode {
  /** The element as it was first written. */
  readonly element: string;
  readonly kind: 'file' | 'directory';
  /** An entry of its own, not only on the way to others. */
  listed: boolean;
  /** Children by folded element; made when the first comes. */
  children?: Map<string, TreeNode>;
}

/** All names so far, element by element, so that the work grows with the length of the names and not with its square. */
export class NameTree {
  readonly #root: TreeNode = { element: '', kind: 'directory', listed: false };
  #directories = 0;
  // Entries of one directory mostly come together.
  #lastPath = '';
  #last: TreeNode = this.#root;

  addRoot(): string | undefined {
    if (this.#root.listed) return 'stands twice';
    this.#root.listed = true;
    return undefined;
  }

  /** Answers what the name collides with. */
  add(path: string, kind: 'file' | 'directory'): string | undefined {
    const slash = path.lastIndexOf('/');
    const parentPath = slash < 0 ? '' : path.slice(0, slash);
    if (parentPath !== this.#lastPath) {
      const parent = this.#enter(parentPath);
      if (typeof parent === 'string') return parent;
      this.#last = parent;
      this.#lastPath = parentPath;
    }
    const node = this.#child(this.#last, { element: path.slice(slash + 1), kind });
    if (typeof node === 'string') return node;
    if (node.listed) return 'stands twice';
    node.listed = true;
    return undefined;
  }

  #enter(path: string): TreeNode | string {
    let node: TreeNode | string = this.#root;
    if (path === '') return node;
    for (const element of path.split('/')) {
      node = this.#child(node, { element, kind: 'directory' });
      if (typeof node === 'string') return node;
    }
    return node;
  }

  #child(parent: TreeNode, { element, kind }: { element: string; kind: 'file' | 'directory' }): TreeNode | string {
    parent.children ??= new Map();
    const key = foldKey(element);
    const found = parent.children.get(key);
    if (found !== undefined) {
      if (found.element !== element) return `differs from another name only in case: ${quote(found.element)} and ${quote(element)}`;
      return found.kind === kind ? found : 'is a file and a directory';
    }
    if (kind === 'directory') this.#directories += 1;
    if (this.#directories > DIRECTORIES_MAX) return `more than ${DIRECTORIES_MAX} directories`;
    const node: TreeNode = { element, kind, listed: false };
    parent.children.set(key, node);
    return node;
  }
}

function quote(name: string): string {
  return JSON.stringify(name.length <= 200 ? name : `${name.slice(0, 200)}…`);
}
