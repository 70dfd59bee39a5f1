/** A whole build list through an empty server, as fast as a client can ask, the origin being near: what filling itself costs. */
import type { Contender } from './contenders.ts';
import { type Lab, notesOf } from './lab.ts';
import { usageOf } from './process-tree.ts';
import { replay } from './replay.ts';

const inFlight = 16;
const requestTimeoutMs = 300_000;

export async function runCold(lab: Lab): Promise<void> {
  const { contenders, rounds, quick, report } = lab.options;
  const filling = contenders.filter(({ fills }) => fills);
  const runs = filling.flatMap((contender) =>
    contender.name.startsWith('goyi')
      ? [{ contender, verify: true }]
      : [{ contender, verify: false }, ...(contender.name === 'goproxy' && !quick ? [{ contender, verify: true }] : [])],
  );
  for (let round = 0; round < rounds; round += 1) {
    for (const { contender, verify } of lab.rotated(runs, round)) {
      // It takes a minute or more: once is enough to see that.
      if (contender.name === 'athens' && (quick || round > 0)) continue;
      const name = contender.name.startsWith('goyi') ? contender.name : `${contender.name}, ${verify ? 'proving' : 'not proving'}`;
      report.progress(`cold: replay of the closure, round ${round + 1} of ${rounds}: ${name}`);
      await fillOnce(lab, { contender, verify, name });
    }
  }
}

async function fillOnce(
  lab: Lab,
  { contender, verify, name }: { readonly contender: Contender; readonly verify: boolean; readonly name: string },
): Promise<void> {
  const { recording, report } = lab.options;
  await using origin = await lab.origin();
  await using server = await lab.start(contender, origin.url, { verify });
  await origin.counts();
  const before = usageOf(server.pid);
  const run = await replay(server.url, recording.projects.large.requests, { inFlight, timeoutMs: requestTimeoutMs });
  const after = usageOf(server.pid);
  const { requests, zips, bytes, absent, added } = await origin.counts();
  const figures = {
    'wall, s': run.seconds,
    'CPU, s': after.cpuSeconds - before.cpuSeconds,
    'p50, ms': run.p50Ms,
    'p99, ms': run.p99Ms,
    'RSS of all its processes, MiB': after.rssMiB,
    'upstream MB': bytes / 1e6,
    'upstream requests': requests,
    'answered with 404': absent,
    'upstream zips': zips,
  };
  const faults = [...run.failures, ...notesOf(added)];
  report.add(
    { suite: 'cold', test: 'closure, 16 in flight, local upstream', contender: name },
    figures,
    faults.length > 0 ? faults.slice(0, 3).join('; ') : undefined,
  );
}
