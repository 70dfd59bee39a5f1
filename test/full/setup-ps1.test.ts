// `/setup.ps1` read by two independent grammars of PowerShell, since no PowerShell itself can be installed from the registries that are reached here. They come by pip.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { formatVariables } from '../../src/scaffold/print-variables.ts';
import { powerShellSetupScript } from '../../src/scaffold/setup-ps1.ts';

const grammars = { tree_sitter_powershell: 'tree-sitter-powershell==0.26.4', tree_sitter_pwsh: 'tree-sitter-pwsh==0.38.1' };
const python = 'python3';

/** Prints the number of places where the text is no PowerShell. */
const parser = `
import importlib, sys
from tree_sitter import Language, Parser
tree = Parser(Language(importlib.import_module(sys.argv[1]).language())).parse(open(sys.argv[2], 'rb').read())
def faults(node):
    return (node.type == 'ERROR' or node.is_missing) + sum(faults(child) for child in node.children)
print(faults(tree.root_node))
`;

let folder = '';

function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, [...args], { timeout: 300_000 }, (error, stdout, stderr) =>
      error === null ? resolve(stdout.trim()) : reject(new Error(`${command} ${args.join(' ')} (apt-get install python3-venv): ${stderr}`)),
    );
  });
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'goyi-ps1-'));
  await run(python, ['-m', 'venv', join(folder, 'venv')]);
  await run(join(folder, 'venv/bin/pip'), ['install', '--quiet', 'tree-sitter==0.26.1', ...Object.values(grammars)]);
});
after(() => rm(folder, { recursive: true, force: true }));

async function faultsIn(text: string, grammar: string): Promise<number> {
  const file = join(folder, 'script.ps1');
  await writeFile(file, text);
  return Number(await run(join(folder, 'venv/bin/python'), ['-c', parser, grammar, file]));
}

const script = powerShellSetupScript({
  address: 'https://goyi.example',
  ownDatabase: undefined,
  privatePatterns: ['*.corp.example', "o'dd", '‘q’'],
});

for (const grammar of Object.keys(grammars)) {
  test(`${grammar} reads the whole script, and half of it not`, async () => {
    assert.equal(await faultsIn(script, grammar), 0);
    for (const part of [0.3, 0.6, 0.9]) assert.notEqual(await faultsIn(script.slice(0, Math.floor(script.length * part)), grammar), 0);
  });

  test(`${grammar} reads what goyi env --print --for powershell prints`, async () => {
    const text = formatVariables('powershell', [
      { name: 'A', value: `it's "$x" \`n` },
      { name: 'B', value: '*:off;|&' },
    ]);
    assert.ok(text.ok);
    assert.equal(await faultsIn(text.value, grammar), 0);
  });
}
