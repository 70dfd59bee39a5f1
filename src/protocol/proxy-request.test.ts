import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { readVectors } from '../../test/oracle/read-vectors.ts';
import { type ModulePath, escapePath } from './module-path.ts';
import {
  type ProxyRequest,
  REQUEST_PATH_BYTES_MAX,
  type TileName,
  formatTilePath,
  parseProxyRequest,
  parseTilePath,
} from './proxy-request.ts';
import { type Version, escapeVersion } from './version.ts';

const databases = ['sum.golang.org', 'localhost.localdev/sumdb', 'localhost.localdev/sumdb/lookup'];

function outcome(path: string): ProxyRequest | 'malformed' | 'absent' {
  const result = parseProxyRequest(path, databases);
  if (!result.ok) assert.match(result.reason, /^[ -~]+$/);
  return result.ok ? result.value : result.status;
}

const understood = [
  ['/rsc.io/quote/@v/list', { kind: 'list', module: 'rsc.io/quote' }],
  ['/rsc.io/@v/list', { kind: 'list', module: 'rsc.io' }],
  ['/rsc.io/%21c%21g%21o/@v/list', { kind: 'list', module: 'rsc.io/CGO' }],
  ['/rsc.io/!c!g!o/@v/list', { kind: 'list', module: 'rsc.io/CGO' }],
  ['/rsc.io/quote/@latest', { kind: 'latest', module: 'rsc.io/quote' }],
  ['/rsc.io/quote/%40latest', { kind: 'latest', module: 'rsc.io/quote' }],
  ['/rsc.io/quote/@v/v1.5.2.info', { kind: 'file', file: 'info', module: 'rsc.io/quote', version: 'v1.5.2' }],
  ['/rsc.io/quote/@v/v1.5.2.mod', { kind: 'file', file: 'mod', module: 'rsc.io/quote', version: 'v1.5.2' }],
  ['/rsc.io/quote/v3/@v/v3.1.0-!r!c1.zip', { kind: 'file', file: 'zip', module: 'rsc.io/quote/v3', version: 'v3.1.0-RC1' }],
  [
    '/github.com/docker/docker/@v/v20.10.7+incompatible.zip',
    { kind: 'file', file: 'zip', module: 'github.com/docker/docker', version: 'v20.10.7+incompatible' },
  ],
  [
    '/github.com/docker/docker/@v/v20.10.7%2Bincompatible.mod',
    { kind: 'file', file: 'mod', module: 'github.com/docker/docker', version: 'v20.10.7+incompatible' },
  ],
  ['/github.com/docker/docker/@v/v20.10.7.info', { kind: 'query', module: 'github.com/docker/docker', query: 'v20.10.7' }],
  [
    '/gopkg.in/check.v1/@v/v0.0.0-20161208181325-20d25e280405.mod',
    { kind: 'file', file: 'mod', module: 'gopkg.in/check.v1', version: 'v0.0.0-20161208181325-20d25e280405' },
  ],
  [
    '/golang.org/toolchain/@v/v0.0.1-go1.26.8.linux-amd64.zip',
    { kind: 'file', file: 'zip', module: 'golang.org/toolchain', version: 'v0.0.1-go1.26.8.linux-amd64' },
  ],
  ['/rsc.io/quote/@v/main.info', { kind: 'query', module: 'rsc.io/quote', query: 'main' }],
  ['/rsc.io/quote/@v/v1.5.info', { kind: 'query', module: 'rsc.io/quote', query: 'v1.5' }],
  ['/rsc.io/quote/@v/!main-x.y.info', { kind: 'query', module: 'rsc.io/quote', query: 'Main-x.y' }],
  ['/rsc.io/quote/@v/a%20b%23c.info', { kind: 'query', module: 'rsc.io/quote', query: 'a b#c' }],
  ['/rsc.io/quote/@v/v1.0.0+meta.info', { kind: 'query', module: 'rsc.io/quote', query: 'v1.0.0+meta' }],
  ['/sumdb/sum.golang.org/supported', { kind: 'sumdb-supported', database: 'sum.golang.org' }],
  ['/sumdb/localhost.localdev/sumdb/latest', { kind: 'sumdb-latest', database: 'localhost.localdev/sumdb' }],
  ['/sumdb/localhost.localdev/sumdb/lookup/latest', { kind: 'sumdb-latest', database: 'localhost.localdev/sumdb/lookup' }],
  [
    '/sumdb/sum.golang.org/lookup/rsc.io/!quote@v1.5.2',
    { kind: 'sumdb-lookup', database: 'sum.golang.org', module: 'rsc.io/Quote', version: 'v1.5.2' },
  ],
  [
    '/sumdb/sum.golang.org/tile/8/0/x001/234.p/17',
    { kind: 'sumdb-tile', database: 'sum.golang.org', tile: { level: 0, index: 1234, width: 17 } },
  ],
  [
    '/sumdb/sum.golang.org/tile/8/data/067',
    { kind: 'sumdb-tile', database: 'sum.golang.org', tile: { level: 'data', index: 67, width: 256 } },
  ],
] as const;
for (const [path, request] of understood) test(`understood: ${path}`, () => assert.deepEqual(outcome(path), request));

