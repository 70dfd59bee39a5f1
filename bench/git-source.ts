// node bench/git-source.ts [--quick]: the Git source beside the go command in direct mode, both against one Git server on this machine.
// One line a measure: the median of the rounds, with least and most.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { codeOf, messageOf } from '../src/base/errors.ts';
import type { ModuleSource } from '../src/origin/module-source.ts';
import { createSourceOrigin } from '../src/origin/source-origin.ts';
import { GoDirect } from '../test/support/git-oracle.ts';
import { type Step, makeRepository } from '../test/support/git-repository.ts';
import { startGitServer } from '../test/support/git-server.ts';
import { modulePath, startGitSource, versionOf } from '../test/support/git-source-bench.ts';
import { rootOf } from '../test/support/git-world.ts';
import { temporaryFolder } from '../test/support/hub-process.ts';
import { shortly, spreadOf } from './statistics.ts';

const { values: flags } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
const rounds = flags.quick ? 2 : 7;
await using folder = await temporaryFolder();
const repositories = join(folder.path, 'repositories', 'w');

await makeRepository(repositories, 'usual', { steps: usual() });
await makeRepository(repositories, 'many', { steps: many() });
await makeRepository(repositories, 'large', { steps: large(flags.quick ? 30 : 300) });
await using server = await startGitServer(join(folder.path, 'repositories'));
const recipe = { template: `${server.url}/{repo}.git` };
/** As a hub has it: one listing of the refs serves all requests of a download. */
const usualRecipe = { ...recipe, limits: { refsMs: 5000 } };

for (const name of ['usual', 'large']) await compareDownloads(name);
await compareLists();

/** 400 commits of which 40 are tagged, 800 files of Go at the end. */
function usual(): Step[] {
  const file = (index: number, commit: number): string =>
    `package p\n\n// ${commit}\n${`func F${index}() int { return ${index * commit} }\n`.repeat(60)}`;
  return Array.from({ length: 400 }, (_, commit): Step[] => {
    const files = Object.fromEntries(
      [2 * commit, 2 * commit + 1, commit].map((index) => [`d${index % 40}/f${index}.go`, file(index, commit)]),
    );
    const step = { commit: `c${commit}`, files: { 'go.mod': `module ${rootOf('usual')}\n`, ...files } };
    return commit % 10 === 9 ? [step, { tag: `v1.${Math.floor(commit / 10)}.0` }] : [step];
  }).flat();
}

function many(): Step[] {
  return [
    { commit: 'one', files: { 'go.mod': `module ${rootOf('many')}\n` } },
    ...Array.from({ length: 1000 }, (_, index): Step[] => [
      { commit: `c${index}`, files: { 'a.go': `package a // ${index}\n` } },
      { tag: `v1.${index}.0` },
    ]).flat(),
  ];
}

/** Of bytes that do not compress; the server does not try, so that both sides wait for it no longer than for the bytes. */
function large(megabytes: number): Step[] {
  const noise = (seed: number): Buffer =>
    createHash('shake256', { outputLength: 10 << 20 })
      .update(`${seed}`)
      .digest();
  const files = Array.from({ length: megabytes / 10 }, (_, index) => [`f${index}.bin`, noise(index)] as const);
  return [
    { commit: 'one', files: { 'go.mod': `module ${rootOf('large')}\n`, ...Object.fromEntries(files) } },
    { tag: 'v1.39.0' },
    { git: ['config', 'pack.window', '0'] },
  ];
}

