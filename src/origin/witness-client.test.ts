import assert from 'node:assert/strict';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { TestChecksumDatabase } from '../../test/support/checksum-database-server.ts';
import { silentLog } from '../base/log.ts';
import { Witness } from '../hub/witness.ts';
import { openWitnessState } from '../meta/witness-state.ts';
import { createOutboundClient } from '../net/http-client.ts';
import { withoutProxy } from '../net/proxy-rules.ts';
import { cosign, cosignerFor, findCosignature, generateCosigner } from '../protocol/cosignature.ts';
import { parseNote } from '../protocol/note.ts';
import { consistencyRanges, hashRanges } from '../protocol/tree-proof.ts';
import { createWitnessServer } from '../server/witness-server.ts';
import { type CosignatureOutcome, requestCosignature } from './witness-client.ts';

const master = generateCosigner('witness.example/w1', Buffer.alloc(32, 7)).cosigner;
const signal = AbortSignal.timeout(60_000);

async function listen(server: ReturnType<typeof createServer>): Promise<URL> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

async function ask(
  database: TestChecksumDatabase,
  url: URL,
  olderSize: number,
  note: string = database.note(),
): Promise<CosignatureOutcome> {
  await using client = createOutboundClient({ configuredOrigins: [url], proxy: withoutProxy, userAgent: 'goyi-test' });
  const size = Number(note.split('\n')[1]);
  const prove = (older: number): Promise<Buffer[]> => hashRanges(consistencyRanges(older, size), size, (tile) => database.hashes(tile));
  const witness = { url, key: cosignerFor(master, database.key).key };
  return requestCosignature({ witness, note, olderSize, prove }, { client, limits: { firstByteMs: 5_000 } }, signal);
}

function grow(database: TestChecksumDatabase, count: number): void {
  for (let i = 0; i < count; i += 1) database.add(`m${database.size}.example/m`, 'v1.0.0');
}

test('a real witness cosigns, tells its size to who guessed another, and is ahead of who has an old head', async () => {
  using state = await openWitnessState(':memory:');
  const database = new TestChecksumDatabase();
  const clock = { wallMs: () => 1_700_000_000_000, monotonicMs: () => 0 };
  const served = createWitnessServer({
    witness: new Witness({ cosigner: master, logs: [database.key], state, clock, log: silentLog }),
    log: silentLog,
  });
  const url = await listen(served.server);
  grow(database, 300);
  for (const [guess, step] of [
    [0, 0],
    [0, 1],
    [5, 70_000],
    [70_301, 0],
  ] as const) {
    grow(database, step);
    const outcome = await ask(database, url, guess);
    assert.equal(outcome.kind, 'cosigned');
    const note = parseNote(database.note() + (outcome.kind === 'cosigned' ? outcome.line : ''));
    assert.ok(note.ok && findCosignature(note.value, cosignerFor(master, database.key).key).ok);
    assert.deepEqual({ ...outcome, line: '' }, { kind: 'cosigned', line: '', timeSeconds: 1_700_000_000, treeSize: database.size });
  }
  for (const guess of [0, 70_301]) assert.deepEqual(await ask(database, url, guess, database.note(300)), { kind: 'ahead', size: 70_301 });
  const fork = database.split();
  grow(database, 1);
  fork.add('evil.example/m', 'v1.0.0');
  await ask(database, url, 70_301);
  await assert.rejects(ask(fork, url, 70_302), { code: 'log-forked', message: /answers 422: it is not proved that/ });
  await assert.rejects(ask(new TestChecksumDatabase({ seed: 'stranger' }), url, 0), {
    code: 'upstream-refused',
    message: /answers 403: no log/,
  });
  await served.close(1_000);
});

const database = new TestChecksumDatabase();
grow(database, 3);
const text = database.note().split('\n\n')[0]!;
const own = cosignerFor(master, database.key);
const line = cosign(`${text}\n`, own, 9);
const other = cosign(`${text}\n`, generateCosigner('other.example', Buffer.alloc(32, 1)).cosigner, 9);

