import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

// The code's own rules as a test: which room may import which, what only `bin/` may touch, how files are named and how long
// they may be. Whatever looks at source text looks at all of it, and fails when it saw none.

interface Room {
  readonly may: readonly string[];
  /** Rooms of which only types may be imported: `import type` leaves nothing at run time. */
  readonly typesOf?: readonly string[];
  /** Packages and built-in modules it may use; `any` where the room is the edge to the outside. */
  readonly uses: readonly string[] | 'any';
}

const pure = ['node:crypto', 'node:buffer', 'node:zlib', 'node:util', 'node:util/types'];

const rooms: Readonly<Record<string, Room>> = {
  base: { may: [], uses: pure },
  protocol: { may: ['base'], uses: [...pure, 'sm-crypto-v2'] },
  policy: { may: ['base', 'protocol'], uses: pure },
  api: { may: ['base', 'protocol'], uses: [...pure, 'zod'] },
  scaffold: { may: ['base', 'protocol'], uses: pure },
  net: { may: ['base'], uses: 'any' },
  store: { may: ['base', 'net'], uses: 'any' },
  meta: { may: ['base', 'protocol'], uses: 'any' },
  origin: { may: ['base', 'protocol', 'net'], typesOf: ['store', 'meta'], uses: 'any' },
  hub: { may: ['base', 'protocol', 'policy'], typesOf: ['store', 'meta', 'origin'], uses: [...pure, 'lru-cache', 'node:timers/promises'] },
  bundle: { may: ['base', 'protocol', 'net', 'hub'], typesOf: ['store', 'meta', 'origin'], uses: 'any' },
  server: { may: ['base', 'protocol', 'api', 'hub', 'policy', 'scaffold'], typesOf: ['bundle', 'store', 'meta', 'origin'], uses: 'any' },
  console: { may: ['api', 'protocol'], uses: [] },
  release: { may: ['base', 'protocol', 'api', 'net'], uses: 'any' },
  telemetry: { may: ['base', 'protocol', 'api', 'net'], uses: 'any' },
  cli: { may: ['base', 'protocol', 'api', 'net', 'hub', 'policy', 'scaffold', 'release', 'telemetry', 'bundle'], uses: 'any' },
  bin: { may: ['any'], uses: 'any' },
};

/** Packages that one room has to itself. */
const homes: Readonly<Record<string, string>> = {
  undici: 'net',
  commander: 'cli',
  yaml: 'cli',
  'sm-crypto-v2': 'protocol',
  pino: 'server',
  'prom-client': 'server',
  'node:sqlite': 'meta',
};

const CODE_LINES_MAX = 400;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const src = join(root, 'src');
const notOurs = new Set(['node_modules', 'dist', 'executables', '.git', '.tools', 'data', 'data-keys']);

interface Source {
  /** Below the repository, with slashes. */
  readonly name: string;
  readonly text: string;
  readonly room: string;
  readonly isTest: boolean;
}

const sources: readonly Source[] = walk(src)
  .filter((path) => path.endsWith('.ts'))
  .map((path) => {
    const name = relative(root, path).split(sep).join('/');
    const [, room = ''] = name.split('/');
    return { name, text: readFileSync(path, 'utf8'), room, isTest: /(?:\.test|[/-]contract)\.ts$/.test(name) };
  });
const code = sources.filter((source) => !source.isTest);

test('there is source to look at', () => {
  assert.ok(code.length >= 20, `saw only ${code.length} files`);
  assert.ok(
    code.some(({ text }) => importsOf(text).length > 0),
    'saw no import at all',
  );
});

test('every folder of src is a room', () => {
  for (const { name, room } of sources) if (name.split('/').length > 2) assert.ok(room in rooms, `${name} is in no room`);
});

test('rooms import only what they may', () => {
  assert.deepEqual(code.flatMap(wallFaults), []);
});

function wallFaults({ name, text, room }: Source): string[] {
  const rule = rooms[room];
  if (rule === undefined) return [];
  return importsOf(text).flatMap(({ from, typeOnly }) => {
    if (!from.startsWith('.')) return packageFault({ name, room, rule, from, typeOnly });
    const target = resolve(root, dirname(name), from);
    if (!from.endsWith('.ts')) return [`${name}: ${from} must say .ts`];
    if (!existsSync(target)) return [`${name}: ${from} does not exist`];
    const targetRoom = relative(src, target).split(sep)[0] ?? '';
    if (targetRoom === '..') return [`${name}: ${from} leaves src`];
    if (from.endsWith('.test.ts')) return [`${name}: imports the test ${from}`];
    const allowed =
      targetRoom === room ||
      rule.may.includes('any') ||
      rule.may.includes(targetRoom) ||
      (typeOnly && (rule.typesOf ?? []).includes(targetRoom));
    return allowed ? [] : [`${name}: ${room} may not import ${typeOnly ? 'types of ' : ''}${targetRoom} (${from})`];
  });
}

