import { type PrintTarget, printTargets } from '../../scaffold/print-variables.ts';
import { type Invocation, UsageError } from '../command.ts';

/** The place that `--for` names. @throws {UsageError} */
export function printTargetOf({ flags, messages }: Invocation): PrintTarget {
  const target = printTargets.find((name) => name === flags['for']);
  if (target === undefined) throw new UsageError(messages.env.printFor(flags['for'], printTargets));
  return target;
}
