/**
 * Asks at a steady pace, as many clients do that do not wait for each other, and measures from the moment that a request was due: what a server that is
 * not overloaded makes them wait. `node bench/paced-client.ts ORIGIN PREFIX COUNT CONNECTIONS REQUESTS_PER_SECOND SECONDS` prints JSON.
 */
import { Agent, request } from 'node:http';
import { moduleAt } from './own-log-records.ts';

const [, , origin = '', prefix = '', count = '1', connections = '64', rate = '1000', seconds = '4'] = process.argv;
const agent = new Agent({ keepAlive: true, maxSockets: Number(connections) });
const latencies: number[] = [];
let failures = 0;

function ask(dueMs: number): Promise<void> {
  const path = `${prefix}/lookup/${moduleAt(Math.floor(Math.random() * Number(count)))}@v1.0.0`;
  return new Promise((resolve) => {
    const sent = request(`${origin}${path}`, { agent }, (answer) => {
      answer.resume();
      answer.once('end', () => {
        if (answer.statusCode === 200) latencies.push(performance.now() - dueMs);
        else failures += 1;
        resolve();
      });
    });
    sent.once('error', () => {
      failures += 1;
      resolve();
    });
    sent.end();
  });
}

const startMs = performance.now();
const everyMs = 1000 / Number(rate);
const endMs = startMs + Number(seconds) * 1000;
const asked: Promise<void>[] = [];
for (let due = startMs; due < endMs; ) {
  while (due <= performance.now()) {
    asked.push(ask(due));
    due += everyMs;
  }
  await new Promise((resolve) => setTimeout(resolve, 1));
}
await Promise.all(asked);
agent.destroy();
latencies.sort((a, b) => a - b);
const at = (part: number): number => latencies[Math.floor(latencies.length * part)] ?? Number.NaN;
process.stdout.write(`${JSON.stringify({ requests: latencies.length, failures, p50Ms: at(0.5), p99Ms: at(0.99) })}\n`);
