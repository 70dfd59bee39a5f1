/** What lies in a mirror, by the hashes of commits: nothing here asks the network, and what was read once of a commit is remembered for a while. */
import { isUtf8 } from 'node:buffer';
import { LRUCache } from 'lru-cache';
import { HubError } from '../../base/errors.ts';
import type { Urgency } from '../../base/gate.ts';
import { MODULE_GO_MOD_BYTES_MAX } from '../../protocol/module-zip.ts';
import type { SourceFile } from '../../protocol/module-zip-plan.ts';
import { type GitCommand, type GitResult, firstLine } from './git-command.ts';
import type { GitLimits } from './mirror.ts';

export interface Commit {
  /** Whole. */
  readonly hash: string;
  /** Of the committer, in seconds since the epoch. */
  readonly timeS: number;
}

/** Files of a source tree that are looked at; the largest public repositories have some 300,000. */
const FILES_MAX = 500_000;
const TREE_BYTES_MAX: number = 256 * 1024 * 1024;
const TEXT_BYTES_MAX: number = 64 * 1024 * 1024;
const REMEMBERED_BYTES_MAX: number = 8 * 1024 * 1024;
const REMEMBERED_FILE_BYTES_MAX = 65_536;

/** What was read lately of all mirrors; each name begins with the mirror's folder, because what one has the other may not have. */
export class ObjectMemory {
  readonly files: LRUCache<string, { readonly bytes: Buffer | undefined }> = new LRUCache({
    maxSize: REMEMBERED_BYTES_MAX,
    sizeCalculation: ({ bytes }, key) => key.length + (bytes?.length ?? 0) + 64,
  });
  readonly commits: LRUCache<string, Commit> = new LRUCache({ max: 5000 });
}

/** A name as text; the bytes of what is no UTF-8 as Latin-1. */
export function decodeName(bytes: Buffer): { readonly name: string; readonly wellFormed: boolean } {
  return isUtf8(bytes) ? { name: bytes.toString('utf8'), wellFormed: true } : { name: bytes.toString('latin1'), wellFormed: false };
}

export interface MirrorObjectsOptions {
  readonly folder: string;
  readonly git: GitCommand;
  readonly limits: GitLimits;
  readonly memory: ObjectMemory;
  readonly urgency: Urgency;
}

export class MirrorObjects {
  readonly #options: MirrorObjectsOptions;
  readonly #folder: string;
  readonly #git: GitCommand;
  readonly #limits: GitLimits;
  readonly #memory: ObjectMemory;

  constructor(options: MirrorObjectsOptions) {
    const { folder, git, limits, memory } = options;
    this.#options = options;
    this.#folder = folder;
    this.#git = git;
    this.#limits = limits;
    this.#memory = memory;
  }

