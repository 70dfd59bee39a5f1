import { resolve } from 'node:path';
import { formatWishList } from '../../api/wishes.ts';
import type { BundleFile } from '../../bundle/bundle-file.ts';
import { newestAgeDays } from '../../bundle/imported-bundles.ts';
import { replaceFile } from '../../bundle/staging.ts';
import type { BundleBackends } from '../bundle-backends.ts';
import { trustedDatabasesOf } from '../bundle-databases.ts';
import { keyFilesOf, openOperand, parseKeys, parseListen, trustedKeysOf } from '../bundle-options.ts';
import { type CommandSpec, type Invocation, withConfig } from '../command.ts';
import type { HubConfig } from '../config/hub-config.ts';
import { exitCodes } from '../exit-code.ts';
import { formatSize } from '../format.ts';
import { bundleCreateCommand } from './bundle-create.ts';
import { bundleDiffCommand, bundleListCommand } from './bundle-list.ts';

const trustOne = { flag: '--key <key>', describe: (m: Invocation['messages']) => m.bundle.help.trustOne };
const argument = { name: 'bundle', describe: (m: Invocation['messages']) => m.bundle.help.file };

/** Opens the bundle that the operand names, trusted keys and all, and closes it after `work`. */
function withBundle(
  invocation: Invocation,
  work: (opened: { readonly bundle: BundleFile; readonly bundles: BundleBackends; readonly config: HubConfig }) => Promise<number>,
): Promise<number> {
  return withConfig(invocation, async (config) => {
    const bundles = await invocation.backends.bundles();
    const keys = await trustedKeysOf(config, invocation, bundles);
    await using bundle = await openOperand(invocation.argument ?? '', { config, keys, bundles }, invocation);
    return await work({ bundle, bundles, config });
  });
}

const progressOf = ({ terminal, messages }: Invocation): { readonly onProgress: (done: number, total: number) => void } => ({
  onProgress: (done, total) => terminal.progress(() => messages.bundle.checking(formatSize(done), formatSize(total))),
});

function tellHead({ head, key, sm2, digest }: BundleFile, { terminal, messages: { bundle } }: Invocation): void {
  terminal.line(digest);
  terminal.line(bundle.head(head.created, head.source, `${key.name}+${key.hash}`));
  if (sm2 !== undefined) terminal.line(sm2.verified === undefined ? bundle.sm2Unknown(sm2.key) : bundle.sm2Signed(sm2.key));
  if (head.parent !== undefined) terminal.line(bundle.parent(head.parent));
}

/** For `--json`. */
const sm2Of = ({ sm2 }: BundleFile): unknown => sm2 && { key: sm2.key, verified: sm2.verified !== undefined };

const verifyCommand: CommandSpec = {
  name: 'verify',
  describe: (m) => m.bundle.help.verify,
  argument,
  flags: [trustOne, { flag: '--own-key <key>', describe: (m) => m.bundle.help.ownKey }],
  configKeys: ['dataDir', 'checksumDatabases', 'bundles.sm2'],
  run: (invocation) =>
    withBundle(invocation, async ({ bundle, bundles, config }) => {
      const report = await bundles.verify(bundle, trustedDatabasesOf(config, invocation), progressOf(invocation), invocation.signal);
      const { terminal, messages } = invocation;
      terminal.value({ ok: true, digest: bundle.digest, head: bundle.head, key: bundle.key.text, sm2: sm2Of(bundle), ...report });
      tellHead(bundle, invocation);
      terminal.line(messages.bundle.verified(report.files, formatSize(report.sizeBytes), report.treeSize));
      if (report.unproved > 0) terminal.line(messages.bundle.verifiedPartly(report.unproved));
      return exitCodes.done;
    }),
};

