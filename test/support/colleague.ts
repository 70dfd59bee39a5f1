import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { absolute, isHere } from './bare-home.ts';

const goyi = [process.execPath, fileURLToPath(new URL('../../bin/goyi.mjs', import.meta.url)), 'env'];
const ca = fileURLToPath(new URL('../../testdata/tls/ca.pem', import.meta.url));
/** Away from the terminal of whoever runs the tests. */
const alone = isHere('setsid') ? ['setsid', '-w'] : [];
let homes = 0;

/** What colleagues are told of the hub. */
export interface ClosedHub {
  /** Where homes are made. */
  readonly folder: string;
  readonly url: string;
  /** Its `/setup.sh`. */
  readonly script: string;
  readonly token: string;
  /** That nobody reads without the token. */
  readonly module: { readonly path: string; readonly version: string };
}

interface Ran {
  readonly code: number;
  readonly output: string;
}

type Env = Readonly<Record<string, string>>;

/** A new colleague, who sets up with `goyi`, or with `setup.sh` in the shell that is named. */
export class Colleague {
  readonly home: string;
  readonly netrc: string;
  readonly #tool: string;
  readonly #hub: ClosedHub;

  private constructor(hub: ClosedHub, home: string, tool: string) {
    this.#hub = hub;
    this.home = home;
    this.netrc = join(home, '.netrc');
    this.#tool = tool;
  }

  static async arrive(hub: ClosedHub, tool: string, netrc?: string): Promise<Colleague> {
    homes += 1;
    const colleague = new Colleague(hub, join(hub.folder, `home${homes}`), tool);
    await mkdir(colleague.home);
    if (netrc !== undefined) await writeFile(colleague.netrc, netrc, { mode: 0o600 });
    return colleague;
  }

  setUp(
    args: readonly string[] = ['--netrc'],
    env: Env = { GOYI_TOKEN: this.#hub.token },
    wrap: readonly string[] = [],
    at: string = this.#hub.url,
  ): Promise<Ran> {
    return this.#tool === 'goyi'
      ? this.run([...wrap, ...goyi, ...args, ...(args.includes('--undo') ? [] : ['--hub', at])], env)
      : this.run([...wrap, ...absolute(this.#tool), '-s', '--', ...args], env, this.#hub.script.replaceAll(this.#hub.url, at));
  }

  /** Either of the two puts back what the other changed. */
  async undoneBy(tool: string): Promise<void> {
    const { code, output } = await new Colleague(this.#hub, this.home, tool).setUp(['--undo'], {});
    assert.equal(code, 0, output);
    assert.equal(await this.settings(), '');
  }

  /** At a terminal, where `keys` are pressed once the question is there; what comes after it is shown by the terminal itself. */
  async atTerminal(keys: string, after: string): Promise<string> {
    await writeFile(join(this.home, 'setup.sh'), this.#hub.script);
    const words = this.#tool === 'goyi' ? [...goyi, '--hub', this.#hub.url] : [...absolute(this.#tool), 'setup.sh'];
    const line = `trap : INT; ${words.map((word) => `'${word}'`).join(' ')} --netrc; echo "code $?"; ${after}`;
    const child = spawn('script', ['-q', '-e', '-c', line, '/dev/null'], { cwd: this.home, env: this.#env({}) });
    let output = '';
    let pressed = false;
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (pressed || !output.includes('(not shown)')) return;
      pressed = true;
      child.stdin.write(keys);
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
    await new Promise((resolve) => child.once('close', resolve));
    clearTimeout(timer);
    return output;
  }

  run(words: readonly string[], env: Env = {}, input = ''): Promise<Ran> {
    const [command = '', ...args] = [...alone, ...words];
    return new Promise((resolve) => {
      const child = execFile(command, args, { cwd: this.home, env: this.#env(env), timeout: 60_000 }, (_error, stdout, stderr) =>
        resolve({ code: child.exitCode ?? -1, output: stdout + stderr }),
      );
      child.stdin?.on('error', () => {}).end(input);
    });
  }

  async download(env: Env = {}): Promise<Ran> {
    await this.run(['go', 'clean', '-modcache']);
    return this.run(['go', 'mod', 'download', `${this.#hub.module.path}@${this.#hub.module.version}`], env);
  }

  read(): Promise<string> {
    return readFile(this.netrc, 'latin1').catch(() => 'none');
  }

  async mode(): Promise<string> {
    return ((await stat(this.netrc)).mode & 0o777).toString(8);
  }

  settings(): Promise<string> {
    return readFile(join(this.home, '.config/go/env'), 'utf8').catch(() => '');
  }

  /** Nothing is there but `files`. */
  async hasOnly(...files: readonly string[]): Promise<void> {
    const names = (await readdir(this.home)).filter((name) => !['go', '.cache', '.config', '.local', 'setup.sh'].includes(name));
    assert.deepEqual(names.toSorted(), files);
    assert.equal(await this.settings(), '');
  }

  #env(env: Env): NodeJS.ProcessEnv {
    return {
      PATH: process.env['PATH'],
      HOME: this.home,
      LANG: 'C',
      GOTOOLCHAIN: 'local',
      GOFLAGS: '-modcacherw',
      SSL_CERT_FILE: ca,
      NODE_EXTRA_CA_CERTS: ca,
      ...env,
    };
  }
}
