/** The entry file of a packer's thread: packs one SDK, and has two pieces on their way at most. A fault of its own is thrown, and ends the thread. */
import { parentPort, workerData } from 'node:worker_threads';
import { HubError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import { packSdk } from './sdk-pack.ts';
import type { SdkToPack } from './sdk-packer.ts';
import type { PackerMessage } from './sdk-packer-threads.ts';

invariant(parentPort, 'SDKs are packed in a thread of their own');
const port = parentPort;
const ON_THEIR_WAY_MAX = 2;

let onTheirWay = 0;
let taken = Promise.withResolvers<void>();
port.on('message', () => {
  onTheirWay -= 1;
  taken.resolve();
});

const tell = (message: PackerMessage, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);

try {
  const packed = await packSdk(workerData as SdkToPack, async (piece) => {
    while (onTheirWay >= ON_THEIR_WAY_MAX) {
      taken = Promise.withResolvers();
      await taken.promise;
    }
    onTheirWay += 1;
    tell({ kind: 'piece', bytes: piece }, [piece.buffer as ArrayBuffer]);
  });
  tell({ kind: 'packed', packed });
} catch (error) {
  if (!(error instanceof HubError)) throw error;
  tell({ kind: 'failed', code: error.code, message: error.message });
}
port.close();
