import {
  AggregatorRegistry,
  collectDefaultMetrics,
  Counter,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client';
import { messageOf } from '../base/errors.ts';
import type { CacheOutcome, Events } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import type { RequestKind } from './exchange.ts';

/** What the server tells of one answer. */
export interface AnswerRecord {
  readonly kind: RequestKind;
  readonly outcome: CacheOutcome | undefined;
  /** 499 for a client that left before its answer. */
  readonly status: number;
  readonly seconds: number;
  readonly sentBytes: number;
  /** Of body, left to somebody else to send. */
  readonly handedOverBytes: number;
}

/** The part of the telemetry that the server writes to. */
export interface ServerTelemetry {
  answered(record: AnswerRecord): void;
  connectionCut(reason: string): void;
}

/** One worker's metrics as plain data, to be sent to the primary. */
export type MetricsSnapshot = readonly MetricObjectWithValues<MetricValue<string>>[];

export interface StoreTotals {
  readonly files: number;
  readonly sizeBytes: number;
  readonly versions: number;
}

export interface Telemetry {
  readonly events: Events;
  readonly server: ServerTelemetry;
  /** A gauge `goyi_queue_depth{queue}` whose value is asked for at each scrape; a worker's values are added up. */
  watchQueue(queue: string, depth: () => number): void;
  /** `goyi_store_*`; asked for at most once in 30 s. */
  watchStore(totals: () => Promise<StoreTotals>): void;
  snapshot(): Promise<MetricsSnapshot>;
  /** This process alone, in the Prometheus text format. */
  text(): Promise<string>;
}

export const METRICS_CONTENT_TYPE: string = Registry.PROMETHEUS_CONTENT_TYPE;

/** Every worker's metrics as one text in the Prometheus format: counters and depths added up, store size and tree heads the largest seen. */
export function aggregate(snapshots: readonly MetricsSnapshot[]): Promise<string> {
  return AggregatorRegistry.aggregate([...snapshots]).metrics();
}

const SECONDS_BUCKETS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300];
const STORE_FRESH_MS = 30_000;

export function createTelemetry(options: { log: Log; version: string; verify: 'require' | 'off' }): Telemetry {
  const { log } = options;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 20 });
  new Gauge({ name: 'goyi_info', help: 'Workers by version and verification', labelNames: ['version', 'verify'], registers: [registry] })
    .labels(options.version, options.verify)
    .set(1);

  const queues = new Map<string, () => number>();
  new Gauge({
    name: 'goyi_queue_depth',
    help: 'Entries that wait or are under way, by queue',
    labelNames: ['queue'],
    registers: [registry],
    collect() {
      for (const [queue, depth] of queues) this.set({ queue }, depth());
    },
  });

  return {
    events: createEvents(registry, log),
    server: createServerTelemetry(registry),
    watchQueue(queue, depth) {
      queues.set(queue, depth);
    },
    watchStore(totals) {
      registerStore(registry, log, totals);
    },
    snapshot: () => registry.getMetricsAsJSON(),
    text: () => registry.metrics(),
  };
}

