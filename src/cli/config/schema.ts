import { z } from 'zod';
import { parseChecksumDatabaseEntry } from '../../protocol/checksum-database-entry.ts';
import { nearestName } from '../nearest-name.ts';
import { type AccessFault, type AccessTree, faultsOfAnonymous, faultsOfGroup, faultsOfIssuer, type IssuerTree } from './access.ts';
import type { Say } from './faults.ts';
import { parseAddressRanges } from './hand-over.ts';
import type { HandOverConfig, LogConfig, NameRuleConfig, OwnDatabaseConfig, OwnWitnessConfig } from './hub-config.ts';
import { parseNameRule } from './name-rule.ts';
import { faultsOfPrivateRule, type PrivateRuleTree } from './private.ts';
import {
  type Read,
  parseListen,
  parseOwnDatabaseName,
  parsePath,
  parseProxy,
  parsePublicUrl,
  parseUpstreams,
  parseWitnessKey,
  parseWitnessLogs,
  parseWitnessName,
  parseWitnessUrl,
} from './parse-values.ts';
import { parseSdkIndexUrl, parseSdkMirrors, sdkIndexDefault, type SdkTree } from './sdk.ts';
import { webhookNames, webhooksShape, type WebhooksTree } from './webhooks.ts';

/**
 * Every key that a configuration may hold, with its bounds and its default: the one place to look, and what docs/config.md
 * is compared with. Texts are only checked here; `load.ts` makes values of them, because a path depends on where it was written.
 */
const schema = z.strictObject({
  listen: text(parseListen).default('127.0.0.1:8080'),
  publicUrl: text(parsePublicUrl).optional(),
  dataDir: text(parsePath).default('./data'),
  workers: z.int().min(1).max(64).optional(),
  upstreams: texts(16, parseUpstreams).optional(),
  checksumDatabases: texts(8, checkDatabases).default(['sum.golang.org']),
  freshness: group({
    listSeconds: z.int().min(0).max(2_592_000).default(60),
    negativeSeconds: z.int().min(0).max(3_600).default(60),
  }),
  limits: group({
    upstreamSeconds: z.int().min(1).max(600).default(30),
    idleSeconds: z.int().min(1).max(600).default(20),
    minBytesPerSecond: z.int().min(0).max(1_000_000_000).default(8_192),
    waitSeconds: z.int().min(1).max(3_600).default(600),
    connections: z.int().min(16).max(65_536).default(4_096),
    headerSeconds: z.int().min(1).max(60).default(15),
    fetchSlots: z.int().min(4).max(4_096).default(256),
    rangeStreams: z.int().min(1).max(8).default(1),
    prefetchSlots: z.int().min(0).max(256).default(16),
    memoryCacheBytes: z.int().min(1_048_576).max(4_294_967_296).default(33_554_432),
    mirrorBytes: z.int().min(1_073_741_824).max(1_099_511_627_776_000).default(107_374_182_400),
    proofThreads: z.int().min(1).max(32).default(1),
    drainSeconds: z.int().min(0).max(600).default(20),
    scrubDays: z.int().min(0).max(365).default(7),
  }),
  tls: group({ certFile: text(parsePath).optional(), keyFile: text(parsePath).optional(), caFile: text(parsePath).optional() }),
  outbound: group({ proxy: text(parseProxy).optional(), noProxy: z.array(z.string()).max(256).optional() }),
  verify: z.enum(['require', 'off']).default('require'),
  ownDatabase: group({
    name: text(parseOwnDatabaseName).optional(),
    keyFile: text(parsePath).optional(),
    sign: z.enum(['all', 'private']).default('all'),
    former: z
      .array(
        z.strictObject({ name: text(parseOwnDatabaseName), keyFile: text(parsePath), sign: z.enum(['all', 'private']).default('all') }),
      )
      .max(8)
      .default([]),
    witnesses: z
      .array(z.strictObject({ url: text(parseWitnessUrl), key: text(parseWitnessKey) }))
      .max(8)
      .default([]),
  }),
  private: z.array(privateRule()).max(256).default([]),
  webhooks: group(webhooksShape),
  sdk: group({ mirrors: texts(8, parseSdkMirrors).optional(), index: text(parseSdkIndexUrl).default(sdkIndexDefault) }),
  access: group({
    anonymous: z.array(z.string()).max(256).check(entries(faultsOfAnonymous)).optional(),
    groups: z.array(accessGroup()).max(256).default([]),
    oidc: z.array(identityIssuer()).max(16).default([]),
    trustedProxies: texts(64, parseAddressRanges).optional(),
  }),
  store: group({
    kind: builtOnly('fs', ['fs', 's3']),
    endpoint: notBuilt(),
    region: notBuilt(),
    bucket: notBuilt(),
    prefix: notBuilt(),
    forcePathStyle: notBuilt(),
    redirect: notBuilt(),
  }),
  bundles: group({ sm2: z.enum(['optional', 'required']).default('optional') }),
  handOver: group({
    kind: z.enum(['off', 'x-accel-redirect', 'x-sendfile', 'redirect']).default('off'),
    prefix: z.string().optional(),
    minBytes: z.int().min(262_144).max(4_294_967_296).default(1_048_576),
    to: texts(64, parseAddressRanges).optional(),
  }),
  metadata: group({ kind: builtOnly('sqlite', ['sqlite', 'postgres']), urlEnv: notBuilt() }),
  policy: group({ rules: z.array(nameRule()).max(1_000).default([]) }),
  sync: group({ index: notBuilt(), everyMinutes: notBuilt(), tracked: notBuilt() }),
  witness: group({
    name: text(parseWitnessName).optional(),
    listen: text(parseListen).default('127.0.0.1:8090'),
    stateDir: text(parsePath).default('./witness'),
    keyFile: text(parsePath).optional(),
    logs: texts(64, parseWitnessLogs).optional(),
  }),
  log: group({
    level: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
    format: z.enum(['auto', 'json', 'pretty']).default('auto'),
    access: z.enum(['all', 'misses', 'errors', 'off']).default('misses'),
  }),
});

