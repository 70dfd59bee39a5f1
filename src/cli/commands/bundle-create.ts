import { resolve } from 'node:path';
import type { CreatedBundle, CreateRequest, CreateWatch, PlanSizes } from '../../bundle/create-bundle.ts';
import type { ModuleQuery } from '../../bundle/create-plan.ts';
import type { Lack } from '../../bundle/fetch-files.ts';
import { parseWishList, WISHES_BYTES_MAX, type WishTree } from '../../api/wishes.ts';
import { type ModulePath, parseModulePath } from '../../protocol/module-path.ts';
import { bundleDigest, formatBundleHead } from '../../protocol/bundle-head.ts';
import type { BundleBackends } from '../bundle-backends.ts';
import { databaseOf, keyFilesOf, openOperand, parseCreated, parseSplit, readSmallFile, trustedKeysOf } from '../bundle-options.ts';
import { ownLogOf, privateNamesOf } from '../bundle-databases.ts';
import { sdkOrders, toolOrders, vulnerabilityPlace } from '../bundle-orders.ts';
import { readBundleOperands } from '../bundle-projects.ts';
import { type CommandSpec, type Invocation, UsageError, withConfig } from '../command.ts';
import { TOKEN_VARIABLE } from '../config/overrides.ts';
import type { HubConfig } from '../config/hub-config.ts';
import { exitCodeOf, exitCodes, worstExitCode } from '../exit-code.ts';
import { formatSize } from '../format.ts';
import { listeningAt, parseHubAddress } from '../hub-address.ts';

/** Lacks printed; `--json` has all. */
const PRINTED_MAX = 20;

export const bundleCreateCommand: CommandSpec = {
  name: 'create',
  describe: (m) => m.bundle.help.create,
  footer: (m) => m.bundle.help.createFooter,
  argument: { name: 'source', describe: (m) => m.bundle.help.createOperand, many: true },
  flags: [
    { flag: '--out <file>', describe: (m) => m.bundle.help.out, required: true },
    { flag: '--hub <url>', describe: (m) => m.bundle.help.hub },
    { flag: '--from-store', describe: (m) => m.bundle.help.fromStore },
    { flag: '--with-latest', describe: (m) => m.bundle.help.withLatest },
    { flag: '--trusted', describe: (m) => m.bundle.help.trusted },
    { flag: '--tools <commands>', describe: (m) => m.bundle.help.tools },
    { flag: '--sdk <versions>', describe: (m) => m.bundle.help.sdk },
    { flag: '--platform <platforms>', describe: (m) => m.bundle.help.platform },
    { flag: '--private [patterns]', describe: (m) => m.bundle.help.private },
    { flag: '--own-key <key>', describe: (m) => m.bundle.help.ownKey },
    { flag: '--vulndb <source>', describe: (m) => m.bundle.help.vulndb },
    { flag: '--since <bundle>', describe: (m) => m.bundle.help.since },
    { flag: '--wishes <file>', describe: (m) => m.bundle.help.wishes },
    { flag: '--split <size>', describe: (m) => m.bundle.help.split },
    { flag: '--created <time>', describe: (m) => m.bundle.help.created },
    { flag: '--key-file <file>', describe: (m) => m.bundle.help.keyFile },
    { flag: '--sm2', describe: (m) => m.bundle.help.sm2 },
    { flag: '--dry-run', describe: (m) => m.bundle.help.dryRun },
  ],
  configKeys: ['listen', 'dataDir', 'checksumDatabases', 'bundles.sm2'],
  run: (invocation) => withConfig(invocation, (config) => create(config, invocation)),
};

async function create(config: HubConfig, invocation: Invocation): Promise<number> {
  const { flags, messages, backends, signal } = invocation;
  const hub = typeof flags['hub'] === 'string' ? parseHubAddress(flags['hub']) : listeningAt(config);
  if (hub === undefined) throw new UsageError(messages.warm.badHub(String(flags['hub'])));
  const bundles = await backends.bundles();
  const since = typeof flags['since'] === 'string' ? await openSince(flags['since'], { config, bundles }, invocation) : undefined;
  try {
    const request = await requestOf(config, since, invocation);
    const files = keyFilesOf(config, invocation);
    const keyFile = flags['dry-run'] === true ? undefined : files.keyFile;
    const sm2 = keyFile === undefined ? undefined : { file: files.sm2KeyFile, required: flags['sm2'] === true };
    // Without an address it is the hub of this configuration, whose data folder is known.
    const store = flags['from-store'] === true ? 'required' : flags['hub'] === undefined ? 'if-there' : 'no';
    const vulnerabilities = await vulnerabilityPlace(invocation);
    const created = await bundles.create(
      config,
      { hub, token: invocation.env[TOKEN_VARIABLE] || undefined, keyFile, sm2, store, vulnerabilities, request },
      watchOf(invocation),
      signal,
    );
    return tell(created, hub, invocation);
  } finally {
    await since?.[Symbol.asyncDispose]();
  }
}

async function openSince(
  operand: string,
  { config, bundles }: { readonly config: HubConfig; readonly bundles: BundleBackends },
  invocation: Invocation,
): ReturnType<typeof openOperand> {
  return openOperand(operand, { config, keys: await trustedKeysOf(config, invocation, bundles), bundles, listOnly: true }, invocation);
}

