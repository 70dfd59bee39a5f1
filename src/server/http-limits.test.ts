import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { HubError } from '../base/errors.ts';
import { ask, FakeBlob, servedBlob, servedBytes, startHub, talk, until, type FakeHub, type FakeHubOptions } from './fake-station.ts';

const ZIP = '/rsc.io/quote/@v/v1.0.0.zip';
const INFO = '/rsc.io/quote/@v/v1.0.0.info';
const GET = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`;

async function hubFor(t: TestContext, options: FakeHubOptions): Promise<FakeHub> {
  const fake = await startHub(options);
  t.after(() => fake.stop());
  return fake;
}

function openSocket(t: TestContext, port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  return socket;
}

test('200 connections that drip their heads are cut in time and harm nobody', async (t) => {
  const fake = await hubFor(t, { answer: () => servedBytes('x'), limits: { headerMs: 600 } });
  const drips = Array.from({ length: 200 }, (_, at) =>
    talk(fake.port, at % 2 === 0 ? 'GET / HTTP/1.1\r\nHost: ' : '', { timeoutMs: 4_000 }),
  );
  for (let at = 0; at < 50; at += 1) {
    const startedMs = performance.now();
    assert.equal((await ask(fake.port, INFO)).status, 200);
    assert.ok(performance.now() - startedMs < 500);
  }
  for (const { closed, text, ms } of await Promise.all(drips)) {
    assert.ok(closed, `open after ${ms} ms`);
    assert.match(text, /^(?:HTTP\/1\.1 408 |$)/);
  }
});

for (const kind of ['blob', 'bytes'] as const) {
  test(`a reader that does not read ${kind} is cut, its file closed, and neighbours are served`, async (t) => {
    const big = Buffer.alloc(24 * 1024 * 1024, 1);
    const closedBefore = FakeBlob.closed;
    const fake = await hubFor(t, {
      answer: (request) => {
        if (request.kind !== 'file' || request.file !== 'zip') return servedBytes('x');
        return kind === 'blob' ? servedBlob(new FakeBlob(big)) : servedBytes(big);
      },
      limits: { writeStallMs: 300, chunkBuffersMax: 2 },
    });
    const sockets = Array.from({ length: 8 }, () => openSocket(t, fake.port));
    for (const socket of sockets) {
      socket.pause();
      socket.write(GET(ZIP));
    }
    await until(() => fake.asked.length >= 8);
    const neighbour = await ask(fake.port, ZIP);
    assert.equal(neighbour.body.length, big.length);
    assert.equal((await ask(fake.port, INFO)).status, 200);
    await until(() => fake.cuts.length === 8);
    assert.ok(fake.cuts.every((reason) => reason === 'reader-stalled'));
    await until(() => fake.records.filter(({ status }) => status === 499).length === 8);
    if (kind === 'blob') assert.equal(FakeBlob.closed - closedBefore, 9);
    await until(() => fake.hub.connections === 0);
  });
}

test('a slow reader that does read gets the whole file', async (t) => {
  const big = Buffer.alloc(24 * 1024 * 1024, 7);
  const fake = await hubFor(t, { answer: () => servedBlob(new FakeBlob(big)), limits: { writeStallMs: 800 } });
  const socket = openSocket(t, fake.port);
  let received = 0;
  socket.write(GET(ZIP));
  socket.on('data', (chunk) => {
    received += chunk.length;
    socket.pause();
    setTimeout(() => socket.resume(), 4);
  });
  await until(() => received > big.length);
  assert.deepEqual(fake.cuts, []);
});

test('pipelined requests are answered in order, one at a time', async (t) => {
  let running = 0;
  let most = 0;
  const fake = await hubFor(t, {
    answer: async (request) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      return request.kind === 'query' ? servedBytes(`[${request.query}]`) : servedBlob(new FakeBlob(Buffer.from('[zip]')));
    },
  });
  const paths = Array.from({ length: 30 }, (_, at) => (at % 3 === 2 ? ZIP : `/rsc.io/quote/@v/q${at}.info`));
  const wanted = paths.map((_, at) => (at % 3 === 2 ? '[zip]' : `[q${at}]`)).join('');
  const { text } = await talk(fake.port, paths.map(GET).join(''), {
    enough: (reply) => reply.endsWith('[zip]') && reply.includes('[q28]'),
  });
  assert.equal(text.match(/\[\w+\]/g)?.join(''), wanted);
  assert.equal(most, 1);
});

test('too many requests sent ahead end the connection', async (t) => {
  const fake = await hubFor(t, { answer: () => new Promise(() => {}), limits: { pipelineMax: 5 } });
  const { closed } = await talk(fake.port, GET(INFO).repeat(500), { timeoutMs: 2_000 });
  assert.ok(closed);
  assert.deepEqual(fake.cuts, ['pipeline-too-long']);
  assert.equal(fake.asked.length, 1);
});

test('a client that leaves takes its signal along, and a late blob is closed', async (t) => {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  let left: AbortSignal | undefined;
  const closedBefore = FakeBlob.closed;
  const fake = await hubFor(t, {
    answer: async (_request, _options, signal) => {
      left = signal;
      await late;
      return servedBlob(new FakeBlob(Buffer.from('x')));
    },
  });
  const socket = openSocket(t, fake.port);
  socket.write(GET(ZIP));
  await until(() => left !== undefined);
  assert.equal(left?.aborted, false);
  socket.destroy();
  await until(() => left?.aborted === true);
  assert.ok(left?.reason instanceof HubError && left.reason.code === 'canceled');
  resolve();
  await until(() => FakeBlob.closed - closedBefore === 1);
  await until(() => fake.records.length === 1);
  assert.deepEqual([fake.records[0]?.status, fake.lines.at(-1)?.sentence], [499, 'client left']);
});

test('an answer that is complete does not fire its signal', async (t) => {
  let signal: AbortSignal | undefined;
  const fake = await hubFor(t, {
    answer: (_request, _options, given) => {
      signal = given;
      return servedBytes('x');
    },
  });
  await ask(fake.port, INFO);
  await until(() => fake.hub.connections === 0);
  assert.equal(signal?.aborted, false);
});

const shortBlobs = [
  { name: 'that ends early', blob: () => new FakeBlob(Buffer.alloc(600_000), { sizeBytes: 1_000_000 }) },
  {
    name: 'that breaks in the middle',
    blob: () => {
      const blob = new FakeBlob(Buffer.alloc(1_000_000));
      const read = blob.read.bind(blob);
      blob.read = (buffer, length, position) =>
        position > 500_000 ? Promise.reject(new HubError('storage-fault', 'bad sector')) : read(buffer, length, position);
      return blob;
    },
  },
];
for (const { name, blob } of shortBlobs) {
  test(`a file ${name} never looks whole`, async (t) => {
    const closedBefore = FakeBlob.closed;
    const fake = await hubFor(t, { answer: () => servedBlob(blob()) });
    await assert.rejects(ask(fake.port, ZIP), /aborted|ECONNRESET/);
    assert.equal(FakeBlob.closed - closedBefore, 1);
    await until(() => fake.records.length === 1);
    assert.equal(fake.records[0]?.status, 503);
    assert.ok(fake.lines.some(({ level, fields }) => level === 'error' && fields['code'] === 'storage-fault'));
  });
}

test('a file whose first read fails is a clean error', async (t) => {
  const fake = await hubFor(t, {
    answer: () => {
      const blob = new FakeBlob(Buffer.alloc(1_000_000));
      blob.read = () => Promise.reject(new HubError('storage-fault', 'reading the file'));
      return servedBlob(blob);
    },
  });
  const { status, headers } = await ask(fake.port, ZIP);
  assert.deepEqual([status, headers['goyi-error']], [503, 'storage-fault']);
});

test('beyond the limit of waiting requests only what is stored is answered', async (t) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const fake = await hubFor(t, {
    limits: { waitingMax: 3 },
    answer: async (request, { fill }) => {
      if (request.kind === 'file' && request.file === 'info') return servedBytes('stored');
      if (!fill) throw new HubError('not-cached', 'nothing is stored');
      await promise;
      return servedBytes('fetched');
    },
  });
  const waiting = [1, 2, 3].map((at) => ask(fake.port, `/rsc.io/quote/@v/v1.0.${at}.mod`));
  await until(() => fake.hub.waiting === 3);
  assert.equal(String((await ask(fake.port, INFO)).body), 'stored');
  const shed = await ask(fake.port, ZIP);
  assert.deepEqual([shed.status, shed.headers['goyi-error'], shed.headers['retry-after']], [503, 'overloaded', '5']);
  const cachedOnly = await ask(fake.port, `/cached-only${ZIP}`);
  assert.deepEqual([cachedOnly.status, cachedOnly.headers['goyi-error']], [404, 'not-cached']);
  resolve();
  for (const reply of await Promise.all(waiting)) assert.equal(String(reply.body), 'fetched');
  assert.equal((await ask(fake.port, ZIP)).status, 200);
});

test('connections beyond the limit are not kept', async (t) => {
  const fake = await hubFor(t, { answer: () => servedBytes('x'), limits: { connectionsMax: 2 } });
  const kept = [openSocket(t, fake.port), openSocket(t, fake.port)];
  await until(() => fake.hub.connections === 2);
  const third = await talk(fake.port, GET(INFO), { timeoutMs: 2_000 });
  assert.deepEqual([third.closed, third.text], [true, '']);
  kept[0]?.destroy();
  await until(() => fake.hub.connections === 1);
  assert.equal((await ask(fake.port, INFO)).status, 200);
});

test('a connection that cannot be accepted ends neither the server nor the process', async (t) => {
  const fake = await hubFor(t, { answer: () => servedBytes('x') });
  fake.hub.server.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' }));
  assert.deepEqual(fake.lines.at(-1), {
    level: 'error',
    sentence: 'a connection could not be accepted',
    fields: { reason: 'accept EMFILE', code: 'EMFILE' },
  });
  assert.equal((await ask(fake.port, INFO)).status, 200);
});