const extractCommand: CommandSpec = {
  name: 'extract',
  describe: (m) => m.bundle.help.extract,
  argument,
  flags: [{ flag: '--to <folder>', describe: (m) => m.bundle.help.extractTo, required: true }, trustOne],
  configKeys: ['dataDir', 'bundles.sm2'],
  run: (invocation) =>
    withBundle(invocation, async ({ bundle, bundles }) => {
      const { terminal, messages, folder, flags, signal } = invocation;
      const to = resolve(folder, String(flags['to']));
      const files = await bundles.extract(bundle, to, progressOf(invocation), signal);
      terminal.value({ ok: true, digest: bundle.digest, folder: to, files });
      terminal.line(messages.bundle.extracted(files, to));
      return exitCodes.done;
    }),
};

const serveCommand: CommandSpec = {
  name: 'serve',
  describe: (m) => m.bundle.help.serve,
  argument,
  flags: [{ flag: '--listen <address>', describe: (m) => m.bundle.help.serveListen }, trustOne],
  configKeys: ['dataDir', 'bundles.sm2'],
  run: (invocation) =>
    withBundle(invocation, async ({ bundle, bundles }) => {
      const { terminal, messages, flags, signal } = invocation;
      const listen = parseListen(flags['listen'], invocation);
      if (bundle.head.own !== undefined && !/^(?:127\.|::1$|localhost$)/.test(listen.host)) terminal.aside(messages.bundle.servesPrivate);
      const told = {
        onListening: (address: string) => {
          terminal.value({ address });
          terminal.line(messages.bundle.serving(address));
        },
        onFault: (reason: string) => terminal.aside(`goyi: ${reason}`),
      };
      await bundles.serve(bundle, listen, told, signal);
      return exitCodes.done;
    }),
};

const importCommand: CommandSpec = {
  name: 'import',
  describe: (m) => m.bundle.help.import,
  argument,
  flags: [trustOne],
  configKeys: ['dataDir', 'checksumDatabases', 'bundles.sm2'],
  run: (invocation) =>
    withBundle(invocation, async ({ bundle, bundles, config }) => {
      const report = await bundles.import(config, bundle, progressOf(invocation), invocation.signal);
      const { terminal, messages } = invocation;
      const { modules, ...counts } = report;
      terminal.value({ ok: true, digest: bundle.digest, sm2: sm2Of(bundle), ...counts, modules: modules.length });
      if (report.known) terminal.line(messages.bundle.importedKnown);
      else terminal.line(messages.bundle.imported(report.files, formatSize(report.sizeBytes), report.present));
      if (report.vulnerabilities > 0) terminal.line(messages.bundle.importedVulnerabilities(report.vulnerabilities));
      if (report.missing > 0) terminal.aside(messages.bundle.importedMissing(report.missing));
      return exitCodes.done;
    }),
};

const importedCommand: CommandSpec = {
  name: 'imported',
  describe: (m) => m.bundle.help.imported,
  flags: [],
  configKeys: ['dataDir'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const imported = await (await invocation.backends.bundles()).imported(config);
      invocation.terminal.value({ ok: true, imported, newestDays: newestAgeDays(imported, Date.now()) ?? null });
      for (const { digest, created, source, files, sizeBytes } of imported)
        invocation.terminal.line(`${created} ${digest.slice(0, 16)} ${files} ${formatSize(sizeBytes)} ${source}`);
      const newest = newestAgeDays(imported, Date.now());
      if (newest !== undefined) invocation.terminal.aside(invocation.messages.bundle.newest(newest));
      return exitCodes.done;
    }),
};