  /** The same objects, read as urgently as this. */
  urged(urgency: Urgency): MirrorObjects {
    return new MirrorObjects({ ...this.#options, urgency });
  }

  /** `hash`: 7 to all hex digits of a commit, or of an annotated tag on one. Undefined when no commit, or more than one, is meant. */
  async commit(hash: string, signal: AbortSignal): Promise<Commit | undefined> {
    const known = this.#memory.commits.get(`${this.#folder}:${hash}`);
    if (known !== undefined) return known;
    const result = await this.#run(['log', '--no-decorate', '-n1', '--format=%H %ct', '--end-of-options', hash, '--'], signal);
    const [, whole, seconds] = /^([0-9a-f]{40,64}) (-?\d+)\n?$/.exec(result.stdout.toString('latin1')) ?? [];
    if (result.code !== 0 || whole === undefined) return undefined;
    const commit: Commit = { hash: whole, timeS: Number(seconds) };
    this.#memory.commits.set(`${this.#folder}:${whole}`, commit);
    return commit;
  }

  /** Whether there is an object of this whole hash, of whatever kind. */
  async has(hash: string, signal: AbortSignal): Promise<boolean> {
    const { code, stdout } = await this.#run(['cat-file', '--batch-check'], signal, { input: `${hash}\n` });
    return code === 0 && / \w+ \d+\n$/.test(stdout.toString('latin1'));
  }

  /** The bytes as they are stored, without what attributes would do to them; undefined where there is no file of that path. A symbolic link is its text. */
  async file(commit: string, path: string, signal: AbortSignal): Promise<Buffer | undefined> {
    const [file] = await this.files(commit, [path], signal);
    return file;
  }

  /** As {@link file}, of several paths at once. @throws {HubError} upstream-invalid when they are larger than a go.mod file may be */
  async files(commit: string, paths: readonly string[], signal: AbortSignal): Promise<readonly (Buffer | undefined)[]> {
    const names = paths.map((path) => `${commit}:${path}`);
    const keyOf = (name: string): string => `${this.#folder}:${name}`;
    const known = new Map(names.map((name) => [name, this.#memory.files.get(keyOf(name))]));
    const missing = names.filter((name) => known.get(name) === undefined);
    const read = missing.length === 0 ? new Map<string, Buffer | undefined>() : await this.#readFiles(missing, signal);
    for (const [name, bytes] of read) if ((bytes?.length ?? 0) <= REMEMBERED_FILE_BYTES_MAX) this.#memory.files.set(keyOf(name), { bytes });
    return names.map((name) => known.get(name)?.bytes ?? read.get(name));
  }

  async #readFiles(names: readonly string[], signal: AbortSignal): Promise<Map<string, Buffer | undefined>> {
    const outputBytesMax = names.length * (MODULE_GO_MOD_BYTES_MAX + 4096);
    const { code, stdout, stderr } = await this.#run(['cat-file', '--batch'], signal, {
      input: names.map((name) => `${name}\n`).join(''),
      outputBytesMax,
    });
    if (code !== 0) throw this.#broken('cat-file', stderr);
    const files = new Map<string, Buffer | undefined>();
    let at = 0;
    for (const name of names) {
      const newline = stdout.indexOf(0x0a, at);
      const [, type, sizeText] = /^[0-9a-f]{40,64} (\w+) (\d+)$/.exec(stdout.toString('latin1', at, Math.max(at, newline))) ?? [];
      at = newline + 1;
      const sizeBytes = Number(sizeText ?? 0);
      if (newline < 0 || at + sizeBytes > stdout.length) throw this.#broken('cat-file', 'its answer is cut short');
      files.set(name, type === 'blob' ? Buffer.from(stdout.subarray(at, at + sizeBytes)) : undefined);
      if (type !== undefined) at += sizeBytes + 1;
    }
    return files;
  }

  /** Names of all tags, without `refs/tags/`, on the commit or its ancestors. */
  async mergedTags(commit: string, signal: AbortSignal): Promise<readonly string[]> {
    const result = await this.#run(['for-each-ref', '--format=%(refname)', `--merged=${commit}`, 'refs/tags/'], signal);
    if (result.code !== 0) throw this.#broken('for-each-ref', result.stderr);
    return result.stdout
      .toString('utf8')
      .split('\n')
      .filter((name) => name.startsWith('refs/tags/'))
      .map((name) => name.slice('refs/tags/'.length));
  }

  /** False, too, when either is no commit. */
  async isAncestor(ancestor: string, commit: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#run(['merge-base', '--is-ancestor', '--end-of-options', ancestor, commit], signal)).code === 0;
  }

  /** All files and symbolic links below a folder (`''`: the root), their paths from there. Submodules give nothing. @throws {HubError} zip-invalid when there are too many */
  async list(commit: string, folder: string, signal: AbortSignal): Promise<readonly SourceFile[]> {
    const prefix = folder === '' ? '' : `${folder}/`;
    const args = ['ls-tree', '-r', '-z', '--full-tree', '--end-of-options', commit, ...(folder === '' ? [] : ['--', prefix])];
    const files: SourceFile[] = [];
    const { code, stdout, stderr } = await this.#run(args, signal, { outputBytesMax: TREE_BYTES_MAX });
    if (code !== 0) throw this.#broken('ls-tree', stderr);
    for (let at = 0; at < stdout.length; ) {
      const end = stdout.indexOf(0, at);
      const tab = stdout.indexOf(0x09, at);
      const mode = stdout.toString('latin1', at, at + 6);
      const { name, wellFormed } = decodeName(stdout.subarray(tab + 1, end));
      at = end + 1;
      if (mode.startsWith('160') || !name.startsWith(prefix)) continue;
      files.push({ path: name.slice(prefix.length), wellFormed, kind: mode.startsWith('120') ? 'symlink' : 'regular' });
      if (files.length > FILES_MAX) throw new HubError('zip-invalid', `the source tree has more than ${FILES_MAX} files`);
    }
    return files;
  }

  /** A tar of the folder's files with their paths from the root of the repository, as attributes make them. To be read to the end or left. */
  archive(commit: string, folder: string, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    const args = ['archive', '--format=tar', '--end-of-options', commit, ...(folder === '' ? [] : [folder])];
    const { transferMs: timeoutMs } = this.#limits;
    const { urgency } = this.#options;
    const outputBytesMax = Number.MAX_SAFE_INTEGER;
    return this.#git.stream({ args, repository: this.#folder, kind: 'archive', urgency, outputBytesMax, timeoutMs }, signal);
  }

  #run(
    args: readonly string[],
    signal: AbortSignal,
    more: { readonly input?: string; readonly outputBytesMax?: number } = {},
  ): Promise<GitResult> {
    const { answerMs: timeoutMs } = this.#limits;
    const { urgency } = this.#options;
    const run = { args, repository: this.#folder, kind: 'local', urgency, outputBytesMax: TEXT_BYTES_MAX, timeoutMs, ...more } as const;
    return this.#git.run(run, signal);
  }

  #broken(command: string, stderr: string): HubError {
    return new HubError('storage-fault', `git ${command} cannot read the mirror ${this.#folder}: ${firstLine(stderr)}`);
  }
}
