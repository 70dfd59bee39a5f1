/**
 * What every benchmark is served from: a folder with the answers of a real module proxy and of the checksum database, recorded once while real
 * `go mod download`s ran, so that all runs are equal and need no network.
 *
 *     files/MODULE/@v/VERSION.{info,mod,zip}, files/MODULE/@v/list, files/MODULE/@latest
 *     files/sumdb/NAME/{supported,latest,lookup/…,tile/…}     one signed tree for all of it
 *     PROJECT/{go.mod,go.sum,requests.txt}                    what the client asked for, in its order
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runGo } from '../test/support/go-command.ts';
import { compareVersions, parseVersion } from '../src/protocol/version.ts';
import { forEach, recordChecksumDatabase } from './record-database.ts';
import { startRecorder } from './recorder.ts';

export const DATABASE = 'sum.golang.org';

/** The go.mod files whose build lists are downloaded, and what is added to them: `large` has 883 artefacts and 210 MB. */
const projects = {
  large: { goMod: 'github.com/prometheus/prometheus/@v/v0.306.0.mod', added: 'github.com/gin-gonic/gin v1.10.1' },
  small: { goMod: 'github.com/gin-gonic/gin/@v/v1.10.1.mod', added: undefined },
} as const;

export type ProjectName = keyof typeof projects;

/** The module whose `list` and `@latest` are asked for. */
const listed = 'golang.org/x/text';

export interface Project {
  readonly goMod: string;
  readonly goSum: string;
  /** Paths of artefacts, with a slash in front. */
  readonly requests: readonly string[];
  /** Of all answers to `requests`. */
  readonly sizeBytes: number;
}

export interface Recording {
  readonly files: string;
  readonly projects: Readonly<Record<ProjectName, Project>>;
  /** Paths for the hot tests by the name of the test. */
  readonly hot: Readonly<Record<HotKind, string>>;
}

export type HotKind = 'info' | 'mod' | 'zip-small' | 'zip-large' | 'list' | 'latest' | 'lookup' | 'tile';

/** Opens the recording in `folder`, making it first when there is none. */
export async function openRecording(folder: string, progress: (line: string) => void): Promise<Recording> {
  if (!existsSync(folder)) await record(folder, progress);
  const files = join(folder, 'files');
  const [large, small] = await Promise.all([readProject(folder, 'large'), readProject(folder, 'small')]);
  return { files, projects: { large, small }, hot: await chooseHot(files, large.requests) };
}

