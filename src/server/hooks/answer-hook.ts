import type { Clock } from '../../base/clock.ts';
import { HubError } from '../../base/errors.ts';
import type { Events } from '../../base/events.ts';
import type { AuditKeeper } from '../../hub/audit-keeper.ts';
import type { HookDesk } from '../../hub/hook-desk.ts';
import { type HookKind, hookKinds, type TagEvent } from '../../hub/tag-event.ts';
import type { Exchange, FailureCode } from '../exchange.ts';
import { bodyOf } from '../request-body.ts';
import { NO_STORE, sendText, type Sender } from '../send-answer.ts';
import { BodyShares } from './body-shares.ts';
import { parseHookBody } from './hook-body.ts';
import { readTagEvent } from './read-tag-event.ts';
import { type HookSecret, presumeHook, verifyHook } from './verify-hook.ts';

export interface HookParts {
  readonly desk: Pick<HookDesk, 'take'>;
  /** Of the configured hooks, by kind. */
  readonly secrets: ReadonlyMap<HookKind, readonly HookSecret[]>;
  readonly events: Pick<Events, 'hookAnswered'>;
  readonly audit: Pick<AuditKeeper, 'tally'>;
  readonly clock: Pick<Clock, 'wallMs'>;
}

const PREFIX = '/hooks/';

/** Hosts send a few kilobytes; a push of a thousand commits some megabytes. */
export const HOOK_BODY_BYTES_MAX: number = 10 << 20;
const BODY_TIMES = { idleMs: 10_000, totalMs: 20_000 };
const CHALLENGE: readonly string[] = ['WWW-Authenticate', 'Goyi-Webhook'];

/** No path of the GOPROXY protocol begins so, as the first element of a module path has a dot. */
export function isHookTarget(target: string | undefined): boolean {
  return target?.startsWith(PREFIX) === true;
}

type Refuse = (code: FailureCode, sentence: string, more?: readonly string[]) => void;

/** Answers `POST /hooks/KIND` and `POST /hooks/KIND/NAME`. One for a server. */
export class HookAnswers {
  readonly #parts: HookParts | undefined;
  readonly #sender: Sender;
  /** Of who has shown a secret already, and of who may be anybody. */
  readonly #bodies = { known: new BodyShares(), unknown: new BodyShares() };

  /** Without parts no webhook is configured. */
  constructor(parts: HookParts | undefined, sender: Sender) {
    this.#parts = parts;
    this.#sender = sender;
  }

  /** @throws {HubError} what is to be refused: bad-request, too-large, overloaded, canceled, storage-… */
  async answer(exchange: Exchange, refuse: Refuse): Promise<void> {
    exchange.kind = 'hook';
    const { req } = exchange;
    const [path = '', query = ''] = (req.url ?? '').split('?', 2);
    const [kindName = '', hookName, ...rest] = path.slice(PREFIX.length).split('/');
    const kind = hookKinds.find((known) => known === kindName);
    const parts = this.#parts;
    const all = (kind === undefined ? undefined : parts?.secrets.get(kind)) ?? [];
    const secrets = hookName === undefined ? all : all.filter(({ name }) => name === hookName);
    if (parts === undefined || kind === undefined || rest.length > 0 || secrets.length === 0) {
      this.#unread(exchange);
      return refuse('not-found', 'no webhook of this kind and name is configured here');
    }
    if (req.method !== 'POST') {
      this.#unread(exchange);
      return refuse('method-not-allowed', 'a webhook is called with POST', ['Allow', 'POST']);
    }
    if (Number(req.headers['content-length'] ?? 0) > HOOK_BODY_BYTES_MAX) {
      this.#unread(exchange);
      throw tooLarge();
    }
    const strange = (reason: string): void => {
      parts.events.hookAnswered({ kind, outcome: 'unauthorized' });
      parts.audit.tally({ act: 'refused', actor: `webhook ${kind} from ${exchange.peer}`, subject: 'webhook' });
      refuse('unauthorized', reason, CHALLENGE);
    };
    const head = { headers: req.headers, query, nowMs: parts.clock.wallMs() };
    const presumed = presumeHook(kind, head, secrets);
    if (!presumed.ok) {
      this.#unread(exchange);
      return strange(presumed.reason);
    }
    const body = await this.#bodyOf(exchange, this.#bodies[presumed.value]);
    const verified = verifyHook(kind, { ...head, body }, secrets);
    if (!verified.ok) return strange(verified.reason);
    await this.#takeIn(exchange, parts, { kind, ...verified.value, body });
  }

  async #takeIn(
    exchange: Exchange,
    { desk, events, audit }: HookParts,
    { kind, name, nonce, body }: { readonly kind: HookKind; readonly name: string; readonly nonce: string; readonly body: Buffer },
  ): Promise<void> {
    const malformed = (reason: string): HubError => {
      events.hookAnswered({ kind, outcome: 'malformed' });
      return new HubError('bad-request', reason);
    };
    if (!isJsonType(exchange.req.headers['content-type']))
      throw malformed('the Content-Type must be application/json: the settings of the webhook at the host say which it is');
    const json = parseHookBody(body);
    if (!json.ok) throw malformed(json.reason);
    const news = readTagEvent(kind, name, { headers: exchange.req.headers }, json.value);
    if (!news.ok) throw malformed(news.reason);
    if (news.value.kind === 'ignored') {
      events.hookAnswered({ kind, outcome: 'ignored' });
      return this.#say(exchange, 200, { accepted: false, message: news.value.sentence });
    }
    const { event } = news.value;
    const added = await desk.take(event, nonce);
    events.hookAnswered({ kind, outcome: added.kind === 'repeated' ? 'repeated' : 'taken' });
    if (added.kind === 'repeated')
      return this.#say(exchange, 200, { accepted: false, job: added.id, message: 'this delivery was taken before' });
    audit.tally({ act: 'webhook', actor: `webhook ${name}`, subject: `${event.path} ${event.tag}`, detail: event.change });
    this.#say(exchange, 202, { accepted: true, job: added.id, message: sentenceOf(event) });
  }

  #say(
    exchange: Exchange,
    status: 200 | 202,
    answer: { readonly accepted: boolean; readonly job?: number; readonly message: string },
  ): void {
    sendText(this.#sender, exchange, status, 'application/json', `${JSON.stringify(answer)}\n`, ['Cache-Control', NO_STORE]);
  }

  async #bodyOf(exchange: Exchange, shares: BodyShares): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    using share = shares.open(exchange.peer);
    for await (const chunk of bodyOf(exchange, BODY_TIMES)) {
      sizeBytes += chunk.length;
      if (sizeBytes > HOOK_BODY_BYTES_MAX) throw tooLarge();
      if (!share.add(chunk.length)) throw new HubError('overloaded', 'too many webhooks come at once: send it again');
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, sizeBytes);
  }

  /** What the body holds is not read, so nothing can follow it. */
  #unread(exchange: Exchange): void {
    exchange.res.shouldKeepAlive = false;
  }
}

function tooLarge(): HubError {
  return new HubError('too-large', `the body of a webhook is at most ${HOOK_BODY_BYTES_MAX} bytes long`);
}

function isJsonType(header: string | undefined): boolean {
  return /^application\/json(?:\s*;\s*charset="?utf-8"?)?\s*$/i.test(header ?? '');
}

function sentenceOf({ tag, change, path }: TagEvent): string {
  return change === 'created' ? `the tag ${tag} of ${path} will be checked` : `it is noted that the tag ${tag} of ${path} is gone`;
}