/** What the schema makes of a tree: defaults filled in, texts still texts. */
export interface CheckedTree {
  readonly listen: string;
  readonly publicUrl?: string | undefined;
  readonly dataDir: string;
  readonly workers?: number | undefined;
  readonly upstreams?: readonly string[] | undefined;
  readonly checksumDatabases: readonly string[];
  readonly freshness: { readonly listSeconds: number; readonly negativeSeconds: number };
  readonly limits: Readonly<Record<LimitKey, number>>;
  readonly tls: { readonly certFile?: string | undefined; readonly keyFile?: string | undefined; readonly caFile?: string | undefined };
  readonly outbound: { readonly proxy?: string | undefined; readonly noProxy?: readonly string[] | undefined };
  readonly verify: 'require' | 'off';
  readonly ownDatabase: {
    readonly name?: string | undefined;
    readonly keyFile?: string | undefined;
    readonly sign: OwnDatabaseConfig['sign'];
    readonly former: readonly OwnDatabaseConfig[];
    readonly witnesses: readonly OwnWitnessConfig[];
  };
  readonly private: readonly PrivateRuleTree[];
  readonly webhooks: WebhooksTree;
  readonly access: AccessTree;
  readonly sdk: SdkTree;
  readonly bundles: { readonly sm2: 'optional' | 'required' };
  readonly handOver: {
    readonly kind: HandOverConfig['kind'];
    readonly prefix?: string | undefined;
    readonly minBytes: number;
    readonly to?: readonly string[] | undefined;
  };
  readonly policy: { readonly rules: readonly NameRuleConfig[] };
  readonly witness: {
    readonly name?: string | undefined;
    readonly listen: string;
    readonly stateDir: string;
    readonly keyFile?: string | undefined;
    readonly logs?: readonly string[] | undefined;
  };
  readonly log: LogConfig;
}

type LimitKey =
  | 'upstreamSeconds'
  | 'idleSeconds'
  | 'minBytesPerSecond'
  | 'waitSeconds'
  | 'connections'
  | 'headerSeconds'
  | 'fetchSlots'
  | 'rangeStreams'
  | 'prefetchSlots'
  | 'memoryCacheBytes'
  | 'mirrorBytes'
  | 'proofThreads'
  | 'drainSeconds'
  | 'scrubDays';

export interface SchemaIssue {
  readonly path: readonly (string | number)[];
  /** Whether the key itself is wrong or its value. */
  readonly what: 'key' | 'value';
  readonly say: Say;
}

/** @returns the tree with defaults, or every issue at once. */
export function checkTree(
  tree: unknown,
): { readonly ok: true; readonly value: CheckedTree } | { readonly ok: false; readonly issues: readonly SchemaIssue[] } {
  const result = schema.safeParse(tree, { reportInput: true });
  return result.success
    ? { ok: true, value: result.data }
    : { ok: false, issues: result.error.issues.flatMap((issue) => translate(issue)) };
}

/** `groups`: a list of groups of keys, which only the file can hold. */
export type KeyKind = 'text' | 'number' | 'choice' | 'list' | 'not built' | 'groups';

/** One key that can be set, as documentation and variables need it. */
export interface ConfigKey {
  /** Dotted: `limits.upstreamSeconds`. */
  readonly name: string;
  readonly kind: KeyKind;
  /** Undefined: no default, or one that depends on the machine. */
  readonly defaultValue: unknown;
  readonly min: number | undefined;
  readonly max: number | undefined;
  readonly choices: readonly string[];
}

