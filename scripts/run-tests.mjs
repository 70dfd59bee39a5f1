// Runs the tests with node's own runner and closes with one line, `N passed, N failed`.
//   node scripts/run-tests.mjs [PART …]    every *.test.ts below src, test and scripts, or those whose path contains a PART
//   node scripts/run-tests.mjs --full      those below test/full, which need more than npm, git and Go
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative, sep } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const TEST_TIMEOUT_MS = 600_000;
const SILENCE_MAX_MS = 660_000;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const args = process.argv.slice(2);
const full = args.includes('--full');
const parts = args.filter((arg) => arg !== '--full');
const files = findTests().filter((file) => parts.length === 0 || parts.some((part) => relative(root, file).includes(part)));

if (files.length === 0) {
  process.stdout.write(full ? 'test/full holds no tests yet: there is nothing more to run than npm test does\n' : 'no test file found\n');
  close({ passed: 0, failed: 0, skipped: 0 }, full);
} else {
  await runFiles();
}

function findTests() {
  const tops = full ? ['test/full'] : ['src', 'test', 'scripts', 'bench'];
  return tops
    .map((top) => join(root, top))
    .filter((top) => existsSync(top))
    .flatMap((top) => readdirSync(top, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => full || !file.startsWith(join(root, 'test', 'full') + sep))
    .filter((file) => !file.includes(`${sep}testdata${sep}`) && !file.includes(`${sep}node_modules${sep}`))
    .sort((a, b) => (a < b ? -1 : 1));
}

async function runFiles() {
  const stop = new AbortController();
  const stream = run({
    files,
    cwd: root,
    concurrency: Math.min(availableParallelism(), 4),
    execArgv: [`--test-timeout=${TEST_TIMEOUT_MS}`],
    signal: stop.signal,
  });
  const running = new Set(files);
  // A file whose tests have ended but that keeps something open never ends by itself, and no test's time limit sees it.
  const watchdog = setTimeout(() => {
    process.stdout.write(
      `no test has ended for ${SILENCE_MAX_MS / 1000} s; not finished: ${[...running].map((file) => relative(root, file)).join(', ')}\n`,
    );
    stop.abort();
  }, SILENCE_MAX_MS);
  stream.on('data', () => watchdog.refresh());
  let counts;
  stream.on('test:summary', (summary) => {
    // One a file, and the last, without a file, for all.
    if (summary.file === undefined) counts = summary.counts;
    else running.delete(summary.file);
  });
  // A file that fails as a whole, such as one that does not parse, is a test of its own and has no summary.
  stream.on('test:fail', (failure) => running.delete(failure.name));
  stream.compose(new spec()).pipe(process.stdout, { end: false });
  await new Promise((resolve) => stream.once('close', resolve));
  clearTimeout(watchdog);
  // What the reporter still holds goes out before the closing line.
  await new Promise((resolve) => setImmediate(resolve));
  if (counts === undefined) close({ passed: 0, failed: 1, skipped: 0 }, false);
  else
    close(
      { passed: counts.passed, failed: counts.failed + counts.cancelled + (stop.signal.aborted ? 1 : 0), skipped: counts.skipped },
      false,
    );
}

function close({ passed, failed, skipped }, zeroIsFine) {
  process.stdout.write(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
  process.exitCode = failed > 0 || (passed === 0 && !zeroIsFine) ? 1 : 0;
}
