import assert from 'node:assert/strict';
import { Agent, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { ask, FakeBlob, servedBlob, servedBytes, startHub, talk, until } from './fake-station.ts';

const INFO = '/rsc.io/quote/@v/v1.0.0.info';
const ZIP = '/rsc.io/quote/@v/v1.0.0.zip';

test('a stop under load loses no answer that was begun and takes no new connection', async () => {
  const bodies = Buffer.alloc(2 * 1024 * 1024, 5);
  const fake = await startHub({
    answer: async (request) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return request.kind === 'file' && request.file === 'zip' ? servedBlob(new FakeBlob(bodies)) : servedBytes('whole');
    },
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 20 });
  let isStopping = false;
  let answered = 0;
  let refused = 0;
  const client = async (path: string, length: number): Promise<void> => {
    for (;;) {
      const outcome = await new Promise<'whole' | 'refused' | 'broken'>((resolve) => {
        const req = httpRequest({ host: '127.0.0.1', port: fake.port, path, agent }, (res) => {
          let received = 0;
          res.on('data', (chunk: Buffer) => {
            received += chunk.length;
          });
          res.on('end', () => resolve(received === length ? 'whole' : 'broken'));
          res.on('error', () => resolve('broken'));
        });
        req.on('error', () => resolve('refused'));
        req.end();
      });
      assert.notEqual(outcome, 'broken');
      if (outcome === 'refused') {
        assert.ok(isStopping, 'refused while running');
        refused += 1;
        return;
      }
      answered += 1;
    }
  };
  const clients = Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? client(INFO, 5) : client(ZIP, bodies.length)));
  await until(() => answered > 100);
  isStopping = true;
  await fake.hub.close(5_000);
  await Promise.all(clients);
  agent.destroy();
  assert.equal(refused, 20);
  await until(() => fake.hub.connections === 0);
  assert.ok(fake.records.every(({ status }) => status === 200));
});

test('answers during a stop end their connections', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const fake = await startHub({ answer: async () => promise.then(() => servedBytes('whole')) });
  const waiting = talk(fake.port, `GET ${INFO} HTTP/1.1\r\nHost: h\r\n\r\n`);
  await until(() => fake.asked.length === 1);
  const closing = fake.hub.close(5_000);
  resolve();
  const { text, closed } = await waiting;
  await closing;
  assert.ok(closed);
  assert.match(text, /\r\nConnection: close\r\n/i);
  assert.match(text, /whole$/);
});

test('idle connections do not hold a stop up, used or not', async () => {
  const fake = await startHub({ answer: () => servedBytes('x') });
  const unused = connect(fake.port, '127.0.0.1');
  const agent = new Agent({ keepAlive: true });
  await new Promise<void>((resolve) =>
    httpRequest({ host: '127.0.0.1', port: fake.port, path: INFO, agent }, (res) => res.on('end', resolve).resume()).end(),
  );
  await until(() => fake.hub.connections === 2);
  const startedMs = performance.now();
  await fake.hub.close(10_000);
  assert.ok(performance.now() - startedMs < 500);
  agent.destroy();
  unused.destroy();
});

test('what is still under way after the time to drain is cut', async () => {
  const fake = await startHub({ answer: () => new Promise(() => {}) });
  const waiting = talk(fake.port, `GET ${INFO} HTTP/1.1\r\nHost: h\r\n\r\n`);
  const half = talk(fake.port, 'GET / HT');
  await until(() => fake.asked.length === 1);
  const startedMs = performance.now();
  await fake.hub.close(200);
  assert.ok(performance.now() - startedMs < 1_000);
  assert.deepEqual([(await waiting).text, (await half).text], ['', '']);
  await assert.rejects(ask(fake.port, INFO), /ECONNREFUSED/);
});

test('a large answer from memory that is on its way out survives the stop', async () => {
  const body = Buffer.alloc(200 * 1024, 3);
  const fake = await startHub({ answer: () => servedBytes(body), limits: { chunkBytes: 1024 * 1024 } });
  const socket = connect(fake.port, '127.0.0.1');
  let text = '';
  socket.pause();
  socket.write(`GET ${INFO} HTTP/1.1\r\nHost: h\r\n\r\n`.repeat(30));
  await until(() => fake.records.length > 0);
  const closing = fake.hub.close(5_000);
  const ended = new Promise((resolve) => socket.on('close', resolve));
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  socket.resume();
  await closing;
  await ended;
  const answers = text.split('HTTP/1.1 200 OK\r\n').slice(1);
  assert.ok(answers.length > 0);
  for (const answer of answers) assert.equal(answer.length - answer.indexOf('\r\n\r\n') - 4, body.length);
  assert.match(answers.at(-1) ?? '', /\r\nConnection: close\r\n/i);
});
