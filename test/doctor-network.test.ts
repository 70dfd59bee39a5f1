// Faults of the network, each made for real on loopback: dead, slow, lying and misconfigured servers, certificates, clocks, outbound proxies.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { TestChecksumDatabase } from './support/checksum-database-server.ts';
import { Patient } from './support/doctor-patient.ts';
import { type ScriptedUpstream, startScriptedUpstream } from './support/scripted-upstream.ts';

const certificates = new URL('../testdata/tls/', import.meta.url);
const authority = fileURLToPath(new URL('ca.pem', certificates));
const tls = { key: readFileSync(new URL('server.key', certificates)), cert: readFileSync(new URL('server.pem', certificates)) };

/** One that nobody listens at. */
async function deadAddress(): Promise<string> {
  const upstream = await startScriptedUpstream();
  const { url } = upstream;
  await upstream[Symbol.asyncDispose]();
  return url;
}

/** Serves what the patient's own upstream serves, over TLS. */
function tlsTwin(patient: Patient): Promise<ScriptedUpstream> {
  return startScriptedUpstream({ files: Object.fromEntries(patient.world.upstream.files), tls });
}

/** With a full cache nothing but the addresses themselves is asked. */
async function settled(): Promise<Patient> {
  const patient = await Patient.admit();
  await patient.download();
  return patient;
}

const fresh = ['mod', 'download', 'fresh.example/m@v1.0.0'];

test('proxy-unreachable', async () => {
  await using patient = await settled();
  await patient.set('GOPROXY', await deadAddress());
  assert.match((await patient.go(fresh)).output, /connection refused/);
  await patient.suffersFrom('proxy-unreachable');
  await patient.set('GOPROXY', patient.world.upstream.url);
  await patient.suffersFrom();
});

test('the second of two proxies that is dead is found as well', async () => {
  await using patient = await settled();
  const dead = await deadAddress();
  await patient.set('GOPROXY', `${patient.world.upstream.url},${dead}`);
  const [finding] = await patient.suffersFrom('proxy-unreachable');
  assert.equal(finding?.subject, dead);
});

test('proxy-slow', async () => {
  await using patient = await settled();
  patient.world.upstream.on(/supported$/, { delayHeadMs: 300, status: 404 });
  patient.slowMs = 250;
  // On a busy machine the database may be slow as well.
  assert.ok((await patient.findings()).some(({ id }) => id === 'proxy-slow'));
  patient.world.upstream.behave();
  // Cured, it may still take a while on a busy machine.
  patient.slowMs = 60_000;
  await patient.suffersFrom();
});

test('proxy-certificate: an authority that the machine does not know, until SSL_CERT_FILE names it', async () => {
  await using patient = await settled();
  await using twin = await tlsTwin(patient);
  await patient.set('GOPROXY', twin.url);
  assert.match((await patient.go(fresh)).output, /certificate signed by unknown authority/);
  await patient.suffersFrom('proxy-certificate');
  patient.env['SSL_CERT_FILE'] = authority;
  assert.equal((await patient.go(fresh)).code, 0);
  await patient.suffersFrom();
});

test('proxy-certificate: one that expired', async () => {
  await using patient = await settled();
  const cert = readFileSync(new URL('expired.pem', certificates));
  await using old = await startScriptedUpstream({ tls: { key: tls.key, cert } });
  patient.env['SSL_CERT_FILE'] = fileURLToPath(new URL('expired.pem', certificates));
  await patient.set('GOPROXY', old.url);
  assert.match((await patient.go(fresh)).output, /certificate has expired or is not yet valid/);
  const [finding] = await patient.suffersFrom('proxy-certificate');
  assert.match(finding?.proof[0]?.got ?? '', /CERT_HAS_EXPIRED/);
});

test('authorities-missing', async () => {
  await using patient = await settled();
  await using twin = await tlsTwin(patient);
  await patient.set('GOPROXY', twin.url);
  patient.env['SSL_CERT_FILE'] = join(patient.home, 'gone.pem');
  await patient.suffersFrom('authorities-missing');
  patient.env['SSL_CERT_FILE'] = authority;
  await patient.suffersFrom();
});

