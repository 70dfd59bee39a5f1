/** The module zip of one folder of one commit: which files belong in it is decided from the names before the first byte, their content is what `git archive` makes of it. */
import { HubError } from '../../base/errors.ts';
import { readGoModFacts } from '../../protocol/go-mod-facts.ts';
import type { ModulePath } from '../../protocol/module-path.ts';
import { type SourceFile, planModuleZip } from '../../protocol/module-zip-plan.ts';
import type { Version } from '../../protocol/version.ts';
import { type MirrorObjects, decodeName } from './mirror-objects.ts';
import { readTar } from './tar-reader.ts';
import { type ZipInput, writeModuleZip } from './zip-stream.ts';

export interface ZipSubject {
  readonly module: ModulePath;
  readonly version: Version;
  readonly commit: string;
  /** Of the module in the repository, without slashes at the ends; empty at the root. */
  readonly folder: string;
}

/** @throws {HubError} zip-invalid when the names are against the rules; while being read, zip-invalid for sizes and upstream-invalid when git cannot make the archive */
export async function moduleZipOf(objects: MirrorObjects, subject: ZipSubject, signal: AbortSignal): Promise<AsyncIterable<Buffer>> {
  const { commit, folder, module, version } = subject;
  const [files, [goMod, license]] = await Promise.all([
    objects.list(commit, folder, signal),
    objects.files(commit, [folder === '' ? 'go.mod' : `${folder}/go.mod`, 'LICENSE'], signal),
  ]);
  // Below the root a module without a file of that very name gets the repository's, as it is stored.
  const added = folder === '' || files.some(({ path }) => path === 'LICENSE') ? undefined : license;
  const all: readonly SourceFile[] = added === undefined ? files : [...files, { path: 'LICENSE', wellFormed: true, kind: 'regular' }];
  const hasGoMod = files.some(({ path, kind }) => path === 'go.mod' && kind === 'regular');
  const plan = planModuleZip(all, hasGoMod && goMod !== undefined ? readGoModFacts(goMod.toString('utf8')).go : undefined);
  if (!plan.ok) throw new HubError('zip-invalid', `${module}@${version} makes no module zip: ${plan.reason}`);
  return writeModuleZip(`${module}@${version}/`, inputs({ objects, subject, included: plan.value, added }, signal));
}

interface Inputs {
  readonly objects: MirrorObjects;
  readonly subject: ZipSubject;
  readonly included: ReadonlySet<string>;
  readonly added: Buffer | undefined;
}

async function* inputs({ objects, subject, included, added }: Inputs, signal: AbortSignal): AsyncGenerator<ZipInput, void, undefined> {
  const { commit, folder } = subject;
  const prefix = folder === '' ? '' : `${folder}/`;
  let files = 0;
  for await (const { name, kind, sizeBytes, body } of readTar(objects.archive(commit, folder, signal))) {
    const path = decodeName(name).name;
    if (kind !== 'file' || !path.startsWith(prefix) || !included.has(path.slice(prefix.length))) continue;
    files += 1;
    yield { path: path.slice(prefix.length), sizeBytes, body };
  }
  if (added !== undefined && included.has('LICENSE')) {
    files += 1;
    yield { path: 'LICENSE', sizeBytes: added.length, body: once(added) };
  }
  if (files !== included.size)
    throw new HubError(
      'upstream-invalid',
      `git archive gave ${files} of the ${included.size} files of ${subject.module}@${subject.version}`,
    );
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer, void, undefined> {
  yield bytes;
}
