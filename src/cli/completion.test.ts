import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import test from 'node:test';
import { createCompletionCommand } from './commands/completion.ts';
import { adminCommand } from './commands/admin.ts';
import { warmCommand } from './commands/warm.ts';
import type { CommandSpec } from './command.ts';
import { completionScript, completionShells } from './completion-scripts.ts';
import { en } from './messages/en.ts';
import { zh } from './messages/zh.ts';

const commands: readonly CommandSpec[] = [warmCommand, adminCommand, createCompletionCommand(() => commands)];

/** What a person has typed, the cursor being at the end, and what is offered; undefined: names of files. */
const cases: readonly (readonly [typed: readonly string[], offered: readonly string[] | undefined])[] = [
  [['w'], ['warm']],
  [[''], ['warm', 'admin', 'completion']],
  [['admin', 'k'], ['key']],
  [['admin', 'key', 'r'], ['rotate']],
  [['warm', '--dr'], ['--dry-run']],
  [
    ['warm', '--dry-run', '--h'],
    ['--hub', '--help'],
  ],
  [
    ['--lang', ''],
    ['zh', 'en'],
  ],
  [['warm', '--hub', ''], undefined],
  [['nonsense', 'adm'], ['admin']],
];

function isHere(command: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => {
    try {
      accessSync(`${folder}/${command}`, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function run(command: string, script: string, args: readonly string[]): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    execFile(command, ['-c', script, ...args], { timeout: 30_000 }, (error, stdout, stderr) =>
      error === null && stderr === '' ? resolve(stdout.split('\n').filter((line) => line !== '')) : reject(error ?? new Error(stderr)),
    );
  });
}

const bashDriver = `
COMP_WORDS=(goyi "$@"); COMP_CWORD=$#; _goyi
printf '%s\\n' "\${COMPREPLY[@]}"`;

for (const [typed, offered] of cases) {
  test(`bash: goyi ${typed.join(' ')}`, async () => {
    const found = await run('bash', completionScript('bash', commands, en) + bashDriver, ['bash', ...typed]);
    assert.deepEqual(new Set(found), new Set(offered ?? []));
  });
}

if (isHere('fish')) {
  for (const [typed, offered] of cases.filter(([, wanted]) => wanted !== undefined && !wanted.includes('zh'))) {
    test(`fish: goyi ${typed.join(' ')}`, async () => {
      const line = ['goyi', ...typed].join(' ');
      const found = await run('fish', `${completionScript('fish', commands, en)}\ncomplete -C '${line}'`, []);
      assert.deepEqual(new Set(found.map((one) => one.split('\t')[0])), new Set(offered));
    });
  }
}

test('every script of both languages has every command, and what it quotes it closes', () => {
  for (const shell of completionShells) {
    for (const messages of [en, zh]) {
      const script = completionScript(shell, commands, messages);
      for (const word of ['rotate', 'dry-run', 'completion']) assert.ok(script.includes(word), `${shell}: ${word}`);
      for (const line of script.split('\n').filter((one) => !one.startsWith('#')))
        assert.equal((line.match(/'/g)?.length ?? 0) % 2, 0, `${shell}: ${line}`);
    }
  }
});
