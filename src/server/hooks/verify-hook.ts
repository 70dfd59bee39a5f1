/**
 * Whether a webhook comes from whom its kind says: each host's own scheme over the bytes of the body as they came, before anything of it is parsed.
 *
 * - GitHub, Gitea, Forgejo, Gogs, GitCode, CODING: HMAC of the body in hex, with a prefix or without.
 * - GitLab: its signing token (`whsec_…`, https://www.standardwebhooks.com) over id, time and body; or the secret in clear.
 * - Gitee: HMAC of time and secret, which does not cover the body; or the secret in clear. Codeup, TGit, GitCode: the secret in clear.
 * - ZenTao: the sign of a DingTalk robot in the address, which does not cover the body either; or the generic scheme.
 * - generic, for scripts: `Goyi-Signature: sha256=HEX` over `TIME.BODY`, with the time in seconds in `Goyi-Timestamp`.
 *
 * Where the time is signed it may be {@link WINDOW_MS} off. Whatever the scheme, `nonce` names what was verified: who sees it twice has a replay, or a host
 * that tries again. All comparisons take the same time for a wrong text as for a right one.
 */
import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import { type Parsed, parsed, refused } from '../../base/parsed.ts';
import type { HookKind } from '../../hub/tag-event.ts';

/** What is known of a request before its body comes. */
export interface HookHead {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Of the address, without its `?`. */
  readonly query: string;
  /** Wall clock. */
  readonly nowMs: number;
}

export interface HookRequest extends HookHead {
  readonly body: Uint8Array;
}

export interface HookSecret {
  /** Of the configured hook. */
  readonly name: string;
  readonly secret: string;
}

export interface VerifiedHook {
  readonly name: string;
  /** 64 hex digits. */
  readonly nonce: string;
}

export const WINDOW_MS: number = 5 * 60_000;
const HEADER_LENGTH_MAX = 1_024;

/** Refused with one clause when none of the secrets made what the request shows. All of them are tried, whichever it is. */
export function verifyHook(kind: HookKind, request: HookRequest, secrets: readonly HookSecret[]): Parsed<VerifiedHook> {
  const claim = schemes[kind](request);
  if (!claim.ok) return claim;
  let name: string | undefined;
  for (const candidate of secrets) if (candidate.secret !== '' && claim.value.isBy(candidate.secret, request.body)) name ??= candidate.name;
  if (name === undefined) return refused(STRANGE);
  return parsed({ name, nonce: hash('sha256', [kind, name, claim.value.once, hash('sha256', request.body)].join('\n'), 'hex') });
}

const STRANGE = 'the signature or the secret is not that of a webhook configured here';

/**
 * What can be said before a body is taken in: refused when no body could make it right, `known` when a secret was shown that does not depend on the body.
 * It takes the place of {@link verifyHook} in nothing.
 */
export function presumeHook(kind: HookKind, head: HookHead, secrets: readonly HookSecret[]): Parsed<'known' | 'unknown'> {
  const claim = schemes[kind](head);
  if (!claim.ok) return claim;
  const { isBy, needsBody } = claim.value;
  const real = secrets.filter(({ secret }) => secret !== '');
  const shown = real.filter(({ secret }) => !needsBody(secret) && isBy(secret, new Uint8Array()));
  if (shown.length > 0) return parsed('known');
  return real.some(({ secret }) => needsBody(secret)) ? parsed('unknown') : refused(STRANGE);
}

/** What a request shows before any secret is looked at. */
interface Claim {
  readonly isBy: (secret: string, body: Uint8Array) => boolean;
  /** Whether a request with this secret covers the body, so that nothing is known without it. */
  readonly needsBody: (secret: string) => boolean;
  /** What makes two requests with one body different deliveries: only what the secret covers. */
  readonly once: string;
}

type Scheme = (request: HookHead) => Parsed<Claim>;

const always = (): boolean => true;
const never = (): boolean => false;

const schemes: Readonly<Record<HookKind, Scheme>> = {
  github: (request) => bodyHmac(request, { header: 'x-hub-signature-256', prefix: 'sha256=' }),
  gitea: (request) => bodyHmac(request, { header: 'x-gitea-signature', prefix: '' }),
  // One that is there and wrong is not made good by another.
  forgejo: (request) =>
    bodyHmac(request, { header: has(request, 'x-forgejo-signature') ? 'x-forgejo-signature' : 'x-gitea-signature', prefix: '' }),
  gogs: (request) => bodyHmac(request, { header: 'x-gogs-signature', prefix: '' }),
  coding: (request) => bodyHmac(request, { header: 'x-coding-signature', prefix: 'sha1=', algorithm: 'sha1' }),
  gitcode: (request) =>
    has(request, 'x-gitcode-signature-256')
      ? bodyHmac(request, { header: 'x-gitcode-signature-256', prefix: 'sha256=' })
      : clearSecret(request, 'x-gitcode-token'),
  codeup: (request) => clearSecret(request, 'x-codeup-token'),
  tgit: (request) => clearSecret(request, 'x-token'),
  gitlab,
  gitee,
  zentao: (request) => (has(request, 'goyi-signature') ? generic(request) : zentao(request)),
  generic,
};

function bodyHmac(
  request: HookHead,
  { header, prefix, algorithm = 'sha256' }: { readonly header: string; readonly prefix: string; readonly algorithm?: 'sha1' | 'sha256' },
): Parsed<Claim> {
  const shown = headerOf(request, header);
  if (!shown.ok) return shown;
  const isBy: Claim['isBy'] = (secret, body) => isSame(shown.value, prefix + createHmac(algorithm, secret).update(body).digest('hex'));
  return parsed({ once: '', needsBody: always, isBy });
}

