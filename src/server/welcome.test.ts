import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientAddress, prefersChinese, welcomePage } from './welcome.ts';

const languages = [
  { field: undefined, chinese: false },
  { field: 'zh-CN,zh;q=0.9,en;q=0.8', chinese: true },
  { field: 'en-US,en;q=0.9,zh-CN;q=0.8', chinese: false },
  { field: 'zh', chinese: true },
  { field: 'en,zh', chinese: false },
  { field: 'zh,en', chinese: true },
  { field: 'de, zh;q=0.1', chinese: true },
  { field: 'zh;q=0', chinese: false },
  { field: '*', chinese: false },
  { field: ';;;,,,q=', chinese: false },
] as const;
for (const { field, chinese } of languages)
  test(`Accept-Language ${field} is ${chinese ? 'Chinese' : 'English'}`, () => assert.equal(prefersChinese(field), chinese));

const hosts = [
  { host: 'goyi.corp.example', address: 'http://goyi.corp.example' },
  { host: '127.0.0.1:8080', address: 'http://127.0.0.1:8080' },
  { host: '[::1]:8080', address: 'http://[::1]:8080' },
  { host: 'x" onload="y', address: 'http://127.0.0.1:8080' },
  { host: 'user@evil', address: 'http://127.0.0.1:8080' },
  { host: 'a\nb', address: 'http://127.0.0.1:8080' },
  { host: undefined, address: 'http://127.0.0.1:8080' },
] as const;
for (const { host, address } of hosts) {
  test(`Host ${JSON.stringify(host)} is ${address}`, () =>
    assert.equal(clientAddress({ publicUrl: undefined, host, secure: false }), address));
}

test('the public address wins, and the page says the line to type in both languages', () => {
  const address = clientAddress({ publicUrl: 'https://goyi.example', host: 'other', secure: false });
  for (const language of ['zh', 'en']) {
    const page = welcomePage({ address, version: '1.0.0', verifyOff: false }, language);
    assert.match(page, /GOPROXY=https:\/\/goyi\.example/);
  }
  assert.match(welcomePage({ address, version: '1', verifyOff: true }, 'en'), /WARNING/);
  assert.match(welcomePage({ address, version: '1', verifyOff: true }, 'zh'), /警告/);
});
