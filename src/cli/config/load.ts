import { dirname, join, resolve } from 'node:path';
import { invariant } from '../../base/invariant.ts';
import { accessOf, checkAccess } from './access.ts';
import { compareFaults, type ConfigFault, type Place, type Say } from './faults.ts';
import { checkHandOver, handOverOf } from './hand-over.ts';
import type { HubConfig, WitnessConfig } from './hub-config.ts';
import { checkOwnDatabase, ownDatabaseOf, type ResolvePath } from './own-database.ts';
import { type Override, readFlags, readVariables, splitList } from './overrides.ts';
import { checkPrivate, privateOf } from './private.ts';
import { parseListen, parseProxy, parsePublicUrl, parseUpstreams, parseWitnessLogs, type Read } from './parse-values.ts';
import { sdkOf } from './sdk.ts';
import { checkWebhooks, webhooksOf } from './webhooks.ts';
import { type Path, readYaml, type Tree, type YamlFile } from './read-yaml.ts';
import { type CheckedTree, checkTree, configKeys, type ConfigKey, type SchemaIssue } from './schema.ts';

export interface ConfigInput {
  /** `path` is absolute; `shown` is how messages name it. */
  readonly file: { readonly path: string; readonly shown: string; readonly text: string } | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** By the name of the key: `{ dataDir: './data' }`. */
  readonly flags: Readonly<Record<string, string>>;
  /** Absolute: where the command was typed. */
  readonly folder: string;
  /** How many cores the machine has; the default number of workers is that, at most 4. */
  readonly cores: number;
}

export type ConfigOutcome =
  /** `notes` are worth saying once at start, and no fault. */
  | {
      readonly ok: true;
      readonly config: HubConfig;
      readonly notes: readonly Say[];
      /** Where a key such as `tls.certFile` was written. */
      placeOf(key: string): Place;
    }
  /** At least one, in the order in which somebody would mend them. */
  | { readonly ok: false; readonly faults: readonly ConfigFault[] };

/**
 * Makes one checked configuration of what file, environment and flags say; a flag goes before a variable, that before the
 * file, that before the default. Finds all faults at once, each with the place where it was written.
 */
export function loadConfig(input: ConfigInput): ConfigOutcome {
  const keys = configKeys();
  const file = input.file === undefined ? undefined : readYaml(input.file.shown, input.file.text);
  const variables = readVariables(input.env, keys);
  const flags = readFlags(input.flags, keys);
  const overrides = new Map([...variables.values, ...flags.values].map((override) => [override.key, override]));
  const sources = new Sources(file, overrides);
  const tree = merge(splitLists(file?.tree ?? {}, keys), overrides);
  const checked = checkTree(tree);
  const issues = checked.ok ? [] : checked.issues;
  const sound = checked.ok ? checked.value : withoutFaults(tree, issues);
  const faults = [
    ...(file?.faults ?? []),
    ...variables.faults,
    ...flags.faults,
    ...[...issues, ...crossFaults(sound, issues, { resolvePath: pathReader(sources, input), env: input.env })].map((issue) =>
      sources.fault(issue),
    ),
  ];
  if (faults.length > 0) return { ok: false, faults: faults.sort(compareFaults) };
  return {
    ok: true,
    config: deepFreeze(build(sound, sources, input)),
    notes: notesOf(sound),
    placeOf: (key) => sources.placeOf(key.split('.')),
  };
}

/** Knows where each value was written. */
class Sources {
  readonly #file: YamlFile | undefined;
  readonly #overrides: ReadonlyMap<string, Override>;

  constructor(file: YamlFile | undefined, overrides: ReadonlyMap<string, Override>) {
    this.#file = file;
    this.#overrides = overrides;
  }

  placeOf(path: Path, what: 'value' | 'key' = 'value'): Place {
    for (let length = path.length; length > 0; length -= 1) {
      const override = this.#overrides.get(path.slice(0, length).join('.'));
      if (override !== undefined) return override.place;
    }
    return this.#file?.placeOf(path, what) ?? { kind: 'none' };
  }

  isInFile(path: Path): boolean {
    return !this.#overrides.has(path.join('.')) && (this.#file?.has(path) ?? false);
  }

  fault(issue: SchemaIssue): ConfigFault {
    return { place: this.placeOf(issue.path, issue.what), key: issue.path.join('.'), say: issue.say };
  }
}

