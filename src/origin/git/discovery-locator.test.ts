import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, messageOf } from '../../base/errors.ts';
import type { OutboundClient } from '../../net/outbound-client.ts';
import { OutboundError } from '../../net/outbound-error.ts';
import { type ModulePath, parseModulePath } from '../../protocol/module-path.ts';
import { Discovery } from './discovery-locator.ts';

const never = new AbortController().signal;

type Page =
  | { readonly status?: number; readonly headers?: Readonly<Record<string, string>>; readonly chunks: () => Iterable<string> }
  | OutboundError;

interface Rig {
  readonly asked: string[];
  readonly discover: (module: string) => Promise<string>;
}

/** What was found, or the code and the message of the error. */
function rig(pages: Readonly<Record<string, Page | string>>): Rig {
  const asked: string[] = [];
  const client: OutboundClient = {
    async send({ url, method = 'GET' }) {
      asked.push(`${method} ${url.href}`);
      const key = `${url.host}${url.pathname}`.replace(/\/$/, '');
      const found = method === 'HEAD' ? (pages[`HEAD ${url.host}`] ?? '') : pages[key];
      if (found instanceof OutboundError) throw found;
      const page = typeof found === 'string' ? { chunks: () => [found] } : found;
      const body = async function* (): AsyncGenerator<Buffer, void, undefined> {
        for (const chunk of page?.chunks() ?? []) yield Buffer.from(chunk);
      };
      const headers = new Map(Object.entries(page?.headers ?? {}));
      return { status: page === undefined ? 404 : (page.status ?? 200), headers, body: body(), url, async [Symbol.asyncDispose]() {} };
    },
    async [Symbol.asyncDispose]() {},
  };
  const discovery = new Discovery({ client, answerMs: 1000, ownHosts: ['hub.example'] });
  return {
    asked,
    async discover(text) {
      const module = parseModulePath(text);
      assert.ok(module.ok, text);
      return discovery.discover(module.value satisfies ModulePath, never).then(
        (found) => (found.kind === 'git' ? `${found.root} ${found.url} ${found.subfolder}`.trim() : `${found.root} at ${found.base.href}`),
        (error: unknown) => `${codeOf(error)}: ${messageOf(error)}`,
      );
    },
  };
}

const tag = (content: string): string => `<head><meta name="go-import" content="${content}"></head>`;

