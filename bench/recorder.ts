import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { realUpstream } from '../test/support/go-command.ts';

export interface Recorder extends AsyncDisposable {
  readonly url: string;
  /** Paths asked for and found. */
  readonly requests: Set<string>;
  /** The body of a path, from the folder or, once, from the real upstream. @throws {Error} when it has none */
  fetch(path: string): Promise<Buffer>;
}

const attemptsMax = 4;

/** A GOPROXY on loopback that keeps what the real one answers in `folder`. */
export async function startRecorder(folder: string): Promise<Recorder> {
  const upstream = await realUpstream();
  const requests = new Set<string>();
  const fetchOne = async (path: string): Promise<Buffer> => {
    const file = join(folder, path);
    const known = await readFile(file).catch(() => undefined);
    if (known !== undefined) return known;
    const bytes = await download(`${upstream}${path}`);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, bytes);
    return bytes;
  };
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '/');
    fetchOne(path).then(
      (bytes) => {
        requests.add(path);
        response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
      },
      (error: Error) => response.writeHead(404).end(error.message),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    fetch: fetchOne,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function download(url: string): Promise<Buffer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const answer = await fetch(url, { headers: { 'accept-encoding': 'identity' }, signal: AbortSignal.timeout(180_000) });
      if (answer.status === 200) return Buffer.from(await answer.arrayBuffer());
      if (answer.status < 500 && answer.status !== 429) throw Object.assign(new Error(`${url} answers ${answer.status}`), { final: true });
    } catch (error) {
      if (attempt === attemptsMax || (error as { final?: boolean }).final === true) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** attempt));
  }
}
