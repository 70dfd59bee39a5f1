import type { CommandSpec } from '../command.ts';
import { auditCommand } from './audit.ts';
import { forkCommand } from './fork.ts';
import { gcCommand } from './gc.ts';
import { keyCommand } from './key.ts';
import { scrubCommand } from './scrub.ts';
import { statusCommand } from './status.ts';
import { tokenCommand } from './token.ts';
import { verdictCommand } from './verdict.ts';

export const adminCommand: CommandSpec = {
  name: 'admin',
  describe: (m) => m.help.admin,
  flags: [],
  configKeys: [],
  commands: [statusCommand, scrubCommand, gcCommand, forkCommand, keyCommand, tokenCommand, auditCommand, verdictCommand],
};
