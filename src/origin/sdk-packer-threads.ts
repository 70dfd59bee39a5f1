import { Worker } from 'node:worker_threads';
import { type ErrorCode, HubError } from '../base/errors.ts';
import { threadUrl } from '../base/program-parts.ts';
import { Gate } from '../base/gate.ts';
import type { PackedSdk, SdkPacker, SdkToPack } from './sdk-packer.ts';

/** What a packer's thread says; it is told when a piece was taken. Errors lose their class and code on the way between threads. */
export type PackerMessage =
  | { readonly kind: 'piece'; readonly bytes: Uint8Array }
  | { readonly kind: 'packed'; readonly packed: PackedSdk }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string };

/** SDKs that wait for a thread; more are refused as overloaded. */
const QUEUE_MAX = 64;
/** A thread that takes longer is ended; the largest SDK takes half a minute on a slow machine, unless the disk is what it waits for. */
const JOB_MS = 600_000;

const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16 } as const;

/** One SDK at a time, each in a thread that ends with it: a release is packed once, and then never again. */
export function createSdkPacker(): SdkPacker {
  return new PackerThreads();
}

class PackerThreads implements SdkPacker {
  readonly #gate = new Gate({ slotsMax: 1, queueMax: QUEUE_MAX });
  readonly #stop = new AbortController();

  async pack(sdk: SdkToPack, sink: (piece: Uint8Array) => Promise<void>, signal: AbortSignal): Promise<PackedSdk> {
    const either = AbortSignal.any([signal, this.#stop.signal]);
    const leave = await this.#gate.enter({ priority: 'waited-for' }, either);
    try {
      return await runThread(sdk, sink, either);
    } finally {
      leave();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new HubError('canceled', 'packing SDKs was stopped'));
  }
}

async function runThread(sdk: SdkToPack, sink: (piece: Uint8Array) => Promise<void>, signal: AbortSignal): Promise<PackedSdk> {
  const what = `${sdk.module}@${sdk.version}`;
  const { promise, resolve, reject } = Promise.withResolvers<PackedSdk>();
  const worker = new Worker(threadUrl('sdk-pack-thread', import.meta.url), {
    name: 'sdk-packer',
    execArgv: [],
    resourceLimits: RESOURCE_LIMITS,
    workerData: sdk,
  });
  // One piece after the other, in the order in which they came.
  let writing = Promise.resolve();
  worker.on('message', (message: PackerMessage) => {
    if (message.kind === 'failed') return reject(new HubError(message.code, message.message));
    writing = writing.then(async () => {
      if (message.kind === 'packed') return resolve(message.packed);
      await sink(message.bytes);
      worker.postMessage('taken');
    });
    writing.catch(reject);
  });
  worker.on('error', (error) => reject(crashOf(error)));
  worker.on(
    'exit',
    () => void writing.then(() => reject(new HubError('overloaded', `the thread that packed ${what} ended by itself`)), reject),
  );
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const timer = setTimeout(() => reject(new HubError('overloaded', `packing ${what} took more than ${JOB_MS} ms`)), JOB_MS);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    await worker.terminate();
    // Whoever owns the sink may take it away when this returns.
    await writing.catch(() => {});
  }
}

/** Running out of memory says that the module asks for too much; anything else is a bug and stays what it is. */
function crashOf(error: unknown): Error {
  if (error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY')
    return new HubError('overloaded', 'packing an SDK needed more memory than a thread may use', { cause: error });
  return error instanceof Error ? error : new Error(String(error));
}
