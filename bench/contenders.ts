/** The servers that are compared, each started with an empty folder of its own in front of the same origin. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type HubOptions, startHub } from '../test/support/hub-process.ts';
import type { BehindNginxSettings } from './behind-nginx.ts';
import { DATABASE } from './recording.ts';

export interface StartSettings {
  readonly originUrl: string;
  /** Empty, its own. */
  readonly folder: string;
  /** The recording, for those that serve it as it is. */
  readonly files: string;
  /** Whether it proves what it stores against the checksum database. */
  readonly verify: boolean;
}

export interface RunningServer extends AsyncDisposable {
  readonly url: string;
  /** Of the process at the top of its family. */
  readonly pid: number;
  /** What it printed, the end of it. */
  readonly output: () => string;
}

export interface Contender {
  readonly name: string;
  /** Fetches what it lacks from the origin. */
  readonly fills: boolean;
  /** It can be told to prove what it stores. */
  readonly verifies: boolean;
  /** The go command can ask the checksum database through it. */
  readonly relaysDatabase: boolean;
  start(settings: StartSettings): Promise<RunningServer>;
}

export interface ContenderPaths {
  readonly goproxy?: string | undefined;
  readonly athens?: string | undefined;
  readonly nginx?: string | undefined;
  /** Flags for the Node processes of goyi, such as `--cpu-prof --cpu-prof-dir=DIR`. */
  readonly nodeOptions?: string | undefined;
  readonly workers: number;
  /** More than 1: a second goyi that may fetch a large zip over so many streams. */
  readonly rangeStreams: number;
  /** A second goyi that hands large files over to nginx. */
  readonly behindNginx: boolean;
}

export function contendersOf(paths: ContenderPaths): readonly Contender[] {
  const { goproxy, athens, nginx, rangeStreams, behindNginx } = paths;
  return [
    goyi(paths, 1),
    ...(rangeStreams > 1 ? [goyi(paths, rangeStreams)] : []),
    ...(goproxy === undefined ? [] : [goproxyAt(goproxy)]),
    ...(athens === undefined ? [] : [athensAt(athens)]),
    ...(nginx === undefined || !behindNginx ? [] : [goyiBehind(nginx, paths)]),
    ...(nginx === undefined ? [] : [nginxAt(nginx)]),
    memory,
  ];
}

/** Whatever it is set to, goyi proves: what it is compared with is what differs. */
function goyi(paths: ContenderPaths, rangeStreams: number): Contender {
  return {
    name: rangeStreams === 1 ? 'goyi' : `goyi, ${rangeStreams} range streams`,
    fills: true,
    verifies: true,
    relaysDatabase: true,
    async start(settings) {
      const hub = await startHub(hubOptions(settings, paths, rangeStreams));
      return { url: hub.url, pid: hub.pid, output: () => hub.output(), [Symbol.asyncDispose]: () => hub[Symbol.asyncDispose]() };
    },
  };
}

function hubOptions(
  { originUrl, folder, verify }: StartSettings,
  { workers, nodeOptions }: ContenderPaths,
  rangeStreams: number,
): HubOptions {
  return {
    dataDir: join(folder, 'data'),
    upstreams: [originUrl],
    workers,
    env: {
      // With the address of the recording no other mirror of the database is asked.
      GOYI_CHECKSUM_DATABASES: `${DATABASE} ${originUrl}/sumdb/${DATABASE}`,
      GOYI_VERIFY: verify ? 'require' : 'off',
      GOYI_LIMITS_RANGE_STREAMS: String(rangeStreams),
      ...(nodeOptions !== undefined && { NODE_OPTIONS: nodeOptions }),
    },
  };
}

/** As docs/operations.md shows it: the hub decides, nginx sends what is large. */
function goyiBehind(nginx: string, paths: ContenderPaths): Contender {
  return {
    name: 'goyi behind nginx',
    fills: true,
    verifies: true,
    relaysDatabase: true,
    start(settings) {
      const options: BehindNginxSettings = { nginx, folder: join(settings.folder, 'front'), hub: hubOptions(settings, paths, 1) };
      return startNode('behind-nginx.ts', [JSON.stringify(options)]);
    },
  };
}

function goproxyAt(path: string): Contender {
  return {
    name: 'goproxy',
    fills: true,
    verifies: true,
    relaysDatabase: true,
    async start({ originUrl, folder, verify }) {
      const port = await freePort();
      const args = ['server', '--address', `127.0.0.1:${port}`, '--cacher-dir', join(folder, 'cache'), '--temp-dir', folder];
      const env = { GOPROXY: originUrl, GOSUMDB: verify ? DATABASE : 'off', GOFLAGS: '-modcacherw', ...goFolders(folder) };
      return launch(path, [...args, '--proxied-sumdbs', `${DATABASE} ${originUrl}/sumdb/${DATABASE}`], { env, port });
    },
  };
}

