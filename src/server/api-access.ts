import type { IncomingMessage } from 'node:http';

/** Headers by which proxies say for whom they ask. */
const forwarding = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip'];

/** What somebody is told who may not read without logging in, and the header that says how. */
export const TOKEN_NEEDED = 'this hub asks for a name and a token';
export const TOKEN_CHALLENGE: readonly string[] = ['WWW-Authenticate', 'Basic realm="goyi", charset="UTF-8"'];

/**
 * Why a request that changes something is not taken, or undefined. Until there are tokens only programs on the hub's own machine may send one,
 * so it is the socket's address that decides, and no header ever speaks for a client; several speak against one:
 *
 * - A header that proxies add: the socket is then the proxy's, whoever stands behind it.
 * - `Origin`, or a `Host` that is not this machine: a web page that somebody here looks at, whose name may even point at a loopback address.
 */
export function refusalOfWrite({ headers, socket }: Pick<IncomingMessage, 'headers' | 'socket'>): string | undefined {
  if (!isLoopbackAddress(socket.remoteAddress))
    return 'requests that change something are taken from the machine of the hub alone: run the command there';
  const header = forwarding.find((name) => headers[name] !== undefined);
  if (header !== undefined)
    return `requests that change something are taken from the machine of the hub alone, and this one came through a proxy (it has ${header})`;
  if (headers.origin !== undefined) return 'requests that change something are not taken from web pages';
  if (!isLoopbackHost(headers.host)) return 'requests that change something must name this machine: use http://127.0.0.1 and the port';
  return undefined;
}

/** As Node writes the peer's address; an IPv4 peer of an IPv6 socket included. */
export function isLoopbackAddress(address: string | undefined): boolean {
  return address === '::1' || /^(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/i.test(address ?? '');
}

function isLoopbackHost(host: string | undefined): boolean {
  return /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(?::\d{1,5})?$/i.test(host ?? '');
}
