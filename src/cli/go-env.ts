import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

type Env = Readonly<Record<string, string | undefined>>;

const FILE_LENGTH_MAX = 64 * 1024;

/**
 * The modules that this user's go command never asks a proxy for: GONOPROXY, else GOPRIVATE, from the environment or else from the file that
 * `go env -w` writes. '' when there are none. https://go.dev/ref/mod#environment-variables
 */
export async function patternsNotForProxies(env: Env): Promise<string> {
  const written = await readGoEnvFile(env);
  const valueOf = (name: string): string => env[name] || written.get(name) || '';
  const patterns = valueOf('GONOPROXY') || valueOf('GOPRIVATE');
  return patterns === 'none' ? '' : patterns;
}

/** What the go command has for a setting, from the environment or else from the file that `go env -w` writes; '' when it is not set. */
export async function goSetting(env: Env, name: string): Promise<string> {
  return env[name] || (await readGoEnvFile(env)).get(name) || '';
}

async function readGoEnvFile(env: Env): Promise<ReadonlyMap<string, string>> {
  const path = goEnvFile(env);
  if (path === undefined) return new Map();
  const text = await readFile(path, 'utf8').catch(() => '');
  const lines = text.slice(0, FILE_LENGTH_MAX).split('\n');
  return new Map(lines.flatMap((line) => /^([A-Z]\w*)=(.*?)\r?$/.exec(line)?.slice(1, 3).join('=') ?? []).map(pairOf));
}

/** Where Go looks: GOENV, else below the folder that Go's `os.UserConfigDir` answers on this system. */
function goEnvFile(env: Env): string | undefined {
  if (env['GOENV'] === 'off') return undefined;
  if (env['GOENV']) return env['GOENV'];
  const folder =
    env['XDG_CONFIG_HOME'] ||
    env['AppData'] ||
    env['APPDATA'] ||
    (env['HOME'] && (process.platform === 'darwin' ? join(env['HOME'], 'Library', 'Application Support') : join(env['HOME'], '.config')));
  return folder ? join(folder, 'go', 'env') : undefined;
}

function pairOf(line: string): readonly [string, string] {
  const at = line.indexOf('=');
  return [line.slice(0, at), line.slice(at + 1)];
}
