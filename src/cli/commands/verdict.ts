import type { ModuleAt } from '../../protocol/main-go-mod.ts';
import { parseModulePath } from '../../protocol/module-path.ts';
import { checkPathVersion } from '../../protocol/version.ts';
import { type CommandSpec, UsageError, withConfig } from '../command.ts';
import { exitCodes } from '../exit-code.ts';
import { formatDay } from '../format.ts';

const REASON_LENGTH_MAX = 400;

const showCommand: CommandSpec = {
  name: 'show',
  describe: (m) => m.verdict.help.show,
  flags: [],
  configKeys: ['dataDir'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { messages, terminal, backends } = invocation;
      const blocked = await backends.blockedVersions(config);
      terminal.value({ ok: true, blocked });
      if (blocked.length === 0) terminal.line(messages.verdict.none);
      for (const { module, version, reason, decidedAtMs } of blocked)
        terminal.line(messages.verdict.row(`${module}@${version}`, formatDay(decidedAtMs), reason));
      return exitCodes.done;
    }),
};

const clearCommand: CommandSpec = {
  name: 'clear',
  describe: (m) => m.verdict.help.clear,
  argument: { name: 'version', describe: (m) => m.verdict.help.version },
  flags: [{ flag: '--reason <text>', describe: (m) => m.verdict.help.reason, required: true }],
  configKeys: ['dataDir'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { messages, terminal, backends, argument = '', flags } = invocation;
      const module = parseVersion(argument);
      if (module === undefined) throw new UsageError(messages.verdict.badVersion(argument));
      const reason = typeof flags['reason'] === 'string' ? flags['reason'].trim() : '';
      if (reason === '' || reason.length > REASON_LENGTH_MAX || /\p{C}/u.test(reason)) throw new UsageError(messages.verdict.badReason);
      const released = await backends.releaseVersion(config, { ...module, reason });
      terminal.value({ ok: released, module: module.path, version: module.version, released });
      if (released) terminal.line(messages.verdict.released(argument));
      else terminal.aside(messages.verdict.notBlocked(argument));
      return released ? exitCodes.done : exitCodes.absent;
    }),
};

export const verdictCommand: CommandSpec = {
  name: 'verdict',
  describe: (m) => m.verdict.help.verdict,
  flags: [],
  configKeys: [],
  commands: [showCommand, clearCommand],
};

function parseVersion(text: string): ModuleAt | undefined {
  const at = text.lastIndexOf('@');
  const path = parseModulePath(text.slice(0, Math.max(0, at)));
  const version = path.ok ? checkPathVersion(path.value, text.slice(at + 1)) : path;
  return path.ok && version.ok ? { path: path.value, version: version.value } : undefined;
}
