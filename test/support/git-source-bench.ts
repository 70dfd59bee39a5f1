import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { type ModulePath, parseModulePath } from '../../src/protocol/module-path.ts';
import { type Version, parseVersion } from '../../src/protocol/version.ts';
import type { ModuleSource } from '../../src/origin/module-source.ts';
import type { GitCredential } from '../../src/origin/git/git-remote.ts';
import { type GitSourceOptions, createGitSource } from '../../src/origin/git/git-source.ts';
import { createTemplateLocator } from '../../src/origin/git/template-locator.ts';

export interface SourceRecipe {
  readonly template: string;
  readonly credential?: GitCredential;
  readonly rootElements?: number;
  readonly limits?: GitSourceOptions['limits'];
  readonly environment?: GitSourceOptions['environment'];
}

/** A Git source as the hub has one, its mirrors below `folder`, alone in its process. */
export function startGitSource(folder: string, recipe: SourceRecipe): ModuleSource & AsyncDisposable {
  const { template, credential, rootElements, limits, environment = process.env } = recipe;
  const turns = new Map<string, Promise<unknown>>();
  return createGitSource({
    locator: (tools) => createTemplateLocator({ template, credential, rootElements, ...tools }),
    mirrors: join(folder, 'git'),
    exclusively: async (key, run, signal) => {
      const turn = (turns.get(key) ?? Promise.resolve()).then(
        () => run(signal),
        () => run(signal),
      );
      turns.set(key, turn);
      return turn;
    },
    environment,
    // Every question of a test sees what the test did just before.
    limits: { refsMs: 0, ...limits },
    clock: systemClock,
    log: silentLog,
  });
}

export function modulePath(text: string): ModulePath {
  const path = parseModulePath(text);
  if (!path.ok) throw new Error(`${text}: ${path.reason}`);
  return path.value;
}

export function versionOf(text: string): Version {
  const version = parseVersion(text);
  if (!version.ok) throw new Error(`${text}: ${version.reason}`);
  return version.value;
}

export async function writeZip(file: string, chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  const bytes = Buffer.concat(parts);
  await writeFile(file, bytes);
  return bytes;
}
