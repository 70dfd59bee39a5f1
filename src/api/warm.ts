/**
 * `POST /api/v1/warm`: which modules to fetch and prove, and what the hub tells while it does.
 *
 * The body is a go.mod or go.sum file as it is, or `{"modules":[{"path":"rsc.io/quote","version":"v1.5.2","files":["mod","zip"]}]}`; without
 * `files` all three are meant. The query takes `dryRun=true`, and `skip=PATTERNS` as in GOPRIVATE. The answer is a line of JSON an event; the
 * last one is `summary`, or `error` when the run could not go on. An answer without either was cut off.
 */
import { z } from 'zod';
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { type ModulePath, parseModulePath } from '../protocol/module-path.ts';
import { checkPathVersion, type Version } from '../protocol/version.ts';

export const WARM_EVENTS_TYPE = 'application/x-ndjson';

/** Content types of the body by what it is. */
export const WARM_TYPES = { modules: 'application/json', 'go-mod': 'text/x-go-mod', 'go-sum': 'text/x-go-sum' } as const;
export type WarmBodyKind = keyof typeof WARM_TYPES;

/** Bytes of a body. The largest go.sum files known have less than 1 MiB. */
export const WARM_BODY_BYTES_MAX: number = 4 * 1024 * 1024;
/** Modules in a JSON body. */
export const WARM_MODULES_MAX = 20_000;
/** Characters of one line of the answer. */
export const WARM_LINE_LENGTH_MAX: number = 16 * 1024;

const files = ['info', 'mod', 'zip'] as const;
export type WarmFile = (typeof files)[number];

export interface WarmModule {
  readonly path: ModulePath;
  readonly version: Version;
  readonly files: readonly WarmFile[];
}

const bodyShape = z.strictObject({
  modules: z
    .array(z.strictObject({ path: z.string(), version: z.string(), files: z.array(z.enum(files)).min(1).max(files.length).optional() }))
    .max(WARM_MODULES_MAX),
});

/** A JSON body, every name checked. */
export function parseWarmModules(text: string): Parsed<readonly WarmModule[]> {
  const json = parseJson(text);
  if (!json.ok) return json;
  const shape = bodyShape.safeParse(json.value);
  if (!shape.success) {
    const [issue] = shape.error.issues;
    return refused(`${(issue?.path ?? []).join('.') || 'the body'}: ${issue?.message ?? 'has the wrong shape'}`);
  }
  const modules: WarmModule[] = [];
  for (const [at, wish] of shape.data.modules.entries()) {
    const path = parseModulePath(wish.path);
    if (!path.ok) return refused(`modules.${at}: ${path.reason}`);
    const version = checkPathVersion(path.value, wish.version);
    if (!version.ok) return refused(`modules.${at}: ${version.reason}`);
    modules.push({ path: path.value, version: version.value, files: wish.files ?? files });
  }
  return parsed(modules);
}

/** Of files; `bytes` are those of `fetched` files, received so far. `total` grows while go.mod files are read. */
export interface WarmCount {
  readonly total: number;
  readonly done: number;
  readonly fetched: number;
  readonly present: number;
  readonly failed: number;
  readonly skipped: number;
  readonly bytes: number;
  readonly presentBytes: number;
}

export interface WarmFailed {
  readonly event: 'failed';
  /** '' for a line that names no module. */
  readonly path: string;
  readonly version: string;
  readonly file?: WarmFile | undefined;
  /** An error code of `docs/errors.md`. */
  readonly code: string;
  readonly reason: string;
  /** Of the go.mod or go.sum that was sent. */
  readonly line?: number | undefined;
}

export interface WarmSummary extends WarmCount {
  readonly event: 'summary';
  /** Whether nothing failed. */
  readonly ok: boolean;
  readonly dryRun: boolean;
  readonly seconds: number;
}

export type WarmEvent =
  | ({ readonly event: 'progress' } & WarmCount)
  /** With `dryRun`: a file that would be fetched; at most 10 000 are told. */
  | { readonly event: 'would-fetch'; readonly path: string; readonly version: string; readonly file: WarmFile }
  /** At most 1000 are told; `failed` of the summary counts all. */
  | WarmFailed
  /** A sentence about what the hub cannot know. */
  | { readonly event: 'note'; readonly reason: string }
  | WarmSummary
  | { readonly event: 'error'; readonly code: string; readonly reason: string };

const count = z.int().min(0);
const counts = {
  total: count,
  done: count,
  fetched: count,
  present: count,
  failed: count,
  skipped: count,
  bytes: count,
  presentBytes: count,
};
const moduleName = { path: z.string(), version: z.string() };

const eventShape: z.ZodType<WarmEvent> = z.discriminatedUnion('event', [
  z.object({ event: z.literal('progress'), ...counts }),
  z.object({ event: z.literal('would-fetch'), ...moduleName, file: z.enum(files) }),
  z.object({
    event: z.literal('failed'),
    ...moduleName,
    file: z.enum(files).optional(),
    code: z.string(),
    reason: z.string(),
    line: count.optional(),
  }),
  z.object({ event: z.literal('note'), reason: z.string() }),
  z.object({ event: z.literal('summary'), ok: z.boolean(), dryRun: z.boolean(), ...counts, seconds: z.number().min(0) }),
  z.object({ event: z.literal('error'), code: z.string(), reason: z.string() }),
]);

/** One line with its newline. */
export function formatWarmEvent(event: WarmEvent): string {
  return `${JSON.stringify(event)}\n`;
}

/** A line without its newline. Fields that this version does not know are passed over. */
export function parseWarmEvent(line: string): Parsed<WarmEvent> {
  const json = parseJson(line);
  if (!json.ok) return json;
  const event = eventShape.safeParse(json.value);
  return event.success ? parsed(event.data) : refused('this is no event of a warm run');
}

function parseJson(text: string): Parsed<unknown> {
  try {
    return parsed(JSON.parse(text) as unknown);
  } catch {
    return refused('this is not JSON');
  }
}
