/**
 * What every benchmark is served from: a folder with the answers of a real module proxy and of the checksum database, recorded once while real
 * `go mod download`s ran, so that all runs are equal and need no network. What a server asks for beyond it is added when it is first asked for.
 *
 *     files/MODULE/@v/VERSION.{info,mod,zip}, files/MODULE/@v/list, files/MODULE/@latest
 *     files/sumdb/NAME/{supported,latest,lookup/…,tile/…}     one signed tree for all of it
 *     PROJECT/{go.mod,go.sum,requests.txt}                    what the client asked for, in its order
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runGo } from '../test/support/go-command.ts';
import { parseLookupAnswer, parseTreeNote } from '../src/protocol/checksum-record.ts';
import { formatTilePath } from '../src/protocol/proxy-request.ts';
import { edgeTiles } from '../src/protocol/tile.ts';
import { compareVersions, parseVersion } from '../src/protocol/version.ts';
import { Archive } from './archive.ts';
import { startRecorder } from './recorder.ts';

export const DATABASE = 'sum.golang.org';

/** The go.mod files whose build lists are downloaded, and what is added to them: `large` has 883 artefacts and 210 MB. */
const projects = {
  large: { goMod: 'github.com/prometheus/prometheus/@v/v0.306.0.mod', added: 'github.com/gin-gonic/gin v1.10.1' },
  small: { goMod: 'github.com/gin-gonic/gin/@v/v1.10.1.mod', added: undefined },
} as const;

export type ProjectName = keyof typeof projects;

const projectNames: readonly ProjectName[] = ['large', 'small'];

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
  const files = join(unfinished, 'files');
  const archive = new Archive(files);
  progress('recording the tree of the checksum database');
  await recordTree(archive, files);
  const modules = new Set<string>();
  for (const name of projectNames) {
    progress(`recording a real download of the project ${name}`);
    const requests = await recordProject(archive, name, join(unfinished, name));
    for (const path of requests) modules.add(moduleOf(path));
  }
  // Peers fetch all three files of a version whichever of them is asked for; what the real upstream refuses, they do not get here either.
  let done = 0;
  for (const module of modules) {
    if (done % 50 === 0) progress(`recording what else there is of ${modules.size} versions: ${done}`);
    done += 1;
    await Promise.all(['info', 'mod', 'zip'].map((kind) => archive.get(`/${module.replace('@', '/@v/')}.${kind}`)));
  }
  await recordList(archive, unfinished);
  await rename(unfinished, folder);
}

/** The one tree that all records are shown in, and its edges, which a mirror may not keep for long. */
async function recordTree(archive: Archive, files: string): Promise<void> {
  const base = `/sumdb/${DATABASE}`;
  await mkdir(join(files, base), { recursive: true });
  await writeFile(join(files, base, 'supported'), '');
  const note = (await archive.get(`${base}/latest`))?.toString() ?? '';
  const tree = parseTreeNote(note.slice(0, note.indexOf('\n\n') + 1));
  if (!tree.ok) throw new Error(`the latest tree of ${DATABASE}: ${tree.reason}`);
  await Promise.all(edgeTiles(tree.value.size).map((tile) => archive.get(`${base}/${formatTilePath(tile)}`)));
}

/** Answers the paths of artefacts that the go command asked for, in its order. */
async function recordProject(archive: Archive, name: ProjectName, project: string): Promise<readonly string[]> {
  const { goMod, added } = projects[name];
  const text = (await archive.get(`/${goMod}`))?.toString();
  if (text === undefined) throw new Error(`the upstream has no ${goMod}`);
  await mkdir(project);
  await writeFile(join(project, 'go.mod'), added === undefined ? text : `${text}\nrequire ${added}\n`);
  await using recorder = await startRecorder(archive);
  const cache = join(project, 'cache');
  const { code, stderr } = await runGo(project, ['mod', 'download'], { GOPROXY: recorder.url, GOMODCACHE: join(cache, 'mod') }, 900_000);
  if (code !== 0) throw new Error(`go mod download of the project ${name} failed:\n${stderr}`);
  await rm(cache, { recursive: true, force: true });
  const requests = [...recorder.requests].filter((path) => /\.(?:info|mod|zip)$/.test(path));
  await writeFile(join(project, 'requests.txt'), `${requests.join('\n')}\n`);
  await writeFile(join(project, 'go.sum'), await goSumOf(archive, requests));
  return requests;
}

/** A line for everything that was downloaded: the go command itself leaves out the zips. */
async function goSumOf(archive: Archive, requests: readonly string[]): Promise<string> {
  const lines = requests.map(async (path) => {
    const body = await archive.get(`/sumdb/${DATABASE}/lookup/${moduleOf(path)}`);
    const answer = body === undefined ? undefined : parseLookupAnswer(body);
    if (answer?.ok !== true) throw new Error(`${DATABASE} has no record for ${path}`);
    const [zip = '', mod = ''] = answer.value.text.split('\n');
    return path.endsWith('.zip') ? `${zip}\n` : path.endsWith('.mod') ? `${mod}\n` : '';
  });
  return (await Promise.all(lines)).join('');
}

/** The list ends with the version of the closure, so that what `@latest` leads to is recorded too. */
async function recordList(archive: Archive, folder: string): Promise<void> {
  const requests = await readFile(join(folder, 'large', 'requests.txt'), 'utf8');
  const version = new RegExp(`^/${listed}/@v/(.+)\\.zip$`, 'm').exec(requests)?.[1] ?? '';
  const isKnown = (line: string): boolean => {
    const [one, last] = [parseVersion(line), parseVersion(version)];
    return one.ok && last.ok && compareVersions(one.value, last.value) <= 0;
  };
  const [list = '', info = ''] = await Promise.all(
    ['list', `${version}.info`].map(async (file) => (await archive.get(`/${listed}/@v/${file}`))?.toString()),
  );
  const target = join(folder, 'files', listed);
  await writeFile(join(target, '@v', 'list'), `${list.split('\n').filter(isKnown).join('\n')}\n`);
  await writeFile(join(target, '@latest'), info);
}

/** `ESCAPED_PATH@ESCAPED_VERSION` */
function moduleOf(path: string): string {
  return path
    .slice(1)
    .replace(/\.[a-z]+$/, '')
    .replace('/@v/', '@');
}

async function readProject(folder: string, name: ProjectName): Promise<Project> {
  const [goMod, goSum, requests] = await Promise.all(
    ['go.mod', 'go.sum', 'requests.txt'].map((file) => readFile(join(folder, name, file), 'utf8')),
  );
  const paths = requests?.split('\n').filter((line) => line !== '') ?? [];
  const sizes = await Promise.all(paths.map(async (path) => (await stat(join(folder, 'files', path))).size));
  return { goMod: goMod ?? '', goSum: goSum ?? '', requests: paths, sizeBytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** Artefacts of telling sizes: a go.mod of 12 kB, zips of 32 kB and 18 MB, or what is next to that. */
async function chooseHot(files: string, requests: readonly string[]): Promise<Recording['hot']> {
  const sizes = new Map(await Promise.all(requests.map(async (path) => [path, (await stat(join(files, path))).size] as const)));
  const nearest = (extension: string, sizeBytes: number): string =>
    requests
      .filter((path) => path.endsWith(extension))
      .toSorted((a, b) => distance(sizes.get(a), sizeBytes) - distance(sizes.get(b), sizeBytes))[0] ?? '';
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
