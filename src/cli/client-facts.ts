import { CLIENT_SETTINGS_PATH, parseClientSettings } from '../api/client-settings.ts';
import { HubError } from '../base/errors.ts';
import type { ClientFacts } from '../scaffold/client-settings.ts';
import { type Invocation, UsageError } from './command.ts';
import { parseHubAddress } from './hub-address.ts';

const ANSWER_BYTES_MAX = 1024 * 1024;
const limits = { firstByteMs: 10_000, idleMs: 10_000 };

/** The hub that `--hub` names; undefined: none is named. @throws {UsageError} */
export function hubAsked({ flags, messages }: Invocation): URL | undefined {
  const { hub } = flags;
  if (typeof hub !== 'string') return undefined;
  const url = parseHubAddress(hub);
  if (url === undefined) throw new UsageError(messages.warm.badHub(hub));
  return url;
}

/** @throws {HubError} origin-unavailable, origin-timeout, or the signal's reason */
export async function askClientFacts(hub: URL, { messages, signal }: Invocation): Promise<ClientFacts> {
  const url = new URL(hub);
  url.pathname = `${hub.pathname.replace(/\/$/, '')}${CLIENT_SETTINGS_PATH}`;
  const { callHub } = await import('../net/hub-call.ts');
  await using reply = await callHub({ url, method: 'GET', contentType: '', body: new Uint8Array(), ...limits }, signal);
  let text = '';
  for await (const chunk of reply.body) {
    text += chunk.toString('utf8');
    if (text.length > ANSWER_BYTES_MAX) break;
  }
  const answer = parseClientSettings(text);
  if (reply.status !== 200 || !answer.ok) throw new HubError('origin-unavailable', messages.env.notAHub(hub.href));
  return { ...answer.value, ownDatabase: answer.value.ownDatabase ?? undefined };
}
