import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { formatLookupAnswer, parseLookupAnswer, parseTreeNote } from '../src/protocol/checksum-record.ts';
import { formatTilePath } from '../src/protocol/proxy-request.ts';
import { type HashTile, TILE_WIDTH, edgeTiles, parentOf, tileOfRecord, widthInTree } from '../src/protocol/tile.ts';

const inFlight = 8;

interface Parts {
  readonly name: string;
  /** `ESCAPED_PATH@ESCAPED_VERSION` each. */
  readonly modules: readonly string[];
  readonly fetch: (path: string) => Promise<Buffer>;
  readonly folder: string;
  readonly progress: (line: string) => void;
}

/**
 * Records the part of a checksum database that the modules need, as it stands in one signed tree: a mirror's answers carry notes of many
 * trees, whose edges would all be asked for, and in a different number each time. Answers the text of each module's record.
 */
export async function recordChecksumDatabase({ name, modules, fetch, folder, progress }: Parts): Promise<ReadonlyMap<string, string>> {
  // What the client asked for while the modules were recorded stems from other trees.
  await rm(folder, { recursive: true, force: true });
  const base = `/sumdb/${name}`;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'supported'), '');
  progress('recording the checksum database: its tree');
  const note = (await fetch(`${base}/latest`)).toString();
  const tree = parseTreeNote(note.slice(0, note.indexOf('\n\n') + 1));
  if (!tree.ok) throw new Error(`${name}'s latest tree: ${tree.reason}`);
  const tiles = new Map<string, HashTile>(edgeTiles(tree.value.size).map((tile) => [formatTilePath(tile), tile]));
  const records = new Map<string, string>();
  await forEach(modules, async (module, done) => {
    if (done % 50 === 0) progress(`recording the checksum database: record ${done} of ${modules.length}`);
    const path = `${base}/lookup/${module}`;
    const answer = parseLookupAnswer(await fetch(path));
    if (!answer.ok) throw new Error(`${path}: ${answer.reason}`);
    if (answer.value.recordId >= tree.value.size) throw new Error(`${module} is not in the recorded tree yet: record again later`);
    for (const tile of tilesAbove(answer.value.recordId, tree.value.size)) tiles.set(formatTilePath(tile), tile);
    records.set(module, answer.value.text);
    await write(join(folder, 'lookup', module), formatLookupAnswer({ ...answer.value, note }));
  });
  await forEach([...tiles.keys()], async (path, done) => {
    if (done % 50 === 0) progress(`recording the checksum database: tile ${done} of ${tiles.size}`);
    await fetch(`${base}/${path}`);
  });
  return records;
}

/** The tile of a record and those that prove it, up to the edge. */
function tilesAbove(recordId: number, treeSize: number): HashTile[] {
  const tiles: HashTile[] = [];
  for (let tile = { level: 0, index: tileOfRecord(recordId).index }; ; ) {
    const width = widthInTree(treeSize, tile.level, tile.index);
    if (width === 0) return tiles;
    tiles.push({ ...tile, width });
    if (width < TILE_WIDTH) return tiles;
    tile = parentOf(tile);
  }
}

async function write(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

/** Works on all items, a few at a time. `done` is how many were begun before. */
export async function forEach<T>(items: readonly T[], work: (item: T, done: number) => Promise<void>): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < items.length) {
      const at = next;
      next += 1;
      await work(items[at] as T, at);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
}
