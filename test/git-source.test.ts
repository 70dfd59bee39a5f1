// What the Git source answers is what the real go command makes of the same repositories in direct mode: lists, versions, times, commits, go.mod
// files and zips, and it fails where go fails.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differencesIn } from './support/git-comparison.ts';
import { oddWorlds } from './support/git-odd-worlds.ts';
import { randomWorld } from './support/git-random-world.ts';
import { worlds } from './support/git-worlds.ts';

for (const world of [...worlds, ...oddWorlds, randomWorld(1)]) {
  test(`${world.name}: as the go command in direct mode`, async () => {
    const differences = await differencesIn(world);
    assert.equal(differences.length, 0, `${differences.length} differences\n${differences.join('\n')}`);
  });
}
