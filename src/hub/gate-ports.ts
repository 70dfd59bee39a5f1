import { codeOf, HubError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import type { NamePolicy } from '../policy/name-policy.ts';
import { GO_MOD_LENGTH_MAX } from '../protocol/go-mod.ts';
import type { ModuleAt } from '../protocol/main-go-mod.ts';
import { escapePath } from '../protocol/module-path.ts';
import { escapeVersion } from '../protocol/version.ts';
import { INFO_BYTES_MAX, parseVersionInfo } from '../protocol/version-info.ts';
import type { GatePorts } from './gate.ts';
import type { Homes } from './homes.ts';
import type { PrivateVersions } from './private-versions.ts';
import type { Served } from './served.ts';
import type { Station } from './station.ts';
import { rootsOf, type SourceRule } from './tag-modules.ts';

export interface GatePortsParts extends Pick<GatePorts, 'drifted' | 'report' | 'decided'> {
  readonly station: Pick<Station, 'answer'>;
  readonly privateVersions: Pick<PrivateVersions, 'archive'>;
  readonly homes: Homes;
  /** The private rules that have repositories. */
  readonly rules: readonly SourceRule[];
  readonly policy: NamePolicy;
}

type SmallFile = 'info' | 'mod';

const sizeMaxBytes: Readonly<Record<SmallFile, number>> = { info: INFO_BYTES_MAX, mod: GO_MOD_LENGTH_MAX };

/** The gate's way into the hub: what it looks at is what clients get, or would get. */
export function createGatePorts(parts: GatePortsParts): GatePorts {
  const { station, privateVersions, rules, policy, homes, drifted, report, decided } = parts;
  return {
    roots: (event) => rootsOf(event, rules),
    look: async (module, signal) => {
      const now = await fromSource(parts, module, 'info', signal);
      const info = await stored(parts, module, 'info', signal);
      const goMod = (await stored(parts, module, 'mod', signal)) ?? (await fromSource(parts, module, 'mod', signal));
      return {
        goMod: goMod.toString('utf8'),
        commit: info === undefined ? undefined : commitOf(info, module),
        commitNow: commitOf(now, module),
        isStored: info !== undefined,
      };
    },
    commitOf: async (module, signal) => {
      const info = await stored(parts, module, 'info', signal);
      return info === undefined ? undefined : commitOf(info, module);
    },
    archive: async (module, signal) => {
      await privateVersions.archive(module.path, module.version, signal);
      const goMod = await stored(parts, module, 'mod', signal);
      if (goMod === undefined)
        throw new HubError('storage-fault', `the go.mod of ${module.path}@${module.version} vanishes as soon as it is stored`);
      return goMod.toString('utf8');
    },
    resolve: async ({ path, version }, signal) =>
      letGo(await station.answer({ kind: 'file', file: 'mod', module: path, version }, { fill: true }, signal)),
    policy: ({ path, version }) => policy.verdict(path, version),
    isArchiveOnly: (module) => homes.of(module).kind === 'archive',
    decided,
    drifted,
    report,
  };
}

function commitOf(bytes: Buffer, { version }: ModuleAt): string | undefined {
  const info = parseVersionInfo(bytes, version);
  if (!info.ok) throw new HubError('upstream-invalid', info.reason);
  return info.value.commit;
}

/** As the repository has it at this moment; nothing is stored. */
async function fromSource({ homes }: GatePortsParts, module: ModuleAt, file: SmallFile, signal: AbortSignal): Promise<Buffer> {
  const home = homes.of(module.path);
  if (home.kind === 'public' || home.kind === 'none' || home.origin === undefined)
    throw new HubError('not-found', `${module.path} is made from no repository`);
  const resource = `${escapePath(module.path)}/@v/${escapeVersion(module.version)}.${file}`;
  const answer = await home.origin.fetch(
    { resource, sizeMaxBytes: sizeMaxBytes[file], current: file === 'info', priority: 'prefetch' },
    async (body) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) chunks.push(chunk);
      return Buffer.concat(chunks);
    },
    signal,
  );
  if (answer.kind === 'absent') throw new HubError('not-found', answer.reason);
  return answer.value;
}

/** Undefined when it is not stored. */
async function stored(
  { station }: GatePortsParts,
  { path, version }: ModuleAt,
  file: SmallFile,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  try {
    return await wholeOf(
      await station.answer({ kind: 'file', file, module: path, version }, { fill: false, isGate: true }, signal),
      sizeMaxBytes[file],
    );
  } catch (error) {
    const code = codeOf(error);
    if (code === 'not-cached' || code === 'not-found') return undefined;
    throw error;
  }
}

async function letGo(served: Served): Promise<void> {
  if (served.kind === 'blob') await served.blob[Symbol.asyncDispose]();
}

async function wholeOf(served: Served, sizeBytesMax: number): Promise<Buffer> {
  if (served.kind === 'bytes') return served.bytes;
  await using blob = served.blob;
  if (blob.sizeBytes > sizeBytesMax) throw new HubError('upstream-invalid', `a file is longer than ${sizeBytesMax} bytes`);
  const whole = Buffer.alloc(blob.sizeBytes);
  for (let at = 0; at < whole.length; ) {
    const part = whole.subarray(at);
    const count = await blob.read(part, part.length, at);
    invariant(count > 0, 'a stored file is as long as it says');
    at += count;
  }
  return whole;
}
