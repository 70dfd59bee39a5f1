import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog, type Log } from '../base/log.ts';
import { aggregate, createTelemetry, type MetricsSnapshot, type Telemetry } from './telemetry.ts';

/** Reads the Prometheus text format and fails on a line that is none. */
function parseMetrics(text: string): Map<string, number> {
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# HELP ') || line.startsWith('# TYPE ')) continue;
    const match =
      /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (Na[Nn]|[+-]?Inf|[-+0-9.e]+)$/.exec(line);
    assert.ok(match, `no metric: ${line}`);
    values.set(`${match[1]}${match[2] ?? ''}`, Number(match[3]));
  }
  return values;
}

function sampleTelemetry(log: Log = silentLog): Telemetry {
  const telemetry = createTelemetry({ log, version: '1.2.3', verify: 'require' });
  const { events, server } = telemetry;
  server.answered({ kind: 'zip', outcome: 'hit', status: 200, seconds: 0.002, sentBytes: 100, handedOverBytes: 0 });
  server.answered({ kind: 'zip', outcome: 'hit', status: 206, seconds: 0.002, sentBytes: 11, handedOverBytes: 500 });
  server.answered({ kind: 'list', outcome: undefined, status: 404, seconds: 0.2, sentBytes: 0, handedOverBytes: 0 });
  server.connectionCut('reader-stalled');
  events.upstreamAnswered({ upstream: 'https://u.example', outcome: 'found', seconds: 0.3 });
  events.upstreamAnswered({ upstream: 'https://u.example', outcome: 'fault', seconds: 3, detail: 'reset' });
  events.upstreamBytes({ upstream: 'https://u.example', sizeBytes: 77 });
  events.breakerMoved({ upstream: 'https://u.example', state: 'open', reason: 'five faults' });
  events.limitMoved({ upstream: 'https://u.example', limit: 64, cause: 'start' });
  events.limitMoved({ upstream: 'https://u.example', limit: 32, cause: 'pressed' });
  events.limitMoved({ upstream: 'https://u.example', limit: 33, cause: 'answered' });
  events.bodySplit({ upstream: 'https://u.example', outcome: 'split' });
  events.filled({ kind: 'zip', outcome: 'stored', seconds: 1.5, sizeBytes: 5000, module: 'rsc.io/quote', version: 'v1.0.0', origin: 'u' });
  events.filled({
    kind: 'mod',
    outcome: 'checksum-mismatch',
    seconds: 1,
    sizeBytes: 0,
    module: 'rsc.io/quote',
    version: 'v1.0.0',
    origin: 'u',
  });
  events.cached({ kind: 'tile', outcome: 'negative' });
  events.verificationFailed({ reason: 'log-forked', subject: 'sum.golang.org', detail: 'two roots' });
  events.headAdvanced({ database: 'sum.golang.org', treeSize: 12_345 });
  events.fileSetAside({ key: 'modules/x', reason: 'size' });
  events.storageDegraded({ reason: 'full' });
  telemetry.watchQueue('fetch', () => 3);
  telemetry.watchStore(async () => ({ files: 10, sizeBytes: 1_000, versions: 4 }));
  return telemetry;
}

const expected = {
  'goyi_info{version="1.2.3",verify="require"}': 1,
  'goyi_requests_total{kind="zip",outcome="hit",status="2xx"}': 2,
  'goyi_requests_total{kind="list",outcome="none",status="4xx"}': 1,
  'goyi_sent_bytes_total{kind="zip"}': 111,
  'goyi_handed_over_bytes_total{kind="zip"}': 500,
  'goyi_request_seconds_count{kind="zip"}': 2,
  'goyi_connections_cut_total{reason="reader-stalled"}': 1,
  'goyi_upstream_answers_total{upstream="https://u.example",outcome="found"}': 1,
  'goyi_upstream_answers_total{upstream="https://u.example",outcome="fault"}': 1,
  'goyi_upstream_first_byte_seconds_count{upstream="https://u.example"}': 1,
  'goyi_upstream_bytes_total{upstream="https://u.example"}': 77,
  'goyi_upstream_breaker{upstream="https://u.example",state="open"}': 1,
  'goyi_upstream_breaker{upstream="https://u.example",state="closed"}': 0,
  'goyi_upstream_concurrency_limit{upstream="https://u.example"}': 33,
  'goyi_upstream_limit_lowered_total{upstream="https://u.example",cause="pressed"}': 1,
  'goyi_upstream_split_bodies_total{upstream="https://u.example",outcome="split"}': 1,
  'goyi_fills_total{kind="zip",outcome="stored"}': 1,
  'goyi_fills_total{kind="mod",outcome="checksum-mismatch"}': 1,
  'goyi_fill_seconds_sum{kind="zip"}': 1.5,
  'goyi_fill_bytes_total{kind="zip"}': 5000,
  'goyi_cache_total{kind="tile",outcome="negative"}': 1,
  'goyi_verification_failures_total{reason="log-forked"}': 1,
  'goyi_log_tree_size{database="sum.golang.org"}': 12_345,
  goyi_files_set_aside_total: 1,
  goyi_storage_degraded_total: 1,
  'goyi_queue_depth{queue="fetch"}': 3,
  goyi_store_bytes: 1_000,
  goyi_store_files: 10,
  goyi_store_versions: 4,
};

test('every metric is there with its value', async () => {
  const values = parseMetrics(await sampleTelemetry().text());
  for (const [name, value] of Object.entries(expected)) assert.equal(values.get(name), value, name);
  assert.ok((values.get('process_resident_memory_bytes') ?? 0) > 0);
});

test('no label ever holds a module path', async () => {
  assert.doesNotMatch(await sampleTelemetry().text(), /rsc\.io|v1\.0\.0/);
});

test('workers are added up, but one store and one log stay one', async () => {
  const snapshots: MetricsSnapshot[] = [];
  for (const telemetry of [sampleTelemetry(), sampleTelemetry(), sampleTelemetry()]) {
    // As it passes between processes.
    snapshots.push(JSON.parse(JSON.stringify(await telemetry.snapshot())) as MetricsSnapshot);
  }
  const values = parseMetrics(await aggregate(snapshots));
  const once = new Set(['goyi_log_tree_size{database="sum.golang.org"}', 'goyi_store_bytes', 'goyi_store_files', 'goyi_store_versions']);
  for (const [name, value] of Object.entries(expected)) assert.equal(values.get(name), once.has(name) ? value : 3 * value, name);
  assert.deepEqual(parseMetrics(await aggregate([])), new Map());
});

test('a store whose size cannot be told leaves the other metrics alone', async () => {
  const telemetry = createTelemetry({ log: silentLog, version: '1', verify: 'off' });
  telemetry.watchStore(() => Promise.reject(new Error('database is gone')));
  const values = parseMetrics(await telemetry.text());
  assert.equal(values.get('goyi_store_bytes'), undefined);
  assert.equal(values.get('goyi_info{version="1",verify="off"}'), 1);
});

test('what an operator must see is an error line', () => {
  const lines: string[] = [];
  const at = (level: string) => (sentence: string) => void lines.push(`${level}: ${sentence}`);
  sampleTelemetry({ debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') });
  assert.deepEqual(lines, [
    'debug: upstream answered',
    'warn: upstream failed',
    'warn: upstream is given a rest',
    'debug: upstream is asked for less at once',
    'debug: a large body came over several streams',
    'info: stored',
    'warn: not stored',
    'error: verification failed',
    'debug: checksum database advanced',
    'error: a stored file was set aside',
    'error: storage is degraded',
  ]);
});
