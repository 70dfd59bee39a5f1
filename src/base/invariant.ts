/** A bug in goyi itself. Nothing catches it but the boundary of the process. */
export class InvariantError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InvariantError';
  }
}

/** States what must hold if the code is right. Never used on input. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** Ends an exhaustive switch: does not compile while an alternative is missing. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable alternative ${JSON.stringify(value)}`);
}
