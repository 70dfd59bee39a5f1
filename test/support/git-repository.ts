import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

/** A file with its content; `undefined` removes it. */
export type FileRecipe = string | Buffer | { readonly mode: '100644' | '100755' | '120000' | '160000'; readonly data: string } | undefined;

export type Step =
  /** On a branch (default `main`), after its last commit or after `parents`. `name` is for later steps; `at` is the time in seconds, else a minute after the last. */
  | {
      readonly commit: string;
      readonly branch?: string;
      readonly parents?: readonly string[];
      readonly at?: number;
      readonly files?: Readonly<Record<string, FileRecipe>>;
    }
  /** On a commit that was named, else on the last one. */
  | { readonly tag: string; readonly on?: string; readonly annotated?: boolean }
  /** Whatever fast-import and update-ref do not make: run with git in the repository; `{NAME}` is the hash of that commit. */
  | { readonly git: readonly string[]; readonly input?: string };

export interface RepositoryRecipe {
  readonly steps: readonly Step[];
  readonly format?: 'sha1' | 'sha256';
  /** What HEAD names; default refs/heads/main. */
  readonly head?: string;
}

const START_S = 1_700_000_000;

/** Makes a bare repository `folder/name.git`, the same hashes each time. Answers the hashes of the named commits. */
export async function makeRepository(folder: string, name: string, recipe: RepositoryRecipe): Promise<ReadonlyMap<string, string>> {
  const path = join(folder, `${name}.git`);
  await mkdir(path, { recursive: true });
  await git(path, ['init', '--quiet', '--bare', '--template=', '--initial-branch=main', `--object-format=${recipe.format ?? 'sha1'}`]);
  const hashes = new Map<string, string>();
  await continueRepository(path, recipe.steps, hashes);
  if (recipe.head !== undefined) await git(path, ['symbolic-ref', 'HEAD', recipe.head]);
  return hashes;
}

/** More steps in a repository that is there; `hashes` are the commits named before, and take up the new ones. */
export async function continueRepository(path: string, steps: readonly Step[], hashes: Map<string, string>): Promise<void> {
  let at = START_S + 60 * hashes.size;
  let last = [...hashes.keys()].at(-1) ?? '';
  let script: Buffer[] = [];
  let pending: string[] = [];
  const flush = async (): Promise<void> => {
    if (script.length === 0) return;
    const asked = pending.map((name) => `get-mark :${markOf(name)}\n`).join('');
    const told = await git(
      path,
      ['fast-import', '--quiet', '--force', '--date-format=raw', '--cat-blob-fd=1'],
      Buffer.concat([...script, Buffer.from(asked)]),
    );
    for (const [index, hash] of told.toString('latin1').trim().split('\n').entries())
      if (pending[index] !== undefined) hashes.set(pending[index], hash);
    script = [];
    pending = [];
  };
  const marks: string[] = [];
  const markOf = (name: string): number => {
    if (!marks.includes(name)) marks.push(name);
    return marks.indexOf(name) + 1;
  };
  const refer = (name: string): string => hashes.get(name) ?? `:${markOf(name)}`;
  const tips = new Map<string, string>();
  for (const step of steps) {
    if ('commit' in step) {
      const branch = step.branch ?? 'main';
      at = step.at ?? at + 60;
      const tip = tips.get(branch);
      const parents = step.parents ?? (tip === undefined ? [] : [tip]);
      const from = parents.map((parent, index) => `${index === 0 ? 'from' : 'merge'} ${refer(parent)}\n`).join('');
      const message = `${step.commit}\n`;
      const onto = step.parents === undefined && tip === undefined && hashes.size > 0 ? `from refs/heads/${branch}^0\n` : from;
      const reset = step.parents?.length === 0 ? `reset refs/heads/${branch}\n` : '';
      script.push(
        Buffer.from(
          `${reset}commit refs/heads/${branch}\nmark :${markOf(step.commit)}\ncommitter A <a@example.com> ${at} +0000\ndata ${message.length}\n${message}${onto}`,
        ),
        ...Object.entries(step.files ?? {}).map(([file, content]) => fileCommand(file, content)),
        Buffer.from('\n'),
      );
      pending.push(step.commit);
      tips.set(branch, step.commit);
      last = step.commit;
    } else if ('tag' in step) {
      const on = refer(step.on ?? last);
      const text =
        step.annotated === true
          ? `tag ${step.tag}\nfrom ${on}\ntagger A <a@example.com> ${at + 7} +0000\ndata 2\nt\n\n`
          : `reset refs/tags/${step.tag}\nfrom ${on}\n\n`;
      script.push(Buffer.from(text));
    } else {
      await flush();
      const named = (text: string): string => text.replace(/\{(\w+)\}/g, (whole, commit: string) => hashes.get(commit) ?? whole);
      await git(path, step.git.map(named), Buffer.from(named(step.input ?? '')));
    }
  }
  await flush();
}

function fileCommand(path: string, content: FileRecipe): Buffer {
  const quoted = `"${path.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')}"`;
  // Each `\xHH` in a name is that byte: names need not be UTF-8.
  const name = Buffer.concat(
    quoted.split(/(\\\\x[0-9a-f]{2})/).map((part) => (part.startsWith('\\\\x') ? Buffer.from(part.slice(3), 'hex') : Buffer.from(part))),
  );
  if (content === undefined) return Buffer.concat([Buffer.from('D '), name, Buffer.from('\n')]);
  const isPlain = typeof content === 'string' || Buffer.isBuffer(content);
  const mode = isPlain ? '100644' : content.mode;
  const data = Buffer.from(isPlain ? content : content.data);
  if (mode === '160000') return Buffer.concat([Buffer.from(`M ${mode} ${data.toString()} `), name, Buffer.from('\n')]);
  return Buffer.concat([Buffer.from(`M ${mode} inline `), name, Buffer.from(`\ndata ${data.length}\n`), data, Buffer.from('\n')]);
}

export function git(path: string, args: readonly string[], input: Buffer = Buffer.alloc(0)): Promise<Buffer> {
  const { PATH = '' } = process.env;
  const env = {
    PATH,
    HOME: path,
    GIT_DIR: path,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'A',
    GIT_AUTHOR_EMAIL: 'a@example.com',
    GIT_COMMITTER_NAME: 'A',
    GIT_COMMITTER_EMAIL: 'a@example.com',
  };
  return new Promise((resolve, reject) => {
    const child = execFile('git', [...args], { env, encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 }, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(error);
    });
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}