const table: readonly {
  readonly name: string;
  readonly pages: Readonly<Record<string, Page | string>>;
  readonly module: string;
  readonly outcome: RegExp;
}[] = [
  { name: 'a known host', pages: {}, module: 'github.com/a/b/c', outcome: /^github\.com\/a\/b https:\/\/github\.com\/a\/b$/ },
  {
    name: 'its own page',
    pages: { 'v.example/a': tag('v.example/a git https://c.example/a') },
    module: 'v.example/a',
    outcome: /^v\.example\/a https:\/\/c\.example\/a$/,
  },
  {
    name: 'the page of a 404',
    pages: { 'v.example/a': { status: 404, chunks: () => [tag('v.example/a git https://c.example/a')] } },
    module: 'v.example/a',
    outcome: /^v\.example\/a /,
  },
  {
    name: 'a root that confirms it',
    pages: { 'v.example/a/b': tag('v.example git https://c.example/a sub'), 'v.example': tag('v.example git https://c.example/a sub') },
    module: 'v.example/a/b',
    outcome: /^v\.example https:\/\/c\.example\/a sub$/,
  },
  {
    name: 'a root that says something else',
    pages: { 'v.example/a': tag('v.example git https://evil.example/a'), 'v.example': tag('v.example git https://c.example/a') },
    module: 'v.example/a',
    outcome: /^upstream-invalid: .*different things/,
  },
  {
    name: 'a root that says nothing',
    pages: { 'v.example/a': tag('v.example git https://evil.example/a') },
    module: 'v.example/a',
    outcome: /^not-found/,
  },
  {
    name: 'two tags',
    pages: {
      'v.example/a': tag('v.example/a git https://c.example/a')
        .repeat(1)
        .replace('</head>', tag('v.example git https://d.example').replace('<head>', '')),
    },
    module: 'v.example/a',
    outcome: /^upstream-invalid: .*several/,
  },
  {
    name: 'a module proxy',
    pages: { 'v.example/a': tag('v.example/a mod https://p.example/x') },
    module: 'v.example/a',
    outcome: /^v\.example\/a at https:\/\/p\.example\/x$/,
  },
  {
    name: 'this hub',
    pages: { 'v.example/a': tag('v.example/a mod https://hub.example/') },
    module: 'v.example/a',
    outcome: /^not-found: .*back to this hub/,
  },
  {
    name: 'a proxy by http',
    pages: { 'v.example/a': tag('v.example/a mod http://p.example/x') },
    module: 'v.example/a',
    outcome: /^not-found: .*https/,
  },
  {
    name: 'an address that the shell would like',
    pages: { 'v.example/a': tag('v.example/a git --upload-pack=x') },
    module: 'v.example/a',
    outcome: /^not-found: .*https/,
  },
  {
    name: 'an address with a query',
    pages: { 'v.example/a': tag('v.example/a git https://c.example/a?x') },
    module: 'v.example/a',
    outcome: /^not-found: .*https/,
  },
  {
    name: 'a host with a final dot',
    pages: { 'v.example/a': tag('v.example/a git https://c.example./a') },
    module: 'v.example/a',
    outcome: /^not-found: .*https/,
  },
  {
    name: 'control characters in a name',
    pages: { 'v.example/a': tag('v.example/a \u001b[31m https://c.example/a') },
    module: 'v.example/a',
    outcome: /^not-found: [\x20-\x7e]*$/,
  },
  {
    name: 'a decimal address, made plain',
    pages: { 'v.example/a': tag('v.example/a git https://2130706433/a') },
    module: 'v.example/a',
    outcome: /^v\.example\/a https:\/\/127\.0\.0\.1\/a$/,
  },
  { name: 'a page that is no page', pages: { 'v.example/a': '<<<' }, module: 'v.example/a', outcome: /^not-found: .*cannot be read/ },
  {
    name: 'a server in trouble',
    pages: { 'v.example/a': { status: 503, chunks: () => ['<html>busy'] } },
    module: 'v.example/a',
    outcome: /^origin-unavailable: .*503/,
  },
  {
    name: 'a server that is tired',
    pages: { 'v.example/a': { status: 429, chunks: () => [] } },
    module: 'v.example/a',
    outcome: /^origin-unavailable: .*429/,
  },
  {
    name: 'a compressed page',
    pages: { 'v.example/a': { headers: { 'content-encoding': 'gzip' }, chunks: () => ['x'] } },
    module: 'v.example/a',
    outcome: /^upstream-invalid: .*compressed/,
  },
  {
    name: 'a tag cut over chunks',
    pages: { 'v.example/a': { chunks: () => tag('v.example/a git https://c.example/a') } },
    module: 'v.example/a',
    outcome: /^v\.example\/a https/,
  },
];

for (const { name, pages, module, outcome } of table) {
  test(`discovery: ${name}`, async () => assert.match(await rig(pages).discover(module), outcome));
}

test('no more is read of a page than its head, and of an endless head no more than there may be', async () => {
  const read = { ended: 0, endless: 0 };
  const endless = function* (key: keyof typeof read, first: string): Generator<string> {
    yield first;
    for (;;) {
      read[key] += 65_536;
      yield ' '.repeat(65_536);
    }
  };
  const { discover } = rig({
    'v.example/a': { chunks: () => endless('ended', tag('v.example/a git https://c.example/a')) },
    'v.example/b': { chunks: () => endless('endless', '<head>') },
  });
  assert.match(await discover('v.example/a'), /^v\.example\/a https/);
  assert.match(await discover('v.example/b'), /^not-found/);
  assert.equal(read.ended, 0);
  assert.ok(read.endless <= 256 * 1024 + 65_536, String(read.endless));
});

test('what was found and what was not is remembered, and a host that cannot be reached is left alone', async () => {
  const refused = new OutboundError('unreachable', 'connection refused');
  const { asked, discover } = rig({
    'v.example/a': tag('v.example/a git https://c.example/a'),
    'v.example/d': tag('v.example/d git https://dead.example/d'),
    'HEAD dead.example': refused,
    'dark.example/x': refused,
  });
  for (let round = 0; round < 3; round += 1) {
    assert.match(await discover('v.example/a'), /^v\.example\/a https/);
    assert.match(await discover('v.example/none'), /^not-found/);
    assert.match(await discover('v.example/d'), /^origin-unavailable: connection refused/);
    assert.match(await discover('dark.example/x'), /^origin-unavailable: connection refused/);
    assert.match(await discover('dark.example/y'), /^origin-unavailable: connection refused/);
  }
  assert.deepEqual(asked, [
    'GET https://v.example/a?go-get=1',
    'HEAD https://c.example/',
    'GET https://v.example/none?go-get=1',
    'GET https://v.example/d?go-get=1',
    'HEAD https://dead.example/',
    'GET https://dark.example/x?go-get=1',
  ]);
});