const wishesCommand: CommandSpec = {
  name: 'wishes',
  describe: (m) => m.bundle.help.wishesList,
  flags: [{ flag: '--out <file>', describe: (m) => m.bundle.help.wishesOut }],
  configKeys: ['dataDir', 'checksumDatabases'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { terminal, messages, flags, folder, backends } = invocation;
      const list = await (await backends.bundles()).wishes(config);
      const { out } = flags;
      if (typeof out !== 'string') {
        terminal.value(JSON.parse(formatWishList(list)));
        terminal.line(formatWishList(list).trimEnd());
        return exitCodes.done;
      }
      const file = resolve(folder, out);
      await replaceFile(file, formatWishList(list));
      terminal.value({ ok: true, file, wishes: list.wishes.length });
      for (const { module, version } of list.wishes) terminal.line(version === null ? module : `${module}@${version}`);
      terminal.aside(messages.bundle.wishes(list.wishes.length, out));
      return exitCodes.done;
    }),
};

const keyFileFlag = { flag: '--key-file <file>', describe: (m: Invocation['messages']) => m.bundle.help.keyFile };

const keyNewCommand: CommandSpec = {
  name: 'new',
  describe: (m) => m.bundle.help.keyNew,
  flags: [keyFileFlag, { flag: '--sm2', describe: (m) => m.bundle.help.keyNewSm2 }],
  configKeys: ['dataDir'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { terminal, messages, backends, flags } = invocation;
      const files = keyFilesOf(config, invocation);
      const kind = flags['sm2'] === true ? 'sm2' : 'ed25519';
      const keyFile = kind === 'sm2' ? files.sm2KeyFile : files.keyFile;
      const made = await (await backends.bundles()).makeKey(config, files, kind);
      terminal.value({ ok: made !== undefined, keyFile, verifierKey: made ?? null });
      terminal.aside(made === undefined ? messages.bundle.keyExists(keyFile) : messages.bundle.keyMade(keyFile));
      if (made === undefined) return exitCodes.attention;
      terminal.line(made);
      return exitCodes.done;
    }),
};

const keyShowCommand: CommandSpec = {
  name: 'show',
  describe: (m) => m.bundle.help.keyShow,
  flags: [keyFileFlag],
  configKeys: ['dataDir'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { terminal, messages, backends } = invocation;
      const files = keyFilesOf(config, invocation);
      const bundles = await backends.bundles();
      const key = await bundles.readKey(files, 'ed25519');
      const sm2 = await bundles.readKey(files, 'sm2');
      terminal.value({ ok: key !== undefined, keyFile: files.keyFile, verifierKey: key ?? null, sm2VerifierKey: sm2 ?? null });
      if (key === undefined) terminal.aside(messages.bundle.keyNone(files.keyFile));
      else terminal.line(key);
      if (sm2 !== undefined) terminal.line(sm2);
      return key === undefined ? exitCodes.attention : exitCodes.done;
    }),
};

const keyTrustCommand: CommandSpec = {
  name: 'trust',
  describe: (m) => m.bundle.help.keyTrust,
  argument: { name: 'key', describe: (m) => m.bundle.help.keyText },
  flags: [],
  configKeys: ['dataDir'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { terminal, messages, backends, argument: text } = invocation;
      const { keys, sm2Keys } = parseKeys(text ?? '', invocation);
      const bundles = await backends.bundles();
      let isNew = false;
      for (const key of [...keys, ...sm2Keys]) if (await bundles.trust(config, keyFilesOf(config, invocation), key.text)) isNew = true;
      terminal.value({ ok: true, isNew });
      terminal.line(isNew ? messages.bundle.trusted : messages.bundle.trustedBefore);
      return exitCodes.done;
    }),
};

const keyCommand: CommandSpec = {
  name: 'key',
  describe: (m) => m.bundle.help.key,
  flags: [],
  configKeys: [],
  commands: [keyNewCommand, keyShowCommand, keyTrustCommand],
};

export const bundleCommand: CommandSpec = {
  name: 'bundle',
  describe: (m) => m.bundle.help.bundle,
  flags: [],
  configKeys: [],
  commands: [
    bundleCreateCommand,
    verifyCommand,
    bundleListCommand,
    bundleDiffCommand,
    importCommand,
    importedCommand,
    wishesCommand,
    serveCommand,
    extractCommand,
    keyCommand,
  ],
};
