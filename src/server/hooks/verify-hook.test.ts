import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { type HookKind, hookKinds } from '../../hub/tag-event.ts';
import { Json, parseHookBody } from './hook-body.ts';
import { readTagEvent } from './read-tag-event.ts';
import { dingtalkSign, sampleHooks, sampleNowMs as nowMs, type SampleHook, secret, signingToken } from './sample-hooks.ts';
import { type HookRequest, presumeHook, verifyHook, WINDOW_MS } from './verify-hook.ts';

const secrets = [
  { name: 'other', secret: 'another secret' },
  { name: 'ours', secret },
];

function requestOf({ headers, query = '', body, sign }: SampleHook, more: Partial<HookRequest> = {}): HookRequest {
  const text = JSON.stringify(body);
  return { headers: { ...headers, ...sign(text) }, query, body: Buffer.from(text), nowMs, ...more };
}

const isTimed = (sample: SampleHook): boolean => Object.keys(sample.headers).some((name) => name.endsWith('-timestamp'));
const coversBody = ({ kind, title }: SampleHook): boolean =>
  !['gitlab', 'gitee', 'tgit', 'codeup'].includes(kind) && title !== 'gitcode with a password';

for (const sample of sampleHooks) {
  const { kind, title, event, sign } = sample;
  test(`${title}: verified, and read`, () => {
    const request = requestOf(sample);
    const verified = verifyHook(kind, request, secrets);
    assert.ok(verified.ok, verified.ok ? '' : verified.reason);
    assert.equal(verified.value.name, 'ours');
    const body = parseHookBody(request.body);
    assert.ok(body.ok);
    const news = readTagEvent(kind, 'ours', request, body.value);
    assert.deepEqual(news, { ok: true, value: { kind: 'tag', event: { kind, hook: 'ours', ...event } } });
  });

  test(`${title}: not by another secret, without one, or with a header too few, too long or twice`, () => {
    const request = requestOf(sample);
    assert.equal(verifyHook(kind, request, secrets.slice(0, 1)).ok, false);
    assert.equal(verifyHook(kind, request, []).ok, false);
    assert.equal(verifyHook(kind, request, [{ name: 'empty', secret: '' }]).ok, false);
    for (const header of Object.keys(sign(''))) {
      const { [header]: value = '', ...rest } = request.headers;
      // Forgejo's other header is as good.
      const others = kind === 'forgejo' ? {} : rest;
      assert.equal(verifyHook(kind, { ...request, headers: others }, secrets).ok, false);
      for (const wrong of [`${String(value)}x`, `${String(value)}, ${String(value)}`, String(value).slice(0, -1), '', 'x'.repeat(100_000)])
        assert.equal(
          verifyHook(kind, { ...request, headers: { ...others, [header]: wrong } }, secrets).ok,
          false,
          `${header}: ${wrong.slice(0, 80)}`,
        );
    }
  });

  test(`${title}: before its body it is ${coversBody(sample) ? 'not yet known' : 'known, and a wrong secret refused'}`, () => {
    const { body: _body, ...head } = requestOf(sample);
    assert.deepEqual(presumeHook(kind, head, secrets), { ok: true, value: coversBody(sample) ? 'unknown' : 'known' });
    assert.equal(presumeHook(kind, { ...head, headers: {} }, secrets).ok, false);
    if (!coversBody(sample)) assert.equal(presumeHook(kind, head, secrets.slice(0, 1)).ok, false);
  });

  if (coversBody(sample))
    test(`${title}: not for another body`, () => {
      assert.equal(verifyHook(kind, requestOf(sample, { body: Buffer.from('{}') }), secrets).ok, false);
    });

  if (isTimed(sample))
    test(`${title}: not long before or after its time`, () => {
      for (const at of [nowMs - 2 * WINDOW_MS, nowMs + 2 * WINDOW_MS]) {
        const late = verifyHook(kind, requestOf(sample, { nowMs: at }), secrets);
        assert.match(late.ok ? '' : late.reason, /minutes off/);
      }
    });

  test(`${title}: the same delivery has the same nonce, another has another`, () => {
    const nonceOf = (more: Partial<HookRequest> = {}): string => {
      const verified = verifyHook(kind, requestOf(sample, more), secrets);
      return verified.ok ? verified.value.nonce : '';
    };
    const other = requestOf({ ...sample, body: { ...sample.body, more: 1 } });
    assert.match(nonceOf(), /^[0-9a-f]{64}$/);
    assert.equal(nonceOf(), nonceOf({ nowMs: nowMs + 1_000 }));
    // A header that nothing covers does not make a replay another delivery.
    assert.equal(
      nonceOf(),
      nonceOf({
        headers: { ...requestOf(sample).headers, 'x-github-delivery': 'new', 'x-gitea-delivery': 'new', 'idempotency-key': 'new' },
      }),
    );
    assert.notEqual(nonceOf(), nonceOf(other));
  });
}

