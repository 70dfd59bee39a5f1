import type { Fork } from '../backends.ts';
import { type CommandSpec, type Invocation, withConfig } from '../command.ts';
import { exitCodes } from '../exit-code.ts';
import { formatDay } from '../format.ts';

/** Exits with 1 while a database is frozen, so that a monitor can ask. */
const showCommand: CommandSpec = {
  name: 'show',
  describe: (m) => m.help.forkShow,
  flags: [],
  configKeys: ['dataDir'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { messages, terminal, backends, signal } = invocation;
      const forks = await backends.forks(config, signal);
      terminal.value({ ok: forks.length === 0, forks });
      if (forks.length === 0) terminal.line(messages.fork.none);
      for (const fork of forks) tell(fork, invocation);
      return forks.length === 0 ? exitCodes.done : exitCodes.attention;
    }),
};

const clearCommand: CommandSpec = {
  name: 'clear',
  describe: (m) => m.help.forkClear,
  argument: { name: 'database', describe: (m) => m.help.forkName },
  flags: [{ flag: '--forget-head', describe: (m) => m.help.forkForgetHead }],
  configKeys: ['dataDir'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { messages, terminal, backends, signal, argument: database = '', flags } = invocation;
      const forgetHead = flags['forget-head'] === true;
      const cleared = await backends.clearFork(config, { database, forgetHead }, signal);
      terminal.value({ ok: cleared, database, cleared, forgotHead: cleared && forgetHead });
      if (!cleared) terminal.aside(messages.fork.notFrozen(database));
      else terminal.line(forgetHead ? messages.fork.forgot(database) : messages.fork.cleared(database));
      return cleared ? exitCodes.done : exitCodes.absent;
    }),
};

export const forkCommand: CommandSpec = {
  name: 'fork',
  describe: (m) => m.help.fork,
  flags: [],
  configKeys: [],
  commands: [showCommand, clearCommand],
};

function tell(fork: Fork, { messages, terminal }: Invocation): void {
  terminal.line(messages.fork.title(fork.database, formatDay(fork.seenAtMs)));
  terminal.line(`  ${fork.detail}`);
  terminal.line(`  ${messages.fork.kept}`);
  terminal.line(indented(fork.keptNote));
  terminal.line(`  ${messages.fork.contradicting}`);
  terminal.line(indented(fork.contradictingNote));
  terminal.line(messages.fork.advice(fork.database));
}

function indented(text: string): string {
  return text.trimEnd().replace(/^/gm, '    ');
}
