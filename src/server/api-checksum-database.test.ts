import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { CHECKSUM_DATABASE_PATH, type OwnDatabaseAnswer } from '../api/checksum-database.ts';
import { parseProblem } from '../api/problem.ts';
import { accessOf } from './fake-access.ts';
import { ask, type FakeHub, type FakeHubOptions, startHub } from './fake-station.ts';

const ownDatabase = {
  name: 'goyi.example/2',
  verifierKey: 'goyi.example/2+11111111+AAAA',
  sign: 'all',
  former: [{ name: 'goyi.example/1', verifierKey: 'goyi.example/1+22222222+BBBB', sign: 'private' }],
} as const;

async function hub(options: FakeHubOptions): Promise<FakeHub> {
  const fake = await startHub(options);
  after(() => fake.stop());
  return fake;
}

const named = await hub({ ownDatabase });
const elsewhere = await hub({ ownDatabase, publicUrl: 'https://goyi.example/go' });
const none = await hub({});
const closed = await hub({ ownDatabase, access: accessOf([]) });

function codeIn(body: Buffer): string {
  const problem = parseProblem(String(body));
  return problem.ok ? problem.value.code : '';
}

test('it says what clients set, and nothing else', async () => {
  const { status, headers, body } = await ask(named.port, CHECKSUM_DATABASE_PATH);
  assert.equal(status, 200);
  assert.equal(headers['content-type'], 'application/json');
  assert.deepEqual(JSON.parse(String(body)), {
    name: 'goyi.example/2',
    verifierKey: 'goyi.example/2+11111111+AAAA',
    sign: 'all',
    gosumdb: 'GOSUMDB=goyi.example/2+11111111+AAAA',
    gosumdbWithUrl: `GOSUMDB="goyi.example/2+11111111+AAAA http://127.0.0.1:${named.port}/sumdb/goyi.example/2"`,
    former: [
      {
        name: 'goyi.example/1',
        verifierKey: 'goyi.example/1+22222222+BBBB',
        sign: 'private',
        gosumdb: 'GOSUMDB=goyi.example/1+22222222+BBBB',
      },
    ],
  });
  const head = await ask(named.port, `${CHECKSUM_DATABASE_PATH}?x=1`, { method: 'HEAD' });
  assert.deepEqual([head.status, head.body.length], [200, 0]);
});

test('the address is publicUrl, else what the client called the hub, and never what steers a terminal or a shell', async () => {
  const urlOf = async (fake: FakeHub, host: string): Promise<string> => {
    const { body } = await ask(fake.port, CHECKSUM_DATABASE_PATH, { headers: { host } });
    return (JSON.parse(String(body)) as OwnDatabaseAnswer).gosumdbWithUrl.split(' ')[1] ?? '';
  };
  assert.equal(await urlOf(elsewhere, 'other.example'), 'https://goyi.example/go/sumdb/goyi.example/2"');
  assert.equal(await urlOf(named, 'hub.example:81'), 'http://hub.example:81/sumdb/goyi.example/2"');
  assert.equal(await urlOf(named, 'a"$(id)'), 'http://127.0.0.1:8080/sumdb/goyi.example/2"');
});

test('without a database of its own it is absent', async () => {
  const { status, body } = await ask(none.port, CHECKSUM_DATABASE_PATH);
  assert.deepEqual([status, codeIn(body)], [404, 'not-found']);
});

test('who may not read is asked for a token', async () => {
  const { status, headers, body } = await ask(closed.port, CHECKSUM_DATABASE_PATH);
  assert.deepEqual([status, codeIn(body), headers['www-authenticate']], [401, 'unauthorized', 'Basic realm="goyi", charset="UTF-8"']);
});

test('other methods, bodies and neighbouring paths are refused', async () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const { status, headers } = await ask(named.port, CHECKSUM_DATABASE_PATH, { method });
    assert.deepEqual([status, headers.allow], [405, 'GET, HEAD'], method);
  }
  assert.equal((await ask(named.port, CHECKSUM_DATABASE_PATH, { headers: { 'content-length': '3' } })).status, 400);
  const { status, body } = await ask(named.port, `${CHECKSUM_DATABASE_PATH}/`);
  assert.equal(status, 404);
  assert.match(String(body), /it has POST \/api\/v1\/warm, .*GET \/api\/v1\/checksum-database, /);
});
