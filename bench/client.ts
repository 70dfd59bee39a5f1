/** What a person waits for: a real `go mod download` with an empty module cache, through an empty server whose origin lies behind a weak link. */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runGo } from '../test/support/go-command.ts';
import type { Contender, RunningServer } from './contenders.ts';
import { type Lab, notesOf, removeFolder } from './lab.ts';
import { usageOf } from './process-tree.ts';
import { DATABASE, type Project } from './recording.ts';
import { describeLink, type LinkConditions } from './weak-link.ts';

const downloadMs = 1_800_000;
const memoryDisk = '/dev/shm';

/** `contender` undefined: without any server, straight over the link. */
interface Run {
  readonly test: string;
  readonly link: LinkConditions;
  readonly project: Project;
  readonly goSum: 'empty' | 'full';
  readonly contender: Contender | undefined;
}

export async function runClient(lab: Lab, links: readonly LinkConditions[]): Promise<void> {
  const { contenders, rounds, quick, report, recording } = lab.options;
  const projectName = quick ? 'small' : 'large';
  const project = recording.projects[projectName];
  const ways: (Contender | undefined)[] = [
    undefined,
    ...contenders.filter(({ fills, name }) => fills && (!quick || name.startsWith('goyi'))),
  ];
  for (const link of links) {
    for (const goSum of quick ? (['empty'] as const) : (['empty', 'full'] as const)) {
      const test = `${projectName} closure, ${goSum} go.sum, ${describeLink(link)}`;
      for (let round = 0; round < rounds; round += 1) {
        for (const contender of lab.rotated(ways, round)) {
          report.progress(`client: ${test}, round ${round + 1} of ${rounds}: ${contender?.name ?? 'direct'}`);
          await download(lab, { test, link, project, goSum, contender });
        }
        if (link.bytesPerSecond > 0)
          report.add({ suite: 'client', test, contender: 'the bytes alone' }, { 'wall, s': project.sizeBytes / link.bytesPerSecond });
      }
    }
  }
}

async function download(lab: Lab, run: Run): Promise<void> {
  const { test, link, project, goSum, contender } = run;
  await using stack = new AsyncDisposableStack();
  const origin = stack.use(await lab.origin(link));
  const server: RunningServer | undefined =
    contender === undefined ? undefined : stack.use(await lab.start(contender, origin.url, { verify: contender.name.startsWith('goyi') }));
  const folder = await mkdtemp(join(existsSync(memoryDisk) ? memoryDisk : tmpdir(), 'goyi-bench-'));
  stack.defer(() => removeFolder(folder));
  const work = join(folder, 'work');
  await mkdir(work);
  await writeFile(join(work, 'go.mod'), project.goMod);
  if (goSum === 'full') await writeFile(join(work, 'go.sum'), project.goSum);
  await origin.counts();
  const cpuBefore = server === undefined ? 0 : usageOf(server.pid).cpuSeconds;
  const startedMs = performance.now();
  const result = await runGo(
    work,
    ['mod', 'download'],
    {
      GOPROXY: server?.url ?? origin.url,
      GOMODCACHE: join(folder, 'cache'),
      GOSUMDB: contender?.relaysDatabase === false ? 'off' : DATABASE,
    },
    downloadMs,
  );
  const seconds = (performance.now() - startedMs) / 1000;
  const { requests, bytes, cuts, absent, added } = await origin.counts();
  const figures = {
    'wall, s': seconds,
    'upstream MB': bytes / 1e6,
    'upstream requests': requests,
    'answered with 404': absent,
    ...(server !== undefined && { 'CPU, s': usageOf(server.pid).cpuSeconds - cpuBefore }),
    ...(cuts > 0 && { 'bodies cut': cuts }),
  };
  const faults = [...(result.code === 0 ? [] : [`go failed: ${result.stderr.slice(-300).replaceAll('\n', ' ')}`]), ...notesOf(added)];
  const note =
    faults.length > 0
      ? faults.slice(0, 3).join('; ')
      : contender?.relaysDatabase === false
        ? 'look-ups switched off: it cannot relay them'
        : undefined;
  lab.options.report.add({ suite: 'client', test, contender: contender?.name ?? 'direct' }, figures, note);
}
