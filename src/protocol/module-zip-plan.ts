/**
 * Which files of a source tree make a module zip, by the rules of `zip.Create`, in its order:
 *
 * 1. A name that is not clean is an error.
 * 2. Files of vendored packages are left out, with the old fault of counting from the wrong place kept for go lines below 1.24: a hash that
 *    was once recorded must come out again.
 * 3. What lies in a folder below the root that has a regular go.mod file (in any case) is another module's.
 * 4. `.hg_archival.txt` at the root is left out.
 * 5. A name against the rules of `module.CheckFilePath`, and a go.mod at the root in other letters, are errors.
 * 6. Two names that are equal without regard to case, and a name that is a file and a folder, are errors.
 * 7. Only then symbolic links are left out.
 *
 * Sizes are the reader's to check ({@link createSizeCheck}), because attributes may change a file on its way into the archive.
 *
 * https://go.dev/ref/mod#zip-files, https://pkg.go.dev/golang.org/x/mod/zip#Create
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { checkFilePath } from './file-path.ts';
import { isGoAtLeast } from './go-mod-facts.ts';
import { MODULE_GO_MOD_BYTES_MAX, MODULE_LICENSE_BYTES_MAX, MODULE_ZIP_BYTES_MAX, MODULE_ZIP_LIMITS, NameTree } from './module-zip.ts';

export interface SourceFile {
  /** Below the module's folder. Of a name that is no UTF-8, its bytes as Latin-1. */
  readonly path: string;
  readonly wellFormed: boolean;
  readonly kind: 'regular' | 'symlink';
}

/** The paths that belong in the zip, or why there can be none. `go` is the go line of the go.mod at the root of `files`, when that is a regular file. */
export function planModuleZip(files: readonly SourceFile[], go: string | undefined): Parsed<ReadonlySet<string>> {
  const modules = new Set(
    files.filter((file) => file.kind === 'regular' && isGoModName(baseOf(file.path))).map((file) => folderOf(file.path)),
  );
  const isModern = isGoAtLeast(go, 24);
  const tree = new NameTree();
  const included = new Set<string>();
  for (const { path, wellFormed, kind } of files) {
    if (!isClean(path)) return refused(`${quote(path)}: file path is not clean`);
    if (isVendored(path, isModern) || isInModule(path, modules) || path === '.hg_archival.txt') continue;
    const fault = nameFault(path, wellFormed) ?? tree.add(path, 'file');
    if (fault !== undefined) return refused(`${quote(path)}: ${fault}`);
    if (kind === 'regular') included.add(path);
  }
  return included.size > MODULE_ZIP_LIMITS.entriesMax ? refused(`more than ${MODULE_ZIP_LIMITS.entriesMax} files`) : parsed(included);
}

/** To be called with each file of a zip; answers what is wrong with it or with the sum so far. */
export function createSizeCheck(): (path: string, sizeBytes: number) => string | undefined {
  let contentBytes = 0;
  return (path, sizeBytes) => {
    contentBytes += sizeBytes;
    if (contentBytes > MODULE_ZIP_BYTES_MAX) return `content is larger than ${MODULE_ZIP_BYTES_MAX} bytes`;
    if (path === 'go.mod' && sizeBytes > MODULE_GO_MOD_BYTES_MAX) return `go.mod is larger than ${MODULE_GO_MOD_BYTES_MAX} bytes`;
    if (path === 'LICENSE' && sizeBytes > MODULE_LICENSE_BYTES_MAX) return `LICENSE is larger than ${MODULE_LICENSE_BYTES_MAX} bytes`;
    return undefined;
  };
}

function isClean(path: string): boolean {
  return path !== '' && path.split('/').every((element) => element !== '' && element !== '.' && element !== '..');
}

function isVendored(path: string, isModern: boolean): boolean {
  if (isModern && path === 'vendor/modules.txt') return true;
  if (path.startsWith('vendor/')) return path.includes('/', 'vendor/'.length);
  const at = path.indexOf('/vendor/');
  return at >= 0 && path.includes('/', (isModern ? at : 0) + '/vendor/'.length);
}

function isInModule(path: string, modules: ReadonlySet<string>): boolean {
  for (let folder = folderOf(path); folder !== ''; folder = folderOf(folder.slice(0, -1))) if (modules.has(folder)) return true;
  return false;
}

function nameFault(path: string, wellFormed: boolean): string | undefined {
  if (!wellFormed) return 'file name is not valid UTF-8';
  const checked = checkFilePath(path);
  if (!checked.ok) return checked.reason;
  return path !== 'go.mod' && isGoModName(path) ? 'go.mod files must have lower-case names' : undefined;
}

function isGoModName(base: string): boolean {
  return base.length === 'go.mod'.length && base.toLowerCase() === 'go.mod';
}

/** With its slash at the end; empty at the root. */
function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1);
}

function baseOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function quote(name: string): string {
  return JSON.stringify(name.length <= 200 ? name : `${name.slice(0, 200)}…`);
}
