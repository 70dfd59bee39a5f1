import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '../../src/base/errors.ts';
import type { ModuleSource } from '../../src/origin/module-source.ts';
import { createProveTools, proveZip } from '../../src/origin/zip-prove.ts';
import { hashGoMod } from '../../src/protocol/dirhash.ts';
import { GoDirect, type GoDownload } from './git-oracle.ts';
import { makeRepository } from './git-repository.ts';
import { startGitServer } from './git-server.ts';
import { modulePath, startGitSource, writeZip } from './git-source-bench.ts';
import { type GitWorld, rootOf } from './git-world.ts';
import { temporaryFolder } from './hub-process.ts';

const login = { username: 'bot', password: 'secret word' };
const prove = createProveTools();

interface Facts {
  readonly version: string;
  readonly time: string;
  readonly hash: string | undefined;
  readonly ref: string | undefined;
  readonly subdir: string | undefined;
  readonly modHash: string;
  readonly zipHash: string;
}

type Answer = Facts | { readonly error: string };

async function ours(source: ModuleSource, folder: string, module: string, query: string): Promise<Answer> {
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

async function theirs(go: GoDirect, answer: GoDownload): Promise<Answer> {
  if (answer.Error !== undefined) return { error: answer.Error };
  const { Time = '' } = JSON.parse(String(await go.read(answer.Info))) as { Time?: string };
  const { Hash: hash, Ref: ref, Subdir: subdir } = answer.Origin ?? {};
  return { version: answer.Version ?? '', time: Time, hash, ref, subdir, modHash: answer.GoModSum ?? '', zipHash: answer.Sum ?? '' };
}

/** Where the Git source and the real go command in direct mode say different things of a repository; both talk to a real Git server, ours with a password. */
export async function differencesIn(world: GitWorld): Promise<readonly string[]> {
  await using folder = await temporaryFolder();
  const hashes = await makeRepository(join(folder.path, 'repositories', 'w'), world.name, world.recipe);
  await using server = await startGitServer(join(folder.path, 'repositories'));
  await using guarded = await startGitServer(join(folder.path, 'repositories'), login);
  await using source = startGitSource(folder.path, { template: `${guarded.url}/{repo}.git`, credential: { kind: 'password', ...login } });
  const go = new GoDirect(join(folder.path, 'go'), server.url);
  const faults: string[] = [];
  let anew = 0;
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
      if (areEqual(wanted, got)) continue;
      // What go answers depends on what earlier questions left in its cache, such as a shallow history or an .info file of another query: an empty one decides.
      anew += 1;
      const fresh = new GoDirect(join(folder.path, `go${anew}`), server.url);
      const [answer] = await fresh.download([`${module}@${query}`]);
      const decisive = await theirs(fresh, answer as GoDownload);
      await rm(join(folder.path, `go${anew}`), { recursive: true, force: true });
      if (areEqual(decisive, got)) continue;
      faults.push(`${suffix}@${query}\n  go ${JSON.stringify(decisive)}\n  we ${JSON.stringify(got)}`);
    }
  }
  assert.ok(server.requests.length > 0 && guarded.requests.length > 0, 'both asked the server');
  return faults;
}

/** Reasons of errors may differ. */
function areEqual(a: Answer, b: Answer): boolean {
  if ('error' in a || 'error' in b) return 'error' in a && 'error' in b;
  // Of a version that it made out of nothing but its own list go does not always say the commit.
  const [left, right] =
    a.hash === undefined || b.hash === undefined
      ? [
          { ...a, hash: '', ref: '' },
          { ...b, hash: '', ref: '' },
        ]
      : [a, b];
  return JSON.stringify(left) === JSON.stringify(right);
}
