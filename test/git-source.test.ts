// What the Git source answers is what the real go command makes of the same repositories in direct mode: lists, versions, times, commits, go.mod
// files and zips, and it fails where go fails.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { codeOf } from '../src/base/errors.ts';
import { createProveTools, proveZip } from '../src/origin/zip-prove.ts';
import type { ModuleSource } from '../src/origin/module-source.ts';
import { hashGoMod } from '../src/protocol/dirhash.ts';
import { temporaryFolder } from './support/hub-process.ts';
import { GIT_HOST, GoDirect, type GoDownload } from './support/git-oracle.ts';
import { makeRepository } from './support/git-repository.ts';
import { startGitServer } from './support/git-server.ts';
import { modulePath, startGitSource, writeZip } from './support/git-source-bench.ts';
import { oddWorlds } from './support/git-odd-worlds.ts';
import { rootOf } from './support/git-world.ts';
import { worlds } from './support/git-worlds.ts';

const login = { username: 'bot', password: 'secret word' };
const prove = createProveTools();

interface Facts {
  readonly version: string;
  readonly time: string;
  readonly hash: string | undefined;
  ref: string | undefined;
  readonly subdir: string | undefined;
  readonly modHash: string;
  readonly zipHash: string;
}

async function ours(source: ModuleSource, folder: string, module: string, query: string): Promise<Facts | { readonly error: string }> {
  const path = modulePath(module);
  const signal = AbortSignal.timeout(120_000);
  try {
    const { version, time, origin } = await source.resolve(path, query, signal);
    const modHash = hashGoMod(await source.goMod(path, version, signal));
    const localPath = join(folder, 'made.zip');
    const bytes = await writeZip(localPath, await source.zip(path, version, signal));
    const again = await writeZip(localPath, await source.zip(path, version, signal));
    assert.deepEqual(again, bytes, 'the same version is the same bytes');
    const { h1: zipHash } = await proveZip({ localPath, module, version }, prove);
    return { version, time, hash: origin.hash, ref: origin.ref, subdir: origin.subdir, modHash, zipHash };
  } catch (error) {
    const code = codeOf(error);
    assert.ok(code === 'not-found' || code === 'zip-invalid' || code === 'upstream-invalid', String(error));
    return { error: String(error) };
  }
}

async function theirs(go: GoDirect, answer: GoDownload): Promise<Facts | { readonly error: string }> {
  if (answer.Error !== undefined) return { error: answer.Error };
  const { Time = '' } = JSON.parse(String(await go.read(answer.Info))) as { Time?: string };
  const { Hash: hash, Ref: ref, Subdir: subdir } = answer.Origin ?? {};
  return { version: answer.Version ?? '', time: Time, hash, ref, subdir, modHash: answer.GoModSum ?? '', zipHash: answer.Sum ?? '' };
}

for (const world of [...worlds, ...oddWorlds]) {
  test(`${world.name}: as the go command in direct mode`, async () => {
    await using folder = await temporaryFolder();
    const hashes = await makeRepository(join(folder.path, 'repositories', 'w'), world.name, world.recipe);
    await using server = await startGitServer(join(folder.path, 'repositories'));
    await using guarded = await startGitServer(join(folder.path, 'repositories'), login);
    await using source = startGitSource(folder.path, { template: `${guarded.url}/{repo}.git`, credential: { kind: 'password', ...login } });
    const go = new GoDirect(join(folder.path, 'go'), server.url);
    const faults: string[] = [];
    for (const [suffix, texts] of Object.entries(world.asks)) {
      const module = rootOf(world.name) + suffix;
      const listed = await go.versions(module);
      const list = await source.versions(modulePath(module), AbortSignal.timeout(60_000)).catch((error: unknown) => {
        assert.equal(codeOf(error), 'not-found', String(error));
        return undefined;
      });
      if (JSON.stringify(listed) !== JSON.stringify(list)) faults.push(`list of ${module}: go ${String(listed)}, we ${String(list)}`);
      const queries = texts
        .split(' ')
        .map((text) =>
          text.replace(/\{(\w+)(?::(\d+))?\}/g, (_, name: string, digits = '64') => (hashes.get(name) ?? '').slice(0, Number(digits))),
        );
      const askable = queries.filter((query) => !query.startsWith('-'));
      const answers = await go.download(askable.map((query) => `${module}@${query}`));
      for (const [index, query] of askable.entries()) {
        const wanted = await theirs(go, answers[index] as GoDownload);
        const got = await ours(source, folder.path, module, query);
        if ('error' in wanted && 'error' in got) continue;
        // Which reference go names for a hash depends on what it happens to have in its cache.
        if (/^[0-9a-f]{7,}$|-[0-9a-f]{12}(\+incompatible)?$/.test(query))
          for (const facts of [wanted, got]) if ('ref' in facts) facts.ref = undefined;
        if (JSON.stringify(wanted) !== JSON.stringify(got))
          faults.push(`${suffix}@${query}\n  go ${JSON.stringify(wanted)}\n  we ${JSON.stringify(got)}`);
      }
    }
    assert.equal(faults.length, 0, `${faults.length} differences\n${faults.join('\n')}`);
    assert.ok(server.requests.length > 0 && guarded.requests.length > 0, `${GIT_HOST} was asked for`);
  });
}
