import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { GoRelease } from '../protocol/go-release.ts';
import { parseCreated, parseListen, parseSplit, readSmallFile } from './bundle-options.ts';
import { sdkOrders, toolOrders } from './bundle-orders.ts';
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

test('releases of Go, for platforms', () => {
  const flags = { sdk: '1.26.8,go1.27rc1,1.25.x,latest', platform: 'linux/amd64, linux-loong64' };
  const known = ['go1.25.3', 'go1.25.14', 'go1.26.8', 'go1.27rc1'] as GoRelease[];
  const orders = sdkOrders({ flags, messages });
  assert.deepEqual(
    orders.map(({ shown, exact, choose }) => [shown, exact, choose(known)]),
    [
      ['1.26.8', 'go1.26.8', 'go1.26.8'],
      ['go1.27rc1', 'go1.27rc1', 'go1.27rc1'],
      ['1.25.x', undefined, 'go1.25.14'],
      ['latest', undefined, 'go1.26.8'],
    ],
  );
  assert.deepEqual(orders[0]?.platforms, [
    { os: 'linux', arch: 'amd64' },
    { os: 'linux', arch: 'loong64' },
  ]);
  assert.throws(() => sdkOrders({ flags: { sdk: 'newest' }, messages }), UsageError);
  assert.throws(() => sdkOrders({ flags: { sdk: '1.26.8', platform: 'linux' }, messages }), UsageError);
});

test('commands by their short names and by their packages', () => {
  const tools = 'revive@v1.10.0,golangci-lint,golangci-lint@v1.64.8,golang.org/x/tools/cmd/stringer@v0.30.0';
  assert.deepEqual(
    toolOrders({ flags: { tools }, messages }).map(({ package: path, query }) => `${path}@${query}`),
    [
      'github.com/mgechev/revive@v1.10.0',
      'github.com/golangci/golangci-lint/v2/cmd/golangci-lint@latest',
      'github.com/golangci/golangci-lint/cmd/golangci-lint@v1.64.8',
      'golang.org/x/tools/cmd/stringer@v0.30.0',
    ],
  );
  for (const wrong of ['unknown', 'toString', 'revive@-x y', '@latest'])
    assert.throws(() => toolOrders({ flags: { tools: wrong }, messages }), UsageError, wrong);
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

test('what may not be read is told, not passed over', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'goyi-unreadable-'));
  const isRoot = process.geteuid?.() === 0;
  try {
    await mkdir(join(folder, 'src/closed'), { recursive: true });
    await writeFile(join(folder, 'wishes.json'), '{}');
    await chmod(folder, 0o755);
    await chmod(join(folder, 'src/closed'), 0);
    await chmod(join(folder, 'wishes.json'), 0);
    // Nothing is closed to the superuser.
    if (isRoot) process.seteuid?.(65_534);
    await assert.rejects(
      readBundleOperands(['src'], { folder, messages }),
      (error) => error instanceof UsageError && /closed: EACCES/.test(error.message),
    );
    assert.equal(await readSmallFile(join(folder, 'wishes.json'), 10), undefined);
  } finally {
    if (isRoot) process.seteuid?.(0);
    await rm(folder, { recursive: true });
  }
});