interface Case {
  readonly name: string;
  readonly status: number;
  readonly body: string;
  readonly type?: string;
  readonly expected: CosignatureOutcome | { readonly code: string; readonly message?: RegExp };
}

const cosigned = { kind: 'cosigned', line, timeSeconds: 9, treeSize: 3 } as const;
const cases: readonly Case[] = [
  { name: 'a cosignature', status: 200, body: line, expected: cosigned },
  { name: 'other cosignatures around it', status: 200, body: other + line + other, expected: cosigned },
  { name: 'another cosignature only', status: 200, body: other, expected: { code: 'upstream-invalid', message: /not cosigned by/ } },
  {
    name: 'a cosignature of another head',
    status: 200,
    body: cosign('a\n', own, 9),
    expected: { code: 'upstream-invalid', message: /invalid/ },
  },
  { name: 'nothing', status: 200, body: '', expected: { code: 'upstream-invalid', message: /no signature lines/ } },
  { name: 'a page', status: 200, body: '<html></html>\n', expected: { code: 'upstream-invalid', message: /no signature lines/ } },
  { name: 'a whole note', status: 200, body: `\n${database.note()}${line}`, expected: { code: 'upstream-invalid' } },
  {
    name: 'a text that moves the end of ours',
    status: 200,
    body: `more\n\n${line}`,
    expected: { code: 'upstream-invalid', message: /no signature/ },
  },
  { name: 'an endless answer', status: 200, body: line.repeat(1_000), expected: { code: 'upstream-invalid', message: /larger than/ } },
  { name: 'a larger size', status: 409, body: '4\n', type: 'text/x.tlog.size', expected: { kind: 'ahead', size: 4 } },
  {
    name: 'the same size over and over',
    status: 409,
    body: '2\n',
    type: 'text/x.tlog.size',
    expected: { code: 'origin-unavailable', message: /4 times/ },
  },
  {
    name: 'a conflict without a size',
    status: 409,
    body: 'no\n',
    type: 'text/x.tlog.size',
    expected: { code: 'upstream-invalid', message: /without a size/ },
  },
  {
    name: 'a conflict of another type',
    status: 409,
    body: '2\n',
    type: 'text/plain',
    expected: { code: 'upstream-invalid', message: /without a size/ },
  },
  { name: '400', status: 400, body: 'bad\n', expected: { code: 'upstream-invalid', message: /answers 400: bad$/ } },
  { name: '403', status: 403, body: '', expected: { code: 'upstream-refused', message: /answers 403$/ } },
  { name: '404', status: 404, body: 'who?\n', expected: { code: 'upstream-refused', message: /answers 404: who\?$/ } },
  { name: '422', status: 422, body: 'no\u001B[31m\n', expected: { code: 'log-forked', message: /answers 422$/ } },
  { name: '429', status: 429, body: '', expected: { code: 'origin-unavailable' } },
  { name: '500', status: 500, body: '', expected: { code: 'origin-unavailable' } },
  { name: 'a redirect', status: 302, body: '', expected: { code: 'upstream-invalid' } },
];

for (const { name, status, body, type = 'text/plain', expected } of cases) {
  test(`a witness that answers with ${name}`, async () => {
    const asked: string[] = [];
    const server = createServer((request: IncomingMessage, response: ServerResponse) => {
      asked.push(`${request.method} ${request.url}`);
      request.resume().on('end', () => response.writeHead(status, { 'content-type': type }).end(body));
    });
    const url = new URL('/prefix/', await listen(server));
    const asking = ask(database, url, 1);
    if ('kind' in expected) assert.deepEqual(await asking, expected);
    else await assert.rejects(asking, expected);
    assert.deepEqual(new Set(asked), new Set(['POST /prefix/add-checkpoint']));
    server.closeAllConnections();
    server.close();
  });
}

test('what is no tree is not sent', async () => {
  await assert.rejects(ask(database, new URL('http://127.0.0.1:1'), 0, 'hello\n'), { code: 'bad-request' });
});
