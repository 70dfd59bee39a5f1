import assert from 'node:assert/strict';
import test from 'node:test';
import { createPrivateNames } from '../policy/private-names.ts';
import { startHub } from './fake-station.ts';
import { askedAbout, type GoGetQuestion } from './go-get-page.ts';

const parsed = createPrivateNames([{ match: '*.corp.example/*', public: false }]);
assert.ok(parsed.ok);
const names = parsed.value;

const cases: readonly (readonly [question: GoGetQuestion, module: string | undefined])[] = [
  [{ host: 'git.corp.example', path: '/team/lib', query: 'go-get=1' }, 'git.corp.example/team/lib'],
  [{ host: 'GIT.corp.example:443', path: '/team/lib/', query: 'x=1&go-get=1' }, 'git.corp.example/team/lib'],
  [{ host: 'hub.example:8080', path: '/git.corp.example/team/lib', query: 'go-get=1' }, 'git.corp.example/team/lib'],
  [{ host: 'git.corp.example', path: '/other.corp.example/x', query: 'go-get=1' }, 'other.corp.example/x'],
  [{ host: 'git.corp.example', path: '/team/lib', query: '' }, undefined],
  [{ host: 'git.corp.example', path: '/team/lib', query: 'go-get=2' }, undefined],
  [{ host: 'git.corp.example', path: '/', query: 'go-get=1' }, undefined],
  [{ host: 'hub.example', path: '/team/lib', query: 'go-get=1' }, undefined],
  [{ host: undefined, path: '/team/lib', query: 'go-get=1' }, undefined],
  [{ host: 'git.corp.example', path: '/team/%22%3E%3Cscript', query: 'go-get=1' }, undefined],
  [{ host: 'git.corp.example"><x', path: '/team/lib', query: 'go-get=1' }, undefined],
];
for (const [question, module] of cases) {
  test(`${JSON.stringify(question)}: ${module}`, () => assert.equal(askedAbout(question, names), module));
}

test('the page names the hub as a module proxy; for a module that is not ours the question is like any other', async () => {
  const hub = await startHub({ names, publicUrl: 'https://goyi.corp.example' });
  try {
    const page = await fetch(`http://127.0.0.1:${hub.port}/git.corp.example/team/lib?go-get=1`);
    assert.equal(page.status, 200);
    assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8');
    assert.match(await page.text(), /<meta name="go-import" content="git\.corp\.example\/team\/lib mod https:\/\/goyi\.corp\.example">/);
    assert.equal((await fetch(`http://127.0.0.1:${hub.port}/example.com/x?go-get=1`)).status, 404);
    assert.deepEqual(hub.asked, []);
  } finally {
    await hub.stop();
  }
});
