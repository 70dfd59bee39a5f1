/**
 * A hub with nginx in front of it, to which it hands large files over, as one family of processes:
 *
 *     node bench/behind-nginx.ts '{"nginx": PATH, "folder": FOLDER, "hub": {…}}'      prints nginx's address
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type HubOptions, startHub } from '../test/support/hub-process.ts';
import { documentedServer, startNginx } from '../test/support/nginx.ts';

export interface BehindNginxSettings {
  readonly nginx: string;
  readonly folder: string;
  readonly hub: HubOptions;
}

const { nginx: command, folder, hub: options } = JSON.parse(process.argv[2] ?? '{}') as BehindNginxSettings;
await mkdir(folder, { recursive: true });
const hub = await startHub({ ...options, env: { ...options.env, GOYI_HAND_OVER_KIND: 'x-accel-redirect' } });
const nginx = await startNginx({
  command,
  folder: join(folder, 'nginx'),
  server: await documentedServer('x-accel-redirect', hub),
  workers: options.workers ?? 1,
});
console.log(nginx.url);

let stopping = false;
const stop = async (): Promise<void> => {
  if (stopping) return;
  stopping = true;
  await nginx[Symbol.asyncDispose]();
  await hub.stop();
  process.disconnect?.();
};
process.on('SIGTERM', () => void stop());
// Whoever started this is gone.
process.on('disconnect', () => void stop());