async function compareDownloads(name: string): Promise<void> {
  const asked = [`${rootOf(name)}@v1.39.0`];
  const direct: number[] = [];
  const cold: number[] = [];
  const warm: number[] = [];
  const stored: number[] = [];
  for (let round = 0; round < (name === 'large' ? Math.min(rounds, 3) : rounds); round++) {
    direct.push(await timed(() => download(asked)));
    await rm(join(folder.path, 'git'), { recursive: true, force: true });
    // A source each, so that the warm mirror has no listing that the cold one made.
    for (const times of [cold, warm]) {
      await using source = startGitSource(folder.path, usualRecipe);
      await using proxy = await startProxy(source);
      times.push(await timed(() => download(asked, proxy.url)));
      if (times === warm) stored.push(await timed(() => download(asked, proxy.url)));
    }
  }
  say(`${name}: go mod download of one tag, direct`, direct);
  say(`${name}: the same through a mirror that is made for it`, cold);
  say(`${name}: the same through a warm mirror`, warm);
  say(`${name}: the same when its answers are kept, as a hub keeps them: what the go command itself needs`, stored);
  await using source = startGitSource(folder.path, recipe);
  let sizeBytes = 0;
  let peakBytes = 0;
  const seconds = await timed(async () => {
    for await (const chunk of await source.zip(modulePath(rootOf(name)), versionOf('v1.39.0'), AbortSignal.timeout(600_000))) {
      sizeBytes += chunk.length;
      peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
    }
  });
  say(
    `${name}: the zip alone (${shortly(sizeBytes / 2 ** 20)} MiB; at most ${shortly(peakBytes / 2 ** 20)} MiB of memory in this process)`,
    [seconds],
  );
}

async function compareLists(): Promise<void> {
  const module = rootOf('many');
  const direct: number[] = [];
  const ours: number[] = [];
  await using source = startGitSource(folder.path, recipe);
  for (let round = 0; round < rounds; round++) {
    await rm(join(folder.path, 'go'), { recursive: true, force: true });
    direct.push(await timed(async () => mustBe(1000, (await new GoDirect(join(folder.path, 'go'), server.url).versions(module))?.length)));
    ours.push(await timed(async () => mustBe(1000, (await source.versions(modulePath(module), AbortSignal.timeout(60_000))).length)));
  }
  say('1,000 versions: go list -m -versions, direct', direct);
  say('1,000 versions: the source, a fresh listing each time', ours);
}

async function download(asked: readonly string[], proxy?: string): Promise<void> {
  await rm(join(folder.path, 'go'), { recursive: true, force: true });
  const go = new GoDirect(join(folder.path, 'go'), server.url, proxy === undefined ? {} : { GOPROXY: proxy });
  for (const { Error: fault, Sum } of await go.download(asked)) if (Sum === undefined) throw new Error(fault ?? 'no sum');
}

/** Answers each file once from the source, after that from memory. */
async function startProxy(source: ModuleSource): Promise<AsyncDisposable & { readonly url: string }> {
  const origin = createSourceOrigin(source, 'git');
  const kept = new Map<string, readonly Uint8Array[]>();
  const http = createServer((request, response) => {
    const resource = decodeURIComponent((request.url ?? '/').slice(1));
    const send = async (body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> => {
      const sent: Uint8Array[] = [];
      for await (const chunk of body) {
        sent.push(Uint8Array.from(chunk));
        if (!response.write(chunk)) await once(response, 'drain');
      }
      response.end();
      kept.set(resource, sent);
    };
    const chunks = kept.get(resource);
    if (chunks !== undefined) return void send(chunks);
    const consume = send;
    origin.fetch({ resource, sizeMaxBytes: 512 << 20, priority: 'waited-for' }, consume, AbortSignal.timeout(600_000)).then(
      ({ kind }) => (kind === 'absent' ? response.writeHead(404).end() : undefined),
      (error: unknown) => response.writeHead(502).end(`${codeOf(error)}: ${messageOf(error)}\n`),
    );
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    },
  };
}

function mustBe(expected: number, actual: number | undefined): void {
  if (actual !== expected) throw new Error(`${actual} instead of ${expected}`);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

function say(what: string, seconds: readonly number[]): void {
  const { min, median, max } = spreadOf(seconds);
  process.stdout.write(`${what}: ${shortly(median)} s (${shortly(min)} … ${shortly(max)})\n`);
}
