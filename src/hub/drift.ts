import type { Clock } from '../base/clock.ts';
import { HubError } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import type { Drift, Metadata } from '../meta/metadata.ts';

export interface DriftParts {
  readonly metadata: Pick<Metadata, 'recordDrift'>;
  readonly events: Pick<Events, 'drifted'>;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Keeps word of an origin that offers other bytes for a version than those on record: a moved tag, a changed mirror. The offer is refused whether or
 * not this can be written down, so a fault of the metadata is said and goes no further. Answers whether it is news.
 */
export async function noteDrift({ metadata, events, clock, log }: DriftParts, drift: Drift): Promise<boolean> {
  events.drifted(drift);
  try {
    return await metadata.recordDrift(drift, clock.wallMs());
  } catch (error) {
    if (!(error instanceof HubError)) throw error;
    log.warn('a drift could not be recorded', { module: drift.module, version: drift.version, reason: error.message });
    return true;
  }
}
