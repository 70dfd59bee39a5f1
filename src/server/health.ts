import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Readiness, Station } from '../hub/station.ts';

/** What `/-/readyz` says: `ready` decides the status, all else is for people and dashboards. */
export type ReadinessReport = Readiness | { readonly ready: false; readonly degraded: readonly string[] };

const TIMEOUT_MS = 5_000;

/** The station's own report, or "not ready" when it fails or does not come in 5 s. Never rejects. */
export async function reportReadiness(station: Pick<Station, 'readiness'>, log: Log): Promise<ReadinessReport> {
  const { promise: timeout, resolve } = Promise.withResolvers<ReadinessReport>();
  const timer = setTimeout(() => resolve({ ready: false, degraded: [`the hub did not report in ${TIMEOUT_MS / 1000} s`] }), TIMEOUT_MS);
  try {
    return await Promise.race([station.readiness(), timeout]);
  } catch (error) {
    log.error('the readiness report failed', { reason: messageOf(error) });
    return { ready: false, degraded: ['the readiness report failed; the log says why'] };
  } finally {
    clearTimeout(timer);
  }
}
