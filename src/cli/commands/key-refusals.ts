import { type Invocation, tellFaults } from '../command.ts';
import type { ConfigFault } from '../config/faults.ts';
import { type ExitCode, exitCodes } from '../exit-code.ts';

/** There is no key to show or to rotate: one sentence, and an exit code that scripts can tell from a fault. */
export function tellNoKey(message: string, { terminal }: Invocation): ExitCode {
  terminal.value({ ok: false, error: { code: 'not-found', message } });
  terminal.aside(`goyi: ${message}`);
  return exitCodes.attention;
}

/** Faults of a configuration in which `--name` stands for a key: they are told of the flag that was typed. */
export function tellNameFaults(faults: readonly ConfigFault[], invocation: Invocation): ExitCode {
  const told = faults.map((fault): ConfigFault => {
    const isName = fault.place.kind === 'flag' && fault.key === 'ownDatabase.name' && invocation.flags['name'] !== undefined;
    return isName ? { ...fault, place: { kind: 'flag', name: '--name' } } : fault;
  });
  return tellFaults(told, invocation);
}