async function requestOf(config: HubConfig, since: CreateRequest['since'], invocation: Invocation): Promise<CreateRequest> {
  const { flags, folder, operands, messages } = invocation;
  // What is asked for wrongly is said before any folder is read.
  const [sdks, tools, created, partBytesMax] = [
    sdkOrders(invocation),
    toolOrders(invocation),
    parseCreated(invocation),
    parseSplit(flags['split'], invocation),
  ];
  const [database, own] = [databaseOf(config), await ownLogOf(config, invocation)];
  const file = resolve(folder, String(flags['out']));
  if (since?.file.replace(/\.001$/, '') === file) throw new UsageError(messages.bundle.outIsSince(file));
  const before = since?.head.own?.database;
  if (before !== undefined && before !== own?.key.name) throw new UsageError(messages.bundle.needPrivate(before));
  const wished = await readWishes(config, own, invocation);
  const isNamed = ['trusted', 'vulndb', 'sdk', 'tools'].some((flag) => flags[flag] !== undefined);
  const isBare = operands.length === 0 && !isNamed && wished === undefined;
  const { projects, modules } = await readBundleOperands(isBare ? ['.'] : operands, { folder, messages });
  const all = [...modules, ...(wished?.modules ?? [])];
  if (projects.length === 0 && all.length === 0 && !isNamed) throw new UsageError(messages.bundle.nothingToCarry);
  return {
    projects,
    modules: all,
    sdks,
    tools,
    stored: flags['trusted'] === true ? { admits: admittedBy(config, own) } : undefined,
    withLatest: flags['with-latest'] === true,
    file,
    created,
    database,
    own,
    since,
    known: wished?.trees ?? [],
    partBytesMax,
  };
}

/** Without `--private`, what is private here stays here. */
function admittedBy(config: HubConfig, own: CreateRequest['own']): (module: ModulePath) => boolean {
  const names = privateNamesOf(config);
  return (module) => own?.isPrivate(module) === true || names.of(module).kind === 'public';
}

/**
 * What a hub inside asks for. A list that a hub wrote has no private names in it, and nobody signs it: who carries it must not choose which private modules go in.
 * @throws {UsageError}
 */
async function readWishes(
  config: HubConfig,
  own: CreateRequest['own'],
  { flags, folder, messages, terminal }: Invocation,
): Promise<{ readonly modules: readonly ModuleQuery[]; readonly trees: readonly WishTree[] } | undefined> {
  const { wishes: file } = flags;
  if (typeof file !== 'string') return undefined;
  const text = await readSmallFile(resolve(folder, file), WISHES_BYTES_MAX);
  const read = text === undefined ? undefined : parseWishList(text);
  if (read?.ok !== true) throw new UsageError(messages.bundle.badWishes(file, read?.reason ?? 'ENOENT'));
  const names = privateNamesOf(config);
  const modules = read.value.wishes.flatMap(({ module, version }): readonly ModuleQuery[] => {
    const path = parseModulePath(module);
    if (!path.ok) return [];
    if (own?.isPrivate(path.value) === true || names.of(path.value).kind !== 'public') {
      terminal.aside(messages.bundle.privateWish(module));
      return [];
    }
    // The go command looks for a module at every prefix of an import path.
    return [{ path: path.value, query: version ?? 'latest', orAbove: true }];
  });
  return { modules, trees: read.value.trees };
}

function watchOf({ terminal, messages: { bundle } }: Invocation): CreateWatch {
  let plannedBytes = 0;
  return {
    planning: (goMods) => terminal.progress(() => bundle.planning(goMods)),
    planned: (sizes) => {
      plannedBytes = sizes.knownBytes;
      for (const line of planLines(sizes, bundle)) terminal.aside(line);
    },
    fetching: (done, total, sizeBytes) =>
      terminal.progress(() =>
        bundle.fetching(
          done,
          total,
          formatSize(sizeBytes),
          Math.floor(50 * (done / total + Math.min(1, sizeBytes / Math.max(1, plannedBytes)))),
        ),
      ),
    writing: (sizeBytes) => terminal.progress(() => bundle.writing(formatSize(sizeBytes))),
  };
}

function planLines(
  { versions, privateVersions, zips, vulnerabilities, newFiles, knownBytes, unknownZips }: PlanSizes,
  bundle: Invocation['messages']['bundle'],
): readonly string[] {
  return [
    bundle.planned(versions, zips),
    ...(privateVersions > 0 ? [bundle.plannedPrivate(privateVersions)] : []),
    ...(vulnerabilities > 0 ? [bundle.plannedVulnerabilities(vulnerabilities)] : []),
    bundle.plannedNew(newFiles, formatSize(knownBytes)),
    ...(unknownZips > 0 ? [bundle.plannedUnknown(unknownZips)] : []),
  ];
}

function tell({ plan, lacks, written }: CreatedBundle, hub: URL, { terminal, messages: { bundle } }: Invocation): number {
  const digest = written && bundleDigest(formatBundleHead(written.head));
  const made = written && { files: written.files, sizeBytes: written.sizeBytes, digest, head: written.head, inherited: written.inherited };
  terminal.value({ ok: lacks.length === 0, hub: hub.href, plan, ...(made === undefined ? { dryRun: true } : made), lacks });
  if (written !== undefined && digest !== undefined) {
    const [first = ''] = written.files;
    const size = formatSize(written.sizeBytes);
    terminal.line(written.files.length === 1 ? bundle.wrote(first, size, digest) : bundle.wroteParts(written.files.length, size, digest));
    terminal.line(bundle.carries(written.head.files, written.inherited));
  }
  if (lacks.length === 0) return exitCodes.done;
  terminal.aside(bundle.lacks(lacks.length));
  for (const lack of lacks.slice(0, PRINTED_MAX)) terminal.aside(`  ${nameOfLack(lack)} (${lack.code}): ${lack.reason}`);
  if (lacks.length > PRINTED_MAX) terminal.aside(bundle.more(lacks.length - PRINTED_MAX));
  return worstExitCode(lacks.map(({ code }) => exitCodeOf(code)));
}

function nameOfLack({ path, version, file }: Lack): string {
  return `${path}@${version}${file === undefined ? '' : ` .${file}`}`;
}
