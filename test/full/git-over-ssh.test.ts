// A real sshd with keys in front of the repositories: who is let in, whose host key is taken, and that no agent or configuration of the machine has a say.
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { codeOf, messageOf } from '../../src/base/errors.ts';
import type { GitCredential } from '../../src/origin/git/git-remote.ts';
import { makeRepository } from '../support/git-repository.ts';
import { modulePath, startGitSource, versionOf, writeZip } from '../support/git-source-bench.ts';
import { temporaryFolder } from '../support/hub-process.ts';
import { type Sshd, startSshd } from '../support/sshd.ts';

let folder: AsyncDisposable & { readonly path: string };
let sshd: Sshd;
let template: string;
const lib = modulePath('git.corp.example/team/lib');

before(async () => {
  folder = await temporaryFolder();
  const repositories = join(folder.path, 'repositories');
  await makeRepository(repositories, 'team/lib', {
    steps: [{ commit: 'one', files: { 'go.mod': 'module git.corp.example/team/lib\n' } }, { tag: 'v1.0.0' }],
  });
  sshd = await startSshd(join(folder.path, 'sshd'));
  template = `${sshd.url}${repositories}/{repo}.git`;
});

after(async () => {
  await sshd?.[Symbol.asyncDispose]();
  await folder?.[Symbol.asyncDispose]();
});

async function versions(
  name: string,
  credential: GitCredential,
): Promise<readonly string[] | { readonly code: string | undefined; readonly message: string }> {
  await using source = startGitSource(join(folder.path, name), { template, credential });
  try {
    const signal = AbortSignal.timeout(60_000);
    const listed = await source.versions(lib, signal);
    await writeZip(join(folder.path, 'made.zip'), await source.zip(lib, versionOf('v1.0.0'), signal));
    return listed;
  } catch (error) {
    return { code: codeOf(error), message: messageOf(error) };
  }
}

async function keysOf(name: string, text: string): Promise<string> {
  await mkdir(join(folder.path, name), { recursive: true });
  const file = join(folder.path, name, "known hosts' file");
  await writeFile(file, text);
  return file;
}

test('a key is let in, and the first key of the host is kept and required from then on', async () => {
  const credential = { kind: 'sshKey', file: sshd.keyFile } as const;
  assert.deepEqual(await versions('first', credential), ['v1.0.0']);
  const kept = join(folder.path, 'first', 'git', '.known-hosts');
  const [host, type, key] = sshd.knownHosts.trim().split(' ');
  assert.ok((await readFile(kept, 'utf8')).includes(`${type} ${key}`));
  await writeFile(kept, `${host} ${type} AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n`);
  const other = await versions('first', credential);
  assert.ok('code' in other && other.code === 'origin-unavailable', JSON.stringify(other));
});

test('with a file of known hosts no other host is talked to', async () => {
  const known = await keysOf('known', sshd.knownHosts);
  assert.deepEqual(await versions('known', { kind: 'sshKey', file: sshd.keyFile, knownHostsFile: known }), ['v1.0.0']);
  const none = await keysOf('unknown', '');
  const refused = await versions('unknown', { kind: 'sshKey', file: sshd.keyFile, knownHostsFile: none });
  assert.ok('code' in refused && refused.code === 'origin-unavailable', JSON.stringify(refused));
});

test('a key that is not let in is a refusal, and a repository that is not there an absence', async () => {
  const refused = await versions('stranger', { kind: 'sshKey', file: join(folder.path, 'sshd', 'host-key') });
  assert.ok('code' in refused && refused.code === 'origin-unavailable', JSON.stringify(refused));
  await using source = startGitSource(join(folder.path, 'absent'), { template, credential: { kind: 'sshKey', file: sshd.keyFile } });
  const absent = await source
    .versions(modulePath('git.corp.example/team/none'), AbortSignal.timeout(60_000))
    .catch((error: unknown) => codeOf(error));
  assert.equal(absent, 'not-found');
});
