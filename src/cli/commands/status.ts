import { type CommandSpec, withConfig } from '../command.ts';
import { exitCodes } from '../exit-code.ts';
import { formatSize } from '../format.ts';

export const statusCommand: CommandSpec = {
  name: 'status',
  describe: (m) => m.help.status,
  flags: [],
  configKeys: ['dataDir'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { terminal, backends, signal } = invocation;
      const { status } = invocation.messages;
      const facts = await backends.status(config, signal);
      terminal.value({ ok: true, ...facts });
      terminal.line(`${status.dataDir}: ${facts.dataDir}`);
      terminal.line(`${status.running}: ${facts.inUse ? status.inUse : status.idle}`);
      terminal.line(`${status.versions}: ${facts.versions}`);
      terminal.line(`${status.files}: ${facts.files}`);
      terminal.line(`${status.size}: ${formatSize(facts.sizeBytes)}`);
      terminal.line(`${status.free}: ${facts.freeBytes === undefined ? status.unknown : formatSize(facts.freeBytes)}`);
      for (const { name, treeSize, frozen } of facts.databases) {
        terminal.line(`${status.database(name)}: ${frozen ? status.frozen : status.treeSize(treeSize)}`);
      }
      return exitCodes.done;
    }),
};
