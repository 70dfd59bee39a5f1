/**
 * Secrets that clients of a hub log in with: `goyi_`, 256 random bits in 43 characters of base64url, and 6 more that check what stands before them.
 *
 * - The beginning lets scanners of secrets find one that was published by mistake; the check lets them, and the hub, tell one from a text that only
 *   looks like it, so that a slip of the pen needs no look into a database.
 * - The hub keeps a SHA-256 of it and nothing else. That needs no salt and no slow hash: nobody guesses 256 random bits.
 */
import { hash, randomBytes } from 'node:crypto';
import type { Branded } from '../base/brand.ts';
import { type Parsed, parsed, refused } from '../base/parsed.ts';

/** The secret itself: never logged, never stored. */
export type AccessToken = Branded<string, 'AccessToken'>;

/** Hex SHA-256 of a token, by which it is known. */
export type TokenHash = Branded<string, 'TokenHash'>;

const PREFIX = 'goyi_';
const BODY_LENGTH = 43;
const CHECK_LENGTH = 6;

export function newAccessToken(): AccessToken {
  const unchecked = PREFIX + randomBytes(32).toString('base64url');
  return (unchecked + checkOf(unchecked)) as AccessToken;
}

/** Whether somebody meant it to be a token of ours. */
export function looksLikeAccessToken(text: string): boolean {
  return text.startsWith(PREFIX);
}

export function parseAccessToken(text: string): Parsed<AccessToken> {
  if (text.length !== PREFIX.length + BODY_LENGTH + CHECK_LENGTH || !/^goyi_[\w-]+$/.test(text)) return refused('this is no token of goyi');
  const unchecked = text.slice(0, -CHECK_LENGTH);
  return text.endsWith(checkOf(unchecked)) ? parsed(text as AccessToken) : refused('the token has a slip of the pen in it');
}

export function hashAccessToken(token: AccessToken): TokenHash {
  return hash('sha256', token, 'hex') as TokenHash;
}

function checkOf(unchecked: string): string {
  return hash('sha256', `check of ${unchecked}`, 'base64url').slice(0, CHECK_LENGTH);
}