async function record(folder: string, progress: (line: string) => void): Promise<void> {
  const unfinished = `${folder}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(join(unfinished, 'files'), { recursive: true });
  await using recorder = await startRecorder(join(unfinished, 'files'));
  const modules = new Set<string>();
  for (const name of Object.keys(projects) as ProjectName[]) {
    progress(`recording a real download of the project ${name}`);
    const project = join(unfinished, name);
    const cache = join(unfinished, 'cache');
    await mkdir(project);
    const { goMod, added } = projects[name];
    const text = (await recorder.fetch(`/${goMod}`)).toString();
    await writeFile(join(project, 'go.mod'), added === undefined ? text : `${text}\nrequire ${added}\n`);
    recorder.requests.clear();
    const { code, stderr } = await runGo(project, ['mod', 'download'], { GOPROXY: recorder.url, GOMODCACHE: join(cache, 'mod') }, 900_000);
    if (code !== 0) throw new Error(`go mod download of the project ${name} failed:\n${stderr}`);
    await rm(cache, { recursive: true, force: true });
    const requests = [...recorder.requests].filter((path) => /\.(?:info|mod|zip)$/.test(path));
    for (const path of requests) modules.add(moduleOf(path));
    await writeFile(join(project, 'requests.txt'), `${requests.join('\n')}\n`);
  }
  // Peers fetch all three files of a version whichever of them is asked for; what the real upstream refuses, they do not get here either.
  await forEach([...modules], async (module, done) => {
    if (done % 50 === 0) progress(`recording what else there is of ${modules.size} versions: ${done}`);
    const base = `/${module.replace('@', '/@v/')}`;
    await Promise.allSettled(['info', 'mod', 'zip'].map((kind) => recorder.fetch(`${base}.${kind}`)));
  });
  await recordList(recorder.fetch, unfinished);
  const records = await recordChecksumDatabase({ name: DATABASE, modules: [...modules], fetch: recorder.fetch, folder: join(unfinished, 'files', 'sumdb', DATABASE), progress });
  for (const name of Object.keys(projects)) await writeGoSum(join(unfinished, name), records);
  await rename(unfinished, folder);
}

/** The list ends with the version of the closure, so that what `@latest` leads to is recorded too. */
async function recordList(fetch: (path: string) => Promise<Buffer>, folder: string): Promise<void> {
  const requests = await readFile(join(folder, 'large', 'requests.txt'), 'utf8');
  const version = new RegExp(`^/${listed}/@v/(.+)\\.zip$`, 'm').exec(requests)?.[1] ?? '';
  const isKnown = (line: string): boolean => {
    const [one, last] = [parseVersion(line), parseVersion(version)];
    return one.ok && last.ok && compareVersions(one.value, last.value) <= 0;
  };
  const versions = (await fetch(`/${listed}/@v/list`)).toString().split('\n').filter(isKnown);
  const target = join(folder, 'files', listed);
  await writeFile(join(target, '@v', 'list'), `${versions.join('\n')}\n`);
  await writeFile(join(target, '@latest'), await fetch(`/${listed}/@v/${version}.info`));
}

/** A line for everything that was downloaded: the go command itself leaves out the zips. */
async function writeGoSum(project: string, records: ReadonlyMap<string, string>): Promise<void> {
  const requests = (await readFile(join(project, 'requests.txt'), 'utf8')).split('\n');
  const lines = requests.flatMap((path) => {
    const [zip, mod] = records.get(moduleOf(path))?.split('\n') ?? [];
    return path.endsWith('.zip') ? [zip] : path.endsWith('.mod') ? [mod] : [];
  });
  await writeFile(join(project, 'go.sum'), `${lines.join('\n')}\n`);
}

/** `ESCAPED_PATH@ESCAPED_VERSION` */
function moduleOf(path: string): string {
  return path.slice(1).replace(/\.[a-z]+$/, '').replace('/@v/', '@');
}

async function readProject(folder: string, name: ProjectName): Promise<Project> {
  const [goMod, goSum, requests] = await Promise.all(['go.mod', 'go.sum', 'requests.txt'].map((file) => readFile(join(folder, name, file), 'utf8')));
  const paths = requests?.split('\n').filter((line) => line !== '') ?? [];
  const sizes = await Promise.all(paths.map(async (path) => (await stat(join(folder, 'files', path))).size));
  return { goMod: goMod ?? '', goSum: goSum ?? '', requests: paths, sizeBytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** Artefacts of telling sizes: a go.mod of 12 kB, zips of 32 kB and 18 MB, or what is next to that. */
async function chooseHot(files: string, requests: readonly string[]): Promise<Recording['hot']> {
  const sizes = new Map(await Promise.all(requests.map(async (path) => [path, (await stat(join(files, path))).size] as const)));
  const nearest = (extension: string, sizeBytes: number): string =>
    requests.filter((path) => path.endsWith(extension)).toSorted((a, b) => distance(sizes.get(a), sizeBytes) - distance(sizes.get(b), sizeBytes))[0] ?? '';
  const info = nearest('.info', 150);
  const database = `/sumdb/${DATABASE}`;
  return {
    info,
    mod: nearest('.mod', 12 * 1024),
    'zip-small': nearest('.zip', 32 * 1024),
    'zip-large': nearest('.zip', 18 * 1024 * 1024),
    list: `/${listed}/@v/list`,
    latest: `/${listed}/@latest`,
    lookup: `${database}/lookup${info.replace(/\.info$/, '').replace('/@v/', '@')}`,
    tile: `${database}/tile/8/1/${(await readdir(join(files, database, 'tile', '8', '1'))).find((name) => /^\d{3}$/.test(name)) ?? ''}`,
  };
}

function distance(a: number | undefined, b: number): number {
  return Math.abs(Math.log((a ?? 1) / b));
}
