/**
 * Commands that people install with `go install PACKAGE@VERSION`. The module is found as the go command finds it: of all paths from the package upward, the longest that
 * is a module which has this version and in it the package. Its own go.mod is then the main module, so everything that it was built and tested with is carried, as
 * its go.sum says; and as the go command does, a go.mod with `replace` or `exclude` lines is refused.
 *
 * https://go.dev/ref/mod#go-install
 */
import { HubError } from '../base/errors.ts';
import { type GoSumLine, parseGoSum } from '../protocol/go-sum.ts';
import { moduleFileKey } from '../protocol/layout.ts';
import { type MainGoMod, type ModuleAt, nameOf, parseMainGoMod } from '../protocol/main-go-mod.ts';
import { type ModulePath, parseModulePath } from '../protocol/module-path.ts';
import { MODULE_ZIP_LIMITS } from '../protocol/module-zip.ts';
import type { Closure } from './closure.ts';
import { askVersion, fetchFile, type FetchParts, lack, pathsFrom } from './fetch-files.ts';
import { ZipReader } from './zip-reader.ts';

export interface ToolOrder {
  /** Import path of the command. */
  readonly package: ModulePath;
  /** `v1.10.0`, `latest`. */
  readonly query: string;
}

const GO_SUM_BYTES_MAX = 16 * 1024 * 1024;

/** Notes as a lack what cannot be had. @throws {HubError} what ends all of it, such as a full disk */
export async function addTool(order: ToolOrder, closure: Closure, parts: FetchParts, signal: AbortSignal): Promise<void> {
  try {
    const tool = await findTool(order, parts, signal);
    if (tool === undefined) throw new HubError('not-found', `${parts.source.name} knows no module of that version with such a package`);
    const { module, sums } = tool;
    const main = await mainOf(module, parts, signal);
    closure.addFiles(module, ['info', 'mod', 'zip']);
    await closure.addProject({ shown: order.package, main, sums });
  } catch (error) {
    signal.throwIfAborted();
    lack(parts, { path: order.package, version: order.query, file: undefined }, error);
  }
}

interface FoundTool {
  readonly module: ModuleAt;
  /** Undefined: it has no go.sum. */
  readonly sums: readonly GoSumLine[] | undefined;
}

async function findTool(order: ToolOrder, parts: FetchParts, signal: AbortSignal): Promise<FoundTool | undefined> {
  for (const path of pathsFrom(order.package)) {
    const found = await askVersion(path, order.query, parts, signal);
    if (found === undefined) continue;
    const module = { path, version: found.version };
    if (!(await fetchFile({ ...module, file: 'zip' }, parts, signal))) continue;
    using zip = ZipReader.open(parts.staging.path(moduleFileKey(path, module.version, 'zip')), MODULE_ZIP_LIMITS);
    const root = `${nameOf(module)}/`;
    const folder = `${root}${order.package.slice(path.length + 1)}`.replace(/\/?$/, '/');
    const hasPackage = zip.entries.some(({ name }) => isSourceIn(folder, name));
    if (hasPackage) return { module, sums: sumsOf(zip, root) };
  }
  return undefined;
}

function isSourceIn(folder: string, name: string): boolean {
  return name.startsWith(folder) && /^[^/]+(?<!_test)\.go$/.test(name.slice(folder.length));
}

function sumsOf(zip: ZipReader, root: string): readonly GoSumLine[] | undefined {
  const entry = zip.entries.find(({ name }) => name === `${root}go.sum`);
  return entry && goSumLines(zip.read(entry, GO_SUM_BYTES_MAX));
}

function goSumLines(bytes: Buffer): readonly GoSumLine[] | undefined {
  const sums = parseGoSum(bytes.toString('utf8'));
  return sums.ok ? sums.value : undefined;
}

/** @throws {HubError} policy-denied when the go command would refuse it */
async function mainOf(module: ModuleAt, parts: FetchParts, signal: AbortSignal): Promise<MainGoMod> {
  if (!(await fetchFile({ ...module, file: 'mod' }, parts, signal)))
    throw new HubError('not-found', `the go.mod of ${nameOf(module)} could not be had`);
  const bytes = await parts.staging.read(moduleFileKey(module.path, module.version, 'mod'));
  const main = parseMainGoMod(bytes.toString('utf8'));
  if (!main.ok) throw new HubError('upstream-invalid', `the go.mod of ${nameOf(module)}: ${main.reason}`);
  const directive = main.value.replace.size > 0 ? 'replace' : main.value.exclude.size > 0 ? 'exclude' : undefined;
  if (directive !== undefined)
    throw new HubError('policy-denied', `the go command refuses to install it: the go.mod of ${nameOf(module)} has ${directive} lines`);
  return main.value;
}

/** What people call commands, and where they are. */
const wellKnown: Readonly<Record<string, string>> = {
  dlv: 'github.com/go-delve/delve/cmd/dlv',
  gofumpt: 'mvdan.cc/gofumpt',
  goimports: 'golang.org/x/tools/cmd/goimports',
  'golangci-lint': 'github.com/golangci/golangci-lint/v2/cmd/golangci-lint',
  gopls: 'golang.org/x/tools/gopls',
  govulncheck: 'golang.org/x/vuln/cmd/govulncheck',
  revive: 'github.com/mgechev/revive',
  staticcheck: 'honnef.co/go/tools/cmd/staticcheck',
};

/** `revive@v1.10.0`, `golang.org/x/tools/cmd/goimports@latest`, `gopls`; undefined for what is none. */
export function parseToolOrder(text: string): ToolOrder | undefined {
  const at = text.lastIndexOf('@');
  const [name, query] = at < 0 ? [text, 'latest'] : [text.slice(0, at), text.slice(at + 1)];
  const known = Object.hasOwn(wellKnown, name) ? wellKnown[name] : undefined;
  // Its first major version lies elsewhere.
  const full = name === 'golangci-lint' && /^v[01](?:\.|$)/.test(query) ? known?.replace('/v2/', '/') : known;
  const path = parseModulePath(full ?? name);
  return path.ok && /^[\w.+~/-]{1,240}$/.test(query) ? { package: path.value, query } : undefined;
}
