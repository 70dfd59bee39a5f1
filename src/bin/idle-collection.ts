/** A worker whose loop worked for a larger part of an interval than this was busy. */
const busyShare = 0.02;
const lookEveryMs = 10_000;

/**
 * Collects garbage once a busy worker has become idle. V8 collects when something is allocated, so that otherwise a worker keeps for hours what a
 * burst of requests left behind. Does nothing unless the process was started with `--expose-gc`.
 */
export function collectWhenIdle(): void {
  const collect = globalThis.gc;
  if (collect === undefined) return;
  let last = performance.eventLoopUtilization();
  let wasBusy = true;
  setInterval(() => {
    const now = performance.eventLoopUtilization();
    const isBusy = performance.eventLoopUtilization(now, last).utilization > busyShare;
    last = now;
    if (wasBusy && !isBusy) collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    wasBusy = isBusy;
  }, lookEveryMs).unref();
}