function athensAt(path: string): Contender {
  return {
    name: 'athens',
    fills: true,
    verifies: true,
    // Only a database at https://NAME can be configured.
    relaysDatabase: false,
    async start({ originUrl, folder, verify }) {
      const port = await freePort();
      await mkdir(join(folder, 'storage'));
      const sumDb = verify ? `GOSUMDB=${DATABASE}` : 'GOSUMDB=off';
      const env = {
        ATHENS_PORT: `127.0.0.1:${port}`,
        ATHENS_STORAGE_TYPE: 'disk',
        ATHENS_DISK_STORAGE_ROOT: join(folder, 'storage'),
        ATHENS_GOGET_DIR: folder,
        ATHENS_DOWNLOAD_MODE: 'sync',
        ATHENS_TIMEOUT: '900',
        ATHENS_STASH_TIMEOUT: '900',
        ATHENS_LOG_LEVEL: 'error',
        ATHENS_TRACE_EXPORTER: '',
        ATHENS_TRACE_EXPORTER_URL: '',
        ATHENS_STATS_EXPORTER: '',
        ATHENS_GO_BINARY_ENV_VARS: `GOPROXY=${originUrl};GOTOOLCHAIN=local;GOFLAGS=-modcacherw;${sumDb}`,
        ...goFolders(folder),
      };
      return launch(path, [], { env, port });
    },
  };
}

function nginxAt(path: string): Contender {
  return {
    name: 'nginx',
    fills: false,
    verifies: false,
    relaysDatabase: true,
    async start({ folder, files }) {
      const port = await freePort();
      const config = join(folder, 'nginx.conf');
      await writeFile(config, nginxConfig({ port, folder, files }));
      return launch(path, ['-c', config, '-p', folder, '-e', join(folder, 'error.log')], { env: {}, port });
    },
  };
}

function nginxConfig({ port, folder, files }: { readonly port: number; readonly folder: string; readonly files: string }): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ');
  return `${process.getuid?.() === 0 ? 'user root;' : ''} worker_processes 2; daemon off; pid ${folder}/nginx.pid;
events { worker_connections 1024; }
http { ${temporary} access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; default_type application/octet-stream;
  server { listen 127.0.0.1:${port} reuseport; root ${files}; } }
`;
}

const memory: Contender = {
  name: 'node from memory',
  fills: false,
  verifies: false,
  relaysDatabase: true,
  start: ({ files }) => startNode('memory-server.ts', [files]),
};

/** Starts a file of this folder, which prints its address; `ipc` so that it ends with us. */
export function startNode(file: string, args: readonly string[]): Promise<RunningServer> {
  const script = fileURLToPath(new URL(file, import.meta.url));
  return launch(process.execPath, [script, ...args], { env: {}, port: undefined });
}

function goFolders(folder: string): Record<string, string> {
  return {
    GOPATH: join(folder, 'gopath'),
    GOMODCACHE: join(folder, 'modcache'),
    GOCACHE: join(folder, 'gocache'),
    GOENV: 'off',
    GOTOOLCHAIN: 'local',
    TMPDIR: folder,
  };
}

const startMs = 30_000;

interface Launch {
  readonly env: Readonly<Record<string, string>>;
  /** Where it will listen; undefined when it prints its address. */
  readonly port: number | undefined;
}

async function launch(command: string, args: readonly string[], { env, port }: Launch): Promise<RunningServer> {
  const { PATH = '', HOME = '' } = process.env;
  const stdio = port === undefined ? (['ignore', 'pipe', 'pipe', 'ipc'] as const) : (['ignore', 'pipe', 'pipe'] as const);
  const child = spawn(command, [...args], { env: { PATH, HOME, LANG: 'C', ...env }, stdio: [...stdio] });
  let output = '';
  const collect = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-20_000));
  child.stdout?.on('data', collect);
  child.stderr?.on('data', collect);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()));
  const deadlineMs = performance.now() + startMs;
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
  const address = async (): Promise<string | undefined> => {
    const url = port === undefined ? /^http:\S+/m.exec(output)?.[0] : `http://127.0.0.1:${port}`;
    const answers =
      url !== undefined &&
      (await fetch(url, { signal: AbortSignal.timeout(2000) }).then(
        () => true,
        () => false,
      ));
    return answers ? url : undefined;
  };
  for (let url = await address(); ; url = await address()) {
    if (url !== undefined) return { url, pid: child.pid ?? 0, output: () => output, [Symbol.asyncDispose]: () => end(child, ended) };
    if (isOver() || performance.now() > deadlineMs) {
      await end(child, ended);
      throw new Error(`${command} does not answer:\n${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function end(child: ChildProcess, ended: Promise<void>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(timer);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
