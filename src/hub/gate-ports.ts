import { HubError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import type { NamePolicy } from '../policy/name-policy.ts';
import { GO_MOD_LENGTH_MAX } from '../protocol/go-mod.ts';
import type { ModuleAt } from '../protocol/main-go-mod.ts';
import { INFO_BYTES_MAX, parseVersionInfo } from '../protocol/version-info.ts';
import type { BuiltVersion, GatePorts } from './gate.ts';
import type { Served } from './served.ts';
import type { Station } from './station.ts';
import { rootsOf, type SourceRule } from './tag-modules.ts';

export interface GatePortsParts extends Pick<GatePorts, 'drifted' | 'report'> {
  readonly station: Pick<Station, 'answer'>;
  /** The private rules that have repositories. */
  readonly rules: readonly SourceRule[];
  readonly policy: NamePolicy;
  /** The commit that the tag of a version stands for now; undefined where that cannot be told. @throws {HubError} not-found when the tag is gone, what the source throws */
  readonly commitNow: (module: ModuleAt, signal: AbortSignal) => Promise<string | undefined>;
}

/** The gate's way into the hub: that of every client, so that what it lets pass is what clients get. */
export function createGatePorts({ station, rules, policy, commitNow, drifted, report }: GatePortsParts): GatePorts {
  const ask = (module: ModuleAt, file: 'info' | 'mod' | 'zip', signal: AbortSignal): Promise<Served> =>
    station.answer({ kind: 'file', file, module: module.path, version: module.version }, { fill: true }, signal);
  const read = async (module: ModuleAt, file: 'info' | 'mod', signal: AbortSignal): Promise<Buffer> =>
    wholeOf(await ask(module, file, signal), file === 'info' ? INFO_BYTES_MAX : GO_MOD_LENGTH_MAX);
  const build = async (module: ModuleAt, signal: AbortSignal): Promise<BuiltVersion> => {
    const info = parseVersionInfo(await read(module, 'info', signal), module.version);
    if (!info.ok) throw new HubError('upstream-invalid', info.reason);
    const goMod = await read(module, 'mod', signal);
    await letGo(await ask(module, 'zip', signal));
    return { goMod: goMod.toString('utf8'), commit: info.value.commit, commitNow: await commitNow(module, signal) };
  };
  return {
    roots: (event) => rootsOf(event, rules),
    build,
    resolve: async (requirement, signal) => letGo(await ask(requirement, 'mod', signal)),
    policy: ({ path, version }) => policy.verdict(path, version),
    drifted,
    report,
  };
}

async function letGo(served: Served): Promise<void> {
  if (served.kind === 'blob') await served.blob[Symbol.asyncDispose]();
}

async function wholeOf(served: Served, sizeMaxBytes: number): Promise<Buffer> {
  if (served.kind === 'bytes') return served.bytes;
  await using blob = served.blob;
  if (blob.sizeBytes > sizeMaxBytes) throw new HubError('upstream-invalid', `a file is longer than ${sizeMaxBytes} bytes`);
  const whole = Buffer.alloc(blob.sizeBytes);
  for (let at = 0; at < whole.length; ) {
    const part = whole.subarray(at);
    const count = await blob.read(part, part.length, at);
    invariant(count > 0, 'a stored file is as long as it says');
    at += count;
  }
  return whole;
}
