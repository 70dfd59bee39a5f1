// How the Git source finds repositories, what it says of servers that refuse or fail, and what never leaves it.
import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { codeOf, messageOf } from '../src/base/errors.ts';
import { createSourceOrigin } from '../src/origin/source-origin.ts';
import type { ModuleSource } from '../src/origin/module-source.ts';
import { temporaryFolder } from './support/hub-process.ts';
import { continueRepository, makeRepository } from './support/git-repository.ts';
import { type GitServer, startGitServer } from './support/git-server.ts';
import { modulePath, startGitSource, versionOf, writeZip } from './support/git-source-bench.ts';

const login = { username: 'bot', password: 'p@ss word/9' };
const credential = { kind: 'password', ...login } as const;
const lib = modulePath('git.corp.example/team/lib');
const goMod = { 'go.mod': 'module git.corp.example/team/lib\n' };

function soon(): AbortSignal {
  return AbortSignal.timeout(60_000);
}

async function failureOf(work: Promise<unknown>): Promise<{ readonly code: string | undefined; readonly message: string }> {
  return work.then(
    (value) => assert.fail(`this should have failed: ${JSON.stringify(value)}`),
    (error: unknown) => ({ code: codeOf(error), message: messageOf(error) }),
  );
}

async function drain(source: ModuleSource, file: string): Promise<void> {
  await writeZip(file, await source.zip(lib, versionOf('v1.0.0'), soon()));
}

function answerAll(server: GitServer, status: number, headers: Readonly<Record<string, string>> = {}, body = ''): void {
  server.trouble = (_, response) => {
    response.writeHead(status, headers).end(body);
    return true;
  };
}

test('the root is the shortest path of two elements or more that has a repository, and is asked for once', async () => {
  await using folder = await temporaryFolder();
  const repositories = join(folder.path, 'repositories');
  await makeRepository(repositories, 'team/group/lib', {
    steps: [
      { commit: 'one', files: { 'go.mod': 'module x.example/y\n', 'sub/go.mod': 'module x.example/y/sub\n' } },
      { tag: 'v1.0.0' },
      { tag: 'sub/v1.0.0' },
    ],
  });
  await makeRepository(repositories, 'alone', { steps: [{ commit: 'one', files: { 'a.go': 'package a\n' } }] });
  await using server = await startGitServer(repositories, login);
  await using source = startGitSource(folder.path, { template: `${server.url}/{repo}.git`, credential });
  const origin = async (module: string): Promise<unknown> => (await source.resolve(modulePath(module), 'latest', soon())).origin;
  const { subdir, url } = (await origin('git.corp.example/team/group/lib/sub')) as { subdir: string; url: string };
  assert.deepEqual({ subdir, url }, { subdir: 'sub', url: `${server.url}/team/group/lib.git` });
  const asked = server.requests.filter((request) => request.includes('/info/refs'));
  assert.ok(asked[0]?.includes('/team.git/'), 'shortest first');
  server.requests.length = 0;
  await origin('git.corp.example/team/group/lib');
  assert.ok(!server.requests.some((request) => /\/team(?:\/group)?\.git/.test(request)), 'a root is remembered');
  assert.equal(((await origin('git.corp.example/alone')) as { url: string }).url, `${server.url}/alone.git`);
  assert.equal((await failureOf(source.versions(modulePath('git.corp.example/team/none'), soon()))).code, 'not-found');
});

test('rootElements fixes the root without asking', async () => {
  await using folder = await temporaryFolder();
  await makeRepository(join(folder.path, 'repositories'), 'team/lib', { steps: [{ commit: 'one', files: goMod }, { tag: 'v1.0.0' }] });
  await using server = await startGitServer(join(folder.path, 'repositories'));
  await using source = startGitSource(folder.path, { template: `${server.url}/{repo}.git`, rootElements: 3 });
  assert.deepEqual(await source.versions(lib, soon()), ['v1.0.0']);
  assert.ok(server.requests.every((request) => request.includes('/team/lib.git/')));
  assert.equal((await failureOf(source.versions(modulePath('git.corp.example/team'), soon()))).code, 'not-found');
});

