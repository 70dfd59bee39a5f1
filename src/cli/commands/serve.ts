import type { CommandSpec, Invocation } from '../command.ts';
import { faultOf, readInvocationConfig, withConfig } from '../command.ts';
import { effectiveTree, formatEffective } from '../config/effective.ts';
import { formatFault } from '../config/faults.ts';
import type { ConfigOutcome } from '../config/load.ts';
import { exitCodes } from '../exit-code.ts';

export const serveCommand: CommandSpec = {
  name: 'serve',
  describe: (m) => m.help.serve,
  footer: (m) => m.help.serveFooter,
  flags: [{ flag: '--check', describe: (m) => m.help.serveCheck }],
  configKeys: [
    'listen',
    'publicUrl',
    'dataDir',
    'workers',
    'upstreams',
    'checksumDatabases',
    'verify',
    'ownDatabase.name',
    'ownDatabase.keyFile',
    'ownDatabase.sign',
    'log.level',
    'log.format',
  ],
  run: (invocation) => (invocation.flags['check'] === true ? check(invocation) : serve(invocation)),
};

/** Prints what is in effect, secrets masked. */
function check(invocation: Invocation): Promise<number> {
  const { messages, terminal } = invocation;
  return withConfig(invocation, async (config, { outcome, file }) => {
    const notes = notesOf(outcome, invocation);
    terminal.value({ ok: true, file: file ?? null, config: effectiveTree(config), notes });
    terminal.aside(messages.check.ok);
    terminal.line(formatEffective(config).trimEnd());
    for (const note of notes) terminal.aside(messages.check.noteLine(note));
    return exitCodes.done;
  });
}

function serve(invocation: Invocation): Promise<number> {
  const { messages, isTerminal, backends, signal } = invocation;
  return withConfig(invocation, (config, { outcome, file }) => {
    const options = {
      configFile: file,
      notes: notesOf(outcome, invocation),
      reload: () => reload(invocation),
      describe: (read: ConfigOutcome) => (read.ok ? [] : read.faults.map((fault) => formatFault(fault, messages))),
      isTerminal,
    };
    return backends.serve(config, options, signal);
  });
}

async function reload(invocation: Invocation): Promise<ConfigOutcome> {
  try {
    return (await readInvocationConfig(invocation)).outcome;
  } catch (error) {
    return { ok: false, faults: [faultOf(error)] };
  }
}

function notesOf(outcome: ConfigOutcome, { messages }: Invocation): readonly string[] {
  return outcome.ok ? outcome.notes.map((say) => say(messages)) : [];
}
