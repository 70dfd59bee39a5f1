import { Command, CommanderError, Help, Option } from 'commander';
import { type CommandSpec, type Invocation, UsageError } from './command.ts';
import { flagName } from './config/overrides.ts';
import type { Messages } from './messages/zh.ts';
import { nearestName } from './nearest-name.ts';

/** What a parsed command line asks for. */
export type Asked =
  | {
      readonly kind: 'run';
      readonly spec: CommandSpec;
      readonly given: Pick<Invocation, 'flags' | 'configFlags' | 'configFlag' | 'argument' | 'operands'>;
    }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version' };

/**
 * Reads `argv` (without the program's name) against a tree of commands.
 * @throws {UsageError} with one sentence that names what is wrong and, where there is one, the nearest right name
 */
export function readCommandLine(argv: readonly string[], commands: readonly CommandSpec[], messages: Messages): Asked {
  let asked: Asked | undefined;
  let help = '';
  const root = new Command('goyi').description(messages.help.tagline);
  root.option('-V, --version', messages.help.optionVersion);
  root.action((_options: unknown, command: Command) => {
    refuseOperands(command, messages);
    if (command.opts()['version'] === true) asked = { kind: 'version' };
    else command.outputHelp();
  });
  // A command and one below it may have flags of the same name: what stands after a name is for the command of that name.
  root.enablePositionalOptions();
  // Group commands answer for unknown names themselves, so that the sentence is ours.
  root.allowExcessArguments();
  // What stands behind `--` is for the command alone, whatever it looks like.
  root.enablePositionalOptions();
  root.configureOutput({
    writeOut: (text) => (help += text),
    writeErr: () => {},
    getOutHelpWidth: () => 120,
    getErrHelpWidth: () => 120,
    getOutHasColors: () => false,
  });
  translate(root, messages);
  root.addHelpText('after', `\n${exitCodeList(messages)}`);
  for (const spec of commands) attach(root, spec, messages, (found) => (asked = found));
  try {
    root.parse([...argv], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.code.startsWith('commander.help')) return { kind: 'help', text: help };
    throw error;
  }
  return asked ?? { kind: 'help', text: help };
}

/** The list of `--help` and of docs/errors.md. */
export function exitCodeList(messages: Messages): string {
  return [messages.help.exitCodes, ...Object.entries(messages.exit).map(([code, meaning]) => `  ${code.padStart(3)}  ${meaning}`)].join(
    '\n',
  );
}

function attach(parent: Command, spec: CommandSpec, messages: Messages, onAsked: (asked: Asked) => void): void {
  const command = parent.command(spec.name).description(spec.describe(messages));
  translate(command, messages);
  if (spec.footer !== undefined) command.addHelpText('after', `\n${spec.footer(messages)}`);
  if (spec.argument !== undefined) {
    const { name, many, describe } = spec.argument;
    command.argument(many === true ? `[${name}...]` : `<${name}>`, describe(messages));
  }
  if (spec.run !== undefined && spec.commands !== undefined) command.enablePositionalOptions();
  const keyOfOption = addFlags(command, spec, messages);
  for (const below of spec.commands ?? []) attach(command, below, messages, onAsked);
  if (spec.run === undefined) {
    command
      .enablePositionalOptions()
      .allowExcessArguments()
      .action(() => {
        refuseOperands(command, messages);
        throw new UsageError(
          `${messages.usage.commandNeeded(commandPath(command))}: ${command.commands.map((below) => below.name()).join(', ')}`,
        );
      });
    return;
  }
  command.allowExcessArguments(false).action(() => {
    const flags: Record<string, string | true> = {};
    const configFlags: Record<string, string> = {};
    for (const option of command.options) {
      const value: unknown = command.opts()[option.attributeName()];
      const key = keyOfOption.get(option);
      if (key !== undefined && typeof value === 'string') configFlags[key] = value;
      else if (value === true || typeof value === 'string') flags[(option.long ?? '').slice(2)] = value;
    }
    const configFlag = typeof flags['config'] === 'string' ? flags['config'] : undefined;
    onAsked({ kind: 'run', spec, given: { flags, configFlags, configFlag, argument: command.args[0], operands: command.args } });
  });
}

function addFlags(command: Command, spec: CommandSpec, messages: Messages): ReadonlyMap<Option, string> {
  const keyOfOption = new Map<Option, string>();
  for (const { flag, describe, required } of spec.flags) {
    command.addOption(new Option(flag, describe(messages)).makeOptionMandatory(required ?? false));
  }
  if (spec.configKeys.length > 0) command.option('--config <file>', messages.help.optionConfig);
  for (const key of spec.configKeys) {
    const option = new Option(`${flagName(key)} <value>`, messages.flags[key] ?? '');
    keyOfOption.set(option, key);
    command.addOption(option);
  }
  return keyOfOption;
}

/** Gives a command the flags that all have, our language, and our way with errors. */
function translate(command: Command, messages: Messages): void {
  const { help } = messages;
  const plain = new Help();
  command
    .option('--json', help.optionJson)
    .option('--lang <zh|en>', help.optionLang)
    .helpOption('-h, --help', help.optionHelp)
    .helpCommand(false)
    .configureHelp({
      styleTitle: (title) => help.titles[title] ?? title,
      commandUsage: (shown) => plain.commandUsage(shown).replace('[options]', help.usageOptions).replace('[command]', help.usageCommand),
      subcommandTerm: (shown) => shown.name(),
    });
  command.exitOverride((error) => {
    if (error.code.startsWith('commander.help')) throw error;
    throw new UsageError(sentenceOf(error, command, messages));
  });
}

/** commander quotes the offending word in its message; the rest of its sentence is not used. */
function sentenceOf(error: CommanderError, command: Command, { usage }: Messages): string {
  const word = /'([^']*)/.exec(error.message)?.[1] ?? '';
  switch (error.code) {
    case 'commander.unknownOption': {
      const known = command.options.flatMap((option) => option.long ?? []);
      return usage.unknownFlag(word, nearestName(word, [...known, '--help']));
    }
    case 'commander.optionMissingArgument':
      return usage.missingValue(word);
    case 'commander.missingMandatoryOptionValue':
      return usage.missingFlag(word);
    case 'commander.missingArgument':
      return usage.missingArgument(word);
    case 'commander.excessArguments':
      return usage.tooManyArguments(command.args.slice(command.registeredArguments.length).join(' '));
    default:
      return error.message.replace(/^error: /, '');
  }
}

function refuseOperands(command: Command, { usage }: Messages): void {
  const [name] = command.args;
  if (name === undefined) return;
  throw new UsageError(
    usage.unknownCommand(
      [...commandPath(command).split(' ').slice(1), name].join(' '),
      nearestName(
        name,
        command.commands.map((below) => below.name()),
      ),
    ),
  );
}

function commandPath(command: Command): string {
  return command.parent === null ? command.name() : `${commandPath(command.parent)} ${command.name()}`;
}