function createServerTelemetry(registry: Registry): ServerTelemetry {
  const registers = [registry];
  const requests = new Counter({
    name: 'goyi_requests_total',
    help: 'Answers by what was asked, where the answer came from, and class of status',
    labelNames: ['kind', 'outcome', 'status'],
    registers,
  });
  const sent = new Counter({ name: 'goyi_sent_bytes_total', help: 'Bytes of bodies sent to clients', labelNames: ['kind'], registers });
  const handedOver = new Counter({
    name: 'goyi_handed_over_bytes_total',
    help: 'Bytes of bodies left to the web server in front, or to the one that clients are sent to',
    labelNames: ['kind'],
    registers,
  });
  const seconds = new Histogram({
    name: 'goyi_request_seconds',
    help: 'Time from a request to the end of its answer',
    labelNames: ['kind'],
    buckets: SECONDS_BUCKETS,
    registers,
  });
  const cuts = new Counter({ name: 'goyi_connections_cut_total', help: 'Connections cut, by reason', labelNames: ['reason'], registers });
  // Bound once: finding a child by its labels costs more than counting.
  const children = new Map<string, { requests: Counter.Internal; sent: Counter.Internal; seconds: Histogram.Internal<'kind'> }>();
  return {
    answered({ kind, outcome = 'none', status, seconds: time, sentBytes, handedOverBytes }) {
      const statusClass = `${Math.floor(status / 100)}xx`;
      const key = `${kind} ${outcome} ${statusClass}`;
      let child = children.get(key);
      if (child === undefined) {
        child = { requests: requests.labels(kind, outcome, statusClass), sent: sent.labels(kind), seconds: seconds.labels(kind) };
        children.set(key, child);
      }
      child.requests.inc();
      child.sent.inc(sentBytes);
      if (handedOverBytes > 0) handedOver.labels(kind).inc(handedOverBytes);
      child.seconds.observe(time);
    },
    connectionCut(reason) {
      cuts.inc({ reason });
    },
  };
}

function registerStore(registry: Registry, log: Log, totals: () => Promise<StoreTotals>): void {
  let last: Promise<StoreTotals | undefined> | undefined;
  let askedMs = 0;
  const ask = (): Promise<StoreTotals | undefined> => {
    if (last === undefined || performance.now() - askedMs >= STORE_FRESH_MS) {
      askedMs = performance.now();
      last = totals().catch((error: unknown) => {
        log.warn('the size of the store is not known', { reason: messageOf(error) });
        return undefined;
      });
    }
    return last;
  };
  const gauge = (name: string, help: string, field: keyof StoreTotals): void => {
    new Gauge({
      name,
      help,
      // Every worker reports the same store.
      aggregator: 'max',
      registers: [registry],
      async collect() {
        const known = await ask();
        if (known === undefined) this.remove();
        else this.set(known[field]);
      },
    });
  };
  gauge('goyi_store_bytes', 'Size of what is stored', 'sizeBytes');
  gauge('goyi_store_files', 'Stored files', 'files');
  gauge('goyi_store_versions', 'Stored module versions', 'versions');
}

function createEvents(registry: Registry, log: Log): Events {
  return {
    ...createUpstreamEvents(registry, log),
    ...createFlowEvents(registry, log),
    ...createProofEvents(registry, log),
    ...createContentEvents(registry, log),
    ...createGateEvents(registry, log),
  };
}

type UpstreamEvents = Pick<Events, 'upstreamAnswered' | 'upstreamBytes' | 'breakerMoved'>;
type FlowEvents = Pick<Events, 'limitMoved' | 'bodySplit'>;

function createUpstreamEvents(registry: Registry, log: Log): UpstreamEvents {
  const registers = [registry];
  const answers = new Counter({
    name: 'goyi_upstream_answers_total',
    help: 'Answers of upstreams, by outcome',
    labelNames: ['upstream', 'outcome'],
    registers,
  });
  const firstByte = new Histogram({
    name: 'goyi_upstream_first_byte_seconds',
    help: 'Time to the first byte of an upstream that answered',
    labelNames: ['upstream'],
    buckets: SECONDS_BUCKETS,
    registers,
  });
  const bytes = new Counter({
    name: 'goyi_upstream_bytes_total',
    help: 'Bytes received from upstreams',
    labelNames: ['upstream'],
    registers,
  });
  const breaker = new Gauge({
    name: 'goyi_upstream_breaker',
    help: 'Workers whose circuit breaker of an upstream is in a state',
    labelNames: ['upstream', 'state'],
    registers,
  });
  const resting = new Set<string>();
  return {
    upstreamAnswered({ upstream, outcome, seconds, detail }) {
      answers.labels(upstream, outcome).inc();
      if (outcome === 'found' || outcome === 'absent') firstByte.labels(upstream).observe(seconds);
      if (outcome === 'fault') log.warn('upstream failed', { upstream, seconds: rounded(seconds), detail });
      else log.debug('upstream answered', { upstream, outcome, seconds: rounded(seconds), detail });
    },
    upstreamBytes({ upstream, sizeBytes }) {
      bytes.labels(upstream).inc(sizeBytes);
    },
    breakerMoved({ upstream, state, reason }) {
      for (const each of ['closed', 'open', 'half-open'] as const) breaker.labels(upstream, each).set(each === state ? 1 : 0);
      // A dead upstream is tried every few seconds for as long as it is dead: only its going and its coming back are news.
      if (state === 'half-open') return;
      const wasResting = resting.has(upstream);
      if (state === 'open' && !wasResting) log.warn('upstream is given a rest', { upstream, reason });
      if (state === 'closed' && wasResting) log.info('upstream is used again', { upstream, reason });
      if (state === 'open') resting.add(upstream);
      else resting.delete(upstream);
    },
  };
}

