import { HubError } from '../base/errors.ts';
import type { OutboundClient } from '../net/outbound-client.ts';
import { parseTreeNote } from '../protocol/checksum-record.ts';
import { type CosignerKey, findCosignature } from '../protocol/cosignature.ts';
import { decodeUtf8, parseNote } from '../protocol/note.ts';
import { TREE_SIZE_TYPE, WITNESS_BODY_BYTES_MAX, formatWitnessRequest, parseTreeSize } from '../protocol/witness-request.ts';

export interface WitnessAddress {
  /** The submission prefix: `add-checkpoint` lies below it. It must be among the client's configured origins when it is not on the public Internet. */
  readonly url: URL;
  readonly key: CosignerKey;
}

export interface CosignatureWish {
  readonly witness: WitnessAddress;
  /** Signed by the log; other signatures may be on it and stay unused. */
  readonly note: string;
  /** Of the tree that this witness is thought to have cosigned last; 0 when that is not known. */
  readonly olderSize: number;
  /** The consistency proof from the tree of so many records to that of the note. Empty for 0 and for the note's own size. */
  readonly prove: (olderSize: number, signal: AbortSignal) => Promise<readonly Buffer[]>;
}

export type CosignatureOutcome =
  /** `line` is a signature line with its newline, verified: put it behind the note. */
  | { readonly kind: 'cosigned'; readonly line: string; readonly timeSeconds: number; readonly treeSize: number }
  /** The witness has cosigned a larger tree of this log already: ask with a newer head. */
  | { readonly kind: 'ahead'; readonly size: number };

export interface WitnessLimits {
  /** To the first byte of each answer. */
  readonly firstByteMs: number;
}

/** Another replica may move the witness on while we ask. */
const ATTEMPTS_MAX = 4;

/**
 * Has a witness cosign a head, c2sp.org/tlog-witness. When the witness has another older size than we thought it says so, and is asked again
 * with a proof from that.
 * @throws {HubError} log-forked when the witness refuses the proof: it has seen another log; upstream-refused when it does not know the log;
 *   upstream-invalid when its answer cannot be right or does not verify; origin-unavailable, origin-timeout; whatever `prove` throws; the signal's reason
 */
export async function requestCosignature(
  wish: CosignatureWish,
  parts: { readonly client: OutboundClient; readonly limits: WitnessLimits },
  signal: AbortSignal,
): Promise<CosignatureOutcome> {
  const { witness, note } = wish;
  const parsedNote = parseNote(note);
  const tree = parsedNote.ok ? parseTreeNote(parsedNote.value.text) : parsedNote;
  if (!parsedNote.ok || !tree.ok)
    throw new HubError('bad-request', `only the note of a tree can be cosigned: ${tree.ok ? '' : tree.reason}`);
  const { size } = tree.value;
  const name = `the witness ${witness.key.cosigner.name}`;
  // A guess beyond our own head cannot be proved; the witness will say what it has.
  let olderSize = wish.olderSize <= size ? wish.olderSize : 0;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const proof = await wish.prove(olderSize, signal);
    const { status, type, body } = await post(formatWitnessRequest({ olderSize, proof, note }), witness, parts, signal);
    if (status === 200) return { kind: 'cosigned', treeSize: size, ...verified(parsedNote.value.text, body, witness) };
    if (status !== 409) throw refusal(name, status, body);
    const told = type === TREE_SIZE_TYPE ? parseTreeSize(body) : undefined;
    if (told?.ok !== true) throw new HubError('upstream-invalid', `${name} answers 409 without a size`);
    if (told.value > size) return { kind: 'ahead', size: told.value };
    olderSize = told.value;
  }
  throw new HubError('origin-unavailable', `${name} has told another size ${ATTEMPTS_MAX} times`);
}

async function post(
  text: string,
  { url }: WitnessAddress,
  { client, limits }: { client: OutboundClient; limits: WitnessLimits },
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly type: string; readonly body: string }> {
  const target = new URL(url);
  target.pathname = `${url.pathname.replace(/\/$/, '')}/add-checkpoint`;
  await using response = await client.send(
    {
      url: target,
      method: 'POST',
      headers: { 'Content-Type': 'text/plain; charset=utf-8' },
      body: Buffer.from(text),
      limits: { ...limits, idleMs: limits.firstByteMs, bytesPerSecondMin: 0, sizeMaxBytes: WITNESS_BODY_BYTES_MAX },
      followRedirects: false,
    },
    signal,
  );
  const chunks: Buffer[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  const body = decodeUtf8(Buffer.concat(chunks));
  const type = (response.headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  return { status: response.status, type, body: body ?? '' };
}

/** The answer may have cosignatures by other keys; only the known one counts. @throws {HubError} upstream-invalid */
function verified(noteText: string, lines: string, { key }: WitnessAddress): { readonly line: string; readonly timeSeconds: number } {
  const answered = parseNote(`${noteText}\n${lines}`);
  // A blank line among them would move the end of the text.
  if (!answered.ok || answered.value.text !== noteText)
    throw new HubError('upstream-invalid', `the witness ${key.cosigner.name} answers with no signature lines`);
  const found = findCosignature(answered.value, key);
  if (!found.ok) throw new HubError('upstream-invalid', `the witness ${key.cosigner.name}: ${found.reason}`);
  return found.value;
}

function refusal(name: string, status: number, body: string): HubError {
  const [reason = ''] = body.split('\n', 1);
  const said = `${name} answers ${status}${/^[\p{L}\p{N}\p{P}\p{S} ]{1,300}$/u.test(reason) ? `: ${reason}` : ''}`;
  switch (status) {
    case 403:
    case 404:
      return new HubError('upstream-refused', said);
    case 422:
      return new HubError('log-forked', said);
    case 429:
      return new HubError('origin-unavailable', said);
    default:
      return new HubError(status >= 500 ? 'origin-unavailable' : 'upstream-invalid', said);
  }
}
