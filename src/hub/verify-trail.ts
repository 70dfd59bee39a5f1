import type { AuditTrail } from '../meta/audit-trail.ts';
import { CHAIN_START, chainHash, type ChainPlace, formatChainPlace } from '../protocol/audit-chain.ts';

export interface TrailReport {
  readonly checked: number;
  readonly cut: ChainPlace;
  /** Where the chain ends. Written down elsewhere, it holds all that came before. */
  readonly head: ChainPlace;
  /** The first entry that does not fit, and why; undefined: all do. */
  readonly fault: { readonly id: number; readonly reason: string } | undefined;
}

const pageMax = 1_000;

/**
 * Walks the chain from where it was cut to its head and makes every hash anew. `anchor` is a place that somebody wrote down: the chain has to go through it.
 * Entries that are appended meanwhile are not looked at.
 */
export async function verifyTrail(
  trail: AuditTrail,
  { anchor, onProgress }: { readonly anchor?: ChainPlace | undefined; readonly onProgress: (checked: number, total: number) => void },
  signal: AbortSignal,
): Promise<TrailReport> {
  const { cut, head } = await trail.auditBounds();
  const total = head.id - cut.id;
  let last: ChainPlace = cut;
  let isCutNamed = cut.id === 0;
  const report = (id: number, reason: string): TrailReport => ({ checked: last.id - cut.id, cut, head, fault: { id, reason } });
  if (cut.id === 0 && cut.hash !== CHAIN_START.hash) return report(0, 'the chain does not begin at its start');
  if (anchor !== undefined && anchor.id < cut.id) return report(anchor.id, 'the entry to be looked for was cut off: look for a later one');
  if (anchor !== undefined && anchor.id > head.id) return report(anchor.id, 'the chain ends before the entry to be looked for');
  const missesAnchor = (): boolean => anchor !== undefined && anchor.id === last.id && anchor.hash !== last.hash;
  if (missesAnchor()) return report(last.id, 'it is not the entry that was written down');
  while (last.id < head.id) {
    signal.throwIfAborted();
    const page = await trail.auditEntries(last.id, Math.min(pageMax, head.id - last.id));
    if (page.length === 0) return report(last.id + 1, 'the entry is missing');
    for (const row of page) {
      if (row.id !== last.id + 1) return report(last.id + 1, 'the entry is missing');
      if (chainHash(last.hash, row) !== row.hash)
        return report(row.id, 'the entry is not what was written, or the one before it is another');
      last = { id: row.id, hash: row.hash };
      if (missesAnchor()) return report(row.id, 'it is not the entry that was written down');
      isCutNamed ||= row.act === 'audit.cut' && row.actor === 'hub' && row.subject === formatChainPlace(cut);
    }
    onProgress(last.id - cut.id, total);
  }
  if (last.hash !== head.hash) return report(head.id, 'the last entry is not the one that the chain ends with');
  const stray = await trail.auditEntries(0, 1);
  if (stray[0] !== undefined && stray[0].id <= cut.id) return report(stray[0].id, 'the entry is before the cut');
  // Cutting appends an entry that says where; a beginning that was taken away has none.
  if (!isCutNamed) return report(cut.id, 'no entry says that the chain was cut here: its beginning was taken away');
  return { checked: total, cut, head, fault: undefined };
}
