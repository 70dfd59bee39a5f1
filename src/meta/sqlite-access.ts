import { invariant } from '../base/invariant.ts';
import type { TokenHash } from '../protocol/access-token.ts';
import { chainHash, formatChainPlace } from '../protocol/audit-chain.ts';
import type { AccessTokenRow, NewAccessToken } from './access-tokens.ts';
import type { AuditBounds, AuditEntry, AuditRow } from './audit-trail.ts';
import type { Prepared, Row } from './sqlite-prepared.ts';
import { integer, text } from './sqlite-rows.ts';

export const accessStatements = {
  accessToken: 'SELECT * FROM access_token WHERE hash = ?',
  accessTokenNamed: 'SELECT * FROM access_token WHERE name = ?',
  accessTokens: 'SELECT * FROM access_token WHERE id > ? ORDER BY id LIMIT ?',
  insertAccessToken: `INSERT INTO access_token (name, hash, grants, member_of, created_at_ms, expires_at_ms) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (name) DO NOTHING`,
  revokeAccessToken: 'UPDATE access_token SET revoked_at_ms = ? WHERE name = ? AND revoked_at_ms IS NULL',
  useAccessToken: 'UPDATE access_token SET last_used_at_ms = max(coalesce(last_used_at_ms, 0), ?) WHERE id = ?',

  auditBounds: 'SELECT cut_id, cut_hash, head_id, head_hash FROM audit_bounds WHERE id = 1',
  moveAuditHead: 'UPDATE audit_bounds SET head_id = ?, head_hash = ? WHERE id = 1',
  moveAuditCut: 'UPDATE audit_bounds SET cut_id = ?, cut_hash = ? WHERE id = 1',
  auditEntries: 'SELECT id, at_ms, act, actor, subject, detail, count, hash FROM audit_entry WHERE id > ? ORDER BY id LIMIT ?',
  insertAuditEntry: 'INSERT INTO audit_entry (id, at_ms, act, actor, subject, detail, count, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  deleteAuditUntil: 'DELETE FROM audit_entry WHERE id <= ?',
} as const;

const textLengthMax = 500;

/** The writes of tokens and of the audit trail; all methods run inside a write transaction, so that no other process appends meanwhile. */
export class AccessWrites {
  readonly #prepared: Prepared;

  constructor(prepared: Prepared) {
    this.#prepared = prepared;
  }

  append(entries: readonly AuditEntry[]): void {
    if (entries.length === 0) return;
    let { id, hash } = this.#bounds().head;
    for (const { atMs, act, actor, subject, detail, count } of entries) {
      id += 1;
      const [who, what, how] = [actor, subject, detail].map((value) => value.slice(0, textLengthMax).toWellFormed()) as [
        string,
        string,
        string,
      ];
      const entry = { id, atMs: Math.floor(atMs), act, actor: who, subject: what, detail: how, count: Math.floor(count) };
      hash = chainHash(hash, entry);
      this.#prepared.run('insertAuditEntry', id, entry.atMs, act, who, what, how, entry.count, hash);
    }
    this.#prepared.run('moveAuditHead', id, hash);
  }

  cut(keepMax: number, nowMs: number): number {
    const { cut, head } = this.#bounds();
    const last = head.id - Math.max(1, Math.floor(keepMax));
    if (last <= cut.id) return 0;
    const [row] = this.#prepared.all('auditEntries', last - 1, 1);
    invariant(row !== undefined && integer(row, 'id') === last, 'the entry at which the chain is cut is there');
    const place = { id: last, hash: text(row, 'hash') };
    const gone = this.#prepared.run('deleteAuditUntil', last);
    this.#prepared.run('moveAuditCut', place.id, place.hash);
    const subject = formatChainPlace(place);
    this.append([{ atMs: nowMs, act: 'audit.cut', actor: 'hub', subject, detail: 'older entries were removed', count: gone }]);
    return gone;
  }

  addToken({ name, hash, grants, groups, createdAtMs, expiresAtMs }: NewAccessToken, told: AuditEntry): boolean {
    const expires = expiresAtMs === undefined ? null : Math.floor(expiresAtMs);
    const values = [name, hash, JSON.stringify(grants), JSON.stringify(groups), Math.floor(createdAtMs), expires] as const;
    const isNew = this.#prepared.run('insertAccessToken', ...values) === 1;
    if (isNew) this.append([told]);
    return isNew;
  }

  revokeToken(name: string, told: AuditEntry): 'revoked' | 'already' | 'absent' {
    if (this.#prepared.get('accessTokenNamed', name) === undefined) return 'absent';
    if (this.#prepared.run('revokeAccessToken', Math.floor(told.atMs), name) === 0) return 'already';
    this.append([told]);
    return 'revoked';
  }

  recordUses(uses: readonly { readonly id: number; readonly lastUsedAtMs: number }[]): void {
    for (const { id, lastUsedAtMs } of uses) this.#prepared.run('useAccessToken', Math.floor(lastUsedAtMs), id);
  }

  #bounds(): AuditBounds {
    const row = this.#prepared.get('auditBounds');
    invariant(row !== undefined, 'the chain has bounds');
    return auditBoundsOf(row);
  }
}

export function auditBoundsOf(row: Row): AuditBounds {
  return {
    cut: { id: integer(row, 'cut_id'), hash: text(row, 'cut_hash') },
    head: { id: integer(row, 'head_id'), hash: text(row, 'head_hash') },
  };
}

export function auditRowOf(row: Row): AuditRow {
  return {
    id: integer(row, 'id'),
    atMs: integer(row, 'at_ms'),
    act: text(row, 'act'),
    actor: text(row, 'actor'),
    subject: text(row, 'subject'),
    detail: text(row, 'detail'),
    count: integer(row, 'count'),
    hash: text(row, 'hash'),
  };
}

export function accessTokenOf(row: Row): AccessTokenRow {
  const at = (name: string): number | undefined => (row[name] === null ? undefined : integer(row, name));
  return {
    id: integer(row, 'id'),
    name: text(row, 'name'),
    hash: text(row, 'hash') as TokenHash,
    grants: textsOf(row, 'grants'),
    groups: textsOf(row, 'member_of'),
    createdAtMs: integer(row, 'created_at_ms'),
    expiresAtMs: at('expires_at_ms'),
    lastUsedAtMs: at('last_used_at_ms'),
    revokedAtMs: at('revoked_at_ms'),
  };
}

function textsOf(row: Row, name: string): readonly string[] {
  const list: unknown = JSON.parse(text(row, name));
  invariant(Array.isArray(list) && list.every((item) => typeof item === 'string'), `${name} is a list of texts`);
  return list;
}
