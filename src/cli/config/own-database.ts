import { isAbsolute, join, relative } from 'node:path';
import { parseChecksumDatabaseEntry } from '../../protocol/checksum-database-entry.ts';
import type { Say } from './faults.ts';
import type { HubConfig, OwnDatabaseConfig } from './hub-config.ts';
import type { Path } from './read-yaml.ts';
import type { CheckedTree } from './schema.ts';

/** Makes a path that was written at `key` absolute. */
export type ResolvePath = (text: string, key: Path) => string;

/** Adds a fault at `path` unless `holds`; left out when a key that the rule reads has a fault of its own. */
export type Check = (reads: readonly string[], holds: boolean, path: Path, say: Say) => void;

/** Signing keys and the last signed heads: beside the data folder, so that who copies or serves that folder never has them. */
export function keysFolderOf(dataDir: string): string {
  return `${dataDir}-keys`;
}

/** The databases that the hub signs. Expects a tree that {@link checkOwnDatabase} found faultless. */
export function ownDatabaseOf(tree: CheckedTree, dataDir: string, resolve: ResolvePath): HubConfig['ownDatabase'] {
  const [current, ...former] = ownDatabases(tree, dataDir, resolve).map(({ name, keyFile, sign }) => ({ name, keyFile, sign }));
  if (tree.ownDatabase.name === undefined || current === undefined) return undefined;
  const witnesses = tree.ownDatabase.witnesses.map(({ url, key }) => ({ url: url.replace(/\/+$/, ''), key }));
  return { ...current, former, witnesses };
}

/** Rules over several keys: whose names and files they are, and what can be signed. */
export function checkOwnDatabase(tree: CheckedTree, dataDir: string, resolve: ResolvePath, check: Check): void {
  const { name, keyFile, former, witnesses } = tree.ownDatabase;
  const all = ownDatabases(tree, dataDir, resolve);
  const isOn = name !== undefined;
  check(['ownDatabase.name'], isOn || keyFile === undefined, ['ownDatabase', 'keyFile'], (m) => m.config.ownDatabaseUnnamed);
  check(['ownDatabase.name'], isOn || former.length === 0, ['ownDatabase', 'former'], (m) => m.config.ownDatabaseUnnamed);
  check(['ownDatabase.name'], isOn || witnesses.length === 0, ['ownDatabase', 'witnesses'], (m) => m.config.ownDatabaseUnnamed);
  for (const [index, { key }] of witnesses.entries()) {
    const isFirst = witnesses.findIndex((other) => other.key === key) === index;
    check(['ownDatabase.witnesses'], isFirst, ['ownDatabase', 'witnesses', index, 'key'], (m) => m.config.witnessTwice);
  }
  const taken = new Set(publicNames(tree));
  const own = new Set<string>();
  const files = new Set<string>();
  for (const database of all) {
    const reads = ['ownDatabase.name', 'ownDatabase.former'];
    const asName = database.name.toLowerCase();
    const isKnown = taken.has(asName) || parseChecksumDatabaseEntry(asName).ok;
    check([...reads, 'checksumDatabases'], !isKnown, [...database.at, 'name'], (m) => m.config.ownDatabasePublic);
    check(reads, !own.has(asName), [...database.at, 'name'], (m) => m.config.ownDatabaseTwice);
    own.add(asName);
    const readsFile = ['dataDir', 'ownDatabase.keyFile', 'ownDatabase.former'];
    check(readsFile, !isBelow(database.keyFile, dataDir), [...database.at, 'keyFile'], (m) => m.config.keyInDataDir);
    check(readsFile, !files.has(database.keyFile), [...database.at, 'keyFile'], (m) => m.config.keyFileTwice);
    files.add(database.keyFile);
    const canProve = database.sign === 'private' || tree.verify === 'require';
    check(['verify', 'ownDatabase.sign', 'ownDatabase.former'], canProve, [...database.at, 'sign'], (m) => m.config.signAllUnproved);
  }
}

interface Written extends OwnDatabaseConfig {
  /** Where it stands in the tree. */
  readonly at: Path;
}

/** The current one first. */
function ownDatabases(tree: CheckedTree, dataDir: string, resolve: ResolvePath): readonly Written[] {
  const { name, keyFile, sign, former } = tree.ownDatabase;
  const current: Written[] =
    name === undefined
      ? []
      : [
          {
            name,
            sign,
            keyFile: keyFile === undefined ? join(keysFolderOf(dataDir), 'log.key') : resolve(keyFile, ['ownDatabase', 'keyFile']),
            at: ['ownDatabase'],
          },
        ];
  const others = former.map((entry, index): Written => {
    const at = ['ownDatabase', 'former', index];
    return { ...entry, keyFile: resolve(entry.keyFile, [...at, 'keyFile']), at };
  });
  return [...current, ...others];
}

/** In small letters: names are folders, and a disk may ignore case. */
function publicNames(tree: CheckedTree): readonly string[] {
  return tree.checksumDatabases.flatMap((text) => {
    const entry = parseChecksumDatabaseEntry(text);
    return entry.ok ? [entry.value.name.toLowerCase()] : [];
  });
}

function isBelow(file: string, folder: string): boolean {
  const way = relative(folder, file);
  return way === '' || (!/^\.\.(?:[/\\]|$)/.test(way) && !isAbsolute(way));
}
