/**
 * The entry of the single executable, which has no files of its own: the code of threads lies in it as assets, and its processes are itself with an
 * argument more. `scripts/dist.mjs` makes it.
 */
import { getAsset, getAssetKeys } from 'node:sea';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { useBundle } from '../base/program-parts.ts';
import { start } from './start.ts';

declare const GOYI_VERSION: string;

const ENTRY = '--goyi-entry=';

useBundle({
  threadCode: (name) => getAsset(`${name}.mjs`, 'utf8'),
  textNames: () => getAssetKeys().filter((name) => name.endsWith('.md')),
  text: (name) => getAsset(name, 'utf8'),
  entryArgument: (name) => ENTRY + name,
});

// Flags of Node, which a child gets as arguments, are none of the executable's.
const at = process.argv.findIndex((argument, index) => index > 1 && argument.startsWith(ENTRY));
const entry =
  at < 0
    ? undefined
    : process.argv
        .splice(2, at - 1)
        .at(-1)
        ?.slice(ENTRY.length);

if (entry === 'hub-worker') {
  setFlagsFromString('--expose-gc');
  globalThis.gc = runInNewContext('gc') as NonNullable<typeof globalThis.gc>;
  await import('./hub-worker.ts');
} else if (entry === 'hub-prepare') {
  await import('./hub-prepare.ts');
} else {
  process.exitCode = await start(GOYI_VERSION);
}
