import type { ScrubResult } from '../backends.ts';
import { type CommandSpec, type Invocation, withConfig } from '../command.ts';
import { exitCodes } from '../exit-code.ts';
import { formatSize } from '../format.ts';

export const scrubCommand: CommandSpec = {
  name: 'scrub',
  describe: (m) => m.help.scrub,
  flags: [],
  configKeys: ['dataDir', 'upstreams', 'checksumDatabases'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { messages, terminal, backends, signal } = invocation;
      const onProgress = ({ checked, total }: { checked: number; total: number }): void =>
        terminal.progress(() => messages.scrub.progress(checked, total));
      const result = await backends.scrub(config, { onProgress }, signal);
      terminal.value({ ok: result.setAside.length === 0, ...result });
      tell(result, invocation);
      return result.setAside.length === 0 ? exitCodes.done : exitCodes.attention;
    }),
};

function tell(result: ScrubResult, { messages: { scrub }, terminal }: Invocation): void {
  terminal.line(scrub.done(result.checked, formatSize(result.sizeBytes)));
  if (result.repaired > 0) terminal.line(scrub.repaired(result.repaired));
  if (result.missing > 0) terminal.line(scrub.missing(result.missing));
  if (result.unknown > 0) terminal.line(scrub.unknown(result.unknown));
  if (result.unproved > 0) terminal.line(scrub.unproved(result.unproved));
  if (result.setAside.length > 0) terminal.line(scrub.setAside(result.setAside.length));
  for (const { key, reason } of result.setAside) terminal.line(`  ${key}: ${reason}`);
  if (result.repaired + result.missing + result.unknown + result.unproved + result.setAside.length === 0) terminal.line(scrub.healthy);
}
