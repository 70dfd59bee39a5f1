import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseCreated, parseListen, parseSplit, toolchainQueries } from './bundle-options.ts';
import { readBundleOperands } from './bundle-projects.ts';
import { UsageError } from './command.ts';
import { en as messages } from './messages/en.ts';

const GIB = 1024 ** 3;
for (const [text, bytes] of [
  ['4000M', 4000 * 1024 ** 2],
  ['2G', 2 * GIB],
  // A file of 4 GiB is one byte too long for FAT.
  ['4G', 4 * GIB - 512],
  [undefined, undefined],
] as const)
  test(`--split ${text}`, () => assert.equal(parseSplit(text, { messages }), bytes));
for (const text of ['0M', '4', '4T', '1.5G', '-1M', '1001G', true] as const)
  test(`--split ${text} is refused`, () => assert.throws(() => parseSplit(text, { messages }), UsageError));

test('the time is the flag, else SOURCE_DATE_EPOCH, else now', () => {
  const parse = (flags: Record<string, string>, env: Record<string, string> = {}): string => parseCreated({ flags, env, messages });
  assert.equal(parse({ created: '2026-11-25T21:00:00Z' }, { SOURCE_DATE_EPOCH: '1' }), '2026-11-25T21:00:00Z');
  assert.equal(parse({}, { SOURCE_DATE_EPOCH: '1700000000' }), '2023-11-14T22:13:20Z');
  assert.ok(Math.abs(Date.parse(parse({})) - Date.now()) < 60_000);
  assert.throws(() => parse({ created: 'yesterday' }), UsageError);
  assert.throws(() => parse({ created: '2026-02-30T00:00:00Z' }), UsageError);
});

test('toolchains are the modules that the go command looks for', () => {
  const flags = { toolchain: '1.26.8,go1.27rc1', platform: 'linux/amd64, linux/loong64' };
  assert.deepEqual(
    toolchainQueries({ flags, messages }).map(({ path, query }) => `${path}@${query}`),
    [
      'golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64',
      'golang.org/toolchain@v0.0.1-go1.26.8.linux-loong64',
      'golang.org/toolchain@v0.0.1-go1.27rc1.linux-amd64',
      'golang.org/toolchain@v0.0.1-go1.27rc1.linux-loong64',
    ],
  );
  assert.throws(() => toolchainQueries({ flags: { toolchain: 'latest' }, messages }), UsageError);
  assert.throws(() => toolchainQueries({ flags: { toolchain: '1.26.8', platform: 'linux' }, messages }), UsageError);
});

test('--listen', () => {
  assert.deepEqual(parseListen(undefined, { messages }), { host: '127.0.0.1', port: 8081 });
  assert.deepEqual(parseListen('0.0.0.0:80', { messages }), { host: '0.0.0.0', port: 80 });
  assert.deepEqual(parseListen('[::1]:8081', { messages }), { host: '::1', port: 8081 });
  assert.deepEqual(parseListen('9000', { messages }), { host: '127.0.0.1', port: 9000 });
  assert.throws(() => parseListen('host:port', { messages }), UsageError);
  assert.throws(() => parseListen('127.0.0.1:70000', { messages }), UsageError);
});

test('operands are files, trees with every main module in them, and modules', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'goyi-operands-'));
  try {
    const write = async (name: string, text: string): Promise<void> => {
      await mkdir(join(folder, name, '..'), { recursive: true });
      await writeFile(join(folder, name), text);
    };
    const hash = `h1:${Buffer.alloc(32).toString('base64')}`;
    await write('tree/go.mod', 'module tree.example/a\n\ngo 1.21\n');
    await write('tree/go.sum', `rsc.io/quote v1.5.2 ${hash}\n`);
    await write('tree/tools/go.mod', 'module tree.example/tools\n');
    for (const hidden of ['vendor', 'testdata', '.git', '_old']) await write(`tree/${hidden}/x/go.mod`, 'module not.example/this\n');
    await write('other.mod', 'module other.example/m\n');
    await write('lone.sum', `rsc.io/quote v1.5.2/go.mod ${hash}\n`);
    await write('broken.mod', 'require x\n');
    const read = (...operands: readonly string[]): ReturnType<typeof readBundleOperands> =>
      readBundleOperands(operands, { folder, messages });
    const { projects, modules } = await read('tree', 'tree/go.mod', 'other.mod', 'lone.sum', 'rsc.io/quote@v1.5.2', 'rsc.io/sampler');
    assert.deepEqual(
      projects.map(({ main, sums }) => [main.module, sums?.length]),
      [
        ['tree.example/a', 1],
        ['tree.example/tools', undefined],
        ['other.example/m', undefined],
        ['', 1],
      ],
    );
    assert.deepEqual(modules, [
      { path: 'rsc.io/quote', query: 'v1.5.2' },
      { path: 'rsc.io/sampler', query: 'latest' },
    ]);
    await assert.rejects(read('broken.mod'), UsageError);
    await assert.rejects(read('no/such/file'), UsageError);
    await assert.rejects(read('rsc.io/quote@-x y'), UsageError);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
