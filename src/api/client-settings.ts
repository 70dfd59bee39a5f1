/**
 * `GET /api/v1/client-settings`: what a client has to know of the hub to be set up. Open to everybody, as `/setup.sh` is, which says the same: a client
 * has no token before it is set up.
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { PATTERN_LENGTH_MAX } from '../protocol/module-pattern.ts';
import { parseVerifierKey } from '../protocol/note.ts';

export const CLIENT_SETTINGS_PATH = '/api/v1/client-settings';

export interface ClientSettingsAnswer {
  /** Of the hub, without a slash at the end. */
  readonly address: string;
  /** Null when the hub signs no database. */
  readonly ownDatabase: { readonly verifierKey: string; readonly sign: 'all' | 'private' } | null;
  /** As GOPRIVATE takes them. */
  readonly privatePatterns: readonly string[];
}

export function formatClientSettings({ address, ownDatabase, privatePatterns }: ClientSettingsAnswer): string {
  const own = ownDatabase === null ? null : { verifierKey: ownDatabase.verifierKey, sign: ownDatabase.sign };
  return `${JSON.stringify({ address, ownDatabase: own, privatePatterns }, undefined, 2)}\n`;
}

/** What is written into somebody's settings is checked first, whoever answered. */
export function parseClientSettings(text: string): Parsed<ClientSettingsAnswer> {
  try {
    const answer = JSON.parse(text) as Partial<Record<keyof ClientSettingsAnswer, unknown>> | null;
    const { address, ownDatabase, privatePatterns } = answer ?? {};
    const own = ownDatabaseOf(ownDatabase);
    if (own !== undefined && isAddress(address) && arePatterns(privatePatterns))
      return parsed({ address, ownDatabase: own, privatePatterns });
  } catch {
    // Said below.
  }
  return refused('this is no answer of a hub that is asked for the settings of its clients');
}

function ownDatabaseOf(value: unknown): ClientSettingsAnswer['ownDatabase'] | undefined {
  if (value === null) return null;
  const { verifierKey, sign } = (value ?? {}) as Record<string, unknown>;
  if (typeof verifierKey !== 'string' || !parseVerifierKey(verifierKey).ok || (sign !== 'all' && sign !== 'private')) return undefined;
  return { verifierKey, sign };
}

/** Commas and `|` would be more entries of GOPROXY. */
function isAddress(value: unknown): value is string {
  return typeof value === 'string' && /^https?:\/\/[^\s,|'"\\@]{1,2000}$/.test(value) && URL.canParse(value) && !value.endsWith('/');
}

const PATTERNS_MAX = 1_000;

function arePatterns(value: unknown): value is string[] {
  if (!Array.isArray(value) || value.length > PATTERNS_MAX) return false;
  return value.every(
    (pattern: unknown) =>
      typeof pattern === 'string' &&
      pattern.length <= PATTERN_LENGTH_MAX &&
      // Neither spaces nor commas, which would be more patterns.
      /^[\x21-\x2b\x2d-\x7e]+$/.test(pattern),
  );
}