const malformed = [
  'rsc.io/quote/@v/list',
  '//rsc.io/quote/@v/list',
  '/@v/list',
  '/@latest',
  '/rsc.io//quote/@v/list',
  '/rsc.io/quote//@v/list',
  '/rsc.io/../quote/@v/list',
  '/rsc.io/./quote/@v/list',
  '/rsc.io/%2e%2e/quote/@v/list',
  '/rsc.io/..%2f..%2fetc/@v/list',
  '/rsc.io/..%5c..%5cetc/@v/list',
  '/rsc.io\\quote/@v/list',
  '/%2F%2F..%2F',
  '/rsc.io/Quote/@v/list',
  '/rsc.io/%2521quote/@v/list',
  '/rsc.io/!Quote/@v/list',
  '/rsc.io/quote!/@v/list',
  '/rsc.io/!!quote/@v/list',
  '/rsc.io/!1/@v/list',
  '/rsc.io/con/@v/list',
  '/rsc.io/a~1/@v/list',
  '/rsc.io/quote/v1/@v/list',
  '/localhost/quote/@v/list',
  '/RSC.io/quote/@v/list',
  '/!rsc.io/quote/@v/list',
  '/rsc.io/quot%C3%A9/@v/list',
  '/rsc.io/quote/@v/@latest',
  '/rsc.io/quote/@v/@v/list',
  '/rsc.io/quote/@latest/@latest',
  '/rsc.io/quote%00/@v/list',
  '/rsc.io/quote/@v/list%0a',
  '/rsc.io/quote/@v/v1.0.0%0d%0aX.info',
  '/rsc.io/quote/@v/%1b[31m.info',
  '/rsc.io/quote/@v/%7f.info',
  '/rsc.io/quote/@v/%.info',
  '/rsc.io/quote/@v/%2.info',
  '/rsc.io/quote/@v/%zz.info',
  '/rsc.io/quote/@v/%ff.info',
  '/rsc.io/quote/@v/%c0%ae.info',
  '/rsc.io/quote/@v/%ed%a0%80.info',
  '/rsc.io/quote/@v/é.info',
  '/rsc.io/quote/@v/a b.info',
  '/rsc.io/quote/@v/list?x=1',
  '/rsc.io/quote/@v/list#x',
  '/rsc.io/quote/@v/.info',
  '/rsc.io/quote/@v/...info',
  '/rsc.io/quote/@v/feature/x.info',
  '/rsc.io/quote/@v/V1.0.0.info',
  '/rsc.io/quote/@v/nul.info',
  '/rsc.io/quote/@v/main.mod',
  '/rsc.io/quote/@v/v1.5.zip',
  '/rsc.io/quote/@v/v1.5.2+meta.zip',
  '/rsc.io/quote/@v/v2.0.0.mod',
  '/rsc.io/quote/v2/@v/v1.0.0.zip',
  '/github.com/docker/docker/@v/v20.10.7%20incompatible.mod',
  `/rsc.io/quote/@v/${'a'.repeat(300)}.info`,
  `/rsc.io/${'a'.repeat(300)}/@v/list`,
  `/rsc.io/${'a/'.repeat(REQUEST_PATH_BYTES_MAX)}/@v/list`,
  '/sumdb/sum.golang.org/lookup/',
  '/sumdb/sum.golang.org/lookup/rsc.io/quote',
  '/sumdb/sum.golang.org/lookup/rsc.io/quote@v1.5',
  '/sumdb/sum.golang.org/lookup/rsc.io/quote@main',
  '/sumdb/sum.golang.org/lookup/rsc.io/quote@v2.0.0',
  '/sumdb/sum.golang.org/lookup/rsc.io/quote@v1.5.2/go.mod',
  '/sumdb/sum.golang.org/lookup/rsc.io/Quote@v1.5.2',
  '/sumdb/sum.golang.org/lookup/rsc.io/quote@v1.5.2@v1.5.2',
  '/sumdb/sum.golang.org/tile/',
  '/sumdb/sum.golang.org/tile/8/0/000.p/0',
  '/sumdb/sum.golang.org/tile/8/0/000.p/256',
  '/sumdb/sum.golang.org/tile/8/0/000.p/01',
  '/sumdb/sum.golang.org/tile/4/0/000',
  '/sumdb/sum.golang.org/tile/8/0/x000/001',
  '/sumdb/sum.golang.org/tile/8/00/000',
  '/sumdb/sum.golang.org/tile/8/0/0000',
  '/sumdb/sum.golang.org/tile/8/0/000/',
  '/sumdb/sum.golang.org/tile/8/64/000',
] as const;
for (const path of malformed) test(`malformed: ${JSON.stringify(path.slice(0, 80))}`, () => assert.equal(outcome(path), 'malformed'));

