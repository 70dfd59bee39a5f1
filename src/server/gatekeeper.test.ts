import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { FAILURES_CHECKED_MAX } from '../hub/log-ins.ts';
import { createPrivateNames, noPrivateNames } from '../policy/private-names.ts';
import { accessOf, type FakeAccess } from './fake-access.ts';
import { Exchange } from './exchange.ts';
import { Gatekeeper } from './gatekeeper.ts';
import { ask, type FakeHub, type FakeHubOptions, type Reply, servedBytes, startHub } from './fake-station.ts';

const names = createPrivateNames([{ match: 'git.corp.example/*', public: false }]);
const own = 'goyi.example/sumdb';

interface Bench {
  readonly fake: FakeHub;
  readonly access: FakeAccess;
  readonly get: (path: string, credentials?: string, options?: { method?: string; headers?: Record<string, string> }) => Promise<Reply>;
}

async function withHub(anonymous: readonly string[], work: (bench: Bench) => Promise<void>, options: FakeHubOptions = {}): Promise<void> {
  assert.ok(names.ok);
  const access = accessOf(anonymous);
  const ownDatabase = { name: own, verifierKey: `${own}+0+key`, sign: 'all', former: [] } as const;
  const answer = (): ReturnType<typeof servedBytes> => servedBytes('real');
  const fake = await startHub({ answer, access, names: names.value, databases: ['sum.golang.org', own], ownDatabase, ...options });
  const get: Bench['get'] = (path, credentials, { method = 'GET', headers = {} } = {}) =>
    ask(fake.port, path, { method, headers: { ...headers, ...(credentials !== undefined && { authorization: credentials }) } });
  try {
    await work({ fake, access, get });
  } finally {
    await fake.stop();
  }
}

