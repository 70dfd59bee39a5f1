import type { CommandSpec } from '../command.ts';
import { UsageError } from '../command.ts';
import { completionScript, completionShells, type CompletionShell } from '../completion-scripts.ts';
import { exitCodes } from '../exit-code.ts';

/** `tree`: all commands, this one among them. */
export function createCompletionCommand(tree: () => readonly CommandSpec[]): CommandSpec {
  return {
    name: 'completion',
    describe: (m) => m.help.completion,
    footer: (m) => m.help.completionFooter,
    argument: { name: 'shell', describe: (m) => m.help.completionShell },
    flags: [],
    configKeys: [],
    run: async ({ argument, messages, terminal }) => {
      const shell = completionShells.find((name): name is CompletionShell => name === argument);
      if (shell === undefined) throw new UsageError(messages.usage.unknownShell(argument ?? '', completionShells));
      const script = completionScript(shell, tree(), messages);
      terminal.value({ shell, script });
      terminal.line(script.trimEnd());
      return exitCodes.done;
    },
  };
}