const absent = [
  '/',
  '/favicon.ico',
  '/robots.txt',
  '/index',
  '/sumdb',
  '/sumdb/',
  '/sumdb/sum.golang.org',
  '/sumdb/sum.golang.org/',
  '/sumdb/sum.golang.org/supported/',
  '/sumdb/sum.golang.org/lookup',
  '/sumdb/sum.golang.orgx/supported',
  '/sumdb/sum.example.com/supported',
  '/sumdb/localhost.localdev/supported',
  '/rsc.io/quote',
  '/rsc.io/quote/@v',
  '/rsc.io/quote/@v/',
  '/rsc.io/quote/@v/list/',
  '/rsc.io/quote/@v/v1.5.2',
  '/rsc.io/quote/@v/v1.5.2.ziphash',
  '/rsc.io/quote/@v/v1.5.2.INFO',
  '/rsc.io/quote/@v/v1.5.2.zip.asc',
  '/rsc.io/quote/@latest/',
  '/wp-admin/setup.php',
] as const;
for (const path of absent) test(`absent: ${path}`, () => assert.equal(outcome(path), 'absent'));

test('parseTilePath answers as Go does, and formatTilePath inverts', () => {
  let accepted = 0;
  for (const [path, answer] of readVectors<[string, [number, number, number] | null]>('tile')) {
    const result = parseTilePath(path);
    assert.equal(result.ok, answer !== null, path);
    if (!result.ok || answer === null) continue;
    accepted += 1;
    const [level, index, width] = answer;
    assert.deepEqual(result.value, { level: level === -1 ? 'data' : level, index, width });
    assert.equal(formatTilePath(result.value), path);
  }
  assert.ok(accepted > 300, `only ${accepted} tiles`);
});

const tiles: fc.Arbitrary<TileName> = fc
  .tuple(fc.oneof(fc.constant('data' as const), fc.nat(63)), fc.nat(1e15 - 1), fc.integer({ min: 1, max: 256 }))
  .map(([level, index, width]) => ({ level, index, width }));