/** A list may stand in the file as one line separated by commas, as in a variable. */
function splitLists(tree: { readonly [key: string]: Tree }, keys: readonly ConfigKey[]): { readonly [key: string]: Tree } {
  const lists = keys.filter((key) => key.kind === 'list').map((key) => key.name.split('.'));
  return lists.reduce((whole, path) => {
    const value = path.reduce<Tree | undefined>((at, part) => (isGroup(at) ? at[part] : undefined), whole);
    return typeof value === 'string' ? put(whole, path, splitList(value)) : whole;
  }, tree);
}

function merge(tree: { readonly [key: string]: Tree }, overrides: ReadonlyMap<string, Override>): { readonly [key: string]: Tree } {
  let merged = tree;
  for (const { key, value } of overrides.values()) merged = put(merged, key.split('.'), value);
  return merged;
}

/** The tree with `value` at `path`; unchanged where something that is no group stands in the way, which is a fault of its own. */
function put(
  tree: { readonly [key: string]: Tree },
  [name = '', ...rest]: readonly string[],
  value: Tree,
): { readonly [key: string]: Tree } {
  if (rest.length === 0) return { ...tree, [name]: value };
  const below = tree[name] ?? {};
  return isGroup(below) ? { ...tree, [name]: put(below, rest, value) } : tree;
}

function isGroup(tree: Tree | undefined): tree is { readonly [key: string]: Tree } {
  return typeof tree === 'object' && tree !== null && !Array.isArray(tree);
}

/** What is left when every faulty value is taken out, so that rules over several keys are still checked. */
function withoutFaults(tree: { readonly [key: string]: Tree }, issues: readonly SchemaIssue[]): CheckedTree {
  let left = tree;
  for (const { path } of issues) left = drop(left, path);
  const checked = checkTree(left);
  return checked.ok ? checked.value : (checkTree({}) as { readonly value: CheckedTree }).value;
}

/** A faulty entry takes its list with it. */
function drop(tree: { readonly [key: string]: Tree }, [name, ...rest]: Path): { readonly [key: string]: Tree } {
  if (name === undefined) return {};
  const { [name]: below, ...others } = tree;
  return rest.length > 0 && isGroup(below) ? { ...others, [name]: drop(below, rest) } : others;
}

/** Rules over several keys, each checked only where the keys it reads are sound. */
function crossFaults(
  tree: CheckedTree,
  issues: readonly SchemaIssue[],
  { resolvePath, env }: { readonly resolvePath: ResolvePath; readonly env: ConfigInput['env'] },
): SchemaIssue[] {
  const found: SchemaIssue[] = [];
  const faulty = new Set(issues.flatMap(({ path }) => path.map((_, index) => path.slice(0, index + 1).join('.'))));
  const check = (reads: readonly string[], holds: boolean, path: Path, say: Say): void => {
    if (!holds && !reads.some((key) => faulty.has(key))) found.push({ path, what: 'value', say });
  };
  const listen = valueOf(parseListen(tree.listen));
  check(['listen', 'access.anonymous'], listen.loopback || tree.access.anonymous !== undefined, ['listen'], (m) => m.config.exposed);
  const { certFile, keyFile } = tree.tls;
  check(
    ['tls.certFile', 'tls.keyFile'],
    certFile === undefined || keyFile !== undefined,
    ['tls', 'certFile'],
    (m) => m.config.certWithoutKey,
  );
  check(
    ['tls.certFile', 'tls.keyFile'],
    keyFile === undefined || certFile !== undefined,
    ['tls', 'keyFile'],
    (m) => m.config.keyWithoutCert,
  );
  const self = new Set([`127.0.0.1:${listen.port}`, `localhost:${listen.port}`, `[::1]:${listen.port}`]);
  if (tree.publicUrl !== undefined) self.add(new URL(tree.publicUrl).host);
  for (const [index, entry] of (tree.upstreams ?? []).entries()) {
    const isSelf = /^https?:/i.test(entry) && self.has(new URL(entry).host);
    check(['listen', 'publicUrl', 'upstreams'], !isSelf, ['upstreams', index], (m) => m.config.upstreamIsSelf);
  }
  checkOwnDatabase(tree, resolvePath(tree.dataDir, ['dataDir']), resolvePath, check);
  checkPrivate(tree, env, check);
  checkWebhooks(tree, env, check);
  checkAccess(tree, check);
  checkHandOver(tree, check);
  return found;
}

