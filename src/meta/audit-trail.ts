import type { ChainEntry, ChainPlace } from '../protocol/audit-chain.ts';

/** What happened, before it has its place in the chain. */
export type AuditEntry = Omit<ChainEntry, 'id'>;

export interface AuditRow extends ChainEntry {
  /** Of the chain up to it. */
  readonly hash: string;
}

/** Where the chain that is kept begins and ends. */
export interface AuditBounds {
  /** The last entry that was cut off; the start of the chain when none was. */
  readonly cut: ChainPlace;
  readonly head: ChainPlace;
}

/** What was granted, refused and administered: only ever appended to. One write links to the last one inside its transaction, whichever process it is of. */
export interface AuditTrail {
  /** Durable when it resolves. Texts are cut to 500 characters. */
  appendAudit(entries: readonly AuditEntry[]): Promise<void>;
  /** In order, after this number. */
  auditEntries(afterId: number, limit: number): Promise<readonly AuditRow[]>;
  /** As one moment had them. */
  auditBounds(): Promise<AuditBounds>;
  /** Cuts the oldest off when there are more than `keepMax`, down to that many; an entry then says where. Answers how many went. */
  cutAudit(keepMax: number, nowMs: number): Promise<number>;
}
