import assert from 'node:assert/strict';
import { test } from 'node:test';
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
