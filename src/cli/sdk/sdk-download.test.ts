import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { codeOf } from '../../base/errors.ts';
import { createOutboundClient } from '../../net/http-client.ts';
import type { OutboundClient } from '../../net/outbound-client.ts';
import { parseProxyRules } from '../../net/proxy-rules.ts';
import { download } from './sdk-download.ts';

const body = createHash('shake256', { outputLength: 9_000_001 }).update('sdk').digest();
const sha256 = createHash('sha256').update(body).digest('hex');
const quarter = Math.ceil(body.length / 4);

let folder: string;
let url: URL;
let client: OutboundClient;
let asked: string[] = [];
/** What the server can do. */
let knows: 'ranges' | 'no ranges' | 'nothing' = 'ranges';

const server = createServer((request, response) => {
  if (request.method === 'GET') asked.push(request.headers.range ?? 'the whole');
  if (knows === 'nothing') return void response.writeHead(404, { 'goyi-error': 'not-found', 'content-type': 'text/plain' }).end('gone\n');
  const range = knows === 'ranges' ? /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') : null;
  const isSame = request.headers['if-range'] === undefined || request.headers['if-range'] === `"${sha256}"`;
  if (range === null || !isSame) return void response.writeHead(200, { 'content-length': body.length }).end(body);
  const from = Number(range[1]);
  const end = range[2] === '' ? body.length : Math.min(body.length, Number(range[2]) + 1);
  if (from >= body.length) return void response.writeHead(416).end();
  response.writeHead(206, { 'content-length': end - from, 'content-range': `bytes ${from}-${end - 1}/${body.length}` });
  response.end(body.subarray(from, end));
});

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'goyi-download-'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/file`);
  const proxy = parseProxyRules({ httpProxy: undefined, httpsProxy: undefined, noProxy: undefined });
  assert.ok(proxy.ok);
  client = createOutboundClient({ configuredOrigins: [url], proxy: proxy.value, userAgent: 'test' });
});

after(async () => {
  await client[Symbol.asyncDispose]();
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

/** Downloads over what lies there already; answers the ranges that were asked for. */
async function fetchOver(present: Readonly<Record<string, Buffer>>, wanted = sha256): Promise<readonly string[]> {
  const home = await mkdtemp(join(folder, 'case-'));
  for (const [name, bytes] of Object.entries(present)) await writeFile(join(home, name), bytes);
  asked = [];
  const path = join(home, 'x.part');
  await download({ client, url, path, sha256: wanted, onBytes: () => {} }, AbortSignal.timeout(60_000));
  assert.ok((await readFile(path)).equals(body));
  assert.deepEqual(await readdir(home), ['x.part'], 'nothing is left beside it');
  return asked.toSorted();
}

const range = (from: number, end: number): string => `bytes=${from}-${end - 1}`;
const quarters = [0, 1, 2, 3].map((at) => range(at * quarter, Math.min((at + 1) * quarter, body.length)));

test('from nothing, in four', async () => {
  assert.deepEqual(await fetchOver({}), quarters.toSorted());
});

test('each goes on where it was', async () => {
  const present = {
    'x.part': body.subarray(0, 100),
    'x.part.1': body.subarray(quarter, 2 * quarter),
    'x.part.3': body.subarray(3 * quarter, 3 * quarter + 7),
  };
  const wanted = [range(100, quarter), quarters[2] ?? '', range(3 * quarter + 7, body.length)];
  assert.deepEqual(await fetchOver(present), wanted.toSorted());
});

test('a run that ended while it put them together has nothing to fetch', async () => {
  const [second, third, fourth] = [1, 2, 3].map((at) => body.subarray(at * quarter, (at + 1) * quarter)) as [Buffer, Buffer, Buffer];
  assert.deepEqual(await fetchOver({ 'x.part': body.subarray(0, 2 * quarter + 5), 'x.part.2': third, 'x.part.3': fourth }), []);
  assert.deepEqual(
    await fetchOver({ 'x.part': body.subarray(0, 2 * quarter), 'x.part.1': second, 'x.part.2': third, 'x.part.3': fourth }),
    [],
  );
  assert.deepEqual(await fetchOver({ 'x.part': body, 'x.part.3': fourth }), []);
});

test('what lies there of another file is found out in the end and fetched anew', async () => {
  const other = Buffer.alloc(quarter, 7);
  await fetchOver({ 'x.part': other, 'x.part.1': other });
  await fetchOver({ 'x.part': Buffer.alloc(body.length + 10) });
});

test('a server that knows no ranges sends the whole over one connection', async () => {
  knows = 'no ranges';
  await fetchOver({});
  await fetchOver({ 'x.part': body.subarray(0, 100), 'x.part.2': Buffer.alloc(10) });
  knows = 'ranges';
});

test('wrong bytes are removed, and what a hub says is said on', async () => {
  await assert.rejects(fetchOver({}, 'a'.repeat(64)), (error) => codeOf(error) === 'checksum-mismatch');
  knows = 'nothing';
  await assert.rejects(fetchOver({}), (error) => codeOf(error) === 'not-found' && (error as Error).message === 'gone');
  knows = 'ranges';
});
