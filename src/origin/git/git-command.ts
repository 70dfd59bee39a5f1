/**
 * The git command, kept from everything that could make it run, read or reach something else than it is told:
 *
 * - an argument array, its own empty home and working folder, no configuration of the machine or the user, and an environment of which every variable stands here;
 * - settings through GIT_CONFIG_COUNT, so that neither they nor secrets stand among the arguments, which other users of the machine can see;
 * - no protocol but the one of the address, no redirects, no prompts, no hooks, no file-system monitor, no lazy fetches, no maintenance of its own accord;
 * - limits on time, output and the number of processes; when one is hit or the caller leaves, the whole process group is killed.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { devNull } from 'node:os';
import { dirname } from 'node:path';
import { HubError } from '../../base/errors.ts';
import { Gate, priorityOf, type Urgency } from '../../base/gate.ts';

export interface GitCommandOptions {
  /** An empty folder, made when it is not there. */
  readonly home: string;
  /** Of the process: PATH, and what the outbound proxy and certificates of the machine need. Only {@link PASSED_ON} is used. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** A file of certificates that https servers are checked against instead of the machine's. */
  readonly caFile?: string | undefined;
  /** Processes at once that make archives; small local ones may be four times as many. */
  readonly processesMax: number;
  /** Processes at once that talk to servers. */
  readonly networkProcessesMax: number;
  /** The same with one server, so that a slow one leaves the others their turn. */
  readonly serverProcessesMax: number;
}

export interface GitRun {
  readonly args: readonly string[];
  /** The repository, as GIT_DIR; without it git works on none. */
  readonly repository?: string | undefined;
  readonly settings?: readonly (readonly [key: string, value: string])[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly kind: 'network' | 'archive' | 'local';
  /** What nobody waits for takes half of the processes at most, and its turn after all others. */
  readonly urgency: Urgency;
  /** Host and port of whom a `network` run talks to. */
  readonly server?: string;
  readonly outputBytesMax: number;
  readonly timeoutMs: number;
}

export interface GitResult {
  readonly code: number;
  readonly stdout: Buffer;
  /** The beginning of it. */
  readonly stderr: string;
}

const PASSED_ON: readonly string[] = ['PATH', 'SystemRoot', 'TMPDIR', 'TEMP', 'TMP', 'SSL_CERT_FILE', 'SSL_CERT_DIR'];
const PROXY_VARIABLES: readonly string[] = ['http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy', 'NO_PROXY', 'no_proxy'];

const STDERR_LENGTH_MAX = 8192;
const QUEUE_MAX = 512;
const SERVER_QUEUE_MAX = 128;
const PREFETCH_SHARE = 0.5;

/** What holds for every run; `protocol.allow` lets nothing through until a run names its protocol. */
const SETTINGS: readonly (readonly [string, string])[] = [
  ['protocol.allow', 'never'],
  ['core.hooksPath', devNull],
  ['core.fsmonitor', 'false'],
  ['core.attributesFile', devNull],
  ['core.askPass', ''],
  ['core.autocrlf', 'input'],
  ['core.eol', 'lf'],
  ['core.precomposeUnicode', 'false'],
  ['core.fsync', 'all'],
  ['credential.helper', ''],
  ['diff.external', ''],
  ['fetch.recurseSubmodules', 'false'],
  ['fetch.unpackLimit', '1'],
  ['submodule.recurse', 'false'],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['http.followRedirects', 'false'],
  // A server that packs a large repository is silent for minutes but for a few bytes that keep the connection.
  ['http.lowSpeedLimit', '1'],
  ['http.lowSpeedTime', '300'],
  ['log.showSignature', 'false'],
  ['transfer.credentialsInUrl', 'die'],
];

export class GitCommand {
  readonly #options: GitCommandOptions;
  readonly #gates: Record<GitRun['kind'], Gate>;
  /** Of servers that somebody talks to or waits for at this moment. */
  readonly #servers = new Map<string, Gate>();
  /** Of work that is done ahead of need and holds what others may wait for. */
  readonly #ahead: Gate;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #homeMade: Promise<unknown> | undefined;

  constructor(options: GitCommandOptions) {
    this.#options = options;
    const gate = (slotsMax: number): Gate => new Gate({ slotsMax, queueMax: QUEUE_MAX, prefetchShare: PREFETCH_SHARE });
    const { processesMax, networkProcessesMax } = options;
    this.#ahead = new Gate({ slotsMax: Math.max(1, Math.floor(networkProcessesMax * PREFETCH_SHARE)), queueMax: QUEUE_MAX });
    this.#gates = { network: gate(networkProcessesMax), archive: gate(processesMax), local: gate(4 * processesMax) };
  }

