// `goyi … | head`: whoever reads may stop, and that is no fault of the command.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const launcher = fileURLToPath(new URL('../bin/goyi.mjs', import.meta.url));

for (const args of [['env', 'why', 'https://x.test/'], ['env', 'why', 'https://x.test/', '--json'], ['completion', 'fish'], ['--help']]) {
  test(`goyi ${args.join(' ')} into a pipe that nobody reads`, async () => {
    // `true` is gone long before the first line.
    const line = '{ "$@"; echo "ended with $?" >&2; } | true';
    const told = await new Promise<string>((resolve) => {
      execFile('sh', ['-c', line, 'sh', process.execPath, launcher, ...args], { timeout: 30_000 }, (_error, _stdout, stderr) =>
        resolve(stderr),
      );
    });
    assert.equal(told, 'ended with 0\n');
  });
}
