import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a line to a server does to its answers. */
export interface Bends {
  /** After so many bytes of each answer from `cutPath`, one after the other, the connection is cut. */
  cuts: number[];
  /** Instead of the server's, by path. */
  status: Map<string, number>;
  /** Changes whole answers, by path. */
  bend: Map<string, (body: Buffer) => Buffer>;
  asked: string[];
  /** Credentials that came. */
  tokens: Set<string>;
}

export function noBends(): Bends {
  return { cuts: [], status: new Map(), bend: new Map(), asked: [], tokens: new Set() };
}

export interface BentLine extends AsyncDisposable {
  readonly address: string;
}

/** A way to `server` that does what `bendsNow` says at the moment of each answer. */
export async function openBentLine(
  { url, cutPath }: { readonly url: string; readonly cutPath: string },
  bendsNow: () => Bends,
): Promise<BentLine> {
  const server = createServer((req, res) => {
    const [path, bends] = [req.url ?? '', bendsNow()];
    if (req.headers.authorization !== undefined) bends.tokens.add(req.headers.authorization);
    bends.asked.push(`${path}${req.headers.range === undefined ? '' : ` ${req.headers.range}`}`);
    const { hostname: host, port } = new URL(url);
    const forwarded = request({ host, port, path, method: 'GET', headers: req.headers, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => {
        const whole = Buffer.concat(chunks);
        const body = bends.bend.get(path)?.(whole) ?? whole;
        const cut = path === cutPath ? bends.cuts.shift() : undefined;
        res.writeHead(bends.status.get(path) ?? answer.statusCode ?? 500, { ...answer.headers, 'content-length': String(body.length) });
        if (cut === undefined || cut >= body.length) return void res.end(body);
        res.write(body.subarray(0, cut), () => res.socket?.end());
      });
    });
    forwarded.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