test('parseTilePath inverts formatTilePath', () =>
  fc.assert(fc.property(tiles, (tile) => assert.deepEqual(parseTilePath(formatTilePath(tile)), { ok: true, value: tile }))));

test('an index beyond every tree is refused', () => assert.equal(parseTilePath(`tile/8/0/x001/${'x000/'.repeat(4)}000`).ok, false));

test('a path is understood in one way only, however its characters are percent-encoded', () =>
  fc.assert(
    fc.property(fc.constantFrom(...understood), fc.infiniteStream(fc.boolean()), ([path, request], coins) => {
      const encoded = path.replace(/%..|[^/]/g, (character) => {
        const { value } = coins.next();
        return value === true && character.length === 1 ? `%${character.charCodeAt(0).toString(16)}` : character;
      });
      assert.deepEqual(outcome(encoded), request);
    }),
  ));

function pathOf(request: ProxyRequest): string {
  switch (request.kind) {
    case 'list':
      return `/${escapePath(request.module)}/@v/list`;
    case 'latest':
      return `/${escapePath(request.module)}/@latest`;
    case 'file':
      return `/${escapePath(request.module)}/@v/${escapeVersion(request.version)}.${request.file}`;
    case 'query':
      return `/${escapePath(request.module)}/@v/${escapeVersion(request.query)}.info`;
    case 'sumdb-supported':
      return `/sumdb/${request.database}/supported`;
    case 'sumdb-latest':
      return `/sumdb/${request.database}/latest`;
    case 'sumdb-lookup':
      return `/sumdb/${request.database}/lookup/${escapePath(request.module)}@${escapeVersion(request.version)}`;
    case 'sumdb-tile':
      return `/sumdb/${request.database}/${formatTilePath(request.tile)}`;
  }
}

const pieces = [
  '/',
  '@v',
  '@latest',
  'list',
  'rsc.io',
  'quote',
  '!a',
  'A',
  'v1.0.0',
  'v2',
  '.info',
  '.mod',
  '.zip',
  '%21',
  '%2e',
  '..',
  'sumdb',
  'sum.golang.org',
  'lookup',
  '@',
  'tile/8/0/',
  '001',
  'x001',
  '.p/',
  '7',
  '+',
  '%2B',
  '%',
  ' ',
];

test('whatever is understood has one canonical path, and it is the decoded one', () => {
  let understoodCount = 0;
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 10 }), (parts) => {
      const path = `/rsc.io/${parts.join('')}`;
      const result = parseProxyRequest(path, databases);
      if (!result.ok) return;
      understoodCount += 1;
      assert.equal(pathOf(result.value), decodeURIComponent(path));
    }),
    { numRuns: 5000 },
  );
  assert.ok(understoodCount > 0);
});

test('any text is answered, and hostile text at once', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => assert.ok(outcome(`/${text}`) !== undefined)));
  const started = performance.now();
  const fill = (unit: string): string => `/${unit.repeat(REQUEST_PATH_BYTES_MAX)}`.slice(0, REQUEST_PATH_BYTES_MAX - 8);
  for (const unit of ['/@v/', '%21', '!a', 'a.', '.a/', 'x001/', '/@latest', '~1', '-']) {
    for (let i = 0; i < 50; i++) {
      outcome(`${fill(unit)}/@v/list`);
      outcome(`/sumdb/sum.golang.org/tile/8/0${fill(unit)}`);
    }
  }
  assert.ok(performance.now() - started < 2000);
});

test('names that a request holds are those that were escaped', () => {
  const request = outcome('/github.com/!azure/sdk/@v/v1.0.0-!a.info');
  assert.deepEqual(request, {
    kind: 'file',
    file: 'info',
    module: 'github.com/Azure/sdk' as string as ModulePath,
    version: 'v1.0.0-A' as string as Version,
  });
});
