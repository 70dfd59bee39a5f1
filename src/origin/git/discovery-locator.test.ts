import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OutboundClient } from '../../net/outbound-client.ts';
import type { ModulePath } from '../../protocol/module-path.ts';
import { parseModulePath } from '../../protocol/module-path.ts';
import { Discovery } from './discovery-locator.ts';

/** Every page says that the root is a repository at the root's own address. */
function pagesAbout(root: string): Discovery {
  const client: OutboundClient = {
    send: async ({ url }) => ({
      status: 200,
      headers: new Map(),
      body: (async function* () {
        yield Buffer.from(`<head><meta name="go-import" content="${root} git https://${root}"></head>`);
      })(),
      url,
      [Symbol.asyncDispose]: async () => {},
    }),
    [Symbol.asyncDispose]: async () => {},
  };
  return new Discovery({ client, answerMs: 1_000, ownHosts: [] });
}

function modulePath(text: string): ModulePath {
  const module = parseModulePath(text);
  assert.ok(module.ok, text);
  return module.value;
}

const signal = new AbortController().signal;

test('a page cannot put the mirror of a repository into that of another one', async () => {
  for (const [root, module] of [
    ['evil.example/x.git/y', 'evil.example/x.git/y/a~b'],
    ['evil.example/~.git/y', 'evil.example/~.git/y'],
  ] as const)
    await assert.rejects(pagesAbout(root).discover(modulePath(module), signal), { code: 'not-found' }, root);
  const found = await pagesAbout('good.example/x').discover(modulePath('good.example/x/a~b'), signal);
  assert.deepEqual(found, { kind: 'git', root: 'good.example/x', url: 'https://good.example/x', subfolder: '' });
});
