// `curl HUB/setup.sh | sh` as a new colleague types it: in an empty home, by every POSIX shell that is here, with the real go command.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { ask } from './support/hub-client.ts';
import type { HubProcess } from './support/hub-process.ts';
import { startWorld, type SyntheticWorld } from './support/synthetic-world.ts';

let world: SyntheticWorld;
let hub: HubProcess;
let script = '';
let homes = 0;

const go = dirname(execFileSync('sh', ['-c', 'command -v go']).toString().trim());
const shells = ['sh', 'dash', 'bash', 'busybox sh', 'zsh --emulate sh'].filter((shell) => isHere(shell.split(' ')[0] ?? ''));

function isHere(command: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${command}`]);
    return true;
  } catch {
    return false;
  }
}

interface Ran {
  readonly code: number;
  readonly output: string;
}

class Colleague {
  readonly home: string;
  readonly #shell: readonly string[];

  private constructor(home: string, shell: string) {
    this.home = home;
    this.#shell = shell.split(' ');
  }

  static async arrive(shell = 'sh'): Promise<Colleague> {
    homes += 1;
    const home = join(world.folder, `home${homes}`);
    await mkdir(home);
    return new Colleague(home, shell);
  }

  /** The script comes on standard input, as from curl. */
  setUp(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
    const [command = 'sh', ...rest] = this.#shell;
    return this.#run(command, [...rest, '-s', ...(args.length > 0 ? ['--', ...args] : [])], env, script);
  }

  async go(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
    const { code, output } = await this.#run('go', args, env);
    assert.equal(code, 0, output);
    return output.trim();
  }

  settings(): Promise<string> {
    return readFile(join(this.home, '.config/go/env'), 'utf8').catch(() => '');
  }

  #run(command: string, args: readonly string[], env: Readonly<Record<string, string>>, input = ''): Promise<Ran> {
    const whole = { PATH: `${go}:/usr/local/bin:/usr/bin:/bin`, HOME: this.home, LANG: 'C', GOTOOLCHAIN: 'local', ...env };
    return new Promise((resolve) => {
      const child = execFile(command, [...args], { env: whole, cwd: this.home, timeout: 60_000 }, (_error, stdout, stderr) =>
        resolve({ code: child.exitCode ?? -1, output: stdout + stderr }),
      );
      // The go command reads nothing, and may be gone by then.
      child.stdin?.on('error', () => {}).end(input);
    });
  }
}

before(async () => {
  world = await startWorld();
  world.publish('lib.example/m', 'v1.0.0');
  const file = join(world.folder, 'goyi.yaml');
  await writeFile(file, 'private:\n  - {match: "*.corp.example/*, corp.example", uploads: true}\n');
  hub = await world.hub({ args: ['--config', file], env: { GOYI_OWN_DATABASE_NAME: 'goyi.example/sumdb' } });
  const answer = await ask(hub, 'setup.sh');
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('content-type'), 'text/x-shellscript; charset=utf-8');
  script = answer.body.toString();
});

after(async () => {
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

for (const shell of shells) {
  test(`${shell}: set up, nothing on the second run, a module comes, and everything is as it was after --undo`, async () => {
    const colleague = await Colleague.arrive(shell);
    await colleague.go(['env', '-w', 'GOPROXY=https://old.example|direct', 'GOFLAGS=-modcacherw']);
    const before = await colleague.settings();
    const dry = await colleague.setUp(['--dry-run']);
    assert.equal(dry.code, 0, dry.output);
    assert.match(dry.output, /dry run[\s\S]*GOPROXY=http:\/\/127[\s\S]*before: https:\/\/old\.example\|direct[\s\S]*GONOSUMDB=none/);
    assert.equal(await colleague.settings(), before);

    const first = await colleague.setUp();
    assert.equal(first.code, 0, first.output);
    assert.equal(await colleague.go(['env', 'GOPROXY', 'GONOPROXY', 'GONOSUMDB']), `${hub.url}\nnone\nnone`);
    assert.match(await colleague.go(['env', 'GOSUMDB']), /^goyi\.example\/sumdb\+/);
    const after = await colleague.settings();
    const second = await colleague.setUp();
    assert.match(second.output, /everything is set already/);
    assert.equal(await colleague.settings(), after);
    await colleague.go(['mod', 'download', 'lib.example/m@v1.0.0']);

    const undone = await colleague.setUp(['--undo']);
    assert.equal(undone.code, 0, undone.output);
    assert.equal(await colleague.settings(), before);
    assert.match((await colleague.setUp(['--undo'])).output, /nothing to put back/);
    await colleague.go(['clean', '-modcache']);
  });
}

test('a variable of the environment that hides a setting is named, with the file it stands in', async () => {
  const colleague = await Colleague.arrive();
  await writeFile(join(colleague.home, '.bashrc'), '# mine\nexport GOPROXY=https://old.example\n');
  const { code, output } = await colleague.setUp([], { GOPROXY: 'https://old.example' });
  assert.equal(code, 1, output);
  assert.match(output, /WARNING: the environment variable GOPROXY=https:\/\/old\.example goes first[\s\S]*\.bashrc:2:/);
});

test('in Chinese for who reads it; an unknown option, no go command and a GOENV that is off are said, and nothing is done', async () => {
  const colleague = await Colleague.arrive();
  assert.match((await colleague.setUp(['--dry-run'], { LANG: 'zh_CN.UTF-8' })).output, /试运行/);
  const unknown = await colleague.setUp(['--frobnicate']);
  assert.equal(unknown.code, 2);
  assert.match(unknown.output, /no option --frobnicate/);
  const off = await colleague.setUp([], { GOENV: 'off' });
  assert.equal(off.code, 1);
  assert.match(off.output, /keeps no settings/);
  assert.equal(await colleague.settings(), '');
});

test('half of the script does nothing', async () => {
  const colleague = await Colleague.arrive();
  const whole = script;
  try {
    const call = whole.indexOf('goyi_setup "$@"') / whole.length;
    const name = 'goyi_setup'.length / whole.length;
    for (const part of [0.3, 0.6, 0.9, call + name, call + name * 1.5]) {
      script = whole.slice(0, Math.floor(whole.length * part + 0.01));
      await colleague.setUp();
      assert.equal(await colleague.settings(), '');
    }
  } finally {
    script = whole;
  }
});
