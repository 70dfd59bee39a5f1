/** The entry file of a prover's thread: answers one {@link ZipJob} at a time. A fault of its own is thrown, and ends the thread. */
import { parentPort } from 'node:worker_threads';
import { HubError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import { type ZipAnswer, type ZipJob, createProveTools, proveZip } from './zip-prove.ts';

invariant(parentPort, 'zips are proved in a thread of their own');
const port = parentPort;
const tools = createProveTools();

port.on('message', (job: ZipJob) => {
  void answer(job).then((outcome) => port.postMessage(outcome));
});

async function answer(job: ZipJob): Promise<ZipAnswer> {
  try {
    return { kind: 'proved', zip: await proveZip(job, tools) };
  } catch (error) {
    if (!(error instanceof HubError)) throw error;
    return { kind: 'failed', code: error.code, message: error.message };
  }
}
