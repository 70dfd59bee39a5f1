import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { parseModulePath } from '../protocol/module-path.ts';
import { parseVersion } from '../protocol/version.ts';
import { LookAhead } from './look-ahead.ts';
import { artefactOf } from './module-files.ts';
import type { Artefact } from './stored-files.ts';

function nameOf({ module, version, kind }: Artefact): string {
  return `${module}@${version}.${kind}`;
}

function artefact(text: string): Artefact {
  const [, path = '', v = '', kind = 'mod'] = /^(.*)@(.*)\.(mod|zip|info)$/.exec(text) ?? [];
  const [module, version] = [parseModulePath(path), parseVersion(v)];
  assert.ok(module.ok && version.ok, text);
  return artefactOf(kind as Artefact['kind'], module.value, version.value);
}

interface World {
  readonly ahead: LookAhead;
  readonly fetched: string[];
  readonly bytes: { fetched: number; used: number };
  nowMs: number;
  /** A client asks for a file and is given it. */
  ask(name: string): void;
  settled(): Promise<void>;
}

/** Modules by their go.mod; fetching one makes it stored. */
function world(
  goMods: Record<string, string>,
  options: { slots?: number; denied?: string; hold?: Promise<void>; client?: string; zipBytes?: number; made?: string } = {},
): World {
  const fetched: string[] = [];
  const stored = new Set<string>();
  const textOf = (file: Artefact): Buffer => Buffer.from(goMods[`${file.module}@${file.version}`] ?? `module ${file.module}\n\ngo 1.21\n`);
  const made: World = {
    nowMs: 1_000_000,
    fetched,
    bytes: { fetched: 0, used: 0 },
    ahead: new LookAhead({
      fill: async (file) => {
        fetched.push(nameOf(file));
        if (options.made === undefined || file.module === options.made) await options.hold;
        stored.add(nameOf(file));
        return file.kind === 'zip' ? (options.zipBytes ?? 100) : 100;
      },
      events: { lookedAhead: ({ outcome, sizeBytes }) => void (made.bytes[outcome] += sizeBytes) },
      readMod: async (file) => textOf(file),
      isStored: async (file) => stored.has(nameOf(file)),
      admits: (module) => module !== options.denied,
      isMade: (module) => module === options.made,
      clock: { wallMs: () => 0, monotonicMs: () => made.nowMs },
      slots: options.slots ?? 8,
    }),
    ask(name: string): void {
      const file = artefact(name);
      const first = !stored.has(name);
      stored.add(name);
      made.ahead.served(file, { first, bytes: file.kind === 'mod' ? textOf(file) : undefined, client: options.client ?? 'one' });
    },
    async settled(): Promise<void> {
      for (let i = 0; i < 50; i += 1) await turn();
    },
  };
  return made;
}

test('what a served go.mod requires and its own zip are fetched', async () => {
  const w = world({ 'a.example/m@v1.0.0': 'module a.example/m\ngo 1.21\nrequire b.example/m v1.2.0\n' });
  w.ask('a.example/m@v1.0.0.mod');
  await w.settled();
  assert.deepEqual(w.fetched.toSorted(), ['a.example/m@v1.0.0.info', 'a.example/m@v1.0.0.zip', 'b.example/m@v1.2.0.mod']);
});

test('in the middle of a graph a pruned go.mod leads nowhere, an unpruned one to what it requires, and that to no zip', async () => {
  const w = world({
    'a.example/m@v1.0.0': 'module a.example/m\ngo 1.21\nrequire b.example/m v1.0.0\n',
    'c.example/m@v1.0.0': 'module c.example/m\ngo 1.16\nrequire d.example/m v1.0.0\n',
  });
  w.ask('first.example/m@v1.0.0.mod');
  w.ask('a.example/m@v1.0.0.mod');
  w.ask('c.example/m@v1.0.0.mod');
  await w.settled();
  const mods = (): string[] => w.fetched.filter((name) => name.endsWith('.mod'));
  assert.deepEqual(mods(), ['d.example/m@v1.0.0.mod']);
  w.ask('d.example/m@v1.0.0.mod');
  await w.settled();
  assert.ok(!w.fetched.includes('d.example/m@v1.0.0.zip'));
  w.ask('d.example/m@v1.0.0.info');
  await w.settled();
  assert.ok(w.fetched.includes('d.example/m@v1.0.0.zip'), 'but when its .info is asked for it is part of the build list');
});

