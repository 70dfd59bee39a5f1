import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { HubError } from '../../base/errors.ts';
import { createOutboundClient } from '../../net/http-client.ts';
import type { OutboundClient } from '../../net/outbound-client.ts';
import { parseProxyRules } from '../../net/proxy-rules.ts';
import { type ChatTarget, reportToChat } from './chat.ts';
import { reportToHost, type StatusHost } from './commit-status.ts';
import type { Report } from './report-target.ts';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Record<string, unknown>;
}

const seen: Seen[] = [];
let answer: { status: number; body: string; headers?: Record<string, string> } = { status: 201, body: '{}' };
const server = createServer((req, res) => {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', () => {
    seen.push({
      method: req.method ?? '',
      url: req.url ?? '',
      headers: req.headers,
      body: JSON.parse(String(Buffer.concat(chunks))) as Record<string, unknown>,
    });
    res.writeHead(answer.status, answer.headers).end(answer.body);
  });
});
let client: OutboundClient;
let stranger: OutboundClient;
let base = '';
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const proxy = parseProxyRules({ httpProxy: undefined, httpsProxy: undefined, noProxy: undefined });
  assert.ok(proxy.ok);
  client = createOutboundClient({ configuredOrigins: [new URL(base)], proxy: proxy.value, userAgent: 'goyi/test' });
  stranger = createOutboundClient({ configuredOrigins: [], proxy: proxy.value, userAgent: 'goyi/test' });
});
after(async () => {
  await client[Symbol.asyncDispose]();
  await stranger[Symbol.asyncDispose]();
  server.close();
});
beforeEach(() => {
  seen.length = 0;
  answer = { status: 201, body: '{"errcode":0}' };
});

const signal = new AbortController().signal;
const nowMs = 1_800_000_000_000;
const commit = '82b3d5ae55f7080f1e6022629cdb57bfae7cccc7';
const report: Report = {
  module: 'git.example/team/lib',
  version: 'v1.2.3',
  verdict: 'block',
  reason: 'it requires a.example/a@v1.0.0, which cannot be had: `x` [y](http://z) <b>\u001b[31m',
  path: 'team/sub/lib',
  tag: 'v1.2.3',
  commit,
  note: undefined,
};
const TOKEN = 'token-of-the-host';

