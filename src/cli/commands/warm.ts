import { parseProblem, PROBLEM_TYPE } from '../../api/problem.ts';
import {
  parseWarmEvent,
  WARM_EVENTS_TYPE,
  WARM_LINE_LENGTH_MAX,
  WARM_TYPES,
  type WarmEvent,
  type WarmFailed,
  type WarmSummary,
} from '../../api/warm.ts';
import { WARM_PATH } from '../../api/paths.ts';
import { HubError } from '../../base/errors.ts';
import type { HubReply } from '../../net/hub-call.ts';
import { type BuildFile, readBuildFiles } from '../build-files.ts';
import { type CommandSpec, type Invocation, UsageError, withConfig } from '../command.ts';
import { TOKEN_VARIABLE } from '../config/overrides.ts';
import { exitCodeOf, exitCodes, knownCode, worstExitCode } from '../exit-code.ts';
import { formatSize } from '../format.ts';
import { patternsNotForProxies } from '../go-env.ts';
import { listeningAt, parseHubAddress } from '../hub-address.ts';

export const warmCommand: CommandSpec = {
  name: 'warm',
  describe: (m) => m.help.warm,
  footer: (m) => m.help.warmFooter,
  argument: { name: 'file', describe: (m) => m.help.warmFile, many: true },
  flags: [
    { flag: '--hub <url>', describe: (m) => m.help.warmHub },
    { flag: '--dry-run', describe: (m) => m.help.warmDryRun },
    { flag: '--token-env <name>', describe: (m) => m.publish.tokenEnv },
  ],
  configKeys: [],
  run: async (invocation) => {
    const { hub } = invocation.flags;
    if (typeof hub === 'string') return await warmThrough(parseHub(hub, invocation), invocation);
    return await withConfig(invocation, (config) => warmThrough(listeningAt(config), invocation));
  },
};

/** Failures printed; `--json` has all that the hub tells. */
const PRINTED_MAX = 20;
/** Of an answer that is no stream of events. */
const PROBLEM_LENGTH_MAX = 64 * 1024;
/** The hub says something every 5 s. */
const limits = { firstByteMs: 60_000, idleMs: 60_000 };

/** What came of all files together. */
interface Outcome {
  readonly failures: WarmFailed[];
  readonly notes: Set<string>;
  readonly missing: string[];
  readonly summaries: WarmSummary[];
}

async function warmThrough(hub: URL, invocation: Invocation): Promise<number> {
  const { messages, terminal, env, folder, flags, operands, openStdin, signal } = invocation;
  const files = await readBuildFiles(operands, { folder, openStdin: () => openStdin(signal), messages });
  const skip = await patternsNotForProxies(env);
  if (skip !== '') terminal.aside(messages.warm.skips(skip));
  const url = new URL(hub);
  url.pathname = `${hub.pathname.replace(/\/$/, '')}${WARM_PATH}`;
  if (flags['dry-run'] === true) url.searchParams.set('dryRun', 'true');
  if (skip !== '') url.searchParams.set('skip', skip);
  const outcome: Outcome = { failures: [], notes: new Set(), missing: [], summaries: [] };
  const token = env[typeof flags['token-env'] === 'string' ? flags['token-env'] : TOKEN_VARIABLE] || undefined;
  for (const file of files) {
    terminal.progress(() => messages.warm.sending(file.shown));
    const call = { url, contentType: WARM_TYPES[file.kind], body: file.bytes, token, ...limits };
    // Loaded only here: a serving primary stays small.
    const { callHub } = await import('../../net/hub-call.ts');
    await using reply = await callHub(call, signal);
    await follow(reply, { hub, file, invocation, outcome });
  }
  return tell(outcome, hub, invocation);
}

/** @throws {HubError} what the hub says that is wrong with the whole request, with its own code */
async function follow(
  reply: HubReply,
  { hub, file, invocation, outcome }: { hub: URL; file: BuildFile; invocation: Invocation; outcome: Outcome },
): Promise<void> {
  const { messages } = invocation;
  if (reply.status !== 200 || reply.contentType !== WARM_EVENTS_TYPE) throw await refusal(reply, hub, file, invocation);
  const startedMs = performance.now();
  for await (const line of linesOf(reply.body)) {
    const event = parseWarmEvent(line);
    if (!event.ok) throw new HubError('origin-unavailable', messages.warm.notAHub(hub.href));
    if (event.value.event === 'summary') {
      outcome.summaries.push(event.value);
      return;
    }
    take(event.value, { seconds: (performance.now() - startedMs) / 1000, invocation, outcome });
  }
  throw new HubError('origin-unavailable', messages.warm.broken(hub.href));
}

