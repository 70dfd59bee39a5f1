import type { CommandSpec } from '../command.ts';
import { auditCommand } from './log-audit.ts';
import { checkCommand, proveCommand } from './log-proof.ts';

export const logCommand: CommandSpec = {
  name: 'log',
  describe: (m) => m.help.log,
  flags: [],
  configKeys: [],
  commands: [auditCommand, proveCommand, checkCommand],
};
