import { constants } from 'node:fs';
import { access, open } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { HubError, messageOf } from '../base/errors.ts';
import type { ConfigFault } from './config/faults.ts';
import type { HubConfig } from './config/hub-config.ts';
import { type ConfigInput, type ConfigOutcome, loadConfig } from './config/load.ts';
import { CONFIG_FILE_VARIABLE } from './config/overrides.ts';
import type { Messages } from './messages/zh.ts';

const FILE_BYTES_MAX = 256 * 1024;
const FILE_NAME = 'goyi.yaml';

export interface ConfigRequest {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute: where the command was typed. */
  readonly folder: string;
  readonly cores: number;
  /** What `--config` said. */
  readonly configFlag: string | undefined;
  /** By the name of the key. */
  readonly flags: Readonly<Record<string, string>>;
  readonly messages: Messages;
}

export interface ReadConfig {
  readonly outcome: ConfigOutcome;
  /** Absolute path of the file that was read. */
  readonly file: string | undefined;
}

/**
 * Finds and reads the configuration file, and checks it together with environment and flags.
 * @throws {HubError} config-invalid when the file that was named cannot be read
 */
export async function readConfig(request: ConfigRequest): Promise<ReadConfig> {
  const file = await readFile(request);
  const outcome = loadConfig({ ...request, file });
  return { outcome: outcome.ok ? await withReadableFiles(outcome) : outcome, file: file?.path };
}

async function readFile({ env, folder, configFlag, messages }: ConfigRequest): Promise<ConfigInput['file']> {
  const named = configFlag ?? (env[CONFIG_FILE_VARIABLE] || undefined);
  const path = resolve(folder, named ?? FILE_NAME);
  const shown = named ?? basename(path);
  let text: string | undefined;
  try {
    text = await readBounded(path);
  } catch (error) {
    const absent = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (absent && named === undefined) return undefined;
    const message = absent ? messages.config.fileMissing(shown) : messages.config.fileUnreadable(shown, reasonOf(error));
    throw new HubError('config-invalid', message, { cause: error });
  }
  if (text === undefined) throw new HubError('config-invalid', messages.config.fileTooLong(shown, FILE_BYTES_MAX / 1024));
  return { path, shown, text };
}

async function readBounded(path: string): Promise<string | undefined> {
  await using handle = await open(path, 'r');
  const buffer = Buffer.alloc(FILE_BYTES_MAX + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
    length += bytesRead;
    if (length > FILE_BYTES_MAX) return undefined;
    if (bytesRead === 0) return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, length));
  }
}

/** Files that the configuration names must be there now, not at the first request that needs them. */
async function withReadableFiles(outcome: Extract<ConfigOutcome, { ok: true }>): Promise<ConfigOutcome> {
  const faults: ConfigFault[] = [];
  for (const [key, path] of filesOf(outcome.config)) {
    try {
      await access(path, constants.R_OK);
    } catch (error) {
      faults.push({ place: outcome.placeOf(key), key, say: (m) => m.config.fileNotReadable(reasonOf(error)) });
    }
  }
  return faults.length === 0 ? outcome : { ok: false, faults };
}

function filesOf({ tls, outbound }: HubConfig): readonly (readonly [key: string, path: string])[] {
  const files = [
    ['tls.certFile', tls?.certFile],
    ['tls.keyFile', tls?.keyFile],
    ['tls.caFile', outbound.caFile],
  ] as const;
  return files.flatMap(([key, path]) => (path === undefined ? [] : [[key, path] as const]));
}

function reasonOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : messageOf(error);
}
