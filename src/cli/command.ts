import { HubError } from '../base/errors.ts';
import type { Backends } from './backends.ts';
import { type ConfigFault, formatFault } from './config/faults.ts';
import type { HubConfig } from './config/hub-config.ts';
import { type ExitCode, exitCodes } from './exit-code.ts';
import type { Messages } from './messages/zh.ts';
import { type ReadConfig, readConfig } from './read-config.ts';
import type { Terminal } from './terminal.ts';

/** One flag of a command. */
export interface FlagSpec {
  /** As commander reads it: `--unused-for <duration>`. */
  readonly flag: string;
  readonly describe: (messages: Messages) => string;
  readonly required?: true;
}

/** A command as data: what it is called, what it takes, what it does. */
export interface CommandSpec {
  readonly name: string;
  readonly describe: (messages: Messages) => string;
  /** Text after the list of flags in the help. */
  readonly footer?: (messages: Messages) => string;
  /** `many`: none, one or several. */
  readonly argument?: { readonly name: string; readonly describe: (messages: Messages) => string; readonly many?: true };
  readonly flags: readonly FlagSpec[];
  /** Keys of the configuration that have a flag here; `--config` comes with them. */
  readonly configKeys: readonly string[];
  readonly run?: (invocation: Invocation) => Promise<number>;
  readonly commands?: readonly CommandSpec[];
}

/** Standard input, opened only by who reads it; it breaks off when the signal fires. */
export type OpenStdin = (signal: AbortSignal) => AsyncIterable<Uint8Array>;

/** What a running command is given. */
export interface Invocation {
  readonly messages: Messages;
  readonly terminal: Terminal;
  readonly backends: Backends;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute: where the command was typed. */
  readonly folder: string;
  readonly cores: number;
  readonly isTerminal: boolean;
  readonly openStdin: OpenStdin;
  readonly signal: AbortSignal;
  /** Values of the command's own flags, by long name without dashes: `unused-for`. */
  readonly flags: Readonly<Record<string, string | true>>;
  /** Values of its configuration flags, by key. */
  readonly configFlags: Readonly<Record<string, string>>;
  readonly configFlag: string | undefined;
  readonly argument: string | undefined;
  /** All of them, where the command takes many. */
  readonly operands: readonly string[];
}

/** Wrong use of the command line: one sentence and exit code 2. */
export class UsageError extends Error {}

export function readInvocationConfig(invocation: Invocation): Promise<ReadConfig> {
  const { env, folder, cores, messages, configFlag, configFlags: flags } = invocation;
  return readConfig({ env, folder, cores, messages, configFlag, flags });
}

/** Runs `work` with a valid configuration; else tells every fault and answers the exit code for that. */
export async function withConfig(invocation: Invocation, work: (config: HubConfig, read: ReadConfig) => Promise<number>): Promise<number> {
  const read = await readInvocationConfig(invocation);
  return read.outcome.ok ? work(read.outcome.config, read) : tellFaults(read.outcome.faults, invocation);
}

export function tellFaults(faults: readonly ConfigFault[], { messages, terminal }: Invocation): ExitCode {
  const named = faults.map((fault) => ({ place: fault.place, key: fault.key, message: fault.say(messages) }));
  terminal.value({ ok: false, error: { code: 'config-invalid', message: messages.check.faults(faults.length) }, faults: named });
  terminal.aside(messages.check.faults(faults.length));
  for (const fault of faults) terminal.aside(`  ${formatFault(fault, messages)}`);
  return exitCodes.usage;
}

/** An unreadable file as a fault like any other, for those who ask again while the hub runs. */
export function faultOf(error: unknown): ConfigFault {
  if (!(error instanceof HubError)) throw error;
  return { place: { kind: 'none' }, key: '', say: () => error.message };
}
