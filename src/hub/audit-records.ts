import { openChecksumRecord } from '../protocol/checksum-record.ts';
import { decodeUtf8 } from '../protocol/note.ts';
import { formatTilePath } from '../protocol/proxy-request.ts';
import { TILE_WIDTH, hashAt } from '../protocol/tile.ts';
import { leafHash } from '../protocol/tree-hash.ts';
import { type Findings, clippedText } from './audit-findings.ts';

/** Which module versions a log has records of. It may live on a disk: a large log has more names than fit in memory. */
export interface NameIndex {
  add(name: string, recordId: number): Promise<void> | void;
  /** Every record whose module version an earlier record has too. */
  repeats(signal: AbortSignal): AsyncIterable<{ readonly first: number; readonly again: number }>;
}

/** Splits a tile of records, each of which is followed by a blank line. `restBytes`: what comes after the last one. */
export function splitRecords(bytes: Buffer): { readonly records: readonly Buffer[]; readonly restBytes: number } {
  const records: Buffer[] = [];
  let from = 0;
  for (let end = bytes.indexOf('\n\n'); end >= 0; end = bytes.indexOf('\n\n', from)) {
    records.push(bytes.subarray(from, end + 1));
    from = end + 2;
  }
  return { records, restBytes: bytes.length - from };
}

/** The beginning of a tile of records, as far as it has so many. */
export function firstRecords(bytes: Buffer, count: number): Buffer {
  const { records, restBytes } = splitRecords(bytes);
  if (records.length <= count) return bytes;
  return bytes.subarray(0, bytes.length - restBytes - records.slice(count).reduce((sum, record) => sum + record.length + 1, 0));
}

export interface DataTile {
  readonly index: number;
  /** As in the tree. */
  readonly width: number;
  readonly bytes: Buffer;
  /** The proved tile of hashes; undefined when it could not be proved. */
  readonly hashes: Buffer | undefined;
  /** Records below this number have been looked at before. */
  readonly from: number;
}

/** Compares each record with its hash in the tree and with the form of a record, and keeps its name. */
export async function auditDataTile(tile: DataTile, names: NameIndex, findings: Findings): Promise<void> {
  const { index, width, bytes, hashes, from } = tile;
  const path = formatTilePath({ level: 'data', index, width });
  const { records, restBytes } = splitRecords(bytes);
  if (records.length !== width || restBytes > 0)
    findings.add('data-tile-malformed', `${path} has ${records.length} records and ${restBytes} further bytes, not ${width} records`, {
      tile: path,
      bytes: bytes.length,
    });
  for (const [position, raw] of records.slice(0, width).entries()) {
    const recordId = index * TILE_WIDTH + position;
    if (recordId < from) continue;
    const hash = leafHash(raw);
    const expected = hashes && hashAt(hashes, position);
    if (expected !== undefined && !hash.equals(expected)) {
      findings.add('record-mismatch', `record ${recordId} is not the one whose hash is in the tree`, {
        record: recordId,
        tile: path,
        text: clippedText(raw.toString()),
        expected: Buffer.from(expected).toString('base64'),
        computed: hash.toString('base64'),
      });
      // Where a tile has lost count, everything behind differs too.
      if (records.length !== width) return;
      continue;
    }
    await auditRecord(recordId, raw, names, findings);
  }
}

async function auditRecord(recordId: number, raw: Buffer, names: NameIndex, findings: Findings): Promise<void> {
  const text = decodeUtf8(raw);
  const record = text === undefined ? undefined : openChecksumRecord(text);
  if (record?.ok === true) {
    await names.add(`${record.value.module}@${record.value.version}`, recordId);
    return;
  }
  const reason = record?.reason ?? 'it is no UTF-8';
  findings.add('record-malformed', `record ${recordId} is not well formed: ${reason}`, {
    record: recordId,
    text: clippedText(raw.toString()),
    base64: clippedText(raw.toString('base64')),
  });
}
