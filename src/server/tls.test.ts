import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { request as httpsRequest } from 'node:https';
import { connect as connectPlain } from 'node:net';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { test } from 'node:test';
import { HubError } from '../base/errors.ts';
import { FakeBlob, servedBlob, startHub, talk, until } from './fake-station.ts';
import type { TlsMaterial } from './http-server.ts';

/** A self-signed certificate for `name`, made here so that no private key lies in the repository. X.509 in DER: RFC 5280 §4.1 */
function certificateFor(name: string): TlsMaterial {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const der = (tag: number, ...parts: Buffer[]): Buffer => {
    const body = Buffer.concat(parts);
    const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 0xff];
    return Buffer.concat([Buffer.from([tag, ...length]), body]);
  };
  const ecdsaWithSha256 = der(0x30, Buffer.from('06082a8648ce3d040302', 'hex'));
  const names = der(0x30, der(0x31, der(0x30, Buffer.from('0603550403', 'hex'), der(0x0c, Buffer.from(name)))));
  const validity = der(0x30, der(0x17, Buffer.from('200101000000Z')), der(0x17, Buffer.from('491231235959Z')));
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const body = der(
    0x30,
    der(0xa0, Buffer.from('020102', 'hex')),
    Buffer.from('020101', 'hex'),
    ecdsaWithSha256,
    names,
    validity,
    names,
    spki,
  );
  const signature = sign('sha256', body, privateKey);
  const cert = der(0x30, body, ecdsaWithSha256, der(0x03, Buffer.from([0]), signature)).toString('base64');
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${cert}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
}

const ZIP = '/rsc.io/quote/@v/v1.0.0.zip';

async function handshake(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options });
  await new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
  socket.on('error', () => {});
  return socket;
}

test('a hub with TLS answers over TLS 1.2 and later, in HTTP/1.1', async () => {
  const material = certificateFor('goyi.test');
  const body = Buffer.alloc(3_000_000, 9);
  const fake = await startHub({ tls: material, answer: () => servedBlob(new FakeBlob(body)), limits: { headerMs: 500 } });
  try {
    const received = await new Promise<Buffer>((resolve, reject) => {
      const options = {
        host: '127.0.0.1',
        port: fake.port,
        path: ZIP,
        ca: material.cert,
        servername: 'goyi.test',
        agent: false,
        checkServerIdentity: () => undefined,
      };
      const req = httpsRequest(options, (res) => {
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('end', () => resolve(Buffer.concat(chunks)));
      });
      req.on('error', reject);
      req.end();
    });
    assert.ok(received.equals(body));
    const modern = await handshake(fake.port, { ALPNProtocols: ['h2', 'http/1.1'] });
    assert.equal(modern.alpnProtocol, 'http/1.1');
    modern.destroy();
    await assert.rejects(handshake(fake.port, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' }));
    const plain = await talk(fake.port, 'GET / HTTP/1.1\r\nHost: h\r\n\r\n', { timeoutMs: 2_000 });
    assert.deepEqual([plain.closed, plain.text.includes('200')], [true, false]);
    const mute = await talk(fake.port, '', { timeoutMs: 3_000 });
    assert.ok(mute.closed, 'a handshake that never begins is cut');
  } finally {
    await fake.stop();
  }
});

test('a renewed certificate is shown to new connections, and a bad one is refused', async () => {
  const fake = await startHub({ tls: certificateFor('old.test') });
  try {
    fake.hub.renewTls(certificateFor('new.test'));
    const socket = await handshake(fake.port);
    assert.equal(socket.getPeerCertificate().subject.CN, 'new.test');
    socket.destroy();
    const isConfigInvalid = (error: unknown): boolean => error instanceof HubError && error.code === 'config-invalid';
    assert.throws(() => fake.hub.renewTls({ cert: 'x', key: 'y' }), isConfigInvalid);
    await assert.rejects(startHub({ tls: { cert: certificateFor('a.test').cert, key: certificateFor('b.test').key } }), isConfigInvalid);
  } finally {
    await fake.stop();
  }
});

test('a reader of TLS that does not read is cut, and a stop ends handshakes under way', async () => {
  const fake = await startHub({
    tls: certificateFor('goyi.test'),
    answer: () => servedBlob(new FakeBlob(Buffer.alloc(24 * 1024 * 1024))),
    limits: { writeStallMs: 300 },
  });
  const socket = await handshake(fake.port);
  socket.pause();
  socket.write(`GET ${ZIP} HTTP/1.1\r\nHost: h\r\n\r\n`);
  await until(() => fake.cuts.length === 1);
  socket.destroy();
  const half = connectPlain(fake.port, '127.0.0.1');
  half.on('error', () => {});
  await new Promise((resolve) => half.once('connect', resolve));
  const startedMs = performance.now();
  await fake.hub.close(100);
  assert.ok(performance.now() - startedMs < 1_000);
  half.destroy();
});
