import { HubError, type ErrorCode } from '../base/errors.ts';

/** What went wrong on the way out, as far as it decides whether another attempt is worth it. */
export type OutboundFault =
  | 'unreachable' // no connection: refused, no route, no such host, the outbound proxy says no; nothing was sent
  | 'connect-timeout' // no connection in time
  | 'forbidden' // the address, name or redirect is not allowed; asking again changes nothing
  | 'untrusted' // the certificate does not prove the host; asking again changes nothing
  | 'head-timeout' // connected, but no complete head in time
  | 'stalled' // silence in the body
  | 'too-slow' // less than the least rate
  | 'cut' // the connection ended before the answer did
  | 'garbled' // what came is not HTTP, or its head is too large
  | 'too-large'; // the body is larger than the caller allows

/** A failed exchange. The message names the address without credentials. */
export class OutboundError extends HubError {
  readonly fault: OutboundFault;

  constructor(fault: OutboundFault, message: string, options?: { cause?: unknown }) {
    super(codeOfFault(fault), message, options);
    this.name = 'OutboundError';
    this.fault = fault;
  }
}

function codeOfFault(fault: OutboundFault): ErrorCode {
  switch (fault) {
    case 'connect-timeout':
    case 'head-timeout':
    case 'stalled':
    case 'too-slow':
      return 'origin-timeout';
    case 'too-large':
      return 'upstream-invalid';
    default:
      return 'origin-unavailable';
  }
}

/** The fault of an error that this room made, else undefined. */
export function faultOf(error: unknown): OutboundFault | undefined {
  return error instanceof OutboundError ? error.fault : undefined;
}

/** Turns what undici, node:http2 and sockets throw in the middle of an exchange into an {@link OutboundError}; HubErrors pass. */
export function translateExchangeError(error: unknown, doing: string): HubError {
  if (error instanceof HubError) return error;
  const code = codeOfSystemError(error);
  const unread = error instanceof Error && error.name === 'HTTPParserError';
  const garbled = unread || code.startsWith('HPE_') || code === 'UND_ERR_HEADERS_OVERFLOW' || code === 'UND_ERR_INVALID_ARG';
  const reason = code === '' ? 'the connection failed' : `the connection failed (${code})`;
  return garbled
    ? new OutboundError('garbled', `${doing}: the answer is no HTTP that can be read`, { cause: error })
    : new OutboundError('cut', `${doing}: ${reason}`, { cause: error });
}

/** Turns a failure to connect into an {@link OutboundError}; HubErrors pass. */
export function translateConnectError(error: unknown, doing: string): HubError {
  if (error instanceof HubError) return error;
  const code = codeOfSystemError(error);
  if (isCertificateCode(code))
    return new OutboundError('untrusted', `${doing}: the certificate is not trusted (${code})`, { cause: error });
  return new OutboundError('unreachable', `${doing}: ${sentenceOf(code)}`, { cause: error });
}

const sentences: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name server does not answer',
  ETIMEDOUT: 'connection timed out',
};

function sentenceOf(code: string): string {
  const sentence = sentences[code];
  if (sentence !== undefined) return sentence;
  return code === '' ? 'cannot connect' : `cannot connect (${code})`;
}

/** Node's codes for certificates that do not verify: OpenSSL's X509 names and its own for names that differ. */
function isCertificateCode(code: string): boolean {
  return (
    code.startsWith('ERR_TLS_CERT') ||
    code.startsWith('CERT_') ||
    /^(?:UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE)/.test(code)
  );
}

/** The `code` of the error, of the first of several attempts, or of its cause. */
function codeOfSystemError(error: unknown): string {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 4; depth += 1) {
    if ('code' in at && typeof at.code === 'string' && at.code !== 'UND_ERR_SOCKET') return at.code;
    at = at instanceof AggregateError ? (at.errors[0] as unknown) : at.cause;
  }
  return '';
}
