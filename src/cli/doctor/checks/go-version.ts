import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { withoutCredentials } from '../../../base/log.ts';
import { goVersion } from '../../../protocol/go-mod.ts';
import { compareReleases, type GoRelease, parseGoRelease, TOOLCHAIN_MODULE, toolchainVersion } from '../../../protocol/go-release.ts';
import { escapePath } from '../../../protocol/module-path.ts';
import type { Facts } from '../facts.ts';
import { type Check, type Finding, type Proof, typed } from '../finding.ts';
import { firstExecutable, usualFolders } from '../go-tool.ts';
import { describe } from '../network.ts';
import { below } from '../proxy-list.ts';
import { settingFix } from '../setting-fix.ts';

export const goCommand: Check = {
  finds: ['go-missing', 'go-too-old'],
  async run({ go, env, settings }) {
    if (go === undefined) {
      const elsewhere = await firstExecutable(usualFolders(env));
      const proof = [
        { ran: 'command -v go', got: 'not found' },
        ...(elsewhere === undefined ? [] : [{ ran: `ls ${elsewhere}`, got: elsewhere }]),
      ];
      const line = elsewhere === undefined ? 'goyi sdk install stable' : `export PATH="$PATH:${elsewhere.slice(0, -'/go'.length)}"`;
      return [{ id: 'go-missing', subject: 'go', proof, fix: typed(line) }];
    }
    const version = settings.value('GOVERSION');
    if (minorOf(version) >= OLDEST_MINOR) return [];
    return [
      { id: 'go-too-old', subject: version, proof: [{ ran: 'go env GOVERSION', got: version }], fix: typed('goyi sdk install stable') },
    ];
  },
};

function minorOf(version: string): number {
  return Number(/^go1\.(\d+)/.exec(version)?.[1] ?? 99);
}

/** From here on a go.mod can name the toolchain that it needs, and an older one says only that it cannot build. */
const OLDEST_MINOR = 21;

/** Which toolchain go.mod and GOTOOLCHAIN ask for, and whether it can be had. */
export const toolchain: Check = {
  finds: ['go-line-invalid', 'toolchain-needed', 'toolchain-absent'],
  async run(facts) {
    const { settings, project } = facts;
    const invalid = invalidLine(project.goModText ?? '', project.goModFault);
    if (invalid !== undefined) return [invalid];
    const local = parseGoRelease(settings.value('GOVERSION').split(/[ -]/)[0] ?? '');
    // Of one that knows no toolchain lines it is told already.
    if (!local.ok || minorOf(local.value) < OLDEST_MINOR) return [];
    const setting = settings.value('GOTOOLCHAIN');
    const wanted = wantedRelease(facts);
    if (setting === 'local') {
      if (wanted === undefined || compareReleases(wanted.release, local.value) <= 0 || wanted.from === 'toolchain') return [];
      const proof = [
        { ran: 'go env GOVERSION', got: settings.value('GOVERSION') },
        { ran: 'go env GOTOOLCHAIN', got: setting },
        { ran: 'go.mod', got: `go ${wanted.release.slice(2)}` },
      ];
      return [{ id: 'toolchain-needed', subject: wanted.release, proof, fix: await settingFix(facts, 'GOTOOLCHAIN', 'auto') }];
    }
    const named = parseGoRelease(setting.split('+')[0] ?? '');
    const needed = [named.ok ? named.value : undefined, wanted?.release]
      .filter((release) => release !== undefined)
      .sort(compareReleases)
      .at(-1);
    if (needed === undefined || needed === local.value) return [];
    if (!named.ok && compareReleases(needed, local.value) <= 0) return [];
    return await lookForToolchain(needed, setting, facts);
  },
};

function invalidLine(text: string, fault: string | undefined): Finding | undefined {
  if (fault !== undefined)
    return { id: 'go-line-invalid', subject: 'go.mod', proof: [{ ran: 'go.mod', got: fault }], fix: typed('go mod edit -fmt') };
  for (const [index, line] of text.split('\n').entries()) {
    const [, version] = /^go\s+(\S+)\s*(?:\/\/.*)?$/.exec(line) ?? [];
    if (version === undefined || goVersion(version) !== undefined) continue;
    const better = /^(\d+\.\d+)/.exec(version.replace(/^go/, ''))?.[1] ?? '1.26';
    return {
      id: 'go-line-invalid',
      subject: `go ${version}`,
      proof: [{ ran: `go.mod:${index + 1}`, got: line }],
      fix: typed(`go mod edit -go=${better}`),
    };
  }
  return undefined;
}

/** What go.mod demands: of its go line at least that, of its toolchain line that one. */
function wantedRelease({ project }: Facts): { readonly release: GoRelease; readonly from: 'go' | 'toolchain' } | undefined {
  const line = project.goMod?.go;
  const numbers = line === undefined || /^\d+\.\d+\.|[a-z]/.test(line) ? line : `${line}.0`;
  const go = parseGoRelease(numbers ?? '');
  const own = parseGoRelease(project.toolchain ?? '');
  if (own.ok && (!go.ok || compareReleases(own.value, go.value) > 0)) return { release: own.value, from: 'toolchain' };
  return go.ok ? { release: go.value, from: 'go' } : undefined;
}

async function lookForToolchain(release: GoRelease, setting: string, { settings, proxies, network }: Facts): Promise<readonly Finding[]> {
  const version = toolchainVersion({ release, os: settings.value('GOHOSTOS'), arch: settings.value('GOHOSTARCH') });
  const there = join(settings.value('GOMODCACHE'), `${escapePath(TOOLCHAIN_MODULE)}@${version}`);
  const isThere = await stat(there).then(
    () => true,
    () => false,
  );
  if (isThere || network.blind || /\bpath$/.test(setting)) return [];
  const proof: Proof[] = [{ ran: 'go env GOTOOLCHAIN', got: setting }];
  for (const entry of proxies) {
    if (entry.kind !== 'proxy') continue;
    const url = below(entry.url, `${TOOLCHAIN_MODULE}/@v/${version}.info`);
    const answer = await network.get(url);
    // Whether a proxy can be reached is another check's matter.
    if (answer.kind === 'failed' || answer.status === 200) return [];
    proof.push({ ran: `GET ${withoutCredentials(url.href)}`, got: describe(answer) });
    if (answer.status !== 404 && answer.status !== 410 && entry.after !== '|') break;
  }
  return [{ id: 'toolchain-absent', subject: release, proof, fix: typed('go list -m -versions go', `go mod edit -go=1.26`) }];
}
