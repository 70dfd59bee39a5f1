import type { IncomingMessage } from 'node:http';
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { looksLikeAccessToken } from '../protocol/access-token.ts';

/** Longer than any token that is taken. */
const SECRET_BYTES_MAX = 8_192;

/**
 * The secret in a request's one `Authorization` header: of Bearer the token, of Basic the password, whoever it says it is; or the user when the password is none
 * of ours and the user is a token, or when there is no password, as in `https://TOKEN@hub`. RFC 6750 §2.1, RFC 7617 §2
 */
export function secretOf({ headersDistinct }: Pick<IncomingMessage, 'headersDistinct'>): Parsed<string> {
  const headers = headersDistinct['authorization'] ?? [];
  const [header = ''] = headers;
  if (headers.length !== 1) return refused('credentials are sent in one header');
  const [, scheme = '', text = ''] = /^(basic|bearer) +([\w.~+/-]+=*)$/i.exec(header) ?? [];
  if (text === '' || text.length > SECRET_BYTES_MAX * 2) return refused('credentials are Basic or Bearer');
  if (scheme.toLowerCase() === 'bearer') return parsed(text);
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) return refused('Basic credentials are base64');
  const pair = bytes.toString('utf8');
  const colon = pair.indexOf(':');
  if (colon < 0) return refused('Basic credentials are a user and a password');
  const user = pair.slice(0, colon);
  const password = pair.slice(colon + 1);
  const isUserMeant = password === '' || (!looksLikeAccessToken(password) && looksLikeAccessToken(user));
  return parsed(isUserMeant ? user : password);
}