test('every kind has a sample', () => {
  assert.deepEqual(new Set(sampleHooks.map(({ kind }) => kind)), new Set<HookKind>(hookKinds));
});

test('GitLab’s signing token: by its signature alone, whichever of several, within its time', () => {
  const sample = sampleHooks.find(({ kind }) => kind === 'gitlab');
  assert.ok(sample !== undefined);
  const body = JSON.stringify(sample.body);
  const time = String(nowMs / 1_000);
  const key = Buffer.from(signingToken.slice('whsec_'.length), 'base64');
  const signature = `v1,${createHmac('sha256', key).update(`msg.${time}.${body}`).digest('base64')}`;
  const signed = { 'webhook-id': 'msg', 'webhook-timestamp': time, 'webhook-signature': signature };
  const by = [{ name: 'signed', secret: signingToken }];
  const check = (headers: HookRequest['headers'], at = nowMs): boolean =>
    verifyHook('gitlab', { headers, query: '', body: Buffer.from(body), nowMs: at }, by).ok;
  assert.ok(check(signed));
  assert.ok(check({ ...signed, 'webhook-signature': `v1,AAAA ${signature}` }));
  assert.ok(!check({ 'x-gitlab-token': signingToken }), 'the token in clear is no signature');
  assert.ok(!check({ ...signed, 'webhook-signature': 'v1,AAAA', 'x-gitlab-token': signingToken }));
  assert.ok(!check({ ...signed, 'webhook-id': 'other' }));
  assert.ok(!check(signed, nowMs + WINDOW_MS + 1_000));
  assert.ok(!check({ ...signed, 'webhook-timestamp': 'soon' }));
});

test('what ZenTao signs itself is verified, and is never about a tag', () => {
  const body = Buffer.from('{"objectType":"bug","objectID":1,"action":"opened","actor":"admin"}');
  const query = `timestamp=${nowMs}&sign=${encodeURIComponent(dingtalkSign(nowMs))}`;
  const request = { headers: {}, query, body, nowMs };
  assert.ok(verifyHook('zentao', request, secrets).ok);
  assert.ok(!verifyHook('zentao', { ...request, nowMs: nowMs + WINDOW_MS + 1 }, secrets).ok);
  assert.ok(!verifyHook('zentao', { ...request, query: query.replace('sign=', 'sign=x') }, secrets).ok);
  const json = parseHookBody(body);
  assert.ok(json.ok);
  const news = readTagEvent('zentao', 'ours', request, json.value);
  assert.equal(news.ok && news.value.kind, 'ignored');
});

const ignored = [
  ['github', { 'x-github-event': 'ping' }, { zen: 'x', hook_id: 1 }],
  ['github', { 'x-github-event': 'push' }, { ref: 'refs/heads/main' }],
  ['github', { 'x-github-event': 'create' }, { ref: 'main', ref_type: 'branch' }],
  ['github', { 'x-github-event': 'release' }, { ref: 'refs/tags/v1.0.0' }],
  ['gitlab', { 'x-gitlab-event': 'Tag Push Hook' }, { object_kind: 'push', ref: 'refs/heads/main' }],
  ['gitee', { 'x-gitee-event': 'Note Hook' }, { hook_name: 'note_hooks' }],
  ['codeup', {}, {}],
] as const;
for (const [kind, headers, body] of ignored)
  test(`${kind} ${JSON.stringify(body)} is ignored`, () => {
    const news = readTagEvent(kind, 'ours', { headers }, new Json(body));
    assert.equal(news.ok && news.value.kind, 'ignored');
  });

