/**
 * A chain of entries of which each names the one before it by hash: whoever changes, removes or inserts one has to make every later hash anew, and then
 * the last one is no longer the one that somebody wrote down.
 *
 * The hash of an entry is the SHA-256 of a JSON list: the hash of the entry before, then its own number and fields in the order of {@link chainHash}.
 */
import { hash } from 'node:crypto';

export interface ChainEntry {
  /** From 1 on, without a gap. */
  readonly id: number;
  /** Milliseconds since the epoch, of the last time when it is one for several. */
  readonly atMs: number;
  /** What happened, as a fixed word: `read`, `refused`, `token.new`. */
  readonly act: string;
  /** Who: `token ci-1`, `user of this machine`, `anonymous`. */
  readonly actor: string;
  /** To what. */
  readonly subject: string;
  readonly detail: string;
  /** How often, within the minute it stands for. */
  readonly count: number;
}

/** An entry and the hash of all up to it; before the first one {@link CHAIN_START}. */
export interface ChainPlace {
  readonly id: number;
  /** 64 lower-case hex digits. */
  readonly hash: string;
}

export const CHAIN_START: ChainPlace = { id: 0, hash: '0'.repeat(64) };

export function chainHash(previous: string, { id, atMs, act, actor, subject, detail, count }: ChainEntry): string {
  return hash('sha256', JSON.stringify([previous, id, atMs, act, actor, subject, detail, count]), 'hex');
}

/** `12:9f86d0…`, as an operator notes it down. */
export function formatChainPlace({ id, hash: digest }: ChainPlace): string {
  return `${id}:${digest}`;
}

export function parseChainPlace(text: string): ChainPlace | undefined {
  const [, id, digest] = /^(0|[1-9]\d{0,14}):([0-9a-f]{64})$/.exec(text) ?? [];
  return id === undefined || digest === undefined ? undefined : { id: Number(id), hash: digest };
}
