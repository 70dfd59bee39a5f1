import { spawn } from 'node:child_process';
import { readdir, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { HubError } from '../../base/errors.ts';
import { languageOf } from '../../protocol/go-release.ts';
import { type CommandSpec, type Invocation, UsageError } from '../command.ts';
import { exitCodes } from '../exit-code.ts';
import { doing } from '../name-index.ts';
import { dryRunFlag, installedFor, installedOf, nameOf, parseWanted, quietFlag, rootFlag, sdkFolderOf } from '../sdk/sdk-context.ts';
import { type InstalledSdk, type SdkFolder, replaceFile } from '../sdk/sdk-folder.ts';
import { parseSdkQuery } from '../sdk/sdk-query.ts';
import { profileLine } from './sdk-install.ts';

export const useCommand: CommandSpec = {
  name: 'use',
  describe: (m) => m.sdk.help.use,
  footer: (m) => m.sdk.help.useFooter,
  argument: { name: 'version', describe: (m) => m.sdk.help.version, many: true },
  flags: [
    { flag: '--global', describe: (m) => m.sdk.help.global },
    { flag: '--project', describe: (m) => m.sdk.help.project },
    rootFlag,
    dryRunFlag,
    quietFlag,
  ],
  configKeys: [],
  run: use,
};

export const execCommand: CommandSpec = {
  name: 'exec',
  describe: (m) => m.sdk.help.exec,
  argument: { name: 'args', describe: (m) => m.sdk.help.execArgs, many: true },
  flags: [rootFlag],
  configKeys: [],
  run: exec,
};

export const removeCommand: CommandSpec = {
  name: 'remove',
  describe: (m) => m.sdk.help.remove,
  argument: { name: 'version', describe: (m) => m.sdk.help.version, many: true },
  flags: [rootFlag, dryRunFlag, quietFlag],
  configKeys: [],
  run: remove,
};

export const pruneCommand: CommandSpec = {
  name: 'prune',
  describe: (m) => m.sdk.help.prune,
  flags: [rootFlag, dryRunFlag, quietFlag],
  configKeys: [],
  run: prune,
};

async function use(invocation: Invocation): Promise<number> {
  const { terminal, messages, flags, folder, operands } = invocation;
  const { sdk } = await installedFor(operands[0], invocation);
  const dryRun = flags['dry-run'] === true;
  const quiet = flags['quiet'] === true;
  const name = nameOf(sdk.name);
  const home = sdkFolderOf(invocation);
  if (flags['project'] === true) {
    const file = join(folder, '.go-version');
    if (!dryRun) await doing(`write ${file}`, () => replaceFile(file, `${sdk.name.release.slice(2)}\n`));
    terminal.value({ ok: true, dryRun, file, version: sdk.name.release });
    terminal.line(dryRun ? messages.sdk.wouldWrite(file, sdk.name.release) : messages.sdk.wroteProject(file, sdk.name.release));
  }
  if (flags['global'] === true) {
    if (!dryRun) await home.setCurrent(sdk);
    if (flags['project'] !== true) terminal.value({ ok: true, dryRun, default: name, goroot: sdk.folder, profile: profileLine(home) });
    terminal.line(dryRun ? messages.sdk.wouldUse(name) : messages.sdk.nowCurrent(name));
    if (!quiet && !hasInPath(home, invocation)) terminal.aside(messages.sdk.profile(profileLine(home)));
  }
  if (flags['project'] === true || flags['global'] === true) return exitCodes.done;
  const bin = join(sdk.folder, 'bin');
  terminal.value({ ok: true, goroot: sdk.folder, bin, version: sdk.name.release });
  terminal.line(shellLine(bin));
  return exitCodes.done;
}

function hasInPath(home: SdkFolder, { env }: Invocation): boolean {
  return (env['PATH'] ?? '').split(delimiter).includes(join(home.path, 'current', 'bin'));
}

function shellLine(bin: string): string {
  return process.platform === 'win32'
    ? `Remove-Item Env:GOROOT -ErrorAction SilentlyContinue; $env:PATH = '${bin.replaceAll("'", "''")};' + $env:PATH`
    : `unset GOROOT; export PATH='${bin.replaceAll("'", "'\\''")}':"$PATH"`;
}

async function exec(invocation: Invocation): Promise<number> {
  const { messages, operands, env, folder, signal } = invocation;
  const [first = ''] = operands;
  const isVersion = parseSdkQuery(first).ok;
  const [command, ...args] = isVersion ? operands.slice(1) : operands;
  if (command === undefined) throw new UsageError(messages.sdk.noCommand);
  const { sdk } = await installedFor(isVersion ? first : undefined, invocation);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const child = spawn(command, args, { cwd: folder, env: envWith(sdk, env), stdio: 'inherit' });
  // A Ctrl-C reaches the command from the terminal as well; what it does then is its own affair.
  const onAbort = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', onAbort, { once: true });
  child.on('error', (error: NodeJS.ErrnoException) =>
    reject(
      error.code === 'ENOENT'
        ? new HubError('not-found', messages.sdk.noSuchCommand(command))
        : new HubError('storage-fault', error.message),
    ),
  );
  child.on('exit', (code, killedBy) => resolve(code ?? (killedBy === 'SIGINT' ? exitCodes.interrupted : exitCodes.attention)));
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** The go command finds its GOROOT from where it lies. Exactly this SDK was asked for, so it does not switch to another, unless the user has said otherwise. */
function envWith(sdk: InstalledSdk, env: Invocation['env']): Record<string, string | undefined> {
  const { GOROOT: _, ...rest } = env;
  const pathName = Object.keys(env).find((name) => name.toUpperCase() === 'PATH') ?? 'PATH';
  const path = [join(sdk.folder, 'bin'), ...(env[pathName] ? [env[pathName]] : [])].join(delimiter);
  return { ...rest, [pathName]: path, GOTOOLCHAIN: env['GOTOOLCHAIN'] || 'local' };
}

async function remove(invocation: Invocation): Promise<number> {
  const { operands, messages } = invocation;
  if (operands.length === 0) throw new UsageError(messages.usage.missingArgument('version'));
  const home = sdkFolderOf(invocation);
  const current = await home.current();
  const gone: InstalledSdk[] = [];
  for (const text of operands) {
    const named = (await home.installed()).find(({ name }) => nameOf(name) === text);
    const sdk = named ?? (await installedOf(parseWanted(text, invocation), invocation));
    if (sdk.folder === current?.folder) throw new HubError('conflict', messages.sdk.inUse(nameOf(sdk.name)));
    if (!gone.some(({ folder }) => folder === sdk.folder)) gone.push(sdk);
  }
  return removeAll(gone, home, invocation);
}

async function prune(invocation: Invocation): Promise<number> {
  const { messages, terminal, flags } = invocation;
  const home = sdkFolderOf(invocation);
  const [installed, current] = await Promise.all([home.installed(), home.current()]);
  // They come newest first.
  const newest = new Map<string, InstalledSdk>();
  for (const sdk of installed) {
    const line = `${languageOf(sdk.name.release)} ${sdk.name.os}-${sdk.name.arch}`;
    if (!newest.has(line)) newest.set(line, sdk);
  }
  const kept = new Set([...newest.values()].map(({ folder }) => folder));
  const gone = installed.filter(({ folder }) => !kept.has(folder) && folder !== current?.folder);
  if (flags['dry-run'] !== true) await removeDownloads(home);
  if (gone.length === 0 && flags['quiet'] !== true) terminal.aside(messages.sdk.nothingToPrune);
  return removeAll(gone, home, invocation);
}

/** What was fetched by half, unless somebody is at it. */
async function removeDownloads(home: SdkFolder): Promise<void> {
  await home.sweep();
  const names = await readdir(home.staging).catch((): string[] => []);
  for (const name of names) {
    const [, archive] = /^(.*\.part)(?:\.\d)?$/.exec(name) ?? [];
    if (archive !== undefined && !names.includes(`${archive}.lock`)) await rm(join(home.staging, name), { force: true });
  }
}

async function removeAll(gone: readonly InstalledSdk[], home: SdkFolder, { terminal, messages, flags }: Invocation): Promise<number> {
  const dryRun = flags['dry-run'] === true;
  for (const sdk of gone) {
    if (!dryRun) await home.remove(sdk);
    terminal.line(dryRun ? messages.sdk.wouldRemove(nameOf(sdk.name)) : messages.sdk.removed(nameOf(sdk.name)));
  }
  terminal.value({ ok: true, dryRun, removed: gone.map(({ name }) => nameOf(name)) });
  return exitCodes.done;
}