function build(tree: CheckedTree, sources: Sources, input: ConfigInput): HubConfig {
  const resolvePath = pathReader(sources, input);
  const pathOf = (text: string | undefined, key: Path): string | undefined => (text === undefined ? undefined : resolvePath(text, key));
  const dataDir = resolvePath(tree.dataDir, ['dataDir']);
  const listen = valueOf(parseListen(tree.listen));
  const certFile = pathOf(tree.tls.certFile, ['tls', 'certFile']);
  const keyFile = pathOf(tree.tls.keyFile, ['tls', 'keyFile']);
  const { limits, freshness } = tree;
  return {
    listen,
    publicUrl: tree.publicUrl === undefined ? undefined : valueOf(parsePublicUrl(tree.publicUrl)),
    dataDir,
    workers: tree.workers ?? Math.max(1, Math.min(input.cores, 4)),
    upstreams: tree.upstreams === undefined ? { kind: 'default' } : valueOf(parseUpstreams(tree.upstreams)),
    checksumDatabases: tree.checksumDatabases.map((entry) => entry.trim()),
    freshness: { listMs: freshness.listSeconds * 1_000, negativeMs: freshness.negativeSeconds * 1_000 },
    limits: {
      upstreamMs: limits.upstreamSeconds * 1_000,
      idleMs: limits.idleSeconds * 1_000,
      bytesPerSecondMin: limits.minBytesPerSecond,
      waitMs: limits.waitSeconds * 1_000,
      connectionsMax: limits.connections,
      headerMs: limits.headerSeconds * 1_000,
      fetchSlots: limits.fetchSlots,
      rangeStreams: limits.rangeStreams,
      prefetchSlots: limits.prefetchSlots,
      memoryCacheBytes: limits.memoryCacheBytes,
      mirrorBytes: limits.mirrorBytes,
      proofThreads: limits.proofThreads,
      drainMs: limits.drainSeconds * 1_000,
      scrubEveryMs: limits.scrubDays * 86_400_000,
    },
    tls: certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile },
    outbound: { ...proxiesOf(tree, input.env), caFile: pathOf(tree.tls.caFile, ['tls', 'caFile']) },
    verify: tree.verify,
    ownDatabase: ownDatabaseOf(tree, dataDir, resolvePath),
    private: privateOf(tree, resolvePath),
    webhooks: webhooksOf(tree, resolvePath),
    access: accessOf(tree, listen.loopback, resolvePath),
    sdk: sdkOf(tree.sdk),
    nameRules: tree.policy.rules,
    store: { kind: 'fs' },
    bundles: tree.bundles,
    handOver: handOverOf(tree, dataDir),
    metadata: { kind: 'sqlite' },
    witness: witnessOf(tree, pathOf),
    log: tree.log,
  };
}

/** What is written in the file is relative to it, everything else to where the command was typed. */
function pathReader(sources: Sources, input: ConfigInput): ResolvePath {
  return (text, key) => resolve(input.file !== undefined && sources.isInFile(key) ? dirname(input.file.path) : input.folder, text);
}

function witnessOf({ witness }: CheckedTree, pathOf: (text: string | undefined, key: Path) => string | undefined): WitnessConfig {
  const stateDir = pathOf(witness.stateDir, ['witness', 'stateDir']) ?? '';
  return {
    name: witness.name,
    listen: valueOf(parseListen(witness.listen)),
    stateDir,
    keyFile: pathOf(witness.keyFile, ['witness', 'keyFile']) ?? join(stateDir, 'witness.key'),
    logs: valueOf(parseWitnessLogs(witness.logs?.map((text) => text.trim()) ?? [])),
  };
}

/** What `outbound` says, and what it leaves open from the variables that Go's own programs read, upper case first. */
function proxiesOf(tree: CheckedTree, env: Readonly<Record<string, string | undefined>>): Omit<HubConfig['outbound'], 'caFile'> {
  const from = (upper: string): string | undefined => env[upper] || env[upper.toLowerCase()] || undefined;
  const proxy = tree.outbound.proxy === undefined ? undefined : valueOf(parseProxy(tree.outbound.proxy));
  return {
    httpProxy: proxy ?? from('HTTP_PROXY'),
    httpsProxy: proxy ?? from('HTTPS_PROXY'),
    noProxy: tree.outbound.noProxy?.join(',') ?? from('NO_PROXY'),
  };
}

function notesOf(tree: CheckedTree): readonly Say[] {
  const notes: Say[] = [];
  if (tree.verify === 'off') notes.push((m) => m.config.verifyOff);
  if (tree.access.anonymous?.length === 0) notes.push((m) => m.config.nobodyMayRead);
  return notes;
}

function valueOf<T>(read: Read<T>): T {
  invariant(read.ok, 'the schema has checked this text');
  return read.value;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const below of Object.values(value)) deepFreeze(below);
  }
  return value;
}