const basic = (user: string, password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

/** All that a client sees but the number of the request and the time. */
function seen({ status, headers, body }: Reply): unknown {
  const { 'x-request-id': _id, date: _date, ...rest } = headers;
  return [status, rest, body.toString()];
}

const privatePaths = [
  '/git.corp.example/team/lib/@v/list',
  '/git.corp.example/team/lib/@latest',
  '/git.corp.example/team/lib/@v/v1.0.0.info',
  '/git.corp.example/team/lib/@v/v1.0.0.mod',
  '/git.corp.example/team/lib/@v/v1.0.0.zip',
  '/git.corp.example/team/lib/@v/main.info',
  '/cached-only/git.corp.example/team/lib/@v/v1.0.0.zip',
  '/git.corp.example/no/such/@v/list',
  '/git.corp.example/!team/lib/@v/list',
  '/%67it.corp.example/team/lib/@v/list',
  '/git.corp.example/@v/list',
  `/sumdb/${own}/lookup/git.corp.example/team/lib@v1.0.0`,
  '/sumdb/sum.golang.org/lookup/git.corp.example/team/lib@v1.0.0',
];

test('to who may not know, everything private is the same nothing, and nobody is asked for it', () =>
  withHub(['read'], async ({ fake, access, get }) => {
    const other = access.give('other', ['read', 'read:git.corp.example/other/*', 'publish:*']);
    for (const credentials of [undefined, `Bearer ${other}`]) {
      const replies = [];
      for (const path of privatePaths) {
        if (path === '/git.corp.example/@v/list' && credentials !== undefined) continue;
        const reply = await get(path, credentials);
        assert.equal(reply.status, 404, path);
        assert.equal(reply.headers['cache-control'], 'private, max-age=60', path);
        assert.equal(reply.headers.vary, 'Authorization', path);
        replies.push(seen(reply));
      }
      for (const reply of replies) assert.deepEqual(reply, replies[0]);
    }
    assert.deepEqual(fake.asked, []);
    const told = await access.told();
    assert.ok(
      told.some(
        ({ act, actor, subject }) => act === 'refused' && actor === 'token other' && subject === 'read git.corp.example/team/lib@v1.0.0',
      ),
    );
    assert.ok(!told.some(({ act }) => act === 'read'));
  }));

test('who may read gets the real answer, for itself alone, and that is told once a version and minute', () =>
  withHub(['read'], async ({ fake, access, get }) => {
    const token = access.give('team', ['read:git.corp.example/team/*']);
    for (const credentials of [
      `Bearer ${token}`,
      `bearer ${token}`,
      basic('anybody', token),
      basic(token, ''),
      basic(token, 'x-oauth-basic'),
    ]) {
      const reply = await get('/git.corp.example/team/lib/@v/v1.0.0.zip', credentials);
      assert.deepEqual([reply.status, reply.body.toString()], [200, 'real'], credentials);
      assert.equal(reply.headers['cache-control'], 'private, max-age=31536000, immutable');
      assert.equal(reply.headers.vary, 'Authorization');
    }
    assert.equal((await get('/git.corp.example/!team/lib/@v/list', `Bearer ${token}`)).status, 200);
    assert.equal((await get('/git.corp.example/@v/list', `Bearer ${token}`)).status, 200);
    assert.equal((await get('/git.corp.example/other/lib/@v/list', `Bearer ${token}`)).status, 404);
    assert.equal(fake.asked.length, 7);
    assert.equal(access.lookUps, 1);
    const reads = (await access.told()).filter(({ act }) => act === 'read');
    assert.deepEqual(
      reads.map(({ actor, subject, count }) => [actor, subject, count]),
      [
        ['token team', 'git.corp.example/team/lib@v1.0.0', 5],
        ['token team', 'git.corp.example/Team/lib', 1],
      ],
    );
  }));

test('public answers of an open hub stay public, whoever asks', () =>
  withHub(['read'], async ({ access, get }) => {
    const token = access.give('team', ['read:git.corp.example/team/*']);
    for (const credentials of [undefined, `Bearer ${token}`]) {
      const reply = await get('/rsc.io/quote/@v/v1.0.0.zip', credentials);
      assert.deepEqual(
        [reply.status, reply.headers['cache-control'], reply.headers.vary],
        [200, 'public, max-age=31536000, immutable', undefined],
      );
    }
    assert.deepEqual(await access.told(), []);
  }));

test('without anonymous reading every answer is for who logged in, and wrong credentials are one 401', () =>
  withHub([], async ({ fake, access, get }) => {
    const good = access.give('good', ['read']);
    const gone = access.give('gone', ['read']);
    const over = access.give('over', ['read'], { expiresAtMs: 1 });
    const narrow = access.give('narrow', ['read:git.corp.example/team/*']);
    access.revoke('gone');
    const answers = [];
    const wrong = [gone, over, `${good.slice(0, -1)}${good.endsWith('A') ? 'B' : 'A'}`, 'x', 'a.b.c'].flatMap((text) => [
      `Bearer ${text}`,
      basic('me', text),
    ]);
    for (const credentials of [
      ...wrong,
      'Basic',
      'Basic ',
      'Digest x',
      'Bearer',
      `Bearer ${good} x`,
      basic('', ''),
      'Basic ====',
      'Basic YQ',
    ]) {
      const reply = await get('/rsc.io/quote/@v/list', credentials);
      assert.equal(reply.status, 401, credentials);
      assert.equal(reply.headers['www-authenticate'], 'Basic realm="goyi", charset="UTF-8"');
      answers.push(seen(reply));
    }
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    assert.equal((await get('/rsc.io/quote/@v/list')).status, 401);
    assert.deepEqual(fake.asked, []);
    const reply = await get('/rsc.io/quote/@v/v1.0.0.zip', basic('me', good));
    assert.deepEqual(
      [reply.status, reply.headers['cache-control'], reply.headers.vary],
      [200, 'private, max-age=31536000, immutable', 'Authorization'],
    );
    const refused = await get('/rsc.io/quote/@v/list', `Bearer ${narrow}`);
    assert.deepEqual([refused.status, refused.headers['goyi-error']], [403, 'forbidden']);
    assert.equal((await get('/sumdb/sum.golang.org/latest', `Bearer ${narrow}`)).status, 200);
    for (const path of ['/-/healthz', '/', '/setup.sh']) assert.equal((await get(path, 'Bearer x')).status, 200, path);
  }));

test('a second header with credentials is refused', () =>
  withHub([], async ({ fake, access }) => {
    const token = access.give('good', ['read']);
    const headers = { authorization: [`Bearer ${token}`, `Bearer ${token}`] };
    assert.equal((await ask(fake.port, '/rsc.io/quote/@v/list', { headers })).status, 401);
  }));

test('too many failures of one address are 429, and right credentials are taken all the same', () =>
  withHub(['read'], async ({ access, get }) => {
    const token = access.give('good', ['read']);
    const statuses = [];
    for (let turn = 0; turn < 25; turn += 1) statuses.push((await get('/rsc.io/quote/@v/list', `Bearer wrong${turn}`)).status);
    assert.deepEqual(statuses, [...Array.from({ length: 20 }, () => 401), ...Array.from({ length: 5 }, () => 429)]);
    assert.equal((await get('/rsc.io/quote/@v/list', `Bearer ${token}`)).status, 200);
    const failed = (await access.told()).filter(({ act }) => act === 'log-in.failed');
    assert.deepEqual(
      failed.map(({ count }) => count),
      [20],
    );
  }));

for (const isTrusted of [true, false])
  test(`behind a proxy that is ${isTrusted ? 'trusted a new token is taken while somebody else guesses' : 'not trusted all have one address, whatever they say'}`, () =>
    withHub(
      [],
      async ({ access, get }) => {
        const from = (address: string): { headers: Record<string, string> } => ({
          headers: { 'x-forwarded-for': `127.0.0.1, ${address}` },
        });
        for (let turn = 0; turn < FAILURES_CHECKED_MAX; turn += 1)
          await get('/rsc.io/quote/@v/list', `Bearer wrong${turn}`, from('192.0.2.1'));
        const token = access.give('new', ['read']);
        assert.equal((await get('/rsc.io/quote/@v/list', `Bearer ${token}`, from('192.0.2.1'))).status, 429);
        assert.equal((await get('/rsc.io/quote/@v/list', `Bearer ${token}`, from('192.0.2.2'))).status, isTrusted ? 200 : 429);
        const told = await access.told();
        const failed = told.find(({ act }) => act === 'log-in.failed');
        assert.equal(failed?.actor, isTrusted ? '192.0.2.1' : '127.0.0.1');
      },
      { publicUrl: 'https://hub.example', trustedProxies: isTrusted ? [{ address: '127.0.0.1', bits: 32 }] : [] },
    ));

test('records and the index of private modules need the right to audit', () =>
  withHub(
    ['read'],
    async ({ access, get }) => {
      const reader = `Bearer ${access.give('reader', ['read:*'])}`;
      const auditor = `Bearer ${access.give('auditor', ['audit'])}`;
      const records = `/sumdb/${own}/tile/8/data/000`;
      assert.deepEqual(
        [(await get(records)).status, (await get(records, reader)).status, (await get(records, auditor)).status],
        [401, 403, 200],
      );
      for (const path of [`/sumdb/${own}/tile/8/0/000`, `/sumdb/${own}/latest`, '/sumdb/sum.golang.org/tile/8/data/000'])
        assert.equal((await get(path)).status, 200, path);
      const modules = async (credentials?: string): Promise<string[]> =>
        (await get('/index?limit=3', credentials)).body
          .toString()
          .trim()
          .split('\n')
          .map((line) => (JSON.parse(line) as { Path: string }).Path);
      assert.deepEqual(await modules(), ['a.example/0', 'a.example/5', 'a.example/10']);
      assert.deepEqual(await modules(reader), ['a.example/0', 'a.example/5', 'a.example/10']);
      assert.deepEqual(await modules(auditor), ['a.example/0', 'git.corp.example/1', 'git.corp.example/2']);
      assert.equal((await get('/index')).headers.vary, 'Authorization');
      assert.deepEqual([(await get('/api/v1/drift')).status, (await get('/api/v1/drift', auditor)).status], [401, 200]);
    },
    {
      station: {
        index: async (sinceUs, limit) =>
          Array.from({ length: 11 }, (_, at) => ({
            module: at % 5 === 0 ? `a.example/${at}` : `git.corp.example/${at}`,
            version: 'v1.0.0',
            storedAtUs: at * 10,
          }))
            .filter(({ storedAtUs }) => storedAtUs >= sinceUs)
            .slice(0, limit),
      },
    },
  ));

test('a small page of the index does not cost a look for each private entry before it', () => {
  let looks = 0;
  const entries = Array.from({ length: 10_000 }, (_, at) => ({
    module: at === 9_999 ? 'a.example/last' : `git.corp.example/${at}`,
    version: 'v1.0.0',
    storedAtUs: at,
  }));
  return withHub(
    ['read'],
    async ({ get }) => {
      assert.match((await get('/index?limit=1')).body.toString(), /^{"Path":"a\.example\/last"[^\n]*\n$/);
      assert.ok(looks <= 7, `${looks} looks`);
    },
    {
      station: {
        index: async (sinceUs, limit) => {
          looks += 1;
          return entries.slice(sinceUs, sinceUs + limit);
        },
      },
    },
  );
});

test('who changes something has the right for just that module, once there are tokens', () =>
  withHub(
    ['read'],
    async ({ access, get }) => {
      const path = '/api/v1/modules/git.corp.example/team/lib/@v/v1.0.0.zip';
      const put = async (credentials?: string, headers: Record<string, string> = {}): Promise<[number, string | undefined]> => {
        const reply = await get(path, credentials, { method: 'PUT', headers });
        return [reply.status, reply.headers['goyi-error'] as string | undefined];
      };
      assert.deepEqual(await put(), [201, undefined]);
      const publisher = `Bearer ${access.give('publisher', ['publish:git.corp.example/team/*'])}`;
      const other = `Bearer ${access.give('other', ['publish:git.corp.example/teams/*', 'read:*', 'audit'])}`;
      const admin = `Bearer ${access.give('admin', ['admin'])}`;
      assert.deepEqual(await put(publisher), [201, undefined]);
      assert.deepEqual(await put(admin), [201, undefined]);
      assert.deepEqual(await put(other), [403, 'forbidden']);
      assert.deepEqual(await put('Bearer nonsense'), [401, 'unauthorized']);
      assert.deepEqual(await put(publisher, { origin: 'https://evil.example' }), [403, 'forbidden']);
      assert.equal((await get('/api/v1/warm', publisher, { method: 'POST' })).status, 403);
      const acts = (await access.told()).filter(({ act }) => act === 'publish');
      assert.deepEqual(
        acts.map(({ actor, subject }) => [actor, subject]),
        [
          ['a user of this machine', 'git.corp.example/team/lib@v1.0.0'],
          ['token publisher', 'git.corp.example/team/lib@v1.0.0'],
          ['token admin', 'git.corp.example/team/lib@v1.0.0'],
        ],
      );
    },
    { station: { publish: async () => ({ isNew: true, zipHash: 'h1:z', modHash: 'h1:m' }) } },
  ));

test('nobody writes without a token once there is one', () =>
  withHub(['read'], async ({ access, get }) => {
    access.give('first', ['read']);
    const reply = await get('/api/v1/modules/git.corp.example/team/lib/@v/v1.0.0.zip', undefined, { method: 'PUT' });
    assert.deepEqual([reply.status, reply.headers['goyi-error']], [401, 'unauthorized']);
  }));

test('credentials that came in the clear from another machine are refused, whether they are right or wrong', async () => {
  const access = accessOf(['read']);
  const token = access.give('good', ['admin']);
  const identify = async (
    remoteAddress: string,
    parts: { secure: boolean; publicUrl: string | undefined },
  ): Promise<string | undefined> => {
    const authorization = `Bearer ${token}`;
    const req = { headers: { authorization }, headersDistinct: { authorization: [authorization] }, socket: { remoteAddress } };
    const exchange = new Exchange(req as unknown as IncomingMessage, {} as ServerResponse, 'id', 0);
    const refusal = await new Gatekeeper({ access, names: noPrivateNames, ...parts }).identify(exchange);
    assert.equal(exchange.caller === undefined, refusal !== undefined);
    return refusal?.sentence;
  };
  const clear = { secure: false, publicUrl: undefined };
  assert.match((await identify('192.0.2.7', clear)) ?? '', /https alone.*revoked/);
  assert.match((await identify('192.0.2.7', { ...clear, publicUrl: 'http://goyi.corp.example' })) ?? '', /https alone/);
  assert.equal(await identify('127.0.0.1', clear), undefined);
  assert.equal(await identify('192.0.2.7', { ...clear, secure: true }), undefined);
  assert.equal(await identify('192.0.2.7', { ...clear, publicUrl: 'https://goyi.corp.example' }), undefined);
});
