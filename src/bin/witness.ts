import { access } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { HubError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import type { Log } from '../base/log.ts';
import type { HubConfig, WitnessConfig } from '../cli/config/hub-config.ts';
import { Witness } from '../hub/witness.ts';
import { createKeyFile, type KeyFile, readKeyFile } from '../meta/key-file.ts';
import { type WitnessState, openWitnessState } from '../meta/witness-state.ts';
import { type CosignerSigner, cosignerOf } from '../protocol/cosignature.ts';
import { COSIGNATURE, type SignerKey, type VerifierKey, parseVerifierKey } from '../protocol/note.ts';
import { type WitnessServer, createWitnessServer } from '../server/witness-server.ts';
import { openProcessLog } from './process-log.ts';

const DRAIN_MS = 5_000;

/** Runs a witness until `signal` fires. @throws {HubError} config-invalid, storage-fault, storage-full, listen-failed */
export async function runWitness(config: HubConfig, isTerminal: boolean, signal: AbortSignal): Promise<number> {
  const log = openProcessLog(config.log, isTerminal);
  const { stateDir, keyFile, listen, logs } = config.witness;
  const file = join(stateDir, 'witness.db');
  const isNew = !(await exists(file));
  const known = await readKeyFile(keyOf(config.witness));
  // The key without its state would cosign anything as the first head it ever saw.
  if (isNew && known !== undefined)
    throw new HubError('storage-fault', `there is a key in ${keyFile} but no state in ${stateDir}: ${withoutState}`);
  using state = await openWitnessState(file);
  const cosigner = await openKey(config.witness, known, state);
  const witness = new Witness({ cosigner, logs: logs.map(logKeyOf), state, clock: systemClock, log });
  const server = createWitnessServer({ witness, log });
  const port = await listenAt(server, listen);
  announce(witness, { host: listen.host, port }, log);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await server.close(DRAIN_MS);
  log.info('stopped');
  return 0;
}

const withoutState =
  'a witness that has lost its state must not go on with its key. Bring the state back, or take the key away too, and give the logs the new keys';

/**
 * The witness's key, made at the first start: the state comes first, then the key, then whose state it is, so that a start that was killed at any point
 * is simply made again.
 */
async function openKey(witness: WitnessConfig, known: SignerKey | undefined, state: WitnessState): Promise<CosignerSigner> {
  const { owner } = state;
  if (known === undefined && owner !== undefined)
    throw new HubError('config-invalid', `the key file ${witness.keyFile} is gone; the state beside it is that of ${owner}`);
  const place = keyOf(witness);
  // Another process may have made one meanwhile.
  const signer = known ?? (await createKeyFile(place)) ?? (await readKeyFile(place));
  if (signer === undefined) throw new HubError('storage-fault', `the key file ${witness.keyFile} comes and goes`);
  const { text } = signer.verifier;
  if (owner === undefined) state.setOwner(text);
  else if (owner !== text) throw new HubError('config-invalid', `the state is that of ${owner}, and ${witness.keyFile} holds another key`);
  return cosignerOf(signer);
}

function keyOf({ name, keyFile }: WitnessConfig): KeyFile {
  invariant(name !== undefined, 'the command has checked that the witness has a name');
  return { file: keyFile, name, algorithm: COSIGNATURE };
}

function logKeyOf(text: string): VerifierKey {
  const key = parseVerifierKey(text);
  invariant(key.ok, 'the configuration has checked this key');
  return key.value;
}

function listenAt({ server }: WitnessServer, { host, port }: { readonly host: string; readonly port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'EADDRINUSE' ? 'another program listens there' : error.code === 'EACCES' ? 'this user may not' : error.message;
      reject(new HubError('listen-failed', `cannot listen on ${host}:${port}: ${why}`, { cause: error }));
    });
    server.listen({ host, port }, () => resolve((server.address() as AddressInfo).port));
  });
}

function announce(witness: Witness, { host, port }: { readonly host: string; readonly port: number }, log: Log): void {
  log.info('listening', { address: `http://${host.includes(':') ? `[${host}]` : host}:${port}`, witness: witness.name });
  for (const { key, cosigner, head } of witness.logs())
    log.info('watching', { log: key.text, cosignedBy: cosigner.cosigner.text, size: head?.size });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