function packageFault({
  name,
  room,
  rule,
  from,
  typeOnly,
}: {
  name: string;
  room: string;
  rule: Room;
  from: string;
  typeOnly: boolean;
}): string[] {
  const packageName = from.startsWith('node:')
    ? from
    : from
        .split('/')
        .slice(0, from.startsWith('@') ? 2 : 1)
        .join('/');
  const home = homes[packageName];
  if (home !== undefined && home !== room) return [`${name}: only ${home} uses ${packageName}`];
  return rule.uses === 'any' || typeOnly || rule.uses.includes(packageName) ? [] : [`${name}: ${room} may not use ${packageName}`];
}

test('the import finder sees every form', () => {
  const text = [
    "import type { A } from './a.ts';",
    "import { b,\n  type C } from '../b.ts';",
    "import './c.ts';",
    "export { d } from './d.ts';",
    "export type { E } from './e.ts';",
    "const f = await import('./f.ts');",
    "import def, * as all from 'g';",
    "export * from './h.ts';",
    "new Worker(new URL('./i.ts', import.meta.url));",
  ].join('\n');
  assert.deepEqual(
    importsOf(text).map(({ from, typeOnly }) => `${from}${typeOnly ? ' type' : ''}`),
    ['./a.ts type', '../b.ts', './c.ts', './d.ts', './e.ts type', 'g', './h.ts', './f.ts', './i.ts'],
  );
});

function importsOf(text: string): { from: string; typeOnly: boolean }[] {
  const fixed = text.matchAll(/^(?:import|export)\s+(type\s+)?(?:[\w*{}\s,$]+?\s+from\s+)?['"]([^'"]+)['"]/gm);
  const loaded = text.matchAll(/\b(?:import\(|new URL\()\s*['"]([^'"]+\.ts)['"]/g);
  return [
    ...[...fixed].map(([, type, from = '']) => ({ from, typeOnly: type !== undefined })),
    ...[...loaded].map(([, from = '']) => ({ from, typeOnly: false })),
  ];
}

test('only bin touches the process', () => {
  const outside = code.filter(({ room }) => room !== 'bin');
  assert.deepEqual(matching(outside, /\bprocess\.(?:env|exit)\b|\bprocess\.on(?:ce)?\(\s*['"]SIG/), []);
});

test('one name for each thing', () => {
  for (const { name } of sources) {
    assert.match(name.split('/').at(-1) ?? '', /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test)?\.ts$/, `${name} is not kebab-case`);
    assert.doesNotMatch(
      name,
      /(?:^|\/)(?:utils?|common|helpers?|misc|shared|lib)(?:\/|\.ts$)|\/index\.ts$/,
      `${name} says nothing about what it holds`,
    );
  }
  assert.deepEqual(matching(sources, /^export default\b|^\s*(?:export\s+)?(?:declare\s+)?(?:const\s+)?enum\s/m), []);
});

/** Names of the files whose code, comments aside, matches. */
function matching(among: readonly Source[], pattern: RegExp): string[] {
  return among.filter(({ text }) => pattern.test(withoutComments(text))).map(({ name }) => name);
}

test('no file is too long to be read in one go', () => {
  for (const { name, text } of sources) {
    const lines = withoutComments(text)
      .split('\n')
      .filter((line) => line.trim() !== '').length;
    assert.ok(lines <= CODE_LINES_MAX, `${name} has ${lines} lines of code, more than ${CODE_LINES_MAX}`);
  }
});

test('no file names a registry, or a path of somebody’s machine', () => {
  // Put together here, so that this file does not hold them itself.
  const hosts = [
    ['registry', 'npmjs', 'org'],
    ['proxy', 'golang', 'org'],
    ['registry', 'npmmirror', 'com'],
    ['pypi', 'org'],
    ['deb', 'debian', 'org'],
  ].map((parts) => parts.join('.'));
  const paths = ['work', 'root', 'home/[a-z]+', 'Users/[A-Za-z]+'].map((path) => `(?<![\\w.)}\\]-])/${path}/[\\w.]`);
  const forbidden = new RegExp([...hosts.map((host) => `(?<![\\w.-])${host.replaceAll('.', '\\.')}`), ...paths].join('|'));
  const files = walk(root).filter((path) => !/\.(?:zip|gz|png|pem|der|bin|db)$/.test(path));
  assert.ok(files.length > code.length);
  const faults = files.flatMap((path) => {
    const lines = readFileSync(path, 'utf8').split('\n');
    return lines.flatMap((line, index) => {
      const found = forbidden.exec(line);
      return found === null ? [] : [`${relative(root, path)}:${index + 1}: ${found[0]}`];
    });
  });
  assert.deepEqual(faults, []);
});

function withoutComments(text: string): string {
  return text.replace(/^\s*\/\*[\s\S]*?\*\//gm, '').replace(/^\s*\/\/.*$/gm, '');
}

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return notOurs.has(entry.name) ? [] : walk(path);
    // In a work tree beside the clone `.git` is a file, and it holds a path.
    return entry.isFile() && entry.name !== '.git' ? [path] : [];
  });
}
