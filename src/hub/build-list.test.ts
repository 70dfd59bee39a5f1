import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseGoMod } from '../protocol/go-mod.ts';
import { nameOf, parseMainGoMod } from '../protocol/main-go-mod.ts';
import { walkBuildList } from './build-list.ts';

/** `PATH@VERSION` → go line and requirements, all below `x/`. */
type World = Readonly<Record<string, readonly [go: string, ...required: string[]]>>;

function goModText(module: string, [go, ...required]: readonly string[], more = ''): string {
  const requires = required.map((name) => `require x.example/${name.replace('@', ' ')}\n`);
  return `module ${module}\n${go === '' ? '' : `go ${go}\n`}${requires.join('')}${more}`;
}

async function walk(world: World, main: readonly string[], more = ''): Promise<{ read: string[]; built: string[] }> {
  const parsed = parseMainGoMod(goModText('x.example/main', main, more));
  assert.ok(parsed.ok);
  const read: string[] = [];
  const built = new Set<string>();
  await walkBuildList(parsed.value, {
    goMod: async (module) => {
      const name = nameOf(module).replace('x.example/', '');
      read.push(name);
      const text = world[name];
      const goMod = text && parseGoMod(goModText(module.path, text));
      return goMod?.ok === true ? goMod.value : undefined;
    },
    built: (module) => built.add(nameOf(module).replace('x.example/', '')),
  });
  return { read: read.toSorted(), built: [...built].toSorted() };
}

const world: World = {
  'a@v1.0.0': ['1.21', 'c@v1.0.0'],
  'b@v1.0.0': ['1.16', 'c@v1.1.0', 'd@v1.0.0'],
  'c@v1.0.0': ['1.21', 'e@v1.0.0'],
  'c@v1.1.0': ['1.21', 'e@v1.0.0'],
  'd@v1.0.0': ['', 'a@v1.0.0', 'f@v1.0.0'],
  'e@v1.0.0': ['1.21', 'g@v1.0.0'],
  'f@v1.0.0': ['1.21', 'main@v0.9.0'],
  'e@v1.1.0': ['1.21'],
  'k@v1.0.0': ['1.21', 'e@v1.1.0'],
  'g@v1.0.0': ['1.21'],
  'g@v1.5.0': ['1.21', 'h@v1.0.0'],
};

const cases: { name: string; main: string[]; more?: string; read: string[]; built: string[] }[] = [
  { name: 'nothing required', main: ['1.21'], read: [], built: [] },
  { name: 'below a pruned module nothing is read', main: ['1.21', 'a@v1.0.0'], read: ['a@v1.0.0'], built: ['a@v1.0.0'] },
  {
    name: 'below one older than 1.17 everything is, whatever stands below',
    main: ['1.21', 'b@v1.0.0'],
    read: ['a@v1.0.0', 'b@v1.0.0', 'c@v1.0.0', 'c@v1.1.0', 'd@v1.0.0', 'e@v1.0.0', 'f@v1.0.0', 'g@v1.0.0', 'main@v0.9.0'],
    built: ['b@v1.0.0'],
  },
  {
    name: 'a main module older than 1.17 reads and builds everything but itself',
    main: ['1.16', 'a@v1.0.0'],
    read: ['a@v1.0.0', 'c@v1.0.0', 'e@v1.0.0', 'g@v1.0.0'],
    built: ['a@v1.0.0', 'c@v1.0.0', 'e@v1.0.0', 'g@v1.0.0'],
  },
  {
    name: 'without a go line it counts as such',
    main: ['', 'f@v1.0.0'],
    read: ['f@v1.0.0', 'main@v0.9.0'],
    built: ['f@v1.0.0'],
  },
  {
    name: 'the highest version is built, and a go.mod that is not tidy is put right',
    main: ['1.21', 'a@v1.0.0', 'b@v1.0.0', 'c@v1.0.0'],
    read: ['a@v1.0.0', 'b@v1.0.0', 'c@v1.0.0', 'c@v1.1.0', 'd@v1.0.0', 'e@v1.0.0', 'f@v1.0.0', 'g@v1.0.0', 'main@v0.9.0'],
    // c@v1.0.0 was told before the graph was read.
    built: ['a@v1.0.0', 'b@v1.0.0', 'c@v1.0.0', 'c@v1.1.0'],
  },
  {
    name: 'an upgraded root whose go.mod nothing else reads is read',
    main: ['1.21', 'e@v1.0.0', 'k@v1.0.0'],
    read: ['e@v1.0.0', 'e@v1.1.0', 'k@v1.0.0'],
    built: ['e@v1.0.0', 'e@v1.1.0', 'k@v1.0.0'],
  },
  { name: 'an excluded version is not required', main: ['1.21', 'a@v1.0.0'], more: 'exclude x.example/a v1.0.0\n', read: [], built: [] },
  {
    name: 'a replaced module is read and built from elsewhere, one from a folder not at all',
    main: ['1.21', 'b@v1.0.0', 'a@v1.0.0'],
    more: 'replace x.example/b => x.example/g v1.5.0\nreplace x.example/a => ../a\n',
    read: ['g@v1.5.0'],
    built: ['g@v1.5.0'],
  },
];
for (const { name, main, more, read, built } of cases) {
  test(name, async () => {
    const walked = await walk(world, main, more);
    assert.deepEqual(walked.read, read);
    assert.deepEqual(walked.built, built);
  });
}

test('cycles end', async () => {
  const cyclic: World = {
    'a@v1.0.0': ['1.16', 'b@v1.0.0'],
    'b@v1.0.0': ['1.16', 'a@v1.0.0', 'a@v1.1.0'],
    'a@v1.1.0': ['1.16', 'b@v1.0.0'],
  };
  assert.deepEqual((await walk(cyclic, ['1.16', 'a@v1.0.0'])).built, ['a@v1.1.0', 'b@v1.0.0']);
});
