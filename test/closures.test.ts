// Whole build lists of large real projects through the hub, by the real go command: with an empty module cache, then again with the upstream gone.
import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type GoSettings, realUpstream, runGo } from './support/go-command.ts';
import { roomyFolder, startHub } from './support/hub-process.ts';
import { startRelay } from './support/relay-upstream.ts';

const projects = [
  { module: 'github.com/prometheus/prometheus', version: 'v0.306.0', modulesMin: 180 },
  { module: 'helm.sh/helm/v3', version: 'v3.18.6', modulesMin: 120 },
  { module: 'k8s.io/kubectl', version: 'v0.34.1', modulesMin: 60 },
] as const;

/** Downloads everything a go.mod asks for into an empty module cache; answers go.sum and how many modules came. */
async function downloadAll(
  folder: string,
  name: string,
  goMod: string,
  settings: Omit<GoSettings, 'GOMODCACHE'>,
): Promise<{ goSum: string; modules: number }> {
  const directory = join(folder, name);
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'go.mod'), goMod);
  const result = await runGo(directory, ['mod', 'download', '-json'], { ...settings, GOMODCACHE: join(directory, 'cache') });
  assert.equal(result.code, 0, `${name}: ${result.stderr}\n${result.stdout.slice(-2000)}`);
  const goSum = await readFile(join(directory, 'go.sum'), 'utf8');
  await rm(directory, { recursive: true, force: true });
  return { goSum, modules: result.stdout.split('"Zip":').length - 1 };
}

test('three large projects download through the hub, prove, and download again with the upstream gone', async (t) => {
  await using folder = await roomyFolder(3 * 2 ** 30);
  const target = await realUpstream();
  await using relay = await startRelay(target);
  const dataDir = join(folder.path, 'data');
  const goMods = new Map<string, string>();
  const goSums = new Map<string, string>();
  {
    await using hub = await startHub({ dataDir, upstreams: [relay.url], workers: 2 });
    for (const { module, version, modulesMin } of projects) {
      await t.test(`${module}@${version}, cold`, async () => {
        const answer = await fetch(`${hub.url}/${module}/@v/${version}.mod`);
        assert.equal(answer.status, 200);
        const goMod = await answer.text();
        goMods.set(module, goMod);
        const { goSum, modules } = await downloadAll(folder.path, 'through', goMod, { GOPROXY: hub.url });
        assert.ok(modules >= modulesMin, `${modules} modules`);
        goSums.set(module, goSum);
      });
      await t.test(`${module}@${version}: go.sum is the one made without the hub`, async () => {
        const without = await downloadAll(folder.path, 'without', goMods.get(module) ?? '', { GOPROXY: target });
        assert.equal(goSums.get(module), without.goSum);
      });
    }
    await t.test('no artefact was asked of the upstream twice', () => {
      const artefacts = relay.requests.filter((path) => /\.(info|mod|zip)$/.test(path));
      assert.equal(new Set(artefacts).size, artefacts.length);
    });
    assert.equal(await hub.stop(), 0, hub.output());
  }
  relay.decide = () => ({ kind: 'drop' });
  {
    await using hub = await startHub({ dataDir, upstreams: [relay.url], workers: 2 });
    for (const { module, version } of projects) {
      await t.test(`${module}@${version}, upstream gone, empty module cache`, async () => {
        const { goSum } = await downloadAll(folder.path, 'offline', goMods.get(module) ?? '', { GOPROXY: hub.url });
        assert.equal(goSum, goSums.get(module));
      });
    }
  }
  await t.test('the folder itself is a GOPROXY, checksum database included', async () => {
    const goMod = goMods.get('k8s.io/kubectl') ?? '';
    const { goSum } = await downloadAll(folder.path, 'file', goMod, { GOPROXY: pathToFileURL(join(dataDir, 'modules')).href });
    assert.equal(goSum, goSums.get('k8s.io/kubectl'));
  });
});