test('a server that refuses, fails, redirects or is no Git server is a fault, and only its own word is an absence', async () => {
  await using folder = await temporaryFolder();
  await makeRepository(join(folder.path, 'repositories'), 'team/lib', { steps: [{ commit: 'one', files: goMod }] });
  await using server = await startGitServer(join(folder.path, 'repositories'), login);
  const wrong = { kind: 'password', username: 'bot', password: 'wrong-secret' } as const;
  for (const rootElements of [undefined, 3]) {
    const shape = rootElements === undefined ? {} : { rootElements };
    await using refused = startGitSource(join(folder.path, `refused${rootElements}`), {
      template: `${server.url}/{repo}.git`,
      credential: wrong,
      ...shape,
    });
    const refusal = await failureOf(refused.versions(lib, soon()));
    assert.equal(refusal.code, 'origin-unavailable');
    assert.ok(!refusal.message.includes('wrong-secret') && !refusal.message.includes('bot'), refusal.message);
    await using source = startGitSource(join(folder.path, `source${rootElements}`), {
      template: `${server.url}/{repo}.git`,
      credential,
      ...shape,
    });
    const cases = [
      { status: 500, code: 'origin-unavailable' },
      { status: 503, code: 'origin-unavailable' },
      { status: 403, code: 'origin-unavailable' },
      { status: 302, headers: { location: 'http://127.0.0.1:9/x' }, code: 'upstream-invalid' },
      { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>', code: 'upstream-invalid' },
      { status: 404, code: 'not-found' },
    ];
    for (const { status, headers, body, code } of cases) {
      answerAll(server, status, headers, body);
      const failure = await failureOf(source.versions(lib, soon()));
      assert.equal(failure.code, code, `${status} with rootElements ${rootElements}: ${failure.message}`);
      assert.ok(!failure.message.includes(login.password), failure.message);
    }
    server.trouble = undefined;
  }
  await using nobody = startGitSource(join(folder.path, 'nobody'), { template: 'http://127.0.0.1:9/{repo}.git' });
  assert.equal((await failureOf(nobody.versions(lib, soon()))).code, 'origin-unavailable');
});

test('a redirect leads nowhere, and the password goes to the configured host alone', async () => {
  await using folder = await temporaryFolder();
  await makeRepository(join(folder.path, 'repositories'), 'team/lib', { steps: [{ commit: 'one', files: goMod }, { tag: 'v1.0.0' }] });
  await using other = await startGitServer(join(folder.path, 'repositories'), login);
  await using server = await startGitServer(join(folder.path, 'repositories'), login);
  server.trouble = (request, response) => {
    response.writeHead(301, { location: other.url + (request.url ?? '') }).end();
    return true;
  };
  await using source = startGitSource(folder.path, { template: `${server.url}/{repo}.git`, credential, rootElements: 3 });
  await failureOf(source.versions(lib, soon()));
  assert.deepEqual(other.requests, []);
});

test('what was fetched is answered without the server, also by a process that starts then', async () => {
  await using folder = await temporaryFolder();
  const hashes = new Map(
    await makeRepository(join(folder.path, 'repositories'), 'team/lib', {
      steps: [{ commit: 'one', files: goMod }, { tag: 'v1.0.0' }, { commit: 'tip', files: { 'b.go': 'package b\n' } }],
    }),
  );
  const server = await startGitServer(join(folder.path, 'repositories'), login);
  const recipe = { template: `${server.url}/{repo}.git`, credential };
  let pseudo;
  {
    await using source = startGitSource(folder.path, recipe);
    pseudo = (await source.resolve(lib, 'main', soon())).version;
  }
  await server[Symbol.asyncDispose]();
  await using source = startGitSource(folder.path, recipe);
  assert.equal((await source.resolve(lib, 'v1.0.0', soon())).origin.hash, hashes.get('one'));
  assert.equal(String(await source.goMod(lib, pseudo, soon())), goMod['go.mod']);
  await drain(source, join(folder.path, 'made.zip'));
  for (const query of ['main', 'latest', 'v1.0.1', 'nothing'])
    assert.equal((await failureOf(source.resolve(lib, query, soon()))).code, 'origin-unavailable', query);
  assert.equal((await failureOf(source.versions(lib, soon()))).code, 'origin-unavailable');
});

test('pushes are seen, moved and deleted tags too; many who ask at once are one request', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'repositories', 'team', 'lib.git');
  const hashes = new Map(
    await makeRepository(join(folder.path, 'repositories'), 'team/lib', { steps: [{ commit: 'one', files: goMod }, { tag: 'v1.0.0' }] }),
  );
  await using server = await startGitServer(join(folder.path, 'repositories'));
  await using source = startGitSource(folder.path, { template: `${server.url}/{repo}.git`, rootElements: 3 });
  const first = await source.resolve(lib, 'main', soon());
  await continueRepository(path, [{ commit: 'two', files: { 'b.go': 'package b\n' } }, { tag: 'v1.1.0' }], hashes);
  assert.deepEqual(await source.versions(lib, soon()), ['v1.0.0', 'v1.1.0']);
  assert.equal((await source.resolve(lib, 'v1.1.0', soon())).origin.hash, hashes.get('two'));
  await continueRepository(
    path,
    [{ git: ['update-ref', 'refs/tags/v1.0.0', '{two}'] }, { git: ['update-ref', '-d', 'refs/tags/v1.1.0'] }],
    hashes,
  );
  assert.deepEqual(await source.versions(lib, soon()), ['v1.0.0']);
  assert.notEqual((await source.resolve(lib, 'main', soon())).origin.hash, first.origin.hash);
  assert.equal(
    (await source.resolve(lib, 'v1.0.0', soon())).origin.hash,
    hashes.get('two'),
    'the caller keeps what it recorded and sees the difference',
  );
  assert.equal((await failureOf(source.resolve(lib, 'v1.1.0', soon()))).code, 'not-found');
  server.requests.length = 0;
  await Promise.all(Array.from({ length: 50 }, () => source.versions(lib, soon())));
  assert.equal(server.requests.filter((request) => request.startsWith('GET')).length, 1);
});