test('below a go.mod fetched ahead it goes on only where the go command does: under go 1.17', async () => {
  const w = world({
    'a.example/m@v1.0.0': 'module a.example/m\nrequire (\n b.example/old v1.0.0\n b.example/new v1.0.0\n)\n',
    'b.example/old@v1.0.0': 'module b.example/old\ngo 1.16\nrequire c.example/deep v1.0.0\n',
    'b.example/new@v1.0.0': 'module b.example/new\ngo 1.17\nrequire c.example/never v1.0.0\n',
    'c.example/deep@v1.0.0': 'module c.example/deep\nrequire d.example/deeper v0.1.0\n',
  });
  w.ask('a.example/m@v1.0.0.mod');
  await w.settled();
  const mods = w.fetched.filter((name) => name.endsWith('.mod')).toSorted();
  assert.deepEqual(mods, [
    'b.example/new@v1.0.0.mod',
    'b.example/old@v1.0.0.mod',
    'c.example/deep@v1.0.0.mod',
    'd.example/deeper@v0.1.0.mod',
  ]);
});

test('zips: only of the highest version that a client read', async () => {
  const w = world({});
  for (const version of ['v1.3.0', 'v1.2.0', 'v1.3.0', 'v1.4.0']) w.ask(`a.example/m@${version}.mod`);
  await w.settled();
  assert.deepEqual(w.fetched.filter((name) => name.endsWith('.zip')).toSorted(), ['a.example/m@v1.3.0.zip', 'a.example/m@v1.4.0.zip']);
});

test('a zip that waits gives way to a higher version of its module', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const w = world({}, { slots: 4, hold: promise });
  w.ask('z.example/m@v1.0.0.mod'); // takes the one slot for zips
  w.ask('a.example/m@v1.3.0.mod');
  w.ask('a.example/m@v1.4.0.mod');
  resolve();
  await w.settled();
  assert.deepEqual(
    w.fetched.filter((name) => name.endsWith('.zip')),
    ['z.example/m@v1.0.0.zip', 'a.example/m@v1.4.0.zip'],
  );
});

test('.info of a version means its zip, unless the client has just listed the versions', async () => {
  const w = world({});
  w.ask('a.example/m@v1.0.0.info');
  w.ahead.listed(artefact('b.example/m@v1.0.0.mod').module);
  w.ask('b.example/m@v1.0.0.info');
  await w.settled();
  assert.deepEqual(w.fetched, ['a.example/m@v1.0.0.zip']);
  w.nowMs += 20_000;
  w.ask('b.example/m@v1.1.0.info');
  await w.settled();
  assert.deepEqual(w.fetched, ['a.example/m@v1.0.0.zip', 'b.example/m@v1.1.0.zip']);
});

test('what was fetched ahead counts as used when it is asked for, and its own zip is wanted then', async () => {
  const w = world({
    'a.example/m@v1.0.0': 'module a.example/m\ngo 1.21\nrequire b.example/m v1.0.0\n',
    'b.example/m@v1.0.0': 'module b.example/m\ngo 1.21\nrequire c.example/m v1.0.0\n',
  });
  w.ask('a.example/m@v1.0.0.mod');
  await w.settled();
  assert.deepEqual(w.bytes, { fetched: 300, used: 0 });
  w.ask('b.example/m@v1.0.0.mod');
  await w.settled();
  assert.equal(w.bytes.used, 100);
  assert.ok(w.fetched.includes('b.example/m@v1.0.0.zip'));
});

