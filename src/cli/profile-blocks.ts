import { access, mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HubError, messageOf } from '../base/errors.ts';
import type { PrintTarget } from '../scaffold/print-variables.ts';
import { withBlock, withoutBlock } from '../scaffold/marked-block.ts';
import { homeOf } from './go-settings.ts';
import { replaceHomeFile } from './home-file.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** A file that a shell reads when it starts. */
export interface Profile {
  readonly path: string;
  readonly shell: Extract<PrintTarget, 'bash' | 'zsh' | 'fish'>;
}

const BLOCK = 'goyi proxy';
/** Stands in a file that goyi made, so that undoing leaves no empty file. */
const MADE = '# made by goyi env proxy\n';
const FILE_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Where a variable is to stand so that every shell of this user has it: `.profile` for logins, what bash reads in its place, `.bashrc` for terminals, and
 * the files of zsh and fish where those are in use.
 */
export async function profilesOf(env: Env): Promise<readonly Profile[]> {
  const home = homeOf(env);
  const shell = env['SHELL'] ?? '';
  const bash = await existing(['.bash_profile', '.bash_login', '.bashrc'].map((name) => join(home, name)));
  const zsh = join(home, '.zshenv');
  const usesZsh = shell.endsWith('/zsh') || (await existing(['.zshrc', '.zprofile', '.zshenv'].map((name) => join(home, name)))).length > 0;
  const fish = join(env['XDG_CONFIG_HOME'] || join(home, '.config'), 'fish');
  const usesFish = shell.endsWith('/fish') || (await existing([fish])).length > 0;
  return [
    { path: join(home, '.profile'), shell: 'bash' },
    ...bash.map((path): Profile => ({ path, shell: 'bash' })),
    ...(usesZsh ? [{ path: zsh, shell: 'zsh' } as const] : []),
    ...(usesFish ? [{ path: join(fish, 'conf.d', 'goyi-proxy.fish'), shell: 'fish' } as const] : []),
  ];
}

/** Puts the block into the file; false when it is there just so. @throws {HubError} storage-fault, config-invalid */
export async function writeBlock({ path }: Profile, body: string, options: { readonly dryRun: boolean }): Promise<boolean> {
  const before = await read(path);
  return change(path, before, withBlock(before ?? MADE, BLOCK, body), options);
}

/** Takes the block out of the file, and the file away if goyi made it; false when there is none. @throws {HubError} storage-fault, config-invalid */
export async function removeBlock({ path }: Profile, options: { readonly dryRun: boolean }): Promise<boolean> {
  const before = await read(path);
  if (before === undefined) return false;
  const changed = await change(path, before, withoutBlock(before, BLOCK), options);
  if (changed && !options.dryRun && (await read(path)) === MADE) await rm(path);
  return changed;
}

async function change(
  path: string,
  before: string | undefined,
  after: ReturnType<typeof withBlock>,
  { dryRun }: { readonly dryRun: boolean },
): Promise<boolean> {
  if (!after.ok) throw new HubError('config-invalid', `${path}: ${after.reason}`);
  if (after.value === before) return false;
  if (!dryRun) {
    // Where it cannot be made, the file cannot be written, and that is said.
    await mkdir(dirname(path), { recursive: true }).catch(() => {});
    await replaceHomeFile(path, { text: after.value, encoding: 'utf8' });
  }
  return true;
}

async function read(path: string): Promise<string | undefined> {
  try {
    const bytes = await readFile(path);
    if (bytes.length > FILE_BYTES_MAX) throw new HubError('storage-fault', `${path} is longer than ${FILE_BYTES_MAX} bytes`);
    const text = bytes.toString('utf8');
    if (!Buffer.from(text).equals(bytes)) throw new HubError('storage-fault', `${path} is not in UTF-8, so nothing is changed in it`);
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if (error instanceof HubError) throw error;
    throw new HubError('storage-fault', `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

async function existing(paths: readonly string[]): Promise<readonly string[]> {
  const there = await Promise.all(
    paths.map((path) =>
      access(path).then(
        () => true,
        () => false,
      ),
    ),
  );
  return paths.filter((_path, index) => there[index]);
}