test('a repository that becomes one of another address or of SHA-256 hashes is mirrored anew', async () => {
  await using folder = await temporaryFolder();
  const repositories = join(folder.path, 'repositories');
  const one = await makeRepository(repositories, 'a/team/lib', { steps: [{ commit: 'one', files: goMod }] });
  const other = await makeRepository(repositories, 'b/team/lib', { format: 'sha256', steps: [{ commit: 'two', files: goMod }] });
  await using server = await startGitServer(repositories);
  {
    await using source = startGitSource(folder.path, { template: `${server.url}/a/{repo}.git`, rootElements: 3 });
    assert.equal((await source.resolve(lib, 'main', soon())).origin.hash, one.get('one'));
  }
  await using source = startGitSource(folder.path, { template: `${server.url}/b/{repo}.git`, rootElements: 3 });
  assert.equal((await source.resolve(lib, 'main', soon())).origin.hash, other.get('two'));
  assert.equal((await failureOf(source.resolve(lib, one.get('one') ?? '', soon()))).code, 'not-found', 'nothing of the other is left');
});

test('neither password nor host stands among the arguments of any git process, and no file of the mirror holds the password', async () => {
  await using folder = await temporaryFolder();
  await makeRepository(join(folder.path, 'repositories'), 'team/lib', { steps: [{ commit: 'one', files: goMod }, { tag: 'v1.0.0' }] });
  await using server = await startGitServer(join(folder.path, 'repositories'), login);
  // The real git behind a script that writes down how it was called.
  const tools = join(folder.path, 'tools');
  const calls = join(folder.path, 'calls');
  await mkdir(tools);
  const { PATH = '' } = process.env;
  await writeFile(
    join(tools, 'git'),
    `#!/bin/sh\nprintf '%s\\n' "$*" >> '${calls}'\nenv | sed 's/=.*//' >> '${calls}.env'\nPATH='${PATH}' exec git "$@"\n`,
  );
  await chmod(join(tools, 'git'), 0o755);
  const environment = {
    PATH: tools + delimiter + PATH,
    GIT_SSH: 'evil',
    GIT_EXTERNAL_DIFF: 'evil',
    GIT_CONFIG_PARAMETERS: "'core.pager=evil'",
    HOME: '/nowhere',
  };
  {
    await using source = startGitSource(folder.path, { template: `${server.url}/{repo}.git`, credential, environment });
    await source.resolve(lib, 'latest', soon());
    await drain(source, join(folder.path, 'made.zip'));
  }
  const lines = (await readFile(calls, 'utf8')).trim().split('\n');
  assert.ok(lines.length > 5, 'the script was called');
  for (const line of lines) assert.ok(!line.includes('p@ss') && !line.includes('p%40ss') && !line.includes(login.username), line);
  const names = await readFile(`${calls}.env`, 'utf8');
  assert.doesNotMatch(names, /GIT_SSH\n|GIT_EXTERNAL_DIFF|GIT_CONFIG_PARAMETERS/);
  for (const entry of await readdir(join(folder.path, 'git'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const text = await readFile(join(entry.parentPath, entry.name), 'latin1');
    assert.ok(!text.includes('p@ss'), entry.name);
  }
});

test('a damaged mirror is a fault, never an absence, and is made anew', async () => {
  await using folder = await temporaryFolder();
  await makeRepository(join(folder.path, 'repositories'), 'team/lib', { steps: [{ commit: 'one', files: goMod }, { tag: 'v1.0.0' }] });
  await using server = await startGitServer(join(folder.path, 'repositories'));
  const recipe = { template: `${server.url}/{repo}.git`, rootElements: 3 };
  {
    await using source = startGitSource(folder.path, recipe);
    await source.resolve(lib, 'v1.0.0', soon());
  }
  await rm(join(folder.path, 'git', 'git.corp.example', 'team', 'lib.git', 'objects'), { recursive: true });
  await mkdir(join(folder.path, 'git', 'git.corp.example', 'team', 'lib.git', 'objects'));
  await using source = startGitSource(folder.path, recipe);
  assert.equal((await failureOf(source.resolve(lib, 'v1.0.0', soon()))).code, 'storage-fault');
  assert.equal((await source.resolve(lib, 'v1.0.0', soon())).version, 'v1.0.0');
});

test('limits: a repository that is too large, a server that hangs, a caller that leaves', async () => {
  await using folder = await temporaryFolder();
  await makeRepository(join(folder.path, 'repositories'), 'team/lib', { steps: [{ commit: 'one', files: goMod }, { tag: 'v1.0.0' }] });
  await using server = await startGitServer(join(folder.path, 'repositories'));
  let hung = Promise.withResolvers<void>();
  server.trouble = (request) => {
    request.resume();
    hung.resolve();
    return true;
  };
  const template = `${server.url}/{repo}.git`;
  {
    await using source = startGitSource(folder.path, { template, rootElements: 3, limits: { answerMs: 300 } });
    assert.equal((await failureOf(source.versions(lib, soon()))).code, 'origin-timeout');
  }
  server.trouble = undefined;
  {
    await using source = startGitSource(folder.path, { template, rootElements: 3, limits: { repositoryBytesMax: 100 } });
    const failure = await failureOf(source.resolve(lib, 'main', soon()));
    assert.equal(failure.code, 'upstream-invalid');
    assert.match(failure.message, /larger than 100 bytes/);
  }
  server.trouble = (request) => {
    request.resume();
    hung.resolve();
    return true;
  };
  hung = Promise.withResolvers();
  const source = startGitSource(folder.path, { template, rootElements: 3 });
  const leave = new AbortController();
  const asked = failureOf(source.versions(lib, leave.signal));
  await hung.promise;
  leave.abort(new Error('left'));
  assert.equal((await asked).message, 'left');
  // Ends what nobody waits for any more, or this would take a minute.
  await source[Symbol.asyncDispose]();
  assert.equal((await failureOf(source.versions(lib, soon()))).code, 'canceled');
});

test('a zip that nobody reads to its end ends its git process', async () => {
  await using folder = await temporaryFolder();
  const large = Object.fromEntries(
    Array.from({ length: 40 }, (_, index) => [`f${index}.bin`, Buffer.alloc(2 * 1024 * 1024, String(index))]),
  );
  await makeRepository(join(folder.path, 'repositories'), 'team/lib', {
    steps: [{ commit: 'one', files: { ...goMod, ...large } }, { tag: 'v1.0.0' }],
  });
  await using server = await startGitServer(join(folder.path, 'repositories'));
  await using source = startGitSource(folder.path, { template: `${server.url}/{repo}.git`, rootElements: 3, limits: { processesMax: 1 } });
  for (let round = 0; round < 3; round++) {
    for await (const chunk of await source.zip(lib, versionOf('v1.0.0'), soon())) {
      assert.ok(chunk.length > 0);
      break;
    }
  }
  // There is one slot: it was given back each time.
  await drain(source, join(folder.path, 'made.zip'));
});

test('behind the face of an upstream: lists, infos, go.mod files, zips, absences and sizes', async () => {
  await using folder = await temporaryFolder();
  const hashes = await makeRepository(join(folder.path, 'repositories'), 'team/lib', {
    steps: [{ commit: 'one', files: goMod }, { tag: 'v1.0.0' }, { tag: 'v1.1.0-RC1' }],
  });
  await using server = await startGitServer(join(folder.path, 'repositories'));
  await using source = startGitSource(folder.path, { template: `${server.url}/{repo}.git` });
  const origin = createSourceOrigin(source, 'private git');
  const ask = (resource: string, sizeMaxBytes = 1 << 20): Promise<unknown> =>
    origin.fetch(
      { resource, sizeMaxBytes, priority: 'waited-for' },
      async (body) => {
        const parts: Uint8Array[] = [];
        for await (const part of body) parts.push(part);
        return String(Buffer.concat(parts));
      },
      soon(),
    );
  const found = (value: string): unknown => ({ kind: 'found', value, origin: 'private git' });
  assert.deepEqual(await ask('git.corp.example/team/lib/@v/list'), found('v1.0.0\nv1.1.0-RC1\n'));
  assert.deepEqual(await ask('git.corp.example/team/lib/@v/v1.0.0.mod'), found(goMod['go.mod']));
  const info = `{"Version":"v1.0.0","Time":"2023-11-14T22:14:20Z","Origin":{"VCS":"git","URL":"${server.url}/team/lib.git","Hash":"${hashes.get('one')}","Ref":"refs/tags/v1.0.0"}}`;
  assert.deepEqual(await ask('git.corp.example/team/lib/@v/v1.0.0.info'), found(info));
  assert.match(JSON.stringify(await ask('git.corp.example/team/lib/@latest')), /v1\.0\.0/);
  assert.match(JSON.stringify(await ask('git.corp.example/team/lib/@v/v1.1.0-!r!c1.info')), /v1\.1\.0-RC1/);
  assert.match(JSON.stringify(await ask('git.corp.example/team/lib/@v/main.info')), /refs\/heads\/main/);
  assert.match(
    JSON.stringify(await ask('git.corp.example/team/lib/@v/nothing.info')),
    /"kind":"absent","reason":"unknown revision nothing"/,
  );
  assert.match(JSON.stringify(await ask('git.corp.example/team/none/@v/list')), /"kind":"absent"/);
  assert.equal((await failureOf(ask('git.corp.example/team/lib/@v/v1.0.0.zip', 100))).code, 'upstream-invalid');
  answerAll(server, 500);
  assert.equal((await failureOf(ask('git.corp.example/team/lib/@v/list'))).code, 'origin-unavailable');
  assert.match(origin.states()[0]?.lastFault ?? '', /cannot be read/);
});
