import type { GcResult } from '../backends.ts';
import { type CommandSpec, type Invocation, UsageError, withConfig } from '../command.ts';
import { exitCodes } from '../exit-code.ts';
import { formatDay, formatSize, parseDuration } from '../format.ts';

export const gcCommand: CommandSpec = {
  name: 'gc',
  describe: (m) => m.help.gc,
  flags: [
    { flag: '--unused-for <duration>', describe: (m) => m.help.gcUnusedFor, required: true },
    { flag: '--dry-run', describe: (m) => m.help.gcDryRun },
  ],
  configKeys: ['dataDir'],
  run: (invocation) => {
    const { flags, messages, terminal, backends, signal } = invocation;
    const text = String(flags['unused-for']);
    const unusedForMs = parseDuration(text);
    if (unusedForMs === undefined) throw new UsageError(messages.usage.badDuration(text));
    const dryRun = flags['dry-run'] === true;
    return withConfig(invocation, async (config) => {
      const result = await backends.gc(config, { unusedForMs, dryRun }, signal);
      terminal.value({ ok: true, dryRun, ...result });
      tell(result, dryRun, invocation);
      return exitCodes.done;
    });
  },
};

function tell({ items, files, sizeBytes, freeBytesAfter }: GcResult, dryRun: boolean, { messages: { gc }, terminal }: Invocation): void {
  for (const item of items) {
    terminal.line(
      `${formatSize(item.sizeBytes).padStart(11)}  ${gc.lastUsed} ${formatDay(item.lastUsedAtMs)}  ${item.module}@${item.version}`,
    );
  }
  const listed = items.reduce((sum, item) => sum + item.files, 0);
  if (listed < files) terminal.line(gc.more(files - listed));
  const size = formatSize(sizeBytes);
  if (files === 0) terminal.line(gc.nothing);
  else terminal.line(dryRun ? gc.wouldRemove(files, size) : gc.removed(files, size));
  if (freeBytesAfter !== undefined) terminal.line(gc.free(formatSize(freeBytesAfter)));
}
