// docs/proxies.md is what people act on: each row of its table of entries is asked of the rules that the vectors hold to the real programs.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { explainProxy } from '../net/proxy-explain.ts';
import { curlGoesDirect, npmGoesDirect } from '../net/proxy-others.ts';
import { printTargets } from '../scaffold/print-variables.ts';

const read = (name: string): string => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

const rows = read('proxies.md')
  .split('\n')
  .filter((line) => /^\|.*\| \**[dp]\b/.test(line))
  .map((line) =>
    line
      .slice(1, -1)
      .split(' | ')
      .map((cell) => cell.trim()),
  );

test('the table of entries is there', () => assert.ok(rows.length >= 15, `${rows.length} rows`));

for (const [entries = '', addresses = '', ...cells] of rows) {
  test(`docs/proxies.md: ${entries} and ${addresses}`, () => {
    const says = cells.map((cell) => /^\**([dp])/.exec(cell)?.[1]);
    const noProxies = entries === 'nothing' ? [''] : [...entries.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text);
    assert.ok(noProxies.length > 0);
    for (const noProxy of noProxies) {
      for (const address of addresses.split(', ')) {
        const host = address === 'anything' ? 'x.test' : /:.*:/.test(address) ? `[${address}]` : address;
        const url = new URL(`http://${host}/`);
        const go = explainProxy({ HTTP_PROXY: 'p.test', NO_PROXY: noProxy }, url).kind === 'direct';
        const direct = [go, curlGoesDirect(noProxy, url), npmGoesDirect(noProxy, url)];
        assert.deepEqual(
          direct.map((is) => (is ? 'd' : 'p')),
          says,
          `${noProxy} ${address}`,
        );
      }
    }
  });
}

test('docs/client-setup.md names every place that can be printed for', () => {
  const text = read('client-setup.md');
  for (const target of printTargets) assert.ok(text.includes(`\`${target}\``), target);
});
