// Writes what the real curl, git and npm do with a table of NO_PROXY values, one JSON object a line, to standard output. Run with the project's Node:
//   node test/oracle-proxy/other-programs.ts $(npm root -g)/npm >testdata/proxy-rules/others.jsonl
// Each curl and git runs against a proxy and a target on the loopback address; which of the two it connects to is the answer.
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { type AddressInfo, createServer } from 'node:net';

const noProxies = [
  '*',
  '* ',
  'a.test,*',
  'foo.test',
  '.foo.test',
  '..foo.test',
  '*.foo.test',
  '*foo.test',
  'FOO.Test',
  ' foo.test ',
  'a.test foo.test',
  'a.test, foo.test',
  'foo.test.',
  'foo.test:8080',
  'foo.test:',
  'test',
  '.test',
  'foo.test/',
  'http://foo.test',
  '.',
  '',
  ',',
  '10.0.0.0/8',
  '10.1.2.3',
  '10.1.2.3/32',
  '0.0.0.0/0',
  '10.',
  '10.*',
  '10.1.2.3:8080',
  '10.0.0.0/33',
  '10.0.0.0/08',
  'a.test,192.168.0.0/16 10.1.0.0/16',
  `192\\.168\\..*`,
  '2001:db8::/32',
  '2001:db8::1',
  '[2001:db8::1]',
  '::/0',
  '2001:DB8:0::1',
  'localhost',
  '127.0.0.1',
  '127.0.0.0/8',
  '::1',
];
const urls = [
  'http://foo.test:8080/',
  'http://a.foo.test:8080/',
  'http://afoo.test:8080/',
  'http://foo.test.:8080/',
  'http://FOO.TEST:8080/',
  'http://test:8080/',
  'http://b.a.foo.test:8080/',
  'http://10.1.2.3:8080/',
  'http://11.1.2.3:8080/',
  'http://192.168.1.1:8080/',
  'http://10.test:8080/',
  'http://[2001:db8::1]:8080/',
  'http://[2001:db9::1]:8080/',
  'http://localhost:8080/',
  'http://127.0.0.1:8080/',
  'http://[::1]:8080/',
];

let asked = '';
const serve = async (name: string): Promise<number> => {
  const server = createServer((socket) => {
    asked ||= name;
    socket.on('error', () => {});
    socket.end('HTTP/1.1 502 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  return (server.address() as AddressInfo).port;
};
const proxy = await serve('proxy');
const target = await serve('direct');

async function curlGoesDirect(noProxy: string, url: string): Promise<boolean> {
  asked = '';
  const env = { PATH: process.env['PATH'], http_proxy: `http://127.0.0.1:${proxy}`, no_proxy: noProxy };
  await new Promise((resolve) =>
    execFile('curl', ['-q', '-s', '--max-time', '10', '--connect-to', `::127.0.0.1:${target}`, url], { env }, resolve),
  );
  if (asked === '') throw new Error(`curl asked nobody for ${url} with no_proxy=${noProxy}`);
  return asked === 'direct';
}

/** Null for an address: git can be told where a name is, but not where an address is. */
async function gitGoesDirect(noProxy: string, url: string): Promise<boolean | null> {
  const { hostname } = new URL(url);
  if (/^[\d.]+$|^\[/.test(hostname)) return null;
  asked = '';
  const env = { PATH: process.env['PATH'], HOME: '/nonexistent', http_proxy: `http://127.0.0.1:${proxy}`, no_proxy: noProxy };
  const written = /\/\/([^/:]+)/.exec(url)?.[1] ?? '';
  const places = [written, hostname, hostname.replace(/\.$/, '')].flatMap((name) => [
    '-c',
    `http.curloptResolve=${name}:${target}:127.0.0.1`,
  ]);
  await new Promise((resolve) =>
    execFile('git', [...places, 'ls-remote', `http://${written}:${target}/x`], { env, timeout: 20_000 }, resolve),
  );
  if (asked === '') throw new Error(`git asked nobody for ${url} with no_proxy=${noProxy}`);
  return asked === 'direct';
}

const npm = process.argv[2];
if (npm === undefined) throw new Error('name the folder of npm');
const { getProxy } = createRequire(import.meta.url)(`${npm}/node_modules/@npmcli/agent/lib/proxy.js`) as {
  getProxy: (url: string, options: { proxy: string; noProxy: string }) => URL | null;
};

for (const noProxy of noProxies) {
  for (const url of urls) {
    const curl = await curlGoesDirect(noProxy, url);
    const git = await gitGoesDirect(noProxy, url);
    console.log(JSON.stringify({ noProxy, url, curl, git, npm: getProxy(url, { proxy: 'http://p.test', noProxy }) === null }));
  }
}