/** How much is asked of an upstream at once. */
function createFlowEvents(registry: Registry, log: Log): FlowEvents {
  const registers = [registry];
  const limits = new Gauge({
    name: 'goyi_upstream_concurrency_limit',
    help: 'Exchanges that an upstream may have at once, as learned; all workers together',
    labelNames: ['upstream'],
    registers,
  });
  const lowered = new Counter({
    name: 'goyi_upstream_limit_lowered_total',
    help: 'Times that this limit was lowered, by cause',
    labelNames: ['upstream', 'cause'],
    registers,
  });
  const splits = new Counter({
    name: 'goyi_upstream_split_bodies_total',
    help: 'Large bodies that came in pieces over several streams, by whether they did so to the end',
    labelNames: ['upstream', 'outcome'],
    registers,
  });
  return {
    limitMoved({ upstream, limit, cause }) {
      limits.labels(upstream).set(limit);
      if (cause !== 'pressed' && cause !== 'strained') return;
      lowered.labels(upstream, cause).inc();
      log.debug('upstream is asked for less at once', { upstream, limit, cause });
    },
    bodySplit({ upstream, outcome }) {
      splits.labels(upstream, outcome).inc();
      log.debug('a large body came over several streams', { upstream, outcome });
    },
  };
}

type ProofEvents = Pick<Events, 'verificationFailed' | 'drifted' | 'headAdvanced'>;

function createProofEvents(registry: Registry, log: Log): ProofEvents {
  const registers = [registry];
  const unverified = new Counter({
    name: 'goyi_verification_failures_total',
    help: 'Bytes, records or logs that did not verify',
    labelNames: ['reason'],
    registers,
  });
  const drifts = new Counter({
    name: 'goyi_drift_total',
    help: 'Times that an origin offered other bytes for a version than those on record',
    labelNames: ['kind'],
    registers,
  });
  const treeSize = new Gauge({
    name: 'goyi_log_tree_size',
    help: 'Size of the newest tree of a checksum database, verified or our own',
    labelNames: ['database'],
    aggregator: 'max',
    registers,
  });
  return {
    verificationFailed({ reason, subject, detail }) {
      unverified.labels(reason).inc();
      log.error('verification failed', { reason, subject, detail });
    },
    drifted({ kind, ...fields }) {
      drifts.labels(kind).inc();
      log.warn('an origin offers other bytes than those on record', { kind, ...fields });
    },
    headAdvanced({ database, treeSize: size }) {
      treeSize.labels(database).set(size);
      log.debug('checksum database advanced', { database, treeSize: size });
    },
  };
}

type GateEvents = Pick<Events, 'hookAnswered' | 'jobTried' | 'gated'>;