function clearSecret(request: HookHead, header: string): Parsed<Claim> {
  const shown = headerOf(request, header);
  return shown.ok ? parsed({ once: '', needsBody: never, isBy: (secret) => isSame(shown.value, secret) }) : shown;
}

const SIGNING_TOKEN = 'whsec_';

/** A signing token never counts when it is shown in clear, so that nobody can leave the signature out. */
function gitlab(request: HookHead): Parsed<Claim> {
  const clear = has(request, 'x-gitlab-token') ? headerOf(request, 'x-gitlab-token') : undefined;
  if (clear?.ok === false) return clear;
  if (!has(request, 'webhook-signature')) {
    if (clear === undefined) return refused('the request has neither the header webhook-signature nor x-gitlab-token');
    return parsed({ once: '', needsBody: never, isBy: (secret) => isSame(clear.value, secret) && !secret.startsWith(SIGNING_TOKEN) });
  }
  const signatures = headerOf(request, 'webhook-signature');
  const id = headerOf(request, 'webhook-id');
  const time = timeOf(headerOf(request, 'webhook-timestamp'), { unitMs: 1_000, nowMs: request.nowMs });
  if (!signatures.ok) return signatures;
  if (!id.ok) return id;
  if (!time.ok) return time;
  const shown = signatures.value.split(' ');
  const isBy: Claim['isBy'] = (secret, body) => {
    if (!secret.startsWith(SIGNING_TOKEN)) return clear !== undefined && isSame(clear.value, secret);
    const key = Buffer.from(secret.slice(SIGNING_TOKEN.length), 'base64');
    if (key.length === 0) return false;
    const mac = createHmac('sha256', key).update(`${id.value}.${time.value}.`).update(body).digest('base64');
    // Several stand there while a key is changed.
    return shown.filter((signature) => isSame(signature, `v1,${mac}`)).length > 0;
  };
  return parsed({ once: `${id.value} ${time.value}`, needsBody: (secret) => secret.startsWith(SIGNING_TOKEN), isBy });
}

/** The signature covers the time alone, so the time has to be near whichever way the hook is set up. */
function gitee(request: HookHead): Parsed<Claim> {
  const shown = headerOf(request, 'x-gitee-token');
  if (!shown.ok) return shown;
  if (!has(request, 'x-gitee-timestamp')) return parsed({ once: '', needsBody: never, isBy: (secret) => isSame(shown.value, secret) });
  const time = timeOf(headerOf(request, 'x-gitee-timestamp'), { unitMs: 1, nowMs: request.nowMs });
  if (!time.ok) return time;
  const decoded = percentDecoded(shown.value);
  return parsed({
    once: time.value,
    needsBody: never,
    isBy: (secret) => {
      const sign = signOfTime(time.value, secret);
      return [isSame(shown.value, secret), isSame(shown.value, sign), isSame(decoded, sign)].includes(true);
    },
  });
}

/** ZenTao signs only as it does for a group robot of DingTalk: by `timestamp` and `sign` at the end of the address. */
function zentao(request: HookHead): Parsed<Claim> {
  if (request.query.length > HEADER_LENGTH_MAX) return refused('the query of the address is too long');
  const query = new URLSearchParams(request.query);
  const sign = query.get('sign');
  const timestamp = query.get('timestamp');
  if (sign === null || timestamp === null) return refused('the address has no timestamp and sign, and the request no goyi-signature');
  const time = timeOf(parsed(timestamp), { unitMs: 1, nowMs: request.nowMs });
  return time.ok ? parsed({ once: time.value, needsBody: never, isBy: (secret) => isSame(sign, signOfTime(time.value, secret)) }) : time;
}

function generic(request: HookHead): Parsed<Claim> {
  const shown = headerOf(request, 'goyi-signature');
  if (!shown.ok) return shown;
  const time = timeOf(headerOf(request, 'goyi-timestamp'), { unitMs: 1_000, nowMs: request.nowMs });
  if (!time.ok) return time;
  const isBy: Claim['isBy'] = (secret, body) =>
    isSame(shown.value, `sha256=${createHmac('sha256', secret).update(`${time.value}.`).update(body).digest('hex')}`);
  return parsed({ once: time.value, needsBody: always, isBy });
}

function signOfTime(time: string, secret: string): string {
  return createHmac('sha256', secret).update(`${time}\n${secret}`).digest('base64');
}

/** Whole units since the epoch, in the very spelling that was signed. */
function timeOf(text: Parsed<string>, { unitMs, nowMs }: { readonly unitMs: number; readonly nowMs: number }): Parsed<string> {
  if (!text.ok) return text;
  if (!/^[1-9]\d{0,14}$/.test(text.value)) return refused('the time of the request is no whole number');
  const offMs = Math.abs(Number(text.value) * unitMs - nowMs);
  return offMs <= WINDOW_MS
    ? text
    : refused(`the time of the request is more than ${WINDOW_MS / 60_000} minutes off: it is a replay, or a clock is wrong`);
}

function has({ headers }: HookHead, name: string): boolean {
  return headers[name] !== undefined;
}

function headerOf({ headers }: HookHead, name: string): Parsed<string> {
  const value = headers[name];
  if (typeof value !== 'string' || value === '') return refused(`the request has no header ${name}`);
  return value.length > HEADER_LENGTH_MAX ? refused(`the header ${name} is too long`) : parsed(value);
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Of their hashes, so that the length shows nothing either. */
function isSame(a: string, b: string): boolean {
  return timingSafeEqual(hash('sha256', a, 'buffer'), hash('sha256', b, 'buffer'));
}
