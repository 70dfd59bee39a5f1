/** One large zip, such as a toolchain, through an empty server whose origin lies behind a weak link. */
import type { Contender } from './contenders.ts';
import { type Lab, notesOf } from './lab.ts';
import { usageOf } from './process-tree.ts';
import { replay } from './replay.ts';
import { describeLink, type LinkConditions } from './weak-link.ts';

const requestTimeoutMs = 1_800_000;

export async function runLarge(lab: Lab, links: readonly LinkConditions[]): Promise<void> {
  const { contenders, rounds, report } = lab.options;
  const ways: (Contender | undefined)[] = [undefined, ...contenders.filter(({ fills }) => fills)];
  for (const link of links) {
    for (let round = 0; round < rounds; round += 1) {
      for (const contender of lab.rotated(ways, round)) {
        report.progress(`large: ${describeLink(link)}, round ${round + 1} of ${rounds}: ${contender?.name ?? 'direct'}`);
        await fetchOnce(lab, link, contender);
      }
    }
  }
}

async function fetchOnce(lab: Lab, link: LinkConditions, contender: Contender | undefined): Promise<void> {
  const { recording, report } = lab.options;
  await using stack = new AsyncDisposableStack();
  const origin = stack.use(await lab.origin(link));
  const server =
    contender === undefined ? undefined : stack.use(await lab.start(contender, origin.url, { verify: contender.name.startsWith('goyi') }));
  await origin.counts();
  const run = await replay(server?.url ?? origin.url, [recording.hot['zip-large']], { inFlight: 1, timeoutMs: requestTimeoutMs });
  const { requests, bytes, cuts, added } = await origin.counts();
  const figures = {
    'wall, s': run.seconds,
    'zip, MB': run.bytes / 1e6,
    'upstream MB': bytes / 1e6,
    'upstream requests': requests,
    ...(server !== undefined && { 'largest process, MiB': usageOf(server.pid).peakMiB }),
    ...(cuts > 0 && { 'bodies cut': cuts }),
  };
  const faults = [...run.failures, ...notesOf(added)];
  report.add(
    { suite: 'large', test: `one large zip, ${describeLink(link)}`, contender: contender?.name ?? 'direct' },
    figures,
    faults.length > 0 ? faults.join('; ') : undefined,
  );
}
