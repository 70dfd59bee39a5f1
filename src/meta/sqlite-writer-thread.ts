/** The thread that writes: a commit waits for the disk and for other processes, which the thread that serves must not do. */
import type { DatabaseSync } from 'node:sqlite';
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { invariant } from '../base/invariant.ts';
import { connect } from './sqlite-open.ts';
import { SqliteWriter } from './sqlite-writer.ts';
import type { ThreadMessage, ThreadReply, ThreadStart } from './sqlite-writer-host.ts';

const groupMax = 512;

function serve(port: MessagePort, { file, owner }: ThreadStart): void {
  const database = connect(file, { readOnly: false });
  const writer = new SqliteWriter(database, owner);
  port.on('message', (first: ThreadMessage) => {
    const calls = first === 'close' ? [] : [...first];
    let closing = first === 'close';
    // Whatever arrived while the last group was being committed goes into this one.
    while (!closing && calls.length < groupMax) {
      const more = receiveMessageOnPort(port);
      if (more === undefined) break;
      const message = more.message as ThreadMessage;
      if (message === 'close') closing = true;
      else calls.push(...message);
    }
    if (calls.length > 0) {
      const outcomes = writer.run(calls.map(({ call }) => call));
      port.postMessage(outcomes.map((outcome, at) => ({ id: calls[at]?.id ?? 0, outcome })) satisfies ThreadReply);
    }
    if (!closing) return;
    writer.run([{ name: 'releaseLeases', args: [] }]);
    emptyLog(database);
    database.close();
    port.close();
  });
}

/** So that a copy of the database file alone, made while the hub is stopped, has everything. While others still use the log, they will do it. */
function emptyLog(database: DatabaseSync): void {
  try {
    database.exec('PRAGMA busy_timeout = 0; PRAGMA wal_checkpoint(TRUNCATE)');
  } catch {
    // A full disk: the log keeps what it has, and nothing is lost.
  }
}

invariant(parentPort !== null, 'this file runs as a thread');
serve(parentPort, workerData as ThreadStart);
