import { copyFile, mkdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { codeOf, HubError, messageOf } from '../../base/errors.ts';
import { formatArchiveName, parseArchiveName } from '../../protocol/go-release.ts';
import { formatLogProof } from '../../protocol/log-proof.ts';
import { type CommandSpec, type Invocation, UsageError, withConfig } from '../command.ts';
import type { HubConfig } from '../config/hub-config.ts';
import { exitCodeOf, exitCodes, worstExitCode } from '../exit-code.ts';
import { formatSize } from '../format.ts';
import { doing } from '../name-index.ts';
import {
  chooseOffered,
  databaseOf,
  dryRunFlag,
  hostPlatform,
  hubFlag,
  nameOf,
  openHubSource,
  parseWanted,
  platformsFlag,
  platformsOf,
  quietFlag,
  rootFlag,
  sdkFolderOf,
  tokenFlag,
  wantedOf,
} from '../sdk/sdk-context.ts';
import { type InstalledSdk, type SdkFolder, releasesFor, replaceFile, samePlatform } from '../sdk/sdk-folder.ts';
import { type InstallParts, checkArchive, fetchArchive, installSdk, proofOf } from '../sdk/sdk-install.ts';
import { chooseRelease } from '../sdk/sdk-query.ts';
import { SdkProgress } from '../sdk/sdk-progress.ts';
import { FolderSource, type OfferedSdk, type SdkSource, besides } from '../sdk/sdk-source.ts';

/** SDKs at once. */
const AT_ONCE_MAX = 4;

export const installCommand: CommandSpec = {
  name: 'install',
  describe: (m) => m.sdk.help.install,
  footer: (m) => m.sdk.help.installFooter,
  argument: { name: 'version', describe: (m) => m.sdk.help.installVersion, many: true },
  flags: [
    hubFlag,
    tokenFlag,
    { flag: '--from <folder>', describe: (m) => m.sdk.help.from },
    platformsFlag,
    rootFlag,
    { flag: '--sha256 <hex>', describe: (m) => m.sdk.help.sha256 },
    dryRunFlag,
    quietFlag,
  ],
  configKeys: ['tls.caFile', 'outbound.proxy'],
  run: (invocation) => withConfig(invocation, (config) => install(config, invocation)),
};

export const bundleCommand: CommandSpec = {
  name: 'bundle',
  describe: (m) => m.sdk.help.bundle,
  argument: { name: 'version', describe: (m) => m.sdk.help.version, many: true },
  flags: [
    { flag: '--out <folder>', describe: (m) => m.sdk.help.out, required: true },
    hubFlag,
    tokenFlag,
    platformsFlag,
    rootFlag,
    dryRunFlag,
    quietFlag,
  ],
  configKeys: ['tls.caFile', 'outbound.proxy'],
  run: (invocation) => withConfig(invocation, (config) => bundle(config, invocation)),
};

interface Chosen {
  readonly source: SdkSource;
  readonly sdk: OfferedSdk;
}

async function install(config: HubConfig, invocation: Invocation): Promise<number> {
  const { terminal, messages, flags, signal } = invocation;
  const folder = sdkFolderOf(invocation);
  await using sources = new AsyncDisposableStack();
  const chosen = withDigest(await choose(config, invocation, sources), invocation);
  const quiet = flags['quiet'] === true;
  const present = await presentOf(folder, chosen);
  const missing = chosen.filter(({ sdk }) => !present.some(({ name }) => nameOf(name) === nameOf(sdk.name)));
  for (const sdk of present) if (!quiet) terminal.aside(messages.sdk.present(nameOf(sdk.name), sdk.folder));
  if (flags['dry-run'] === true) {
    const would = missing.map(({ sdk }) => nameOf(sdk.name));
    terminal.value({ ok: true, dryRun: true, wouldInstall: would, present: present.map(shown) });
    for (const { sdk, source } of missing)
      terminal.line(messages.sdk.wouldInstall(nameOf(sdk.name), sdk.sizeBytes === 0 ? '' : formatSize(sdk.sizeBytes), source.shown));
    return exitCodes.done;
  }
  const { key } = await databaseOf(invocation);
  const progress = new SdkProgress({ terminal, messages, quiet });
  const outcomes = await allOf(missing, async ({ sdk, source }) => {
    const parts: InstallParts = { source, folder, key, now: () => new Date() };
    try {
      return await installSdk(parts, sdk, (at) => progress.tell(nameOf(sdk.name), at), signal);
    } finally {
      progress.end(nameOf(sdk.name));
    }
  });
  return await tell(outcomes, { present, missing, folder, invocation, quiet });
}

type Outcome = { readonly ok: true; readonly sdk: InstalledSdk } | { readonly ok: false; readonly error: unknown };

async function tell(
  outcomes: readonly Outcome[],
  told: {
    readonly present: readonly InstalledSdk[];
    readonly missing: readonly Chosen[];
    readonly folder: SdkFolder;
    readonly invocation: Invocation;
    readonly quiet: boolean;
  },
): Promise<number> {
  const { present, missing, folder, invocation, quiet } = told;
  const { terminal, messages } = invocation;
  const [only] = outcomes;
  if (outcomes.length === 1 && only?.ok === false) throw only.error;
  const installed = outcomes.flatMap((outcome) => (outcome.ok ? [outcome.sdk] : []));
  const failures = outcomes.flatMap((outcome, at) => {
    if (outcome.ok) return [];
    // A bug is not one of several failures.
    const code = codeOf(outcome.error);
    if (code === undefined) throw outcome.error;
    return [{ sdk: nameOf((missing[at] as Chosen).sdk.name), code, message: messageOf(outcome.error) }];
  });
  const current = await makeDefault(installed, folder);
  terminal.value({
    ok: failures.length === 0,
    installed: installed.map(shown),
    present: present.map(shown),
    default: current ?? null,
    failures,
  });
  for (const { name, folder: at, receipt } of installed) {
    const { database, record } = receipt;
    const isProved = database !== undefined && record !== undefined;
    terminal.line(isProved ? messages.sdk.proved(nameOf(name), at, database, record) : messages.sdk.compared(nameOf(name), at));
  }
  if (current !== undefined && !quiet) {
    terminal.aside(messages.sdk.nowCurrent(current));
    terminal.aside(messages.sdk.profile(profileLine(folder)));
  }
  for (const { sdk, message } of failures) terminal.aside(messages.sdk.failed(sdk, message));
  return failures.length === 0 ? exitCodes.done : worstExitCode(failures.map(({ code }) => exitCodeOf(code)));
}

/** The first SDK of a machine is its default; the newest, when several come at once. */
async function makeDefault(installed: readonly InstalledSdk[], folder: SdkFolder): Promise<string | undefined> {
  const release = chooseRelease({ kind: 'stable' }, releasesFor(installed, hostPlatform));
  const here = installed.filter(({ name }) => samePlatform(name, hostPlatform));
  const usable = here.find(({ name }) => name.release === release) ?? here[0];
  if (usable === undefined || (await folder.current()) !== undefined) return undefined;
  await folder.setCurrent(usable);
  return nameOf(usable.name);
}

export function profileLine(folder: SdkFolder): string {
  return process.platform === 'win32' ? `. '${join(folder.path, 'env.ps1')}'` : `. '${join(folder.path, 'env.sh')}'`;
}

function shown({ name, folder, receipt }: InstalledSdk): object {
  return { version: name.release, os: name.os, arch: name.arch, goroot: folder, receipt };
}

async function presentOf(folder: SdkFolder, chosen: readonly Chosen[]): Promise<readonly InstalledSdk[]> {
  const installed = await folder.installed();
  return installed.filter(({ name }) => chosen.some(({ sdk }) => nameOf(sdk.name) === nameOf(name)));
}

/** Every SDK that is meant, once. @throws {HubError} not-found; {UsageError} */
async function choose(config: HubConfig, invocation: Invocation, sources: AsyncDisposableStack): Promise<readonly Chosen[]> {
  const { operands, flags, folder, messages, signal } = invocation;
  const files = operands.filter((operand) => operand.startsWith('file:'));
  const versions = operands.filter((operand) => !operand.startsWith('file:'));
  const chosen: Chosen[] = [];
  for (const file of files) chosen.push(await chooseFile(file, invocation));
  if (files.length === 0 || versions.length > 0) {
    const { from } = flags;
    const source = sources.use(
      typeof from === 'string' ? new FolderSource(resolve(folder, from)) : await openHubSource(config, invocation),
    );
    const offered = await source.list(signal);
    const platforms = platformsOf(invocation);
    // Of a folder that somebody has filled for this machine all is meant, unless it was said which.
    const isAll = typeof from === 'string' && versions.length === 0;
    const meant = isAll
      ? offered.filter(({ name }) => platforms.some((platform) => samePlatform(name, platform)))
      : (await queriesOf(versions, invocation)).flatMap((query) =>
          platforms.map((platform) => chooseOffered(query, platform, { offered, messages })),
        );
    if (isAll && meant.length === 0)
      throw new HubError('not-found', messages.sdk.unknownAlone('go', platforms.map(({ os, arch }) => `${os}-${arch}`).join(', ')));
    chosen.push(...meant.map((sdk) => ({ sdk, source })));
  }
  return [...new Map(chosen.map((item) => [nameOf(item.sdk.name), item])).values()];
}

async function queriesOf(versions: readonly string[], invocation: Invocation): Promise<readonly ReturnType<typeof parseWanted>[]> {
  if (versions.length > 0) return versions.map((text) => parseWanted(text, invocation));
  const { query, file } = await wantedOf(undefined, invocation);
  if (file !== undefined && invocation.flags['quiet'] !== true) invocation.terminal.aside(invocation.messages.sdk.because(file));
  return [query];
}

async function chooseFile(address: string, { messages }: Invocation): Promise<Chosen> {
  if (!URL.canParse(address)) throw new UsageError(messages.sdk.badFile(address));
  const path = fileURLToPath(address);
  const name = parseArchiveName(basename(path));
  if (!name.ok) throw new UsageError(messages.sdk.badFile(basename(path)));
  const source = new FolderSource(dirname(path), name.value);
  const [sdk] = await source.list();
  if (sdk === undefined) throw new HubError('not-found', `there is no file ${path}`);
  return { sdk, source };
}

/** An archive in a folder without a proof has to be vouched for by who installs it. @throws {UsageError} */
function withDigest(chosen: readonly Chosen[], { flags, messages }: Invocation): readonly Chosen[] {
  const { sha256 } = flags;
  if (typeof sha256 === 'string' && (!/^[0-9a-f]{64}$/.test(sha256) || chosen.length !== 1)) throw new UsageError(messages.sdk.badSha256);
  return chosen.map(({ sdk, source }) => {
    if (typeof sha256 === 'string') return { sdk: { ...sdk, sha256 }, source };
    if (source instanceof FolderSource && sdk.origin === 'official')
      throw new UsageError(messages.sdk.needsSha256(formatArchiveName(sdk.name)));
    return { sdk, source };
  });
}

async function bundle(config: HubConfig, invocation: Invocation): Promise<number> {
  const { terminal, messages, flags, folder, signal } = invocation;
  const out = resolve(folder, String(flags['out']));
  const quiet = flags['quiet'] === true;
  await using sources = new AsyncDisposableStack();
  const chosen = await choose(config, invocation, sources);
  const files = chosen.map(({ sdk }) => formatArchiveName(sdk.name));
  if (flags['dry-run'] === true) {
    terminal.value({ ok: true, dryRun: true, folder: out, files });
    for (const file of files) terminal.line(messages.sdk.wouldBundle(file, out));
    return exitCodes.done;
  }
  await doing(`make ${out}`, () => mkdir(out, { recursive: true }));
  const parts = { folder: sdkFolderOf(invocation), key: (await databaseOf(invocation)).key, out };
  const progress = new SdkProgress({ terminal, messages, quiet });
  for (const { sdk, source } of chosen) {
    const name = nameOf(sdk.name);
    const sizeBytes = await bundleOne({ ...parts, source }, sdk, (at) => progress.tell(name, at), signal);
    progress.end(name);
    terminal.line(messages.sdk.bundled(formatArchiveName(sdk.name), formatSize(sizeBytes)));
  }
  terminal.value({ ok: true, folder: out, files });
  if (!quiet) terminal.aside(messages.sdk.bundleUse(out));
  return exitCodes.done;
}

/** Proved as it would be for an installation, so that no journey with a stick is for nothing. Answers the size in bytes. */
async function bundleOne(
  { source, folder, key, out }: Omit<InstallParts, 'now'> & { readonly out: string },
  sdk: OfferedSdk,
  onProgress: Parameters<typeof fetchArchive>[2],
  signal: AbortSignal,
): Promise<number> {
  await using archive = await fetchArchive({ source, folder }, sdk, onProgress, signal);
  const proof = await proofOf(source, sdk, signal);
  const onFile = (files: number): void => onProgress({ step: 'unpacking', files });
  await checkArchive({ sdk, path: archive.path, into: undefined, proof, key, onFile }, signal);
  const path = join(out, formatArchiveName(sdk.name));
  return await doing(`write ${path}`, async () => {
    if (proof !== undefined) await replaceFile(`${path}${besides.proof}`, formatLogProof(proof));
    await replaceFile(`${path}${besides.digest}`, `${archive.sha256}\n`);
    const next = `${path}.${process.pid}`;
    await copyFile(archive.path, next);
    await rename(next, path);
    await rm(archive.path, { force: true });
    return (await stat(path)).size;
  });
}

/** A few at a time; all come to their end. */
async function allOf(items: readonly Chosen[], work: (item: Chosen) => Promise<InstalledSdk>): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const at = next;
      next += 1;
      outcomes[at] = await work(items[at] as Chosen).then(
        (sdk): Outcome => ({ ok: true, sdk }),
        (error: unknown): Outcome => ({ ok: false, error }),
      );
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE_MAX, items.length) }, lane));
  return outcomes;
}
