import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { manual as ownManual } from '../bin/manual.ts';
import { ask, type FakeHub, startHub } from './fake-station.ts';
import type { Manual } from './manual.ts';

const pages: Readonly<Record<string, string>> = {
  'one.md':
    '# One <page>\n\nSee [the other](two.md), [a place](https://x.example/?a=1&b=2) and [odd](javascript:alert(1)).\n\n```sh\ngo env -w A=<b>\n```\n\nEnd.\n',
  'two.md': '# Two\n',
};
const manual: Manual = { names: async () => Object.keys(pages), read: async (name) => pages[name] ?? assert.fail() };

let hub: FakeHub;
before(async () => {
  hub = await startHub({ manual });
});
after(() => hub.stop());

const html = { accept: 'text/html' };

test('the list has every page by its title, for a browser and for a terminal', async () => {
  const page = (await ask(hub.port, '/docs/', { headers: { ...html, host: 'goyi.example' } })).body.toString();
  assert.match(
    page,
    /<li><a href="http:\/\/goyi\.example\/docs\/one\.md">One &#60;page&#62;<\/a><\/li>\n<li><a href="http:\/\/goyi\.example\/docs\/two\.md">Two</,
  );
  assert.equal(
    (await ask(hub.port, '/docs', { headers: { host: 'goyi.example' } })).body.toString().split('\n')[1],
    'http://goyi.example/docs/two.md  Two',
  );
});

test('a page is text to a terminal; in a browser its links can be followed, its blocks copied, and nothing in it is markup', async () => {
  const plain = await ask(hub.port, '/docs/one.md');
  assert.equal(plain.headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal(plain.body.toString(), pages['one.md']);
  const { body, headers } = await ask(hub.port, '/docs/one.md', { headers: html });
  const page = body.toString();
  assert.match(page, /<title>One &#60;page&#62; · goyi<\/title>/);
  assert.ok(
    page.includes(
      '<a href="two.md">the other</a>, <a href="https://x.example/?a=1&#38;b=2">a place</a> and [odd](javascript:alert(1)).</p>',
    ),
  );
  assert.ok(page.includes('<code>go env -w A=&#60;b&#62;</code></pre>\n<p>End.</p>'));
  assert.match(String(headers['content-security-policy']), /^default-src 'none'/);
});

test('what is no page is not there, however it is written', async () => {
  for (const path of ['/docs/three.md', '/docs/../package.json', '/docs/%2e%2e/package.json', '/docs/one.md/', '/docs/ONE.md'])
    assert.equal((await ask(hub.port, path)).status, 404, path);
  const without = await startHub();
  assert.equal((await ask(without.port, '/docs/')).status, 404);
  await without.stop();
});

test('the pages of this goyi are there, and every link of the front page leads to one', async () => {
  const names = await ownManual.names();
  for (const page of ['client-setup', 'sdk', 'doctor', 'proxies', 'private-modules']) assert.ok(names.includes(`${page}.md`), page);
  for (const name of names) assert.match(await ownManual.read(name), /^# /, name);
  const front = (await ask(hub.port, '/', { headers: html })).body.toString();
  const linked = [...front.matchAll(/href="docs\/([\w-]+\.md)"/g)].map(([, name = '']) => name);
  assert.ok(linked.length >= 5);
  for (const name of linked) assert.ok(names.includes(name), name);
});
