import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import * as fc from 'fast-check';
import type { LogFields } from '../base/log.ts';
import type { AccessLogMode } from './access-log.ts';
import { ask, servedBytes, startHub, talk } from './fake-station.ts';
import { createLog, type LogOptions } from './json-log.ts';

function capture(options: Omit<LogOptions, 'destination'>): { log: ReturnType<typeof createLog>; lines: string[] } {
  const lines: string[] = [];
  return { log: createLog({ ...options, destination: { write: (line) => lines.push(line) } }), lines };
}

test('a JSON line has time, level, sentence and fields', () => {
  const { log, lines } = capture({ level: 'info', pretty: false, fields: { worker: 2 } });
  log.debug('not written');
  log.warn('upstream failed', { upstream: 'u', seconds: 1.5, detail: undefined });
  assert.equal(lines.length, 1);
  const { time, ...rest } = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  assert.match(String(time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.deepEqual(rest, { level: 'warn', worker: 2, msg: 'upstream failed', upstream: 'u', seconds: 1.5 });
});

test('a pretty line has time, level, sentence and quoted fields', () => {
  const { log, lines } = capture({ level: 'debug', pretty: true });
  log.error('it broke', { path: 'a b', count: 2, gone: undefined, empty: '', stack: 'Error: x\n  at y' });
  assert.match(
    stripVTControlCharacters(lines[0] ?? ''),
    /^\d\d:\d\d:\d\d\.\d{3} error it broke {2}path="a b" {2}count=2 {2}empty="" {2}stack=\nError: x\n {2}at y\n$/,
  );
});

for (const pretty of [false, true]) {
  test(`no field drives the terminal, ${pretty ? 'pretty' : 'JSON'}`, () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const { log, lines } = capture({ level: 'info', pretty });
        log.info('fixed', { text });
        const line = lines.join('');
        const shown = pretty ? stripVTControlCharacters(line) : line;
        assert.ok(line.endsWith('\n'));
        assert.doesNotMatch(shown.slice(0, -1), /[\p{Cc}\u2028-\u202e\u2066-\u2069]/u);
        if (!pretty)
          assert.equal(
            (JSON.parse(line) as { text: string }).text,
            text.toWellFormed() === text ? text : (JSON.parse(line) as { text: string }).text,
          );
      }),
    );
  });
}

const modes: readonly { mode: AccessLogMode; paths: readonly string[] }[] = [
  { mode: 'all', paths: ['/rsc.io/hit/@v/list', '/rsc.io/miss/@v/list', '/-/healthz', '/nowhere', '/%'] },
  { mode: 'misses', paths: ['/rsc.io/miss/@v/list', '/nowhere', '/%'] },
  { mode: 'errors', paths: ['/%'] },
  { mode: 'off', paths: [] },
];
for (const { mode, paths } of modes) {
  test(`access log ${mode} writes ${paths.length} of 5`, async () => {
    const fake = await startHub({
      accessLog: mode,
      answer: (request) => servedBytes('x', { outcome: 'module' in request && request.module === 'rsc.io/hit' ? 'hit' : 'miss' }),
    });
    try {
      for (const path of modes[0]?.paths ?? []) await ask(fake.port, path);
      assert.deepEqual(
        fake.lines.map(({ fields }) => fields['path']),
        paths,
      );
    } finally {
      await fake.stop();
    }
  });
}

test('a line holds no secret and no escape, and is bounded', async () => {
  const fake = await startHub({});
  try {
    const target = `http://user:hunter2@h/${'%1b'.repeat(300)}?token=hunter2`;
    await talk(
      fake.port,
      `GET ${target} HTTP/1.1\r\nHost: h\r\nAuthorization: Basic hunter2\r\nUser-Agent: \u009b31m${'u'.repeat(5000)}\r\nConnection: close\r\n\r\n`,
    );
    const fields = fake.lines.at(-1)?.fields as LogFields;
    assert.equal(fields['status'], 401);
    const text = JSON.stringify(fields);
    assert.doesNotMatch(text, /hunter2|\u009b/);
    assert.ok(text.length < 900, `${text.length} characters`);
  } finally {
    await fake.stop();
  }
});

test('a flood of failures writes 500 lines a second and counts the rest', async () => {
  let now = 0;
  const fake = await startHub({ accessLog: 'errors', clock: { wallMs: () => now, monotonicMs: () => now } });
  try {
    const requests = 'GET /% HTTP/1.1\r\nHost: h\r\n\r\n'.repeat(30);
    for (let round = 0; round < 20; round += 1) {
      const all = (text: string): boolean => text.match(/HTTP\/1\.1 400/g)?.length === 30;
      assert.ok(all((await talk(fake.port, requests, { enough: all })).text));
    }
    assert.equal(fake.lines.length, 500);
    now += 1000;
    await ask(fake.port, '/%');
    assert.equal(fake.lines.at(-1)?.fields['suppressed'], 100);
  } finally {
    await fake.stop();
  }
});
