import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { replacementOf } from '../../../protocol/main-go-mod.ts';
import type { Facts } from '../facts.ts';
import { type Check, type Finding, typed } from '../finding.ts';
import type { Project } from '../project.ts';
import { settingFix, shown } from '../setting-fix.ts';

/** What is left of the time before modules, and vendor folders that do not agree with go.mod. */
export const gopath: Check = {
  finds: ['gopath-project', 'vendor-mismatch', 'vendor-missing'],
  async run(facts) {
    const { project, settings } = facts;
    if (settings.value('GO111MODULE') === 'off') return [];
    if (project.goModText === undefined) {
      if (project.leftovers.length === 0) return [];
      const proof = [
        { ran: `ls ${project.folder}`, got: project.leftovers.join(', ') },
        { ran: 'go env GOMOD', got: '' },
      ];
      return [{ id: 'gopath-project', subject: project.leftovers.join(', '), proof, fix: typed('go mod init', 'go mod tidy') }];
    }
    if (project.vendorText !== undefined) return await vendorFindings(facts, project.vendorText);
    return await missingVendor(facts);
  },
};

async function missingVendor(facts: Facts): Promise<readonly Finding[]> {
  const { project, settings } = facts;
  const flags = settings.value('GOFLAGS').split(/\s+/).filter(Boolean);
  if (!flags.includes('-mod=vendor')) return [];
  const folder = join(project.folder, 'vendor');
  const isThere = await stat(folder).then(
    () => true,
    () => false,
  );
  if (isThere || (project.goMod?.require.length ?? 0) === 0) return [];
  const fix = await settingFix(facts, 'GOFLAGS', flags.filter((flag) => flag !== '-mod=vendor').join(' ') || undefined);
  const proof = [
    { ran: 'go env GOFLAGS', got: settings.value('GOFLAGS') },
    { ran: `stat ${folder}`, got: 'ENOENT' },
  ];
  return [{ id: 'vendor-missing', subject: shown(facts, 'GOFLAGS'), proof, fix }];
}

/** As the go command compares them since `go 1.14` in go.mod: what go.mod requires is explicit in vendor/modules.txt, and the other way round. */
async function vendorFindings({ project }: Facts, text: string): Promise<readonly Finding[]> {
  const differences = vendorDifferences(project, text);
  if (differences.length === 0) return [];
  const proof = differences.slice(0, 10).map((got) => ({ ran: 'vendor/modules.txt', got }));
  return [{ id: 'vendor-mismatch', subject: join(project.folder, 'vendor', 'modules.txt'), proof, fix: typed('go mod vendor') }];
}

function vendorDifferences({ goMod }: Project, text: string): readonly string[] {
  if (goMod === undefined || olderThan14(goMod.go)) return [];
  const vendored = new Map<string, string>();
  const explicit = new Set<string>();
  let current = '';
  for (const line of text.split('\n')) {
    const [, path, version] = /^# (\S+) (v\S+)(?: =>.*)?$/.exec(line) ?? [];
    if (path !== undefined && version !== undefined) {
      current = path;
      vendored.set(path, version);
    } else if (/^## .*\bexplicit\b/.test(line)) explicit.add(current);
  }
  const required = new Map<string, string>(goMod.require.map(({ path, version }) => [path, version]));
  const missing = goMod.require.flatMap((module) => {
    const { path, version } = module;
    if (replacementOf(goMod, module) !== module) return [];
    const has = vendored.get(path);
    if (has === version && explicit.has(path)) return [];
    return [`go.mod: ${path} ${version}; vendor/modules.txt: ${has ?? '-'}`];
  });
  const extra = [...explicit]
    .filter((path) => !required.has(path))
    .map((path) => `go.mod: -; vendor/modules.txt: ${path} ${vendored.get(path) ?? ''}`);
  return [...missing, ...extra];
}

function olderThan14(go: string | undefined): boolean {
  const minor = Number(/^1\.(\d+)/.exec(go ?? '')?.[1] ?? 0);
  return minor < 14;
}
