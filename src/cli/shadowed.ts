import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A line of a file that sets a variable. */
export interface SetPlace {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

const FILE_LENGTH_MAX = 1024 * 1024;
const PLACES_MAX = 20;

/** Where a variable of the environment is set, as far as files that shells and logins read say so. */
export async function placesThatSet(name: string, env: Readonly<Record<string, string | undefined>>): Promise<readonly SetPlace[]> {
  const places: SetPlace[] = [];
  for (const file of await filesThatSet(env)) {
    const text = await readFile(file, 'utf8').catch(() => '');
    for (const [index, line] of text.slice(0, FILE_LENGTH_MAX).split('\n').entries())
      if (sets(line, name) && places.length < PLACES_MAX) places.push({ file, line: index + 1, text: line.trim().slice(0, 300) });
  }
  return places;
}

/** `export NAME=`, `NAME=`, fish's `set -gx NAME `, csh's `setenv NAME `; no comment. */
function sets(line: string, name: string): boolean {
  return new RegExp(`^(?!\\s*#).*(?<![\\w$])${name}[= ]`).test(line);
}

async function filesThatSet(env: Readonly<Record<string, string | undefined>>): Promise<readonly string[]> {
  const home = env['HOME'];
  const own = ['.profile', '.bash_profile', '.bash_login', '.bashrc', '.zshenv', '.zprofile', '.zshrc', '.pam_environment'];
  const config = env['XDG_CONFIG_HOME'] ?? (home === undefined ? undefined : join(home, '.config'));
  return [
    ...(home === undefined ? [] : own.map((name) => join(home, name))),
    ...(config === undefined ? [] : [join(config, 'fish', 'config.fish'), ...(await filesOf(join(config, 'fish', 'conf.d')))]),
    ...(config === undefined ? [] : await filesOf(join(config, 'environment.d'))),
    '/etc/environment',
    '/etc/profile',
    ...(await filesOf('/etc/profile.d')),
    '/etc/bash.bashrc',
    '/etc/bashrc',
    '/etc/zshenv',
    '/etc/zsh/zshenv',
  ];
}

async function filesOf(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.toSorted((a, b) => (a < b ? -1 : 1)).map((name) => join(folder, name));
}