test('proxy-not-tls', async () => {
  await using patient = await settled();
  await patient.set('GOPROXY', patient.world.upstream.url.replace('http:', 'https:'));
  assert.match((await patient.go(fresh)).output, /server gave HTTP response to HTTPS client/);
  await patient.suffersFrom('proxy-not-tls');
  await patient.set('GOPROXY', patient.world.upstream.url);
  await patient.suffersFrom();
});

test('proxy-error', async () => {
  await using patient = await settled();
  patient.world.upstream.on(/supported$/, { status: 503 });
  await patient.suffersFrom('proxy-error');
  patient.world.upstream.behave();
  await patient.suffersFrom();
});

test('proxy-credentials: 401 until ~/.netrc has the token', async () => {
  await using patient = await Patient.admit();
  await using twin = await tlsTwin(patient);
  const wanted = `Basic ${Buffer.from('me:token').toString('base64')}`;
  twin.on(/.*/, ({ headers }) => (headers['authorization'] === wanted ? undefined : { status: 401 }));
  patient.env['SSL_CERT_FILE'] = authority;
  await patient.set('GOPROXY', twin.url);
  assert.match((await patient.go(fresh)).output, /401/);
  const [finding] = await patient.suffersFrom('proxy-credentials');
  const [line = ''] = finding?.fix.lines ?? [];
  await patient.appendHome(
    '.netrc',
    line
      .replace(/^.*: machine/, 'machine')
      .replace('USER', 'me')
      .replace('TOKEN', 'token'),
  );
  assert.equal((await patient.go(fresh)).code, 0);
  await patient.suffersFrom();
});

test('database-unreachable, by its own address', async () => {
  await using patient = await settled();
  await patient.set('GOSUMDB', `${patient.world.goSumDb} ${await deadAddress()}`);
  assert.match((await patient.go(fresh)).output, /connection refused/);
  await patient.suffersFrom('database-unreachable');
  await patient.set('GOSUMDB', patient.goodDatabase);
  await patient.suffersFrom();
});

test('database-unreachable, because a proxy forbids the way', async () => {
  await using patient = await settled();
  await patient.set('GOSUMDB', patient.world.goSumDb);
  patient.world.upstream.on(/supported$/, { status: 403 });
  await patient.suffersFrom('database-unreachable');
});

test('a database that the proxy relays is well', async () => {
  await using patient = await Patient.admit();
  await patient.set('GOSUMDB', patient.world.goSumDb);
  const { database, upstream } = patient.world;
  const prefix = `sumdb/${database.name}/`;
  upstream.on(/^sumdb\//, ({ url }) => {
    const resource = decodeURIComponent(url).slice(1 + prefix.length);
    const { status, body } = resource === 'supported' ? { status: 200, body: Buffer.alloc(0) } : database.answer(resource);
    return { status, body };
  });
  await patient.suffersFrom();
  assert.ok(upstream.count(/lookup/) > 0);
});

test('a folder as proxy, with and without the database', async () => {
  await using patient = await settled();
  const folder = join(patient.cache, 'cache', 'download');
  await patient.set('GOPROXY', `file://${folder}`);
  await patient.suffersFrom();
  await patient.set('GOSUMDB', patient.world.goSumDb);
  await mkdir(join(folder, 'sumdb', patient.world.database.name), { recursive: true });
  await writeFile(join(folder, 'sumdb', patient.world.database.name, 'supported'), '');
  await patient.suffersFrom();
});

test('database-slow', async () => {
  await using patient = await settled();
  await using slow = await startScriptedUpstream({ files: { latest: patient.world.database.note() } });
  slow.on('latest', { delayHeadMs: 300 });
  await patient.set('GOSUMDB', `${patient.world.goSumDb} ${slow.url}`);
  patient.slowMs = 250;
  assert.ok((await patient.findings()).some(({ id }) => id === 'database-slow'));
  slow.behave();
  patient.slowMs = 60_000;
  await patient.suffersFrom();
});

test('database-certificate', async () => {
  await using patient = await settled();
  await using twin = await tlsTwin(patient);
  await patient.set('GOSUMDB', `${patient.world.goSumDb} ${twin.url}`);
  await patient.suffersFrom('database-certificate');
  await patient.set('GOSUMDB', patient.goodDatabase);
  await patient.suffersFrom();
});

