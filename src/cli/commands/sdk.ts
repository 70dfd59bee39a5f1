import { join } from 'node:path';
import { compareReleases, formatArchiveName, isStable, languageOf } from '../../protocol/go-release.ts';
import { type CommandSpec, type Invocation, withConfig } from '../command.ts';
import { exitCodes } from '../exit-code.ts';
import { formatSize } from '../format.ts';
import {
  hostPlatform,
  hubFlag,
  installedFor,
  nameOf,
  openHubSource,
  platformsFlag,
  platformsOf,
  rootFlag,
  sdkFolderOf,
  tokenFlag,
} from '../sdk/sdk-context.ts';
import { releasesFor, samePlatform } from '../sdk/sdk-folder.ts';
import { goCommand } from '../sdk/sdk-install.ts';
import { chooseRelease, findProjectRelease } from '../sdk/sdk-query.ts';
import type { OfferedSdk } from '../sdk/sdk-source.ts';
import { bundleCommand, installCommand } from './sdk-install.ts';
import { execCommand, pruneCommand, removeCommand, useCommand } from './sdk-use.ts';

const listCommand: CommandSpec = {
  name: 'list',
  describe: (m) => m.sdk.help.list,
  flags: [
    { flag: '--remote', describe: (m) => m.sdk.help.remote },
    { flag: '--all', describe: (m) => m.sdk.help.all },
    hubFlag,
    tokenFlag,
    platformsFlag,
    rootFlag,
  ],
  configKeys: ['tls.caFile', 'outbound.proxy'],
  run: (invocation) => (invocation.flags['remote'] === true ? listRemote(invocation) : listInstalled(invocation)),
};

const whichCommand: CommandSpec = {
  name: 'which',
  describe: (m) => m.sdk.help.which,
  argument: { name: 'version', describe: (m) => m.sdk.help.version, many: true },
  flags: [rootFlag],
  configKeys: [],
  run: async (invocation) => {
    const { terminal, messages, operands } = invocation;
    const { sdk, file } = await installedFor(operands[0], invocation);
    const path = join(sdk.folder, goCommand(sdk.name));
    terminal.value({ ok: true, go: path, goroot: sdk.folder, version: sdk.name.release, because: file ?? null });
    terminal.line(path);
    if (file !== undefined) terminal.aside(messages.sdk.because(file));
    return exitCodes.done;
  },
};

export const sdkCommand: CommandSpec = {
  name: 'sdk',
  describe: (m) => m.sdk.help.sdk,
  flags: [],
  configKeys: [],
  commands: [listCommand, installCommand, useCommand, whichCommand, execCommand, removeCommand, pruneCommand, bundleCommand],
};

async function listInstalled(invocation: Invocation): Promise<number> {
  const { terminal, messages } = invocation;
  const folder = sdkFolderOf(invocation);
  const [installed, current, project] = await Promise.all([folder.installed(), folder.current(), findProjectRelease(invocation.folder)]);
  const chosen = project && chooseRelease(project.query, releasesFor(installed, hostPlatform));
  const sdks = installed.map((sdk) => ({
    sdk,
    isCurrent: sdk.folder === current?.folder,
    isOfProject: sdk.name.release === chosen && samePlatform(sdk.name, hostPlatform),
  }));
  terminal.value({
    ok: true,
    root: folder.path,
    sdks: sdks.map(({ sdk, isCurrent, isOfProject }) => ({
      version: sdk.name.release,
      os: sdk.name.os,
      arch: sdk.name.arch,
      goroot: sdk.folder,
      default: isCurrent,
      project: isOfProject,
      receipt: sdk.receipt,
    })),
  });
  for (const { sdk, isCurrent, isOfProject } of sdks) {
    const marks = [...(isCurrent ? [messages.sdk.current] : []), ...(isOfProject ? [messages.sdk.project] : [])];
    terminal.line(`${nameOf(sdk.name)}  ${sdk.folder}${marks.length === 0 ? '' : `  (${marks.join(', ')})`}`);
  }
  if (sdks.length === 0) terminal.aside(messages.sdk.noneInstalled);
  return exitCodes.done;
}

function listRemote(invocation: Invocation): Promise<number> {
  return withConfig(invocation, async (config) => {
    const { terminal, messages, flags, signal } = invocation;
    await using source = await openHubSource(config, invocation);
    const platforms = platformsOf(invocation);
    const offered = (await source.list(signal)).filter(({ name }) => platforms.some((platform) => samePlatform(name, platform)));
    const installed = await sdkFolderOf(invocation).installed();
    const isInstalled = (sdk: OfferedSdk): boolean => installed.some(({ name }) => formatArchiveName(name) === formatArchiveName(sdk.name));
    const shown = flags['all'] === true ? offered : newestOfEachLine(offered);
    const sorted = shown.toSorted((a, b) => compareReleases(b.name.release, a.name.release));
    terminal.value({
      ok: true,
      hub: source.shown,
      sdks: sorted.map((sdk) => ({
        version: sdk.name.release,
        os: sdk.name.os,
        arch: sdk.name.arch,
        file: formatArchiveName(sdk.name),
        sha256: sdk.sha256 || null,
        size: sdk.sizeBytes || null,
        origin: sdk.origin,
        installed: isInstalled(sdk),
      })),
    });
    for (const sdk of sorted) {
      const size = sdk.sizeBytes === 0 ? '' : `  ${formatSize(sdk.sizeBytes)}`;
      terminal.line(`${nameOf(sdk.name)}${size}${isInstalled(sdk) ? `  (${messages.sdk.installed})` : ''}`);
    }
    return exitCodes.done;
  });
}

function newestOfEachLine(offered: readonly OfferedSdk[]): readonly OfferedSdk[] {
  const lines = Map.groupBy(offered, ({ name }) => `${languageOf(name.release)} ${name.os}-${name.arch} ${isStable(name.release)}`);
  const newest = [...lines.values()].map((sdks) => sdks.reduce((a, b) => (compareReleases(a.name.release, b.name.release) >= 0 ? a : b)));
  // A preview of a line that has releases is of the past.
  const stable = new Set(
    newest.filter(({ name }) => isStable(name.release)).map(({ name }) => `${languageOf(name.release)} ${name.os}-${name.arch}`),
  );
  return newest.filter(({ name }) => isStable(name.release) || !stable.has(`${languageOf(name.release)} ${name.os}-${name.arch}`));
}