test('hits lead nowhere, policy is kept, and 0 slots switch it off', async () => {
  const goMods = { 'a.example/m@v1.0.0': 'module a.example/m\ngo 1.21\nrequire secret.example/m v1.0.0\n' };
  const w = world(goMods, { denied: 'secret.example/m' });
  w.ask('a.example/m@v1.0.0.mod');
  await w.settled();
  w.ask('a.example/m@v1.0.0.mod');
  await w.settled();
  assert.deepEqual(w.fetched.toSorted(), ['a.example/m@v1.0.0.info', 'a.example/m@v1.0.0.zip']);
  const off = world(goMods, { slots: 0 });
  off.ask('a.example/m@v1.0.0.mod');
  await off.settled();
  assert.deepEqual(off.fetched, []);
});

test('when nobody was served for a minute the queues are emptied', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const w = world({}, { slots: 4, hold: promise });
  for (let i = 0; i < 20; i += 1) w.ask(`m${i}.example/m@v1.0.0.mod`);
  assert.ok(w.ahead.waiting >= 19);
  w.nowMs += 61_000;
  resolve();
  await w.settled();
  assert.ok(w.fetched.length <= 5, String(w.fetched));
  assert.equal(w.ahead.waiting, 0);
});

test('a huge or endless graph is bounded', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const requires = Array.from({ length: 9_000 }, (_, i) => ` m${i}.example/m v1.0.0`).join('\n');
  const w = world({ 'a.example/m@v1.0.0': `module a.example/m\nrequire (\n${requires}\n)\n` }, { hold: promise });
  w.ask('a.example/m@v1.0.0.mod');
  assert.ok(w.ahead.waiting <= 6_000, String(w.ahead.waiting));
  const disposed = w.ahead[Symbol.asyncDispose]();
  resolve();
  await disposed;
  assert.ok(w.fetched.length <= 16);
});

test('what nobody asks for ends what is fetched ahead, until it is asked for or ten minutes are over', async () => {
  const w = world({}, { zipBytes: 400 * 1024 ** 2 });
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) {
    w.ask(`${name}.example/m@v1.0.0.mod`);
    await w.settled();
  }
  const zips = (): number => w.fetched.filter((name) => name.endsWith('.zip')).length;
  const before = zips();
  assert.ok(before >= 1 && before <= 4, `${before} zips`);
  w.ask('a.example/m@v1.0.0.zip');
  w.ask('a.example/m@v1.0.0.info');
  await w.settled();
  assert.ok(zips() > before, 'some of it was of use');
  const after = zips();
  w.nowMs += 30_000;
  w.ask('i.example/m@v1.0.0.mod');
  await w.settled();
  assert.equal(zips(), after);
  w.nowMs += 11 * 60_000;
  w.ask('j.example/m@v1.0.0.mod');
  await w.settled();
  assert.ok(zips() > after);
});

test('a slow source of private modules keeps nothing that the upstreams have from being fetched', async () => {
  const hold = Promise.withResolvers<void>();
  const many = Array.from({ length: 20 }, (_, number) => `git.corp.example/lib v1.${number}.0`);
  const w = world(
    {
      'a.example/m@v1.0.0': `module a.example/m\nrequire (\n${many.join('\n')}\n)\n`,
      'b.example/m@v1.0.0': 'module b.example/m\nrequire c.example/m v1.0.0\n',
    },
    { slots: 8, made: 'git.corp.example/lib', hold: hold.promise },
  );
  w.ask('a.example/m@v1.0.0.mod');
  await w.settled();
  assert.equal(w.fetched.filter((name) => name.startsWith('git.corp.example/')).length, 2);
  w.ask('b.example/m@v1.0.0.mod');
  await w.settled();
  assert.ok(w.fetched.includes('c.example/m@v1.0.0.mod'));
  hold.resolve();
  await w.settled();
  assert.equal(w.fetched.filter((name) => name.startsWith('git.corp.example/')).length, 20);
});