  /**
   * Runs to the end and answers what it said, whatever its exit code.
   * @throws {HubError} origin-timeout, upstream-invalid (too much output), origin-unavailable (no git command), overloaded, or the signal's reason
   */
  async run(run: GitRun, signal: AbortSignal): Promise<GitResult> {
    const chunks: Buffer[] = [];
    const process = await this.#start(run, signal);
    for await (const chunk of process.output) chunks.push(chunk);
    return { code: process.code(), stdout: Buffer.concat(chunks), stderr: process.stderr() };
  }

  /** The output of one run, as it comes; reading to the end throws {HubError} upstream-invalid when the command failed. Leaving early ends the process. */
  async *stream(run: GitRun, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    const process = await this.#start(run, signal);
    yield* process.output;
    if (process.code() !== 0) throw new HubError('upstream-invalid', `git ${run.args[0]} failed: ${firstLine(process.stderr())}`);
  }

  /**
   * To be held by work that talks to servers while it holds a lock, and taken before that: what nobody waits for comes by turns, a few at once, and goes on
   * without a place as soon as somebody does. @throws {HubError} overloaded; the signal's reason
   */
  async placeAhead(urgency: Urgency, signal: AbortSignal): Promise<Disposable> {
    const { raised } = urgency;
    if (priorityOf(urgency) === 'waited-for') return { [Symbol.dispose]: () => {} };
    const limits = [signal, this.#stop.signal, ...(raised === undefined ? [] : [raised])];
    try {
      return { [Symbol.dispose]: await this.#ahead.enter({ priority: 'prefetch' }, AbortSignal.any(limits)) };
    } catch (error) {
      signal.throwIfAborted();
      if (this.#stop.signal.aborted || raised?.aborted !== true) throw error;
      return { [Symbol.dispose]: () => {} };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new HubError('canceled', 'the hub is stopping'));
    await Promise.allSettled(this.#running);
  }

  async #start(run: GitRun, caller: AbortSignal): Promise<RunningGit> {
    const signal = AbortSignal.any([caller, this.#stop.signal]);
    this.#homeMade ??= mkdir(this.#options.home, { recursive: true, mode: 0o700 });
    await this.#homeMade;
    const leave = await this.#enter(run, signal);
    let child: ChildProcessWithoutNullStreams;
    try {
      child = spawn('git', [...run.args], { cwd: this.#options.home, env: this.#environmentOf(run), detached: true, windowsHide: true });
    } catch (error) {
      leave();
      throw new HubError('origin-unavailable', 'the git command cannot be started', { cause: error });
    }
    const ended = Promise.withResolvers<void>();
    this.#running.add(ended.promise);
    const done = (): void => {
      leave();
      this.#running.delete(ended.promise);
      ended.resolve();
    };
    return watch({ child, run, signal, done });
  }

  /** Who waits for its server's turn waits there, and takes no place in the queue of all. */
  async #enter({ kind, server, urgency }: GitRun, signal: AbortSignal): Promise<() => void> {
    if (server === undefined) return this.#gates[kind].enter(urgency, signal);
    const slotsMax = this.#options.serverProcessesMax;
    const gate = this.#servers.get(server) ?? new Gate({ slotsMax, queueMax: SERVER_QUEUE_MAX, prefetchShare: PREFETCH_SHARE });
    this.#servers.set(server, gate);
    const forget = (): void => {
      if (gate.taken + gate.waiting === 0 && this.#servers.get(server) === gate) this.#servers.delete(server);
    };
    const leaveServer = await gate.enter(urgency, signal);
    try {
      const leave = await this.#gates[kind].enter(urgency, signal);
      return () => {
        leave();
        leaveServer();
        forget();
      };
    } catch (error) {
      leaveServer();
      forget();
      throw error;
    }
  }

  #environmentOf(run: GitRun): Record<string, string> {
    const { home, environment, caFile } = this.#options;
    const passed = [...PASSED_ON, ...(run.kind === 'network' ? PROXY_VARIABLES : [])].flatMap((name) => {
      const value = environment[name];
      return value === undefined ? [] : [[name, value]];
    });
    const settings = [...SETTINGS, ...(caFile === undefined ? [] : [['http.sslCAInfo', caFile] as const]), ...(run.settings ?? [])];
    return {
      ...(Object.fromEntries(passed) as Record<string, string>),
      HOME: home,
      XDG_CONFIG_HOME: home,
      LC_ALL: 'C',
      GIT_CEILING_DIRECTORIES: dirname(home),
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: devNull,
      GIT_ATTR_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      GIT_ASKPASS: '',
      SSH_ASKPASS: '',
      SSH_ASKPASS_REQUIRE: 'never',
      GIT_ALLOW_PROTOCOL: '',
      GIT_PROTOCOL_FROM_USER: '0',
      GIT_NO_REPLACE_OBJECTS: '1',
      GIT_NO_LAZY_FETCH: '1',
      // A folder that a discovery page names is a path, whatever stars and colons are in it.
      GIT_LITERAL_PATHSPECS: '1',
      GIT_OPTIONAL_LOCKS: '0',
      GIT_FLUSH: '0',
      ...(run.repository === undefined ? {} : { GIT_DIR: run.repository }),
      ...run.environment,
      GIT_CONFIG_COUNT: String(settings.length),
      ...Object.fromEntries(
        settings.flatMap(([key, value], index) => [
          [`GIT_CONFIG_KEY_${index}`, key],
          [`GIT_CONFIG_VALUE_${index}`, value],
        ]),
      ),
    };
  }
}

/** Of git and of ssh; hosts frame their word with lines that are empty but for who speaks. */
const SAYS_NOTHING = /^(?:\*\* )?(?:warning|hint):|^(?:remote|error|fatal):\s*$|^@+\s*$/i;

/** What git said, fit for a message. */
export function firstLine(stderr: string): string {
  const line = stderr.split('\n').find((text) => text.trim() !== '' && !SAYS_NOTHING.test(text));
  return line === undefined ? 'it said nothing' : line.replace(/[^\x20-\x7e]/g, '?').slice(0, 300);
}

interface RunningGit {
  /** To be read to the end, or left. */
  readonly output: AsyncGenerator<Buffer, void, undefined>;
  /** After the end. */
  code(): number;
  stderr(): string;
}

interface Watched {
  readonly child: ChildProcessWithoutNullStreams;
  readonly run: GitRun;
  readonly signal: AbortSignal;
  readonly done: () => void;
}

function watch({ child, run, signal, done }: Watched): RunningGit {
  let failure: Error | undefined;
  let code = -1;
  let stderr = '';
  const fail = (error: Error): void => {
    failure ??= error;
    killGroup(child);
  };
  const onAbort = (): void => fail(signal.reason as Error);
  const timer = setTimeout(
    () => fail(new HubError('origin-timeout', `git ${run.args[0]} took longer than ${run.timeoutMs / 1000} s`)),
    run.timeoutMs,
  );
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const closed = once(child, 'close').then(
    ([exit]) => (code = typeof exit === 'number' ? exit : -1),
    (error: unknown) => (failure ??= new HubError('origin-unavailable', 'the git command cannot be started', { cause: error })),
  );
  const told = readAll(child.stderr, (text) => (stderr += stderr.length < STDERR_LENGTH_MAX ? text : ''));
  const finish = async (): Promise<void> => {
    await Promise.all([closed, told]);
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    done();
  };
  child.stdin.on('error', () => {});
  child.stdin.end(run.input ?? '');
  // Also when nobody reads the output to its end, or at all.
  const finished = finish();
  const output = async function* (): AsyncGenerator<Buffer, void, undefined> {
    let sizeBytes = 0;
    let isWhole = false;
    try {
      for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
        sizeBytes += chunk.length;
        if (sizeBytes > run.outputBytesMax) {
          fail(new HubError('upstream-invalid', `git ${run.args[0]} answered more than ${run.outputBytesMax} bytes`));
          break;
        }
        yield chunk;
      }
      isWhole = true;
    } catch (error) {
      if (failure === undefined) throw error;
    } finally {
      if (!isWhole) killGroup(child);
      child.stdout.destroy();
      await finished;
    }
    if (failure !== undefined) throw failure;
  };
  return { output: output(), code: () => code, stderr: () => stderr };
}

async function readAll(source: AsyncIterable<Buffer>, take: (text: string) => void): Promise<void> {
  try {
    for await (const chunk of source) take(chunk.toString('utf8'));
  } catch {
    // The process was killed; why is told elsewhere.
  }
}

/** Helpers of git (git-remote-https, ssh, index-pack) are processes of their own in the same group. */
function killGroup(child: ChildProcessWithoutNullStreams): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    child.kill('SIGKILL');
  }
}