test('database-other-key', async () => {
  await using patient = await settled();
  const other = new TestChecksumDatabase({ name: patient.world.database.name, seed: 'another' });
  await patient.set('GOSUMDB', `${other.key.text} ${patient.world.databaseServer.url}`);
  await patient.suffersFrom('database-other-key');
  await patient.set('GOSUMDB', patient.goodDatabase);
  await patient.suffersFrom();
});

test('clock-skew', async () => {
  await using patient = await settled();
  patient.world.upstream.on(/supported$/, { status: 404, headers: { date: new Date(Date.now() - 2 * 3_600_000).toUTCString() } });
  const [finding] = await patient.suffersFrom('clock-skew');
  assert.match(finding?.subject ?? '', /^1(?:19|20) min$/);
  patient.world.upstream.behave();
  await patient.suffersFrom();
});

test('one server whose clock is wrong is not ours', async () => {
  await using patient = await settled();
  await using second = await startScriptedUpstream();
  second.on(/supported$/, { status: 404, headers: { date: new Date(0).toUTCString() } });
  await patient.set('GOPROXY', `${patient.world.upstream.url},${second.url}`);
  await patient.suffersFrom();
});

test('outbound-proxy-tls: https:// before a plain proxy', async () => {
  await using patient = await settled();
  await using outbound = await startScriptedUpstream({ files: Object.fromEntries(patient.world.upstream.files) });
  await patient.set('GOPROXY', 'http://mirror.corp.example');
  patient.env['HTTP_PROXY'] = outbound.url.replace('http:', 'https:');
  assert.match((await patient.go(fresh)).output, /proxyconnect|HTTP response to HTTPS client|first record/);
  const [finding] = await patient.suffersFrom('outbound-proxy-tls');
  assert.ok(finding?.fix.lines.some((line) => line.includes(`HTTP_PROXY=${outbound.url}`)));
  patient.env['HTTP_PROXY'] = outbound.url;
  assert.equal((await patient.go(fresh)).code, 0);
  await patient.suffersFrom();
});

test('outbound-proxy-unreachable is told once, and not again for what is behind it', async () => {
  await using patient = await settled();
  await patient.set('GOPROXY', 'http://mirror.corp.example');
  patient.env['HTTP_PROXY'] = await deadAddress();
  await patient.suffersFrom('outbound-proxy-unreachable');
});

test('outbound-proxy-invalid', async () => {
  await using patient = await settled();
  patient.env['HTTPS_PROXY'] = 'ftp://proxy.corp.example:21';
  await patient.suffersFrom('outbound-proxy-invalid');
  delete patient.env['HTTPS_PROXY'];
  await patient.suffersFrom();
});

test('behind a SOCKS proxy the doctor says that it is blind, and invents nothing', async () => {
  await using patient = await Patient.admit();
  patient.env['HTTPS_PROXY'] = 'socks5://127.0.0.1:1';
  const { findings, blind } = await patient.examine();
  assert.deepEqual(findings, []);
  assert.equal(blind, true);
});

test('no-proxy-entry: each that matches nothing, with what was meant', async () => {
  await using patient = await settled();
  const fine = 'localhost,127.0.0.1,::1,10.0.0.0/8,corp.example,.corp.example,*.corp.example,corp.example:8080,fd00::/8,*';
  patient.env['NO_PROXY'] = fine;
  await patient.suffersFrom();
  const meant = {
    '192\\.168\\..*': '192.168.0.0/16',
    '^172\\.17\\.': '172.17.0.0/16',
    '^git\\.corp\\.example$': 'git.corp.example',
    '10.*': '10.0.0.0/8',
    '172.16.': '172.16.0.0/16',
    'http://hub.corp.example/': 'hub.corp.example',
    'a.example b.example': 'a.example,b.example',
    'git.*.example': 'example',
    '10.0.0.0/99': '10.0.0.0',
  };
  patient.env['NO_PROXY'] = Object.keys(meant).join(',');
  const findings = await patient.suffersFrom(...Object.keys(meant).map(() => 'no-proxy-entry'));
  assert.deepEqual(Object.fromEntries(findings.map(({ subject, fix }) => [subject, fix.lines[0]?.split(' -> ')[1]])), meant);
  assert.equal(findings[0]?.fix.lines[1], `export NO_PROXY=${Object.values(meant).join(',')}`);
});