const hosts: readonly (readonly [kind: StatusHost, path: string, header: readonly [string, string], state: string | undefined])[] = [
  ['gitlab', `/projects/team%2Fsub%2Flib/statuses/${commit}`, ['private-token', TOKEN], 'failed'],
  ['github', `/repos/team/sub/lib/statuses/${commit}`, ['authorization', `Bearer ${TOKEN}`], 'failure'],
  ['gitea', `/repos/team/sub/lib/statuses/${commit}`, ['authorization', `token ${TOKEN}`], 'failure'],
  ['forgejo', `/repos/team/sub/lib/statuses/${commit}`, ['authorization', `token ${TOKEN}`], 'failure'],
  ['gitee', `/repos/team/sub/lib/commits/${commit}/comments`, ['authorization', `Bearer ${TOKEN}`], undefined],
];
for (const [kind, path, [header, value], state] of hosts) {
  test(`${kind} is told on the commit`, async () => {
    const target = { kind, api: `${base}/api`, token: TOKEN };
    await reportToHost(target, report, { client, nowMs }, signal);
    await reportToHost(target, { ...report, verdict: 'archive' }, { client, nowMs }, signal);
    const [first, second] = seen;
    assert.deepEqual([first?.method, first?.url, first?.headers[header], first?.body['state']], ['POST', `/api${path}`, value, state]);
    const text = JSON.stringify(first?.body);
    assert.match(text, /goyi\/git\.example\/team\/lib/);
    assert.match(text, /v1\.2\.3 blocked: it requires a\.example\/a@v1\.0\.0/);
    assert.doesNotMatch(text, /\\u001b|`/);
    if (state !== undefined) {
      assert.equal(second?.body['state'], 'success');
      assert.ok(String(first?.body['description']).length <= 140);
    }
  });

  for (const [status, code] of [
    [401, 'upstream-refused'],
    [404, 'upstream-refused'],
    [302, 'upstream-refused'],
    [429, 'origin-unavailable'],
    [503, 'origin-unavailable'],
  ] as const)
    test(`${kind} answering ${status} is ${code}, without the token in the sentence, and no redirect is followed`, async () => {
      answer = { status, body: 'no', headers: { location: `${base}/elsewhere` } };
      await assert.rejects(reportToHost({ kind, api: base, token: TOKEN }, report, { client, nowMs }, signal), (error: HubError) => {
        assert.doesNotMatch(error.message, new RegExp(`${TOKEN}|127\\.0\\.0\\.1`));
        return error.code === code && seen.length === 1;
      });
    });
}

test('GitLab that has the status already is content', async () => {
  answer = { status: 400, body: '{"message":"Cannot transition status via :drop from :failed"}' };
  await reportToHost({ kind: 'gitlab', api: base, token: TOKEN }, report, { client, nowMs }, signal);
});

test('a private address that is not configured is not called', async () => {
  await assert.rejects(reportToHost({ kind: 'gitea', api: base, token: TOKEN }, report, { client: stranger, nowMs }, signal), HubError);
  assert.equal(seen.length, 0);
});

const chat = (kind: ChatTarget['kind'], more: Partial<ChatTarget> = {}): ChatTarget => ({
  kind,
  url: new URL(`${base}/robot/hook-token?access_token=query-token`),
  secret: undefined,
  language: 'zh',
  ...more,
});

test('DingTalk: Markdown, signed in the address', async () => {
  await reportToChat(chat('dingtalk', { secret: 'SEC1' }), report, { client, nowMs }, signal);
  const query = new URL(`${base}${seen[0]?.url}`).searchParams;
  assert.deepEqual([query.get('access_token'), query.get('timestamp')], ['query-token', String(nowMs)]);
  assert.equal(query.get('sign'), createHmac('sha256', 'SEC1').update(`${nowMs}\nSEC1`).digest('base64'));
  const { msgtype, markdown } = (seen[0]?.body ?? {}) as { msgtype: string; markdown: { title: string; text: string } };
  assert.deepEqual([msgtype, markdown.title], ['markdown', 'git.example/team/lib@v1.2.3 已拦截']);
  assert.match(markdown.text, /标签：team\/sub\/lib v1\.2\.3 \(82b3d5ae55f7\)\n- 说明：it requires a\.example/);
  assert.doesNotMatch(markdown.text, /\]\(|<b>|`/);
});

test('WeCom: Markdown; Feishu: text, signed in the body', async () => {
  await reportToChat(
    chat('wecom', { language: 'en' }),
    { ...report, verdict: 'archive', note: 'the tag was moved' },
    { client, nowMs },
    signal,
  );
  const { content } = (seen[0]?.body['markdown'] ?? {}) as { content: string };
  assert.match(content, /^\*\*git\.example\/team\/lib@v1\.2\.3 archived\*\*\n> Tag: .*\n> Reason: .*\n> Note: the tag was moved$/);
  answer = { status: 200, body: '{"code":0,"msg":"success"}' };
  await reportToChat(chat('feishu', { secret: 's' }), report, { client, nowMs }, signal);
  const { timestamp, sign, msg_type: type } = seen[1]?.body ?? {};
  assert.deepEqual([timestamp, type], [String(nowMs / 1_000), 'text']);
  assert.equal(
    sign,
    createHmac('sha256', `${nowMs / 1_000}\ns`)
      .update('')
      .digest('base64'),
  );
});

for (const [status, body, code] of [
  [200, '{"errcode":310000,"errmsg":"sign not match"}', 'upstream-refused'],
  [200, '{"errcode":130101,"errmsg":"too fast"}', 'origin-unavailable'],
  [200, 'captive portal', 'upstream-refused'],
  [500, '', 'origin-unavailable'],
] as const)
  test(`a chat answering ${status} ${body} is ${code}, and its address is in no sentence`, async () => {
    answer = { status, body };
    await assert.rejects(reportToChat(chat('dingtalk'), report, { client, nowMs }, signal), (error: HubError) => {
      assert.doesNotMatch(`${error.message} ${String(error.cause)}`, /hook-token|query-token/);
      return error.code === code;
    });
  });

test('a chat that cannot be reached: its address is in no sentence', async () => {
  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
  const url = new URL(`http://127.0.0.1:${(closed.address() as AddressInfo).port}/robot/hook-token?access_token=query-token`);
  await new Promise((resolve) => closed.close(resolve));
  for (const used of [client, stranger])
    await assert.rejects(reportToChat(chat('feishu', { url }), report, { client: used, nowMs }, signal), (error: HubError) => {
      assert.doesNotMatch(`${error.message} ${String(error.cause)}`, /hook-token|query-token/);
      return error.code === 'origin-unavailable';
    });
});
