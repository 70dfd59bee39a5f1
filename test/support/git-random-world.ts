import type { Step } from './git-repository.ts';
import { type GitWorld, code, rootOf } from './git-world.ts';

const folders = ['', 'v2/', 'v3/', 'sub/', 'sub/v2/'];
const modules = ['', '/v2', '/sub'];
const tags = [
  'v0.1.0',
  'v0.2.0-pre',
  'v1.0.0',
  'v1.0.1',
  'v1.1.0-beta.2',
  'v1.1.0+meta',
  'v1.2.0',
  'v1.2.0+meta',
  'v2.0.0',
  'v2.0.1-rc.1',
  'v2.1.0',
  'v3.0.0',
  'v3.1.0',
  'v4.0.0',
  'v1',
  'release',
];

/** A repository of some commits with forks and merges, go.mod files that come and go, and tags on any of them: the same for the same seed. */
export function randomWorld(seed: number): GitWorld {
  const random = generator(seed);
  const name = `random${seed}`;
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const steps: Step[] = [];
  const commits: string[] = [];
  for (let index = 0; index < 9; index++) {
    const commit = `c${index}`;
    const parents =
      index === 0 || random() < 0.05
        ? []
        : [...new Set([random() < 0.7 ? `c${index - 1}` : pick(commits), ...(random() < 0.2 ? [pick(commits)] : [])])];
    const files: Record<string, string | undefined> = { [`f${index}.go`]: code(commit) };
    if (random() < 0.6) {
      const folder = pick(folders);
      files[`${folder}go.mod`] = goMod({ name, folder, random, pick });
      files[`${folder}p.go`] = code(commit);
    }
    steps.push({ commit, branch: pick(['main', 'dev', 'old']), parents, at: 1_700_000_000 + Math.floor(random() * 1e7), files });
    commits.push(commit);
    while (random() < 0.55) steps.push({ tag: pick(['', '', 'sub/']) + pick(tags), annotated: random() < 0.3 });
  }
  // What `v1` means as a prefix of versions is the client's to find.
  const versions = tags.filter((tag) => tag !== 'v1').flatMap((tag) => (/^v[234]/.test(tag) ? [tag, `${tag}+incompatible`] : [tag]));
  const queries = [
    'latest',
    'main',
    'dev',
    'old',
    ...versions,
    ...commits.map((commit) => `{${commit}}`),
    ...commits.slice(7).map((commit) => `{${commit}:9}`),
  ];
  return { name, recipe: { steps: withUniqueTags(steps) }, asks: Object.fromEntries(modules.map((module) => [module, queries.join(' ')])) };
}

interface Choice {
  readonly name: string;
  readonly folder: string;
  readonly random: () => number;
  readonly pick: <T>(list: readonly T[]) => T;
}

function goMod({ name, folder, random, pick }: Choice): string | undefined {
  if (random() < 0.15) return undefined;
  const fitting = folder === '' ? pick(['', '', '/v2', '/v3']) : `/${folder.slice(0, -1)}`;
  const path = random() < 0.1 ? pick(['', '/v2', '/v9', '/v1']) : fitting;
  const retract = random() < 0.3 ? `retract ${pick(['v1.0.0', 'v1.2.0', '[v1.0.0, v1.1.0]', '[v2.0.0, v2.9.9]', 'nonsense'])}\n` : '';
  return `module ${rootOf(name)}${path}\n\ngo ${pick(['1.20', '1.24'])}\n${retract}`;
}

/** The last one of a name counts. */
function withUniqueTags(steps: readonly Step[]): Step[] {
  const seen = new Set<string>();
  return steps
    .toReversed()
    .filter((step) => !('tag' in step) || (!seen.has(step.tag) && seen.add(step.tag)))
    .toReversed();
}

/** Of numbers from 0 to 1, by mulberry32. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
