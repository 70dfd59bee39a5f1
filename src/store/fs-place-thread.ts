/** The thread that places and settles small files: some fifteen calls of the system a file, each of which would cost the serving thread a change of threads. */
import { parentPort } from 'node:worker_threads';
import { invariant } from '../base/invariant.ts';
import { errnoOf } from './fs-operations.ts';
import { placeFile, settleFiles } from './fs-place.ts';
import type { PlacerMessage, PlacerOutcome, PlacerReply } from './fs-placer.ts';

invariant(parentPort, 'files are placed in a thread of their own');
const port = parentPort;

port.on('message', (messages: readonly PlacerMessage[]) => {
  port.postMessage(messages.map(({ id, job }) => ({ id, outcome: run(job) })) satisfies PlacerReply);
});

function run(job: PlacerMessage['job']): PlacerOutcome {
  if (job.kind === 'place') return placeFile(job);
  try {
    settleFiles(job.root, job.keys);
    return { kind: 'settled' };
  } catch (error) {
    return { kind: 'failed', errno: errnoOf(error), message: error instanceof Error ? error.message : String(error) };
  }
}
