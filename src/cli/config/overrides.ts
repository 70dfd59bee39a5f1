import { nearestName } from '../nearest-name.ts';
import { compareFaults, type ConfigFault, type Place } from './faults.ts';
import type { Tree } from './read-yaml.ts';
import type { ConfigKey } from './schema.ts';

/** A value that stands before the file's, with where it was written. */
export interface Override {
  readonly key: string;
  readonly value: Tree;
  readonly place: Place;
}

export interface Overrides {
  readonly values: readonly Override[];
  readonly faults: readonly ConfigFault[];
}

const PREFIX = 'GOYI_';

/** Names the configuration file itself; read before everything else. */
export const CONFIG_FILE_VARIABLE = 'GOYI_CONFIG';

/** Holds a token of who calls a hub; no key of a hub's own configuration. */
export const TOKEN_VARIABLE = 'GOYI_TOKEN';

/** `limits.upstreamSeconds` is `GOYI_LIMITS_UPSTREAM_SECONDS`. */
export function variableName(key: string): string {
  return PREFIX + key.replace(/[A-Z]/g, '_$&').replaceAll('.', '_').toUpperCase();
}

/** `log.level` is `--log-level`, `dataDir` is `--data-dir`. */
export function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, '-$&').replaceAll('.', '-').toLowerCase()}`;
}

/** Every `GOYI_…` variable; one that names no key is a fault. An empty variable counts as not set, as for Go's own variables. */
export function readVariables(env: Readonly<Record<string, string | undefined>>, keys: readonly ConfigKey[]): Overrides {
  const byName = new Map(keys.map((key) => [variableName(key.name), key]));
  const values: Override[] = [];
  const faults: ConfigFault[] = [];
  for (const [name, text] of Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!name.startsWith(PREFIX) || name === CONFIG_FILE_VARIABLE || name === TOKEN_VARIABLE || text === undefined) continue;
    const place: Place = { kind: 'variable', name };
    const key = byName.get(name);
    if (key === undefined) {
      faults.push({
        place,
        key: '',
        say: (m) => m.config.unknownVariable(name, nearestName(name, [...byName.keys(), CONFIG_FILE_VARIABLE])),
      });
    } else if (text !== '') {
      add(key, text, place, { values, faults });
    }
  }
  return { values, faults };
}

/** `flags` maps names of keys to what was typed; the command line has checked that they are keys. */
export function readFlags(flags: Readonly<Record<string, string>>, keys: readonly ConfigKey[]): Overrides {
  const values: Override[] = [];
  const faults: ConfigFault[] = [];
  for (const key of keys) {
    const text = flags[key.name];
    if (text !== undefined) add(key, text, { kind: 'flag', name: flagName(key.name) }, { values, faults });
  }
  return { values, faults: faults.sort(compareFaults) };
}

function add(key: ConfigKey, text: string, place: Place, to: { values: Override[]; faults: ConfigFault[] }): void {
  switch (key.kind) {
    case 'groups':
      to.faults.push({ place, key: key.name, say: (m) => m.config.onlyInFile });
      return;
    case 'number':
      // Anything but digits stays text, which the schema then refuses with the bounds.
      to.values.push({ key: key.name, value: /^\d{1,15}$/.test(text.trim()) ? Number(text) : text, place });
      return;
    case 'list':
      if (text.includes('|')) to.faults.push({ place, key: key.name, say: (m) => m.config.bars });
      else to.values.push({ key: key.name, value: splitList(text), place });
      return;
    case 'text':
    case 'choice':
    case 'not built':
      to.values.push({ key: key.name, value: text.trim(), place });
  }
}

/** Entries of a line separated by commas; white space around them and empty ones do not count. */
export function splitList(text: string): readonly string[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}
