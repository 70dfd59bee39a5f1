import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type ErrorCode, HubError } from '../base/errors.ts';
import type { HubConfig } from '../cli/config/hub-config.ts';
import type { ReadiedKey } from './own-keys.ts';

export interface Readied {
  /** Addresses, in order. */
  readonly upstreams: readonly string[];
  /** The public halves of the keys that the hub signs with. */
  readonly keys: readonly ReadiedKey[];
}

export type Prepared = ({ readonly ok: true } & Readied) | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

/** A migration of a large database may take its time; a hang may not. */
const prepareMs = 10 * 60_000;

/** Readies the data folder and the keys, and finds the upstreams, in a process of its own. @throws {HubError} storage-fault, storage-full, config-invalid */
export async function prepareDataDir(config: HubConfig, options: { isTerminal: boolean; env: NodeJS.ProcessEnv }): Promise<Readied> {
  const own = import.meta.url;
  const entry = fileURLToPath(new URL(own.endsWith('.ts') ? './hub-prepare.ts' : './hub-prepare.js', own));
  const child = fork(entry, [], { env: options.env, execArgv: [], serialization: 'advanced', timeout: prepareMs });
  const prepared = await new Promise<Prepared>((resolve) => {
    child.once('message', (message) => resolve(message as Prepared));
    child.once('error', (error) =>
      resolve({ ok: false, code: 'storage-fault', message: `the data folder could not be readied: ${error.message}` }),
    );
    child.once('exit', (code, signal) =>
      resolve({ ok: false, code: 'storage-fault', message: `readying the data folder ended early (${signal ?? code})` }),
    );
    child.send({ config, isTerminal: options.isTerminal });
  });
  if (!prepared.ok) throw new HubError(prepared.code, prepared.message);
  return prepared;
}
