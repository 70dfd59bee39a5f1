import { codeOf, type ErrorCode, messageOf } from '../base/errors.ts';
import { InvariantError } from '../base/invariant.ts';
import type { Backends } from './backends.ts';
import { type CommandSpec, type OpenStdin, UsageError } from './command.ts';
import { readCommandLine } from './command-line.ts';
import { adminCommand } from './commands/admin.ts';
import { bundleCommand } from './commands/bundle.ts';
import { createCompletionCommand } from './commands/completion.ts';
import { envCommand } from './commands/env.ts';
import { doctorCommand } from './commands/doctor.ts';
import { logCommand } from './commands/log.ts';
import { publishCommand } from './commands/publish.ts';
import { sdkCommand } from './commands/sdk.ts';
import { serveCommand } from './commands/serve.ts';
import { warmCommand } from './commands/warm.ts';
import { witnessCommand } from './commands/witness.ts';
import { exitCodeOf, exitCodes } from './exit-code.ts';
import { languageAsked, ownFlags } from './language-flag.ts';
import { languageOf, messagesOf } from './messages/language.ts';
import type { Messages } from './messages/zh.ts';
import { type Sink, Terminal } from './terminal.ts';

export interface CliOptions {
  /** Without the names of the interpreter and of the program. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute working folder; npm's INIT_CWD goes before it, since npm moves to the package's folder. */
  readonly cwd: string;
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly openStdin: OpenStdin;
  /** Whether a person watches standard error: progress lines only then. */
  readonly isTerminal: boolean;
  readonly version: string;
  readonly cores: number;
  readonly backends: Backends;
  /** Fires when the process is asked to stop. */
  readonly signal: AbortSignal;
}

const commands: readonly CommandSpec[] = [
  serveCommand,
  warmCommand,
  envCommand,
  bundleCommand,
  logCommand,
  witnessCommand,
  publishCommand,
  sdkCommand,
  doctorCommand,
  adminCommand,
  createCompletionCommand(() => commands),
];

/** Reads the command line, runs one command and answers the exit code. Throws only for bugs. */
export async function runCli(options: CliOptions): Promise<number> {
  const { argv, env, stdout: out, stderr: err, isTerminal, signal } = options;
  const terminal = new Terminal({ out, err, isTerminal, json: ownFlags(argv).includes('--json') });
  let messages = messagesOf[languageOf(env)];
  try {
    messages = messagesOf[languageAsked(argv, env)];
    const asked = readCommandLine(argv, commands, messages);
    switch (asked.kind) {
      case 'help':
        out.write(asked.text);
        return exitCodes.done;
      case 'version':
        terminal.value({ version: options.version });
        terminal.line(options.version);
        return exitCodes.done;
      case 'run': {
        const folder = env['INIT_CWD'] || options.cwd;
        const { backends, cores, openStdin } = options;
        return (
          (await asked.spec.run?.({ ...asked.given, messages, terminal, backends, env, folder, cores, isTerminal, openStdin, signal })) ??
          exitCodes.done
        );
      }
    }
  } catch (error) {
    return tellError(error, { terminal, messages, signal });
  }
}

/** Says why a command failed that got its configuration from {@link runCli} and ran elsewhere, and answers its exit code. Throws only for bugs. */
export function tellFailure(
  error: unknown,
  options: Pick<CliOptions, 'argv' | 'env' | 'stdout' | 'stderr' | 'isTerminal' | 'signal'>,
): number {
  const { argv, env, stdout: out, stderr: err, isTerminal, signal } = options;
  const terminal = new Terminal({ out, err, isTerminal, json: ownFlags(argv).includes('--json') });
  return tellError(error, { terminal, messages: messagesOf[languageAsked(argv, env)], signal });
}

/** A failed command: one sentence for a person, the code for a program, and for a bug what is needed to find it. */
function tellError(
  error: unknown,
  { terminal, messages, signal }: { terminal: Terminal; messages: Messages; signal: AbortSignal },
): number {
  if (error instanceof InvariantError) throw error;
  if (error instanceof UsageError) {
    terminal.value({ ok: false, error: { code: 'usage', message: error.message } });
    terminal.aside(`goyi: ${error.message}`);
    return exitCodes.usage;
  }
  const code: ErrorCode | undefined = codeOf(error) ?? (signal.aborted ? 'canceled' : undefined);
  if (code === undefined) {
    terminal.value({ ok: false, error: { code: 'internal', message: messageOf(error) } });
    terminal.aside(`goyi: ${messages.failedUnknown(error instanceof Error && error.stack !== undefined ? error.stack : messageOf(error))}`);
    return exitCodes.attention;
  }
  terminal.value({ ok: false, error: { code, message: messageOf(error) } });
  terminal.aside(`goyi: ${messages.failed(code, messageOf(error))}`);
  return exitCodeOf(code);
}