function createGateEvents(registry: Registry, log: Log): GateEvents {
  const registers = [registry];
  const hooks = new Counter({
    name: 'goyi_webhooks_total',
    help: 'Webhooks by kind and answer',
    labelNames: ['kind', 'outcome'],
    registers,
  });
  const jobs = new Counter({
    name: 'goyi_jobs_total',
    help: 'Attempts at jobs, by what came of them',
    labelNames: ['kind', 'outcome'],
    registers,
  });
  const verdicts = new Counter({
    name: 'goyi_gate_verdicts_total',
    help: 'Versions that the gate looked at',
    labelNames: ['verdict'],
    registers,
  });
  return {
    hookAnswered({ kind, outcome }) {
      hooks.labels(kind, outcome).inc();
      if (outcome === 'unauthorized') log.warn('a webhook was refused', { kind, outcome });
    },
    jobTried({ outcome, kind, subject, attempts, seconds, detail }) {
      jobs.labels(kind, outcome).inc();
      const fields = { kind, subject, attempts, seconds: rounded(seconds), detail };
      if (outcome === 'done') log.info('a job is done', fields);
      else if (outcome === 'again') log.warn('a job will be tried again', fields);
      else log.error('a job was given up', fields);
    },
    gated({ module, version, verdict, reason }) {
      verdicts.labels(verdict).inc();
      if (verdict === 'block') log.warn('the gate blocks a version', { module, version, reason });
      else log.info('the gate lets a version pass', { module, version, verdict, reason });
    },
  };
}

type OtherEvents = UpstreamEvents & FlowEvents & ProofEvents & GateEvents;

function createContentEvents(registry: Registry, log: Log): Omit<Events, keyof OtherEvents> {
  const registers = [registry];
  const aheadFiles = new Counter({
    name: 'goyi_ahead_files_total',
    help: 'Files fetched before anybody asked for them, and those of them that were asked for later',
    labelNames: ['outcome'],
    registers,
  });
  const aheadBytes = new Counter({ name: 'goyi_ahead_bytes_total', help: 'The same in bytes', labelNames: ['outcome'], registers });
  const fills = new Counter({ name: 'goyi_fills_total', help: 'Fills by kind and outcome', labelNames: ['kind', 'outcome'], registers });
  const fillSeconds = new Histogram({
    name: 'goyi_fill_seconds',
    help: 'Time to fetch, prove and store one file',
    labelNames: ['kind'],
    buckets: SECONDS_BUCKETS,
    registers,
  });
  const fillBytes = new Counter({ name: 'goyi_fill_bytes_total', help: 'Bytes stored by fills', labelNames: ['kind'], registers });
  const cached = new Counter({ name: 'goyi_cache_total', help: 'Look-ups in what is stored', labelNames: ['kind', 'outcome'], registers });
  const setAside = new Counter({ name: 'goyi_files_set_aside_total', help: 'Stored files that differed from what was sealed', registers });
  const degraded = new Counter({ name: 'goyi_storage_degraded_total', help: 'Times that storage failed or was full', registers });
  return {
    filled({ kind, outcome, seconds, sizeBytes, module, version, origin }) {
      fills.labels(kind, outcome).inc();
      const fields = { kind, module, version, origin, outcome, seconds: rounded(seconds), bytes: sizeBytes };
      if (outcome === 'stored') {
        fillSeconds.labels(kind).observe(seconds);
        fillBytes.labels(kind).inc(sizeBytes);
        log.info('stored', fields);
      } else if (outcome === 'not-found' || outcome === 'canceled') log.debug('not stored', fields);
      else log.warn('not stored', fields);
    },
    cached({ kind, outcome }) {
      cached.inc({ kind, outcome });
    },
    lookedAhead({ outcome, sizeBytes }) {
      aheadFiles.labels(outcome).inc();
      aheadBytes.labels(outcome).inc(sizeBytes);
    },
    fileSetAside({ key, reason }) {
      setAside.inc();
      log.error('a stored file was set aside', { key, reason });
    },
    storageDegraded({ reason }) {
      degraded.inc();
      log.error('storage is degraded', { reason });
    },
  };
}

function rounded(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
