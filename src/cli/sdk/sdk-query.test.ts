import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type GoRelease, nearestReleases } from '../../protocol/go-release.ts';
import { firstProxy } from './sdk-context.ts';
import { progressBar } from './sdk-progress.ts';
import { chooseRelease, findProjectRelease, formatSdkQuery, parseSdkQuery, platformOf } from './sdk-query.ts';

const known = ['go1.25.3', 'go1.26.0', 'go1.26.10', 'go1.26.9', 'go1.27rc2', 'go1.27rc1', 'go1.24.1', 'go1.20', 'go1.20.14'] as GoRelease[];

const choices = [
  { text: '1.26.9', chosen: 'go1.26.9' },
  { text: 'go1.26.9', chosen: 'go1.26.9' },
  { text: '1.26', chosen: 'go1.26.10' },
  { text: 'go1.26', chosen: 'go1.26.10' },
  { text: '1.26.x', chosen: 'go1.26.10' },
  { text: '1.20', chosen: 'go1.20.14' },
  { text: 'latest', chosen: 'go1.26.10' },
  { text: 'stable', chosen: 'go1.26.10' },
  { text: 'oldstable', chosen: 'go1.25.3' },
  { text: '1.27', chosen: 'go1.27rc2' },
  { text: '1.27rc1', chosen: 'go1.27rc1' },
  { text: '1.26.8', chosen: undefined },
  { text: '1.23', chosen: undefined },
] as const;
for (const { text, chosen } of choices)
  test(`${text} is ${chosen ?? 'nothing that is known'}`, () => {
    const query = parseSdkQuery(text);
    assert.ok(query.ok);
    assert.equal(chooseRelease(query.value, known), chosen);
    assert.equal(chooseRelease(query.value, []), undefined);
    assert.deepEqual(parseSdkQuery(formatSdkQuery(query.value)), query);
  });

for (const text of ['', 'go', 'newest', '1', '1.26.', '1.26.8.1', '01.26', '--help', '../1.26'])
  test(`${JSON.stringify(text)} names no release`, () => assert.equal(parseSdkQuery(text).ok, false));

test('the nearest releases are those of the same line, then the newest', () => {
  assert.deepEqual(nearestReleases('go1.26.99', known), ['go1.26.10', 'go1.26.9', 'go1.26.0']);
  assert.deepEqual(nearestReleases('1.25', known), ['go1.25.3', 'go1.26.10', 'go1.26.9']);
  assert.deepEqual(nearestReleases('stable', []), []);
});

const files = [
  { name: '.go-version', text: '1.25.3\n', query: 'go1.25.3' },
  { name: '.go-version', text: '\n  go1.26 \n', query: '1.26' },
  { name: '.tool-versions', text: 'nodejs 1.2.3\n# golang 1.1\ngolang 1.24.1 1.25\n', query: 'go1.24.1' },
  { name: 'go.mod', text: 'module m\n\ngo 1.26.0\n', query: 'go1.26.0' },
  { name: 'go.mod', text: 'module m\r\n\r\ngo 1.20\r\n', query: '1.20' },
  { name: 'go.mod', text: 'module m\n\ngo 1.25.0\n\ntoolchain go1.26.9\n', query: 'go1.26.9' },
  { name: 'go.mod', text: 'module m\n\ngo 1.25.0\n\ntoolchain default\n', query: 'go1.25.0' },
  { name: 'go.mod', text: 'module m\n\ngo 1.25.0\n\ntoolchain go1.26.9-custom\n', query: 'go1.26.9' },
  { name: 'go.work', text: 'go 1.26.10\n\nuse ./a\n', query: 'go1.26.10' },
] as const;
for (const { name, text, query } of files)
  test(`${name} ${JSON.stringify(text)} asks for ${query}`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'goyi-query-'));
    try {
      await mkdir(join(folder, 'a', 'b'), { recursive: true });
      await writeFile(join(folder, name), text);
      // What says nothing does not hide what is further up.
      await writeFile(join(folder, 'a', 'go.mod'), 'module inner\n');
      const found = await findProjectRelease(join(folder, 'a', 'b'));
      assert.equal(found && formatSdkQuery(found.query), query);
      assert.equal(found?.file, join(folder, name));
    } finally {
      await rm(folder, { recursive: true });
    }
  });

test('platforms in the words of Go', () => {
  assert.deepEqual(platformOf({ platform: 'win32', arch: 'x64' }), { os: 'windows', arch: 'amd64' });
  assert.deepEqual(platformOf({ platform: 'darwin', arch: 'arm64' }), { os: 'darwin', arch: 'arm64' });
  assert.deepEqual(platformOf({ platform: 'linux', arch: 'loong64' }), { os: 'linux', arch: 'loong64' });
  assert.deepEqual(platformOf({ platform: 'linux', arch: 'arm' }), { os: 'linux', arch: 'armv6l' });
});

const proxies = [
  { list: 'http://10.0.0.1:8080,direct', first: 'http://10.0.0.1:8080/' },
  { list: 'https://hub.example/go/|https://other.example', first: 'https://hub.example/go/' },
  { list: 'hub.example,direct', first: 'https://hub.example/' },
  { list: 'https://me:secret@hub.example', first: 'https://me:secret@hub.example/' },
  { list: 'http://me:secret@hub.example,http://other.example', first: 'http://other.example/' },
  { list: 'file:///srv/modules,https://hub.example', first: 'https://hub.example/' },
  { list: 'direct,https://hub.example', first: undefined },
  { list: 'off', first: undefined },
  { list: '', first: undefined },
] as const;
for (const { list, first } of proxies) test(`the hub in GOPROXY=${list}`, () => assert.equal(firstProxy(list)?.href, first));

test('a bar shows how far it is', () => {
  assert.equal(progressBar(0, 100), '[--------------------]   0 %');
  assert.equal(progressBar(50, 100), '[##########----------]  50 %');
  assert.equal(progressBar(200, 100), '[####################] 100 %');
});
