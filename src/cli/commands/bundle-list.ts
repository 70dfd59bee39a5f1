import type { BundleFile } from '../../bundle/bundle-file.ts';
import { openOperand, trustedKeysOf } from '../bundle-options.ts';
import { type CommandSpec, type Invocation, UsageError, withConfig } from '../command.ts';
import { exitCodes } from '../exit-code.ts';
import { formatSize } from '../format.ts';

const trustOne = { flag: '--key <key>', describe: (m: Invocation['messages']) => m.bundle.help.trustOne };

/** What a bundle has of one module version. */
interface VersionLine {
  readonly name: string;
  /** Of `info`, `mod`, `zip`: those that are in the state of the bundle. */
  readonly files: readonly string[];
  readonly sizeBytes: number;
  /** Whether the bundle itself has any of them. */
  readonly carried: boolean;
}

export const bundleListCommand: CommandSpec = {
  name: 'list',
  describe: (m) => m.bundle.help.list,
  argument: { name: 'bundle', describe: (m) => m.bundle.help.file },
  flags: [{ flag: '--files', describe: (m) => m.bundle.help.listFiles }, trustOne],
  configKeys: ['dataDir', 'bundles.sm2'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { terminal, messages, flags, argument = '' } = invocation;
      const bundles = await invocation.backends.bundles();
      const keys = await trustedKeysOf(config, invocation, bundles);
      await using bundle = await openOperand(argument, { config, keys, bundles, listOnly: true }, invocation);
      const versions = versionsOf(bundle);
      const files = bundle.entries.map(({ name, sizeBytes, sha256, carried }) => ({ name, sizeBytes, sha256, carried }));
      const more = flags['files'] === true ? { files } : {};
      const vulnerabilities = vulnerabilitiesOf(bundle).size;
      terminal.value({ ok: true, digest: bundle.digest, head: bundle.head, key: bundle.key.text, versions, vulnerabilities, ...more });
      if (flags['files'] === true)
        for (const { name, sizeBytes, sha256, carried } of files) terminal.line(`${carried ? '+' : '='} ${sha256} ${sizeBytes} ${name}`);
      else
        for (const { name, files: has, sizeBytes, carried } of versions)
          terminal.line(`${carried ? '+' : '='} ${name} ${has.join(',')} ${formatSize(sizeBytes)}`);
      terminal.aside(messages.bundle.head(bundle.head.created, bundle.head.source, `${bundle.key.name}+${bundle.key.hash}`));
      if (bundle.head.parent !== undefined) terminal.aside(messages.bundle.parent(bundle.head.parent));
      if (vulnerabilities > 0) terminal.aside(messages.bundle.listedVulnerabilities(vulnerabilities));
      terminal.aside(messages.bundle.listed(versions.length, formatSize(bundle.head.sizeBytes)));
      return exitCodes.done;
    }),
};

export const bundleDiffCommand: CommandSpec = {
  name: 'diff',
  describe: (m) => m.bundle.help.diff,
  argument: { name: 'bundle', describe: (m) => m.bundle.help.otherFile, many: true },
  flags: [trustOne],
  configKeys: ['dataDir', 'bundles.sm2'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { terminal, messages, operands } = invocation;
      const [older, newer] = operands;
      if (older === undefined || newer === undefined || operands.length > 2) throw new UsageError(messages.bundle.needTwo);
      const bundles = await invocation.backends.bundles();
      const keys = await trustedKeysOf(config, invocation, bundles);
      await using before = await openOperand(older, { config, keys, bundles, listOnly: true }, invocation);
      await using after = await openOperand(newer, { config, keys, bundles, listOnly: true }, invocation);
      const [had, has] = [contentOf(before), contentOf(after)];
      const added = [...has].filter(([name, { content }]) => had.get(name)?.content !== content).map(([, { shown }]) => shown);
      const gone = [...had.keys()].filter((name) => !has.has(name));
      terminal.value({ ok: true, added, gone });
      for (const name of added) terminal.line(`+ ${name}`);
      for (const name of gone) terminal.line(`- ${name}`);
      terminal.aside(messages.bundle.differs(added.length, gone.length));
      return exitCodes.done;
    }),
};

/** What two bundles may differ in, by name. */
function contentOf(bundle: BundleFile): ReadonlyMap<string, { readonly content: string; readonly shown: string }> {
  const versions = versionsOf(bundle).map(
    ({ name, files }) => [name, { content: files.join(','), shown: `${name} ${files.join(',')}` }] as const,
  );
  const vulnerabilities = [...vulnerabilitiesOf(bundle)].map(([id, sha256]) => [id, { content: sha256, shown: id }] as const);
  return new Map([...versions, ...vulnerabilities]);
}

/** Digests of the entries of the vulnerability database, by their names. */
function vulnerabilitiesOf({ entries }: BundleFile): ReadonlyMap<string, string> {
  return new Map(entries.flatMap(({ item, sha256 }) => (item.kind === 'vulnerability' ? [[item.id, sha256] as const] : [])));
}

function versionsOf({ entries }: BundleFile): readonly VersionLine[] {
  const lines = new Map<string, { name: string; files: string[]; sizeBytes: number; carried: boolean }>();
  for (const { item, sizeBytes, carried } of entries) {
    if (item.kind !== 'file') continue;
    const name = `${item.module}@${item.version}`;
    const line = lines.get(name) ?? { name, files: [], sizeBytes: 0, carried: false };
    line.files.push(item.file);
    line.sizeBytes += sizeBytes;
    line.carried ||= carried;
    lines.set(name, line);
  }
  return [...lines.values()];
}