/** Every key, in the order of the schema. */
export function configKeys(): readonly ConfigKey[] {
  return keysOf(schema, '');
}

/** The names that may stand in the group at `path`. */
function namesInGroup(path: readonly (string | number)[]): readonly string[] {
  const entry = namesInEntry.get(path.slice(0, -1).join('.'));
  if (entry !== undefined) return entry;
  const prefix = path.map((part) => `${part}.`).join('');
  const below = configKeys().filter((key) => key.name.startsWith(prefix));
  return [...new Set(below.map((key) => key.name.slice(prefix.length).split('.')[0] ?? ''))];
}

/** By the list of groups. */
const namesInEntry: ReadonlyMap<string, readonly string[]> = new Map([
  ['policy.rules', ['match', 'action', 'reason']],
  ['private', ['match', 'git', 'uploads', 'public', 'rootElements', 'mode', 'credential']],
  ...webhookNames,
  ['access.groups', ['name', 'grants']],
  ['access.oidc', ['issuer', 'audience', 'jwksFile', 'jwksUrl', 'rules']],
  ['ownDatabase.former', ['name', 'keyFile', 'sign']],
  ['ownDatabase.witnesses', ['url', 'key']],
]);

function group<T extends z.core.$ZodLooseShape>(shape: T): z.ZodPrefault<z.ZodObject<T, z.core.$strict>> {
  return z.strictObject(shape).prefault({} as never);
}

function text(parse: (value: string) => Read<unknown>): z.ZodString {
  return z.string().check((context) => {
    const read = parse(context.value);
    if (!read.ok) context.issues.push(custom(context.value, read.say));
  });
}

function texts(entriesMax: number, parse: (values: readonly string[]) => Read<unknown>): z.ZodArray<z.ZodString> {
  return z
    .array(z.string())
    .min(1)
    .max(entriesMax)
    .check((context) => {
      if (!Array.isArray(context.value) || context.value.some((value) => typeof value !== 'string')) return;
      const read = parse(context.value.map((value) => value.trim()));
      if (!read.ok) context.issues.push(custom(context.value, read.say, read.entry === undefined ? [] : [read.entry]));
    });
}

function notBuilt(): z.ZodOptional<z.ZodUnknown> {
  return z
    .unknown()
    .check((context) => {
      if (context.value !== undefined) context.issues.push(custom(context.value, (m) => m.config.notBuilt, [], 'key'));
    })
    .optional();
}

/** A choice of which only the first alternative is there yet. */
function builtOnly(built: string, all: readonly [string, ...string[]]): z.ZodDefault<z.ZodEnum<Record<string, string>>> {
  const choices: z.ZodEnum<Record<string, string>> = z.enum([...all] as [string, ...string[]]);
  return choices
    .check((context) => {
      if (context.value !== built) context.issues.push(custom(context.value, (m) => m.config.notBuilt));
    })
    .default(built);
}

function nameRule(): z.ZodType<NameRuleConfig> {
  return z
    .strictObject({
      match: z.string(),
      action: z.enum(['allow', 'deny']),
      reason: z.string().optional(),
    })
    .check((context) => {
      for (const { key, say } of parseNameRule(context.value)) context.issues.push(custom(context.value, say, [key]));
    })
    .transform(({ match, action, reason }) => ({ match, action, reason: reason ?? '' }));
}

function privateRule(): z.ZodType<PrivateRuleTree> {
  return z
    .strictObject({
      match: z.string(),
      git: z.string().optional(),
      uploads: z.boolean().optional(),
      public: z.boolean().optional(),
      rootElements: z.int().min(1).max(32).optional(),
      mode: z.enum(['on-demand', 'archive-on-tag']).optional(),
      credential: z
        .strictObject({
          username: z.string().min(1).optional(),
          passwordEnv: z.string().optional(),
          passwordFile: text(parsePath).optional(),
          sshKeyFile: text(parsePath).optional(),
          knownHostsFile: text(parsePath).optional(),
        })
        .optional(),
    })
    .check((context) => {
      for (const { path, say } of faultsOfPrivateRule(context.value)) context.issues.push(custom(context.value, say, [...path]));
    });
}

function accessGroup(): z.ZodType<AccessTree['groups'][number]> {
  return z.strictObject({ name: z.string(), grants: z.array(z.string()).max(256) }).check(entries(faultsOfGroup));
}

function identityIssuer(): z.ZodType<IssuerTree> {
  const texts = z.array(z.string()).max(256).optional();
  const rule = z.strictObject({ claims: z.record(z.string(), z.string()), grants: texts, groups: texts });
  return z
    .strictObject({
      issuer: z.string(),
      audience: z.string(),
      jwksFile: z.string().optional(),
      jwksUrl: z.string().optional(),
      rules: z.array(rule).max(256),
    })
    .check(entries(faultsOfIssuer));
}

