import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SdkName } from '../protocol/go-release.ts';
import { generateSignerKey } from '../protocol/note.ts';
import type { SdkOrigin } from '../protocol/sdk-manifest.ts';
import { ask, startHub } from './fake-station.ts';
import { frontPageFor, wantsHtml } from './front-page.ts';

const accepts = [
  { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', html: true },
  { accept: 'TEXT/HTML;q=0.5', html: true },
  { accept: 'application/json, text/html', html: true },
  { accept: 'text/html;q=0', html: false },
  { accept: 'text/html;q=0.000, */*', html: false },
  { accept: '*/*', html: false },
  { accept: 'text/*', html: false },
  { accept: 'text/htmlx', html: false },
  { accept: '', html: false },
  { accept: undefined, html: false },
] as const;
for (const { accept, html } of accepts)
  test(`Accept ${accept} ${html ? 'gets the page' : 'gets plain text'}`, () => assert.equal(wantsHtml({ accept }), html));

const agents = [
  { agent: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36', first: 'irm' },
  { agent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36', first: 'curl' },
  { agent: 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)', first: 'curl' },
  { agent: undefined, first: 'curl' },
] as const;
for (const { agent, first } of agents) {
  test(`${agent} sees ${first} first`, () => {
    const facts = { address: 'http://h.example', ownDatabase: undefined, privatePatterns: [], version: '1', verifyOff: false };
    const page = frontPageFor({ 'user-agent': agent }, facts, { ready: false, degraded: [] }, undefined);
    assert.ok(/<pre[^>]*><code>(curl|irm) /.exec(page)?.[1] === first);
  });
}

test('setup.sh asks for the proof of every SDK unless this hub has some that no database knows', async () => {
  const proofs = { key: generateSignerKey('sum.test.example').signer.verifier, prove: () => Promise.reject(new Error('not asked')) };
  const name = { release: 'go1.26.8', os: 'linux', arch: 'amd64' } as SdkName;
  const manifest = { name, sha256: '0'.repeat(64), sizeBytes: 1, fingerprint: '' };
  const official: SdkOrigin = { kind: 'official', index: 'https://a.example/', mirror: 'https://a.example/' };
  for (const [isMirrored, listed, origin] of [
    [false, [], 'toolchain-module'],
    [true, [], 'official'],
    [false, [{ name, manifest: { ...manifest, origin: official } }], 'official'],
  ] as const) {
    const sdks = { list: async () => listed, describe: () => Promise.reject(new Error('no')), open: () => Promise.reject(new Error('no')) };
    const hub = await startHub({ sdks, sdkProofs: { ...proofs, isMirrored } });
    try {
      assert.match((await ask(hub.port, '/setup.sh')).body.toString(), new RegExp(`\n  origin=${origin}\n`));
    } finally {
      await hub.stop();
    }
  }
});
