/** Asks a checksum database about a module version and believes only what its signature and its log prove. */
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../base/errors.ts';
import { type Parsed, parsed, refused } from '../../base/parsed.ts';
import { parseChecksumDatabaseEntry } from '../../protocol/checksum-database-entry.ts';
import { openTreeNote, parseChecksumRecord, parseLookupAnswer, recordHash, type RecordHashes } from '../../protocol/checksum-record.ts';
import type { ModuleAt } from '../../protocol/main-go-mod.ts';
import { escapePath } from '../../protocol/module-path.ts';
import type { VerifierKey } from '../../protocol/note.ts';
import { formatTilePath } from '../../protocol/proxy-request.ts';
import { type HashTile, TILE_WIDTH } from '../../protocol/tile.ts';
import { HASH_BYTES } from '../../protocol/tree-hash.ts';
import { hashRanges, inclusionRanges, provesInclusion } from '../../protocol/tree-proof.ts';
import { escapeVersion } from '../../protocol/version.ts';
import { type Answer, describe, type Network } from './network.ts';
import { below, type ProxyEntry } from './proxy-list.ts';

/** The way to the database that the go command takes. */
export interface DatabaseWay {
  readonly key: VerifierKey;
  /** What was asked to find it, in order. */
  readonly asked: readonly { readonly url: URL; readonly answer: Answer }[];
  /** Undefined when one of the proxies answered neither yes nor no: the go command stops there. */
  readonly base: URL | undefined;
}

/** Undefined when GOSUMDB is off or malformed, when a folder has the database, and when nothing may be fetched. */
export async function wayToDatabase(goSumDb: string, proxies: readonly ProxyEntry[], network: Network): Promise<DatabaseWay | undefined> {
  const entry = goSumDb === 'off' ? undefined : parseChecksumDatabaseEntry(goSumDb);
  if (entry?.ok !== true) return undefined;
  const { key, name, url } = entry.value;
  // With GOPROXY=off nothing is fetched that would have to be checked.
  if (proxies[0]?.kind === 'off') return undefined;
  if (url !== undefined) return { key, asked: [], base: new URL(url) };
  const asked: { url: URL; answer: Answer }[] = [];
  for (const proxy of proxies) {
    if (proxy.kind === 'direct' || proxy.kind === 'off') break;
    // A folder that carries the database is as good as a proxy; it is on this machine and needs no looking at.
    if (proxy.kind === 'folder' && (await carries(proxy.url, name))) return undefined;
    if (proxy.kind !== 'proxy') continue;
    const question = below(proxy.url, `sumdb/${name}/supported`);
    const answer = await network.get(question);
    asked.push({ url: question, answer });
    if (answer.kind === 'answer' && answer.status === 200) return { key, asked, base: below(proxy.url, `sumdb/${name}`) };
    const goesOn = (answer.kind === 'answer' && (answer.status === 404 || answer.status === 410)) || proxy.after === '|';
    if (!goesOn) return { key, asked, base: undefined };
  }
  return { key, asked, base: new URL(`https://${name}`) };
}

async function carries(folder: URL, name: string): Promise<boolean> {
  return await stat(fileURLToPath(below(folder, `sumdb/${name}/supported`))).then(
    () => true,
    () => false,
  );
}

/** The hashes of a module version, proved; `absent` when the database has none. Refused with what is wrong. */
export async function lookUp(way: DatabaseWay, module: ModuleAt, network: Network): Promise<Parsed<RecordHashes | 'absent'>> {
  if (way.base === undefined) return refused('the way to the database is closed');
  const base = way.base;
  const answer = await network.get(below(base, `lookup/${escapePath(module.path)}@${escapeVersion(module.version)}`));
  if (answer.kind === 'failed') return refused(answer.reason);
  if (answer.status === 404 || answer.status === 410) return parsed('absent');
  if (answer.status !== 200) return refused(describe(answer));
  const lookup = parseLookupAnswer(answer.body);
  if (!lookup.ok) return lookup;
  const { recordId, text, note } = lookup.value;
  const record = parseChecksumRecord(text, module.path, module.version);
  if (!record.ok) return record;
  const tree = openTreeNote(note, way.key);
  if (!tree.ok) return tree;
  const { size, root } = tree.value;
  if (recordId >= size) return refused('the record is not in the tree that was signed');
  try {
    const proof = await hashRanges(inclusionRanges(recordId, size), size, async (tile) => {
      const bytes = await readTile(network, base, tile);
      if (bytes === undefined) throw new Error('a tile of the log cannot be read');
      return bytes;
    });
    const proved = provesInclusion({ recordId, treeSize: size, leaf: recordHash(text), root, proof });
    return proved ? record : refused('the record is not in the log that was signed');
  } catch (error) {
    return refused(messageOf(error));
  }
}

/** A partial tile may have become full meanwhile: its beginning is the same. */
async function readTile(network: Network, base: URL, tile: HashTile): Promise<Buffer | undefined> {
  for (const width of tile.width === TILE_WIDTH ? [TILE_WIDTH] : [tile.width, TILE_WIDTH]) {
    const answer = await network.get(below(base, formatTilePath({ ...tile, width })));
    if (answer.kind === 'answer' && answer.status === 200 && answer.body.length >= width * HASH_BYTES) return answer.body;
  }
  return undefined;
}
