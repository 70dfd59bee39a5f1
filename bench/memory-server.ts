/** The limit of what Node can do: the recording's files from memory with the fewest headers, by two processes. `node bench/memory-server.ts FOLDER` prints its address. */
import cluster from 'node:cluster';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

const processes = 2;
const folder = process.argv[2] ?? '.';

if (cluster.isPrimary) {
  let isPrinted = false;
  for (let i = 0; i < processes; i += 1) {
    cluster.fork().on('message', (port: number) => {
      if (!isPrinted) process.stdout.write(`http://127.0.0.1:${port}\n`);
      isPrinted = true;
    });
  }
  process.on('SIGTERM', () => process.exit(0));
} else {
  const files = new Map<string, Buffer>();
  const load = (url: string): Buffer | undefined => {
    try {
      const body = readFileSync(join(folder, decodeURIComponent(url)));
      files.set(url, body);
      return body;
    } catch {
      return undefined;
    }
  };
  const server = createServer((request, response) => {
    const url = request.url ?? '/';
    const body = files.get(url) ?? load(url);
    if (body === undefined) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, ['Content-Type', 'application/octet-stream', 'Content-Length', String(body.length)]);
    response.end(body);
  });
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
}
// Each process ends with the one that started it.
process.on('disconnect', () => process.exit(0));
