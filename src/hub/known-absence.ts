import { HubError } from '../base/errors.ts';

/** An absence that an upstream confirmed a short while ago: answered from memory, nobody was asked. */
export class KnownAbsence extends HubError {
  constructor(reason: string) {
    super('not-found', reason);
  }
}
