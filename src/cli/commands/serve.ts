import { invariant } from '../../base/invariant.ts';
import { faultOf, type CommandSpec, type Invocation, withConfig } from '../command.ts';
import { readCommandLine } from '../command-line.ts';
import { effectiveTree, formatEffective } from '../config/effective.ts';
import { type ConfigFault, formatFault } from '../config/faults.ts';
import type { HubConfig } from '../config/hub-config.ts';
import type { ConfigOutcome } from '../config/load.ts';
import { exitCodes } from '../exit-code.ts';
import { languageAsked } from '../language-flag.ts';
import { messagesOf } from '../messages/language.ts';
import { readConfig } from '../read-config.ts';

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
  const { isTerminal, backends, signal } = invocation;
  return withConfig(invocation, (config, { outcome, file }) =>
    backends.serve(config, { configFile: file, notes: notesOf(outcome, invocation), isTerminal }, signal),
  );
}

export type Reread =
  | { readonly ok: true; readonly config: HubConfig }
  /** Lines in the operator's language. */
  | { readonly ok: false; readonly faults: readonly string[] };

/** Reads what `goyi serve` with these arguments would read now: for a running hub whose file was changed. A fault in the file is an answer. */
export async function rereadConfig(request: {
  readonly argv: readonly string[];
  readonly env: Invocation['env'];
  readonly folder: string;
  readonly cores: number;
}): Promise<Reread> {
  const { argv, env, folder, cores } = request;
  const messages = messagesOf[languageAsked(argv, env)];
  const asked = readCommandLine(argv, [serveCommand], messages);
  invariant(asked.kind === 'run', 'a hub that runs was started by its command');
  const { configFlag, configFlags: flags } = asked.given;
  const told = (faults: readonly ConfigFault[]): Reread => ({ ok: false, faults: faults.map((fault) => formatFault(fault, messages)) });
  try {
    const { outcome } = await readConfig({ env, folder, cores, messages, configFlag, flags });
    return outcome.ok ? { ok: true, config: outcome.config } : told(outcome.faults);
  } catch (error) {
    return told([faultOf(error)]);
  }
}

function notesOf(outcome: ConfigOutcome, { messages }: Invocation): readonly string[] {
  return outcome.ok ? outcome.notes.map((say) => say(messages)) : [];
}
