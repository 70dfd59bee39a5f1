import assert from 'node:assert/strict';
import { test } from 'node:test';
import { en } from '../messages/en.ts';
import { zh } from '../messages/zh.ts';
import { formatFault } from './faults.ts';
import type { HubConfig } from './hub-config.ts';
import { type ConfigOutcome, loadConfig } from './load.ts';

function load(text: string | undefined): ConfigOutcome {
  const file = text === undefined ? undefined : { path: '/etc/goyi/goyi.yaml', shown: 'goyi.yaml', text };
  return loadConfig({ file, env: {}, flags: {}, folder: '/srv/typed', cores: 2 });
}

function valid(text: string | undefined): HubConfig {
  const outcome = load(text);
  assert.ok(outcome.ok, outcome.ok ? '' : outcome.faults.map((fault) => formatFault(fault, en)).join('\n'));
  return outcome.config;
}

test('who sends large files: prefixes have their usual values and end with a slash', () => {
  const loopback = [
    { address: '127.0.0.0', bits: 8 },
    { address: '::1', bits: 128 },
  ];
  const minBytes = 1_048_576;
  assert.deepEqual(valid(undefined).handOver, { kind: 'off' });
  const kind = 'x-accel-redirect';
  assert.deepEqual(valid('handOver: {kind: x-accel-redirect}').handOver, { kind, prefix: '/goyi-store/', minBytes, to: loopback });
  assert.deepEqual(valid('handOver: {kind: x-sendfile, minBytes: 300000}').handOver, {
    kind: 'x-sendfile',
    prefix: '/srv/typed/data/',
    minBytes: 300_000,
    to: loopback,
  });
  assert.deepEqual(valid('handOver: {kind: x-sendfile, prefix: /mnt/goyi, to: ["10.1.2.3", "fd00::/8"]}').handOver, {
    kind: 'x-sendfile',
    prefix: '/mnt/goyi/',
    minBytes,
    to: [
      { address: '10.1.2.3', bits: 32 },
      { address: 'fd00::', bits: 8 },
    ],
  });
  const prefix = 'https://cdn.example/go/';
  for (const written of [prefix, 'https://cdn.example/go'])
    assert.deepEqual(valid(`handOver: {kind: redirect, prefix: "${written}"}`).handOver, { kind: 'redirect', prefix, minBytes });
  assert.ok(valid('publicUrl: http://hub.example\nhandOver: {kind: redirect, prefix: "http://cdn.example"}'));
});

const faulty = [
  { text: 'handOver: {kind: on}', fault: /handOver.kind: must be one of off, x-accel-redirect, x-sendfile, redirect/ },
  { text: 'handOver: {kind: x-accel-redirect, prefix: store}', fault: /1:\d+: handOver.prefix: .*location/ },
  { text: 'handOver: {kind: x-accel-redirect, prefix: /a/../b/}', fault: /location/ },
  { text: 'handOver: {kind: x-accel-redirect, prefix: /store}', fault: /location/ },
  { text: 'handOver: {kind: x-accel-redirect, prefix: "/st%6Fre/"}', fault: /location/ },
  { text: 'handOver: {kind: x-sendfile, prefix: data}', fault: /absolute path/ },
  { text: 'handOver: {kind: x-sendfile, prefix: "/data/../etc"}', fault: /absolute path/ },
  { text: 'handOver: {kind: x-sendfile, prefix: "/a b"}', fault: /absolute path/ },
  { text: 'handOver: {kind: redirect}', fault: /handOver.prefix: .*address of the server/ },
  { text: 'handOver: {kind: redirect, prefix: "https://u:p@cdn.example"}', fault: /without user/ },
  { text: 'handOver: {kind: redirect, prefix: "https://cdn.example/?a"}', fault: /without user/ },
  { text: `handOver: {kind: redirect, prefix: "https://cdn.example/${'a'.repeat(1_100)}"}`, fault: /address of the server/ },
  { text: 'handOver: {kind: redirect, prefix: "http://cdn.example"}', fault: /sent from https to http/ },
  { text: 'publicUrl: https://hub.example\nhandOver: {kind: redirect, prefix: "http://cdn.example"}', fault: /sent from https to http/ },
  { text: 'handOver: {minBytes: 4096}', fault: /from 262144 to/ },
  { text: 'handOver: {kind: x-accel-redirect, to: [10.0.0.0/8, 10.0.0.0/33]}', fault: /handOver.to.1: each entry must be an address/ },
  { text: 'handOver: {to: [localhost]}', fault: /each entry must be an address/ },
] as const;

for (const { text, fault } of faulty) {
  test(`one fault: ${JSON.stringify(text.slice(0, 100))}`, () => {
    const outcome = load(text);
    assert.ok(!outcome.ok);
    const [found, ...more] = outcome.faults;
    assert.ok(found && more.length === 0);
    assert.match(formatFault(found, en), fault);
    assert.match(found.say(zh), /\p{Script=Han}/u);
  });
}