const repository = { full_name: 'team/lib' };
const malformed = [
  ['github', { ref: 'refs/tags/', repository }],
  ['github', { ref: 'refs/tags/-v1', repository }],
  ['github', { ref: 'refs/tags/v1\u0007', repository }],
  ['github', { ref: 'refs/tags/a..b', repository }],
  ['github', { ref: `refs/tags/v${'1'.repeat(300)}`, repository }],
  ['github', { ref: 'refs/tags/v1' }],
  ['github', { ref: 'refs/tags/v1', repository: { full_name: '../../x', clone_url: 'file:///etc/passwd' } }],
  ['gitlab', { object_kind: 'tag_push', ref: 'v1.0.0' }],
  ['generic', { repository: 'https://x.example/a', tag: 'v1', action: 'moved' }],
  ['generic', { tag: 'v1' }],
] as const;
for (const [kind, body] of malformed)
  test(`${kind} ${JSON.stringify(body).slice(0, 90)} is malformed`, () =>
    assert.equal(readTagEvent(kind, 'ours', { headers: {} }, new Json(body)).ok, false));

test('a body that is no object, no UTF-8, or nested too deep is malformed', () => {
  const bad = [
    Buffer.from([0x7b, 0xff, 0x7d]),
    '',
    '[]',
    'null',
    '{"a":',
    '"x"',
    `${'['.repeat(100_000)}`,
    `{"a":${'{"a":'.repeat(64)}1${'}'.repeat(65)}`,
  ];
  for (const body of bad) assert.equal(parseHookBody(Buffer.from(body)).ok, false, String(body).slice(0, 40));
  assert.ok(parseHookBody(Buffer.from(`{"a":${'['.repeat(63)}${']'.repeat(63)},"b":"[[{\\"[{"}`)).ok);
  const polluted = parseHookBody(Buffer.from('{"__proto__":{"ref":"refs/tags/v1"},"constructor":1}'));
  assert.equal(polluted.ok && polluted.value.at('ref').text, '');
});

test('no JSON whatever makes reading throw, and what it finds is harmless', () => {
  const names = fc.constantFrom(
    'ref',
    'object_kind',
    'hook_name',
    'repository',
    'project',
    'git_http_url',
    'clone_url',
    'path_with_namespace',
    'full_name',
    'after',
    'deleted',
    'tag',
    'action',
    'head_commit',
    'id',
    'operation_kind',
    'ref_type',
    '__proto__',
  );
  const leaf = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }).map((text) => `refs/tags/${text}`),
    fc.constantFrom(
      'tag_push',
      'refs/tags/v1.0.0',
      'tag',
      'tag_push_hooks',
      'https://a:b@c.example/d.git',
      'git@h:p/q',
      `${'0'.repeat(40)}`,
      'create',
    ),
    fc.boolean(),
    fc.constant(null),
    fc.integer(),
  );
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof({ maxDepth: 4 }, leaf, fc.dictionary(names, tie('tree')), fc.array(tie('tree'), { maxLength: 3 })),
  }));
  fc.assert(
    fc.property(fc.constantFrom(...hookKinds), fc.dictionary(names, tree), (kind, body) => {
      const news = readTagEvent(kind, 'ours', { headers: { 'x-github-event': 'push' } }, new Json(JSON.parse(JSON.stringify(body))));
      if (!news.ok || news.value.kind === 'ignored') return;
      const { tag, urls, path, commit } = news.value.event;
      assert.match(tag, /^[^-/.\p{C}\s][^\p{C}\s]*$/u);
      for (const url of urls) assert.match(url, /^(?:https?|ssh):\/\/[^@\s]+$/);
      assert.ok(path !== '' && !path.split('/').includes('..'));
      assert.match(commit ?? '0'.repeat(40), /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/);
    }),
    { numRuns: 2_000 },
  );
});
