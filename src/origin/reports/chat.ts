/**
 * Tells a group chat about a version, through the robot that each of them has: DingTalk and WeCom take Markdown, Feishu plain text. The address of a robot is
 * a secret: it is in no message and no log line. DingTalk's signature goes into the address, Feishu's into the body; WeCom has none.
 */
import { createHmac } from 'node:crypto';
import { HubError } from '../../base/errors.ts';
import { unreachable } from '../../base/invariant.ts';
import { expectSuccess, plainText, type Report, type ReportParts, sendJson } from './report-target.ts';

export interface ChatTarget {
  readonly kind: 'dingtalk' | 'wecom' | 'feishu';
  readonly url: URL;
  readonly secret: string | undefined;
  readonly language: 'zh' | 'en';
}

const REASON_LENGTH_MAX = 600;
/** What they answer, with 200, to who says too much in a minute. */
const limited: ReadonlySet<number> = new Set([-1, 130101, 45009, 9499, 11232]);

/** @throws {HubError} upstream-refused when it will not go well, origin-… when it may later */
export async function reportToChat(target: ChatTarget, report: Report, { client, nowMs }: ReportParts, signal: AbortSignal): Promise<void> {
  const answer = await sendJson(client, { name: target.kind, ...messageOf(target, report, nowMs) }, signal);
  expectSuccess(target.kind, answer);
  const code = resultOf(answer.text);
  if (code === 0) return;
  throw new HubError(
    limited.has(code) ? 'origin-unavailable' : 'upstream-refused',
    `${target.kind} cannot be told: it answers with its code ${code}`,
  );
}

function messageOf(
  { kind, url, secret, language }: ChatTarget,
  report: Report,
  nowMs: number,
): { readonly url: URL; readonly body: object } {
  const title = titleOf(report, language);
  const lines = linesOf(report, language);
  switch (kind) {
    case 'dingtalk': {
      const signed = new URL(url);
      if (secret !== undefined) {
        signed.searchParams.set('timestamp', String(nowMs));
        signed.searchParams.set('sign', createHmac('sha256', secret).update(`${nowMs}\n${secret}`).digest('base64'));
      }
      return {
        url: signed,
        body: { msgtype: 'markdown', markdown: { title, text: [`### ${title}`, ...lines.map((line) => `- ${line}`)].join('\n') } },
      };
    }
    case 'wecom':
      return {
        url,
        body: { msgtype: 'markdown', markdown: { content: [`**${title}**`, ...lines.map((line) => `> ${line}`)].join('\n') } },
      };
    case 'feishu': {
      const seconds = Math.floor(nowMs / 1_000);
      const sign =
        secret === undefined ? {} : { timestamp: String(seconds), sign: createHmac('sha256', `${seconds}\n${secret}`).digest('base64') };
      return { url, body: { ...sign, msg_type: 'text', content: { text: [title, ...lines].join('\n') } } };
    }
    default:
      return unreachable(kind);
  }
}

const said = {
  zh: { archive: '已归档', block: '已拦截', released: '已由管理员放行', tag: '标签', reason: '说明', note: '注意' },
  en: { archive: 'archived', block: 'blocked', released: 'released by an operator', tag: 'Tag', reason: 'Reason', note: 'Note' },
} as const;

function titleOf({ module, version, verdict }: Report, language: 'zh' | 'en'): string {
  return plainText(`${module}@${version} ${said[language][verdict]}`, REASON_LENGTH_MAX);
}

function linesOf({ path, tag, commit, reason, note }: Report, language: 'zh' | 'en'): readonly string[] {
  const words = said[language];
  const colon = language === 'zh' ? '：' : ': ';
  const lines = [
    `${words.tag}${colon}${path} ${tag}${commit === undefined ? '' : ` (${commit.slice(0, 12)})`}`,
    `${words.reason}${colon}${reason}`,
  ];
  if (note !== undefined) lines.push(`${words.note}${colon}${note}`);
  return lines.map((line) => plainText(line, REASON_LENGTH_MAX));
}

/** Each calls it by another name; what is no JSON, or says nothing, is no success. */
function resultOf(text: string): number {
  try {
    const answer: unknown = JSON.parse(text);
    if (typeof answer !== 'object' || answer === null) return Number.NaN;
    const fields = new Map<string, unknown>(Object.entries(answer));
    const code = fields.get('errcode') ?? fields.get('code') ?? fields.get('StatusCode');
    return typeof code === 'number' ? code : Number.NaN;
  } catch {
    return Number.NaN;
  }
}
