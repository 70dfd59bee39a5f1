/** What every Metadata does with tokens and with the audit trail, whatever lies behind it. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hashAccessToken, newAccessToken } from '../protocol/access-token.ts';
import { CHAIN_START, chainHash } from '../protocol/audit-chain.ts';
import type { NewAccessToken } from './access-tokens.ts';
import type { AuditEntry } from './audit-trail.ts';
import type { MetadataBench } from './contract.ts';
import type { Metadata } from './metadata.ts';

type Make = () => Promise<MetadataBench>;

function entryOf(serial: number): AuditEntry {
  return {
    atMs: 1_800_000_000_000 + serial,
    act: 'read',
    actor: `token t${serial}`,
    subject: 'm.example/m@v1.0.0',
    detail: '',
    count: serial,
  };
}

function tokenOf(name: string, changes: Partial<NewAccessToken> = {}): NewAccessToken {
  const hash = hashAccessToken(newAccessToken());
  return { name, hash, grants: ['read', 'read:m.example/*'], groups: ['ci'], createdAtMs: 5, expiresAtMs: 9, ...changes };
}

const made = (name: string): AuditEntry => ({ ...entryOf(1), act: 'token.new', subject: name });

/** The chain is whole from its cut to its head. Answers its entries. */
async function assertWhole(metadata: Metadata): Promise<readonly AuditEntry[]> {
  const { cut, head } = await metadata.auditBounds();
  const rows = await metadata.auditEntries(0, 100_000);
  let last = cut;
  for (const { hash, ...row } of rows) {
    assert.equal(row.id, last.id + 1);
    assert.equal(hash, chainHash(last.hash, row));
    last = { id: row.id, hash };
  }
  assert.deepEqual(last, head);
  return rows.map(({ id: _id, hash: _hash, ...entry }) => entry);
}

export function accessContract(name: string, make: Make): void {
  suite(`Access contract: ${name}`, () => {
    tokens(make);
    trail(make);
  });
}

function tokens(make: Make): void {
  test('a token is found by its hash and by nothing else, and has what it was made with', async () => {
    await using bench = await make();
    const { metadata } = bench;
    assert.equal(await metadata.hasAccessTokens(), false);
    const token = tokenOf('ci');
    assert.equal(await metadata.addAccessToken(token, made('ci')), true);
    assert.equal(await metadata.hasAccessTokens(), true);
    const row = { ...token, id: 1, lastUsedAtMs: undefined, revokedAtMs: undefined };
    assert.deepEqual(await metadata.accessToken(token.hash), row);
    assert.equal(await metadata.accessToken(tokenOf('x').hash), undefined);
    assert.deepEqual(await metadata.accessTokens(0, 10), [row]);
    assert.deepEqual(await metadata.accessTokens(1, 10), []);
    assert.deepEqual(await assertWhole(metadata), [made('ci')]);
  });

  test('a name is taken for ever, and a second one writes nothing at all', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const first = tokenOf('ci', { expiresAtMs: undefined });
    await metadata.addAccessToken(first, made('ci'));
    await metadata.revokeAccessToken('ci', { ...made('ci'), act: 'token.revoke', atMs: 77 });
    const second = tokenOf('ci');
    assert.equal(await metadata.addAccessToken(second, made('ci')), false);
    assert.equal(await metadata.accessToken(second.hash), undefined);
    assert.equal((await metadata.accessToken(first.hash))?.revokedAtMs, 77);
    assert.equal((await assertWhole(metadata)).length, 2);
  });

  test('revoking says what it found', async () => {
    await using bench = await make();
    const { metadata } = bench;
    await metadata.addAccessToken(tokenOf('ci'), made('ci'));
    const told = { ...made('ci'), act: 'token.revoke' };
    assert.equal(await metadata.revokeAccessToken('cd', told), 'absent');
    assert.equal(await metadata.revokeAccessToken('ci', told), 'revoked');
    assert.equal(await metadata.revokeAccessToken('ci', told), 'already');
    assert.deepEqual(
      (await assertWhole(metadata)).map(({ act }) => act),
      ['token.new', 'token.revoke'],
    );
  });

  test('the last use only moves forward', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const token = tokenOf('ci');
    await metadata.addAccessToken(token, made('ci'));
    await metadata.recordTokenUses([
      { id: 1, lastUsedAtMs: 90 },
      { id: 9, lastUsedAtMs: 90 },
    ]);
    await metadata.recordTokenUses([{ id: 1, lastUsedAtMs: 80 }]);
    assert.equal((await metadata.accessToken(token.hash))?.lastUsedAtMs, 90);
  });

  test('a token and its entry are written together or not at all', async () => {
    await using bench = await make();
    const { metadata } = bench;
    bench.breakNext('before');
    await assert.rejects(metadata.addAccessToken(tokenOf('ci'), made('ci')), { code: 'storage-fault' });
    assert.equal(await metadata.hasAccessTokens(), false);
    assert.deepEqual(await assertWhole(metadata), []);
  });
}

function trail(make: Make): void {
  test('the chain begins empty and grows by whole groups', async () => {
    await using bench = await make();
    const { metadata } = bench;
    assert.deepEqual(await metadata.auditBounds(), { cut: CHAIN_START, head: CHAIN_START });
    await metadata.appendAudit([]);
    await metadata.appendAudit([entryOf(1), entryOf(2)]);
    await metadata.appendAudit([entryOf(3)]);
    assert.deepEqual(await assertWhole(metadata), [entryOf(1), entryOf(2), entryOf(3)]);
    assert.deepEqual(
      (await metadata.auditEntries(1, 1)).map(({ id }) => id),
      [2],
    );
  });

  test('many at once make one chain', async () => {
    await using bench = await make();
    const { metadata } = bench;
    await Promise.all(Array.from({ length: 300 }, (_, serial) => metadata.appendAudit([entryOf(serial)])));
    const entries = await assertWhole(metadata);
    assert.deepEqual(
      entries.map(({ count }) => count).toSorted((a, b) => a - b),
      Array.from({ length: 300 }, (_, serial) => serial),
    );
  });

  test('texts are cut, and odd ones come back as they are hashed', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const odd = { ...entryOf(1), actor: '\uD800x', subject: 'a'.repeat(2_000), detail: '"\\\n\u0000ü€😀', atMs: 1.5 };
    await metadata.appendAudit([odd]);
    assert.deepEqual(await assertWhole(metadata), [{ ...odd, actor: '\uFFFDx', subject: 'a'.repeat(500), atMs: 1 }]);
  });

  test('a cut keeps the newest and says where it was made', async () => {
    await using bench = await make();
    const { metadata } = bench;
    await metadata.appendAudit(Array.from({ length: 10 }, (_, serial) => entryOf(serial)));
    assert.equal(await metadata.cutAudit(10, 7), 0);
    const [, , sixth] = await metadata.auditEntries(3, 3);
    assert.equal(await metadata.cutAudit(4, 7), 6);
    const { cut, head } = await metadata.auditBounds();
    assert.deepEqual([cut, head.id], [{ id: 6, hash: sixth?.hash }, 11]);
    const last = (await assertWhole(metadata)).at(-1);
    assert.deepEqual([last?.act, last?.subject, last?.count], ['audit.cut', `6:${sixth?.hash}`, 6]);
  });
}