/** Every fault at its own place below the value. */
function entries<T>(faultsOf: (value: T) => readonly AccessFault[]): (context: z.core.ParsePayload<T>) => void {
  return (context) => {
    for (const { path, say } of faultsOf(context.value)) context.issues.push(custom(context.value, say, [...path]));
  };
}

function checkDatabases(entries: readonly string[]): Read<unknown> {
  const names = new Set<string>();
  for (const [index, entry] of entries.entries()) {
    if (entry.includes('|')) return { ok: false, say: (m) => m.config.bars, entry: index };
    const read = parseChecksumDatabaseEntry(entry);
    if (!read.ok) return { ok: false, say: (m) => m.config.badDatabase(read.reason), entry: index };
    // Names are folders, and a disk may ignore case.
    const name = read.value.name.toLowerCase();
    if (names.has(name)) return { ok: false, say: (m) => m.config.databaseTwice, entry: index };
    names.add(name);
  }
  return { ok: true, value: undefined };
}

function custom(input: unknown, say: Say, path: (string | number)[] = [], what: SchemaIssue['what'] = 'value'): z.core.$ZodRawIssue {
  return { code: 'custom', input, path, params: { say, what } };
}

function translate(issue: z.core.$ZodIssue): SchemaIssue[] {
  const path = issue.path.filter((part) => typeof part !== 'symbol');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((name) => {
      const say: Say = isRuleKeyToCome(path, name)
        ? (m) => m.config.ruleKeyNotBuilt
        : (m) => m.config.unknownKey(name, nearestName(name, namesInGroup(path)));
      return { path: [...path, name], what: 'key', say };
    });
  }
  const what = issue.code === 'custom' && issue.params?.['what'] === 'key' ? 'key' : 'value';
  return [{ path, what, say: sayOf(issue, path) }];
}

function sayOf(issue: z.core.$ZodIssue, path: readonly (string | number)[]): Say {
  if (issue.code === 'custom') return (issue.params as { say: Say }).say;
  if (issue.input === undefined) return (m) => m.config.missing;
  const key = keyAt(path);
  switch (issue.code) {
    case 'invalid_value':
      return (m) => m.config.mustBeOneOf(issue.values.map(String));
    case 'too_small':
      return issue.origin === 'array' ? (m) => m.config.atLeastOneEntry : (m) => m.config.mustBeWhole(key?.min ?? 0, key?.max ?? 0);
    case 'too_big':
      return issue.origin === 'array'
        ? (m) => m.config.atMostEntries(Number(issue.maximum))
        : (m) => m.config.mustBeWhole(key?.min ?? 0, key?.max ?? 0);
    case 'invalid_type':
      if (issue.expected === 'object') return (m) => m.config.mustBeGroup;
      if (issue.expected === 'array') return (m) => m.config.mustBeList;
      if (key?.kind === 'number') return (m) => m.config.mustBeWhole(key.min ?? 0, key.max ?? 0);
      return (m) => m.config.mustBeText;
    default:
      return (m) => m.config.mustBeText;
  }
}

function keyAt(path: readonly (string | number)[]): ConfigKey | undefined {
  const name = path.join('.');
  return configKeys().find((key) => key.name === name);
}

/** Conditions of rules that later versions have: said plainly, instead of as an unknown key. */
function isRuleKeyToCome(path: readonly (string | number)[], name: string): boolean {
  return path[0] === 'policy' && path[1] === 'rules' && ['age', 'licence', 'license', 'vulnerabilities'].includes(name);
}

function keysOf(type: z.core.$ZodType, name: string): ConfigKey[] {
  let inner = type;
  let defaultValue: unknown;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault) {
    if (inner instanceof z.ZodDefault) defaultValue = inner.def.defaultValue;
    inner = inner.unwrap();
  }
  if (inner instanceof z.ZodObject) {
    return Object.entries(inner.shape as Readonly<Record<string, z.core.$ZodType>>).flatMap(([part, below]) =>
      keysOf(below, name === '' ? part : `${name}.${part}`),
    );
  }
  const base = { name, defaultValue, min: undefined, max: undefined, choices: [] };
  if (inner instanceof z.ZodNumber) return [{ ...base, kind: 'number', min: inner.minValue ?? 0, max: inner.maxValue ?? 0 }];
  if (inner instanceof z.ZodEnum) return [{ ...base, kind: 'choice', choices: inner.options.map(String) }];
  if (inner instanceof z.ZodArray) return [{ ...base, kind: namesInEntry.has(name) ? 'groups' : 'list' }];
  return [{ ...base, kind: inner instanceof z.ZodString ? 'text' : 'not built' }];
}
