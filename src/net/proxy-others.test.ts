import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { curlGoesDirect, decideByOthers, npmGoesDirect } from './proxy-others.ts';

interface Measured {
  readonly noProxy: string;
  readonly url: string;
  readonly curl: boolean;
  /** Null where it was not asked. */
  readonly git: boolean | null;
  readonly npm: boolean;
}

const measured = readFileSync(new URL('../../testdata/proxy-rules/others.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Measured);

for (const [program, goesDirect] of [
  ['curl', curlGoesDirect],
  ['git', curlGoesDirect],
  ['npm', npmGoesDirect],
] as const) {
  test(`${program} does what the real one did in ${measured.length} cases`, () => {
    assert.ok(measured.length > 500);
    const asked = measured.filter((row) => row[program] !== null);
    assert.ok(asked.length > 300);
    const wrong = asked.filter((row) => goesDirect(row.noProxy, new URL(row.url)) !== row[program]);
    assert.deepEqual(wrong, []);
  });
}

const variables = [
  { env: { HTTP_PROXY: 'p' }, url: 'http://x.test/', curl: undefined, npm: 'HTTP_PROXY' },
  { env: { http_proxy: 'p' }, url: 'http://x.test/', curl: 'http_proxy', npm: 'http_proxy' },
  { env: { HTTPS_PROXY: 'p' }, url: 'https://x.test/', curl: 'HTTPS_PROXY', npm: 'HTTPS_PROXY' },
  { env: { HTTPS_PROXY: 'p', https_proxy: 'q' }, url: 'https://x.test/', curl: 'https_proxy', npm: 'https_proxy' },
  { env: { HTTPS_PROXY: 'p' }, url: 'http://x.test/', curl: undefined, npm: 'HTTPS_PROXY' },
  { env: { ALL_PROXY: 'p' }, url: 'http://x.test/', curl: 'ALL_PROXY', npm: undefined },
  { env: { http_proxy: 'p' }, url: 'https://x.test/', curl: undefined, npm: undefined },
] as const;
for (const { env, url, curl, npm } of variables) {
  test(`${JSON.stringify(env)} for ${url}`, () => {
    const [byCurl, byNpm] = decideByOthers(env, new URL(url));
    assert.deepEqual([byCurl?.proxy?.name, byNpm?.proxy?.name], [curl, npm]);
    assert.deepEqual([byCurl?.goesDirect, byNpm?.goesDirect], [curl === undefined, npm === undefined]);
  });
}
