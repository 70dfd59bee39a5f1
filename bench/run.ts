// npm run bench -- [OPTIONS]: measures goyi beside its peers. docs/benchmarks.md says what each suite is, what the peers' binaries are and how to get them.
import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runClient } from './client.ts';
import { runCold } from './cold.ts';
import { contendersOf } from './contenders.ts';
import { runHot } from './hot.ts';
import { runLarge } from './large.ts';
import { Lab } from './lab.ts';
import { runOwnLog } from './own-log.ts';
import { openRecording } from './recording.ts';
import { Report } from './report.ts';
import { runScale } from './scale.ts';
import type { LinkConditions } from './weak-link.ts';

const usage = `npm run bench -- [OPTIONS]
  --quick                 less of everything: under two minutes
  --suites LIST           of hot, cold, client, large, log, scale (default: the first three); log and scale are about goyi alone
  --goproxy PATH          compare with this goproxy/goproxy binary
  --athens PATH           compare with this Athens binary
  --nginx PATH            compare with static files from this nginx (default: nginx, if there is one)
  --only LIST             only these servers, by name
  --kinds LIST            only these tests of the suite hot, such as zip-large
  --rounds N              how often each thing is measured (default 3, for scale 2; with --quick 2 for hot, 1 for the others)
  --links LIST            of ROUND_TRIP_MS:MBIT_PER_S:CUT_PERCENT:MBIT_PER_S_OF_A_STREAM for the suites client and large
                          (default 150:40:0; without the last, a stream may have all of the link)
  --behind-nginx          a second goyi, which hands large files over to nginx in front of it
  --range-streams N       of a second goyi, which may fetch a large zip over so many streams
  --workers N             of goyi (default 2)
  --node-options=FLAGS    for goyi's processes, such as "--cpu-prof --cpu-prof-dir=DIR"
  --recording DIR         where the recorded answers lie or are put (default .tools/bench/recording)
  --json FILE             every figure of every round (default .tools/bench/results.json)`;

const tools = fileURLToPath(new URL('../.tools/bench', import.meta.url));

process.exitCode = await main();

async function main(): Promise<number> {
  const { values: flags } = parseArgs({
    options: {
      help: { type: 'boolean' },
      quick: { type: 'boolean', default: false },
      suites: { type: 'string', default: 'hot,cold,client' },
      goproxy: { type: 'string' },
      athens: { type: 'string' },
      nginx: { type: 'string' },
      only: { type: 'string' },
      kinds: { type: 'string' },
      rounds: { type: 'string' },
      links: { type: 'string', default: '150:40:0' },
      workers: { type: 'string', default: '2' },
      'behind-nginx': { type: 'boolean', default: false },
      'range-streams': { type: 'string', default: '1' },
      'node-options': { type: 'string' },
      recording: { type: 'string', default: join(tools, 'recording') },
      json: { type: 'string', default: join(tools, 'results.json') },
    },
  });
  if (flags.help === true) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const report = new Report({ isTerminal: process.stderr.isTTY === true });
  const only = flags.only?.split(',');
  const paths = {
    ...flags,
    nginx: flags.nginx ?? found('nginx'),
    nodeOptions: flags['node-options'],
    workers: Number(flags.workers),
    rangeStreams: Number(flags['range-streams']),
    behindNginx: flags['behind-nginx'],
  };
  const contenders = contendersOf(paths).filter(({ name }) => only?.includes(name.split(',', 1)[0] ?? '') ?? true);
  await mkdir(dirname(flags.recording), { recursive: true });
  const open = (): ReturnType<typeof openRecording> => openRecording(flags.recording, (line) => report.progress(line));
  const links = flags.links.split(',').map(parseLink);
  const { quick } = flags;
  try {
    for (const suite of flags.suites.split(',')) {
      const rounds = Number(flags.rounds ?? roundsOf(suite, quick));
      if (suite === 'log') {
        await runOwnLog({ report, rounds, quick });
        continue;
      }
      if (suite === 'scale') {
        await runScale({ report, rounds, quick, workers: paths.workers, nodeOptions: paths.nodeOptions });
        continue;
      }
      await using lab = await Lab.open({ recording: await open(), contenders, report, rounds, quick });
      if (suite === 'hot') await runHot(lab, flags.kinds?.split(','));
      else if (suite === 'cold') await runCold(lab);
      else if (suite === 'client') await runClient(lab, links);
      else if (suite === 'large') await runLarge(lab, links);
      else throw new Error(`there is no suite ${suite}\n${usage}`);
    }
  } finally {
    // What was measured before a fault is not lost.
    await print(report, flags.json);
  }
  return 0;
}

function roundsOf(suite: string, quick: boolean): number {
  if (quick) return suite === 'hot' ? 2 : 1;
  return suite === 'scale' ? 2 : 3;
}

async function print(report: Report, json: string): Promise<void> {
  const machine = describeMachine();
  await mkdir(dirname(json), { recursive: true });
  const results = { at: new Date().toISOString(), machine, arguments: process.argv.slice(2), rows: report.rows };
  await writeFile(json, `${JSON.stringify(results, undefined, 1)}\n`);
  process.stdout.write(`${machine}\n\n${report.tables()}\nevery figure of every round: ${json}\n`);
}

function parseLink(text: string): LinkConditions {
  const [roundTripMs = 0, mbit = 0, cutPercent = 0, streamMbit = 0] = text.split(':').map(Number);
  if (![roundTripMs, mbit, cutPercent, streamMbit].every((value) => value >= 0))
    throw new Error(`a link reads ROUND_TRIP_MS:MBIT_PER_S:CUT_PERCENT:MBIT_PER_S_OF_A_STREAM, not ${text}`);
  return {
    roundTripMs,
    bytesPerSecond: (mbit * 1e6) / 8,
    cutEvery: cutPercent === 0 ? 0 : Math.round(100 / cutPercent),
    streamBytesPerSecond: (streamMbit * 1e6) / 8,
  };
}

function describeMachine(): string {
  const [cpu] = cpus();
  const go = execFileSync('go', ['version'], { encoding: 'utf8' }).trim();
  return `${cpus().length} × ${cpu?.model.trim() ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${release()}, Node ${process.version}, ${go}, temporary files in ${tmpdir()}`;
}

function found(command: string): string | undefined {
  for (const folder of [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin']) {
    try {
      execFileSync(join(folder, command), ['-v'], { stdio: 'ignore' });
      return join(folder, command);
    } catch {
      // Not there.
    }
  }
  return undefined;
}
