import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Archive } from './archive.ts';

export interface Recorder extends AsyncDisposable {
  readonly url: string;
  /** Paths asked for and found, in the order of the first time. */
  readonly requests: Set<string>;
}

/** A GOPROXY on loopback over an archive, which takes note of what is asked for. */
export async function startRecorder(archive: Archive): Promise<Recorder> {
  const requests = new Set<string>();
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '/');
    archive.get(path).then(
      (bytes) => {
        if (bytes === undefined) {
          response.writeHead(404).end();
          return;
        }
        requests.add(path);
        response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
      },
      (error: Error) => response.writeHead(502).end(error.message),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