function take(
  event: Exclude<WarmEvent, WarmSummary>,
  { seconds, invocation: { messages, terminal }, outcome }: { seconds: number; invocation: Invocation; outcome: Outcome },
): void {
  switch (event.event) {
    case 'progress':
      terminal.progress(() =>
        messages.warm.progress(
          event.done,
          event.total,
          formatSize(event.bytes),
          formatSize(Math.round(event.bytes / Math.max(seconds, 0.1))),
        ),
      );
      return;
    case 'failed':
      outcome.failures.push(event);
      return;
    case 'note':
      outcome.notes.add(event.reason);
      return;
    case 'would-fetch':
      outcome.missing.push(`${event.path}@${event.version} .${event.file}`);
      return;
    case 'error':
      throw new HubError(knownCode(event.code) ?? 'origin-unavailable', event.reason);
    default:
      event satisfies never;
  }
}

function tell({ failures, notes, missing, summaries }: Outcome, hub: URL, { messages: { warm }, terminal, flags }: Invocation): number {
  const dryRun = flags['dry-run'] === true;
  const sum = (field: 'fetched' | 'present' | 'failed' | 'skipped' | 'bytes' | 'seconds'): number =>
    summaries.reduce((total, summary) => total + summary[field], 0);
  const [fetched, present, failed, skipped, bytes] = [sum('fetched'), sum('present'), sum('failed'), sum('skipped'), sum('bytes')];
  // A go.sum and a go.mod name many files twice: in a dry run those are counted once.
  const names = [...new Set(missing)];
  const wouldFetch = fetched - (missing.length - names.length);
  const seconds = Math.round(sum('seconds') * 10) / 10;
  const listed = dryRun ? { wouldFetch: names } : {};
  const counts = { fetched: dryRun ? wouldFetch : fetched, present, failed, skipped, bytes, seconds };
  terminal.value({ ok: failed === 0, hub: hub.href, dryRun, ...counts, ...listed, notes: [...notes], failures });
  for (const name of names) terminal.line(warm.wouldFetch(name));
  if (dryRun && wouldFetch > names.length) terminal.line(warm.notListed(wouldFetch - names.length));
  terminal.line(dryRun ? warm.wouldFetchAll(wouldFetch, present) : warm.done(fetched, formatSize(bytes), present, seconds.toFixed(1)));
  if (skipped > 0) terminal.line(warm.skipped(skipped));
  for (const note of notes) terminal.aside(warm.note(note));
  if (failed === 0) return exitCodes.done;
  terminal.aside(warm.failed(failed));
  for (const { path, version, file, code, reason } of failures.slice(0, PRINTED_MAX)) {
    const name = path === '' ? '' : `${path}@${version}${file === undefined ? '' : ` .${file}`} `;
    terminal.aside(`  ${name}(${code}): ${reason}`);
  }
  if (failed > PRINTED_MAX) terminal.aside(warm.moreFailed(failed - PRINTED_MAX));
  terminal.aside(warm.again);
  return worstExitCode(failures.map(({ code }) => exitCodeOfText(code)));
}

function exitCodeOfText(text: string): ReturnType<typeof exitCodeOf> | undefined {
  const code = knownCode(text);
  return code && exitCodeOf(code);
}

async function refusal(reply: HubReply, hub: URL, file: BuildFile, { messages }: Invocation): Promise<HubError> {
  let text = '';
  if (reply.contentType === PROBLEM_TYPE) {
    for await (const chunk of reply.body) {
      text += chunk.toString('utf8');
      if (text.length > PROBLEM_LENGTH_MAX) break;
    }
  }
  const problem = parseProblem(text);
  if (!problem.ok || problem.value.detail === '') return new HubError('origin-unavailable', messages.warm.notAHub(hub.href));
  const { code, detail } = problem.value;
  // `forbidden` is a server's own word: what it refuses here is refused by the hub's rules.
  return new HubError(knownCode(code) ?? (code === 'forbidden' ? 'policy-denied' : 'origin-unavailable'), `${file.shown}: ${detail}`);
}

/** Lines without their newlines; a last one without a newline was cut off and is left out. @throws {HubError} origin-unavailable for one too long */
async function* linesOf(body: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > WARM_LINE_LENGTH_MAX) throw new HubError('origin-unavailable', 'the hub sends a line without an end');
    yield* lines;
  }
}

/** @throws {UsageError} */
function parseHub(text: string, { messages }: Invocation): URL {
  const url = parseHubAddress(text);
  if (url === undefined) throw new UsageError(messages.warm.badHub(text));
  return url;
}
