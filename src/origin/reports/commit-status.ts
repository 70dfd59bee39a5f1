/**
 * Tells a code host what became of a tag, on the commit that it stands for: a status at GitLab, GitHub, Gitea and Forgejo, a comment at Gitee, whose API has
 * no statuses. The address of the API and the token come from the configuration alone.
 */
import { HubError } from '../../base/errors.ts';
import { unreachable } from '../../base/invariant.ts';
import { expectSuccess, plainText, type Report, type ReportParts, sendJson } from './report-target.ts';

export type StatusHost = 'gitlab' | 'github' | 'gitea' | 'forgejo' | 'gitee';

export interface StatusTarget {
  readonly kind: StatusHost;
  /** Without a slash at the end. */
  readonly api: string;
  readonly token: string;
}

interface Call {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object;
}

/** GitHub takes 140, GitLab and Gitea 255. */
const DESCRIPTION_LENGTH_MAX = 140;

/** @throws {HubError} upstream-refused when it will not go well, origin-… when it may later */
export async function reportToHost(target: StatusTarget, report: Report, { client }: ReportParts, signal: AbortSignal): Promise<void> {
  const { commit } = report;
  if (commit === undefined) throw new HubError('upstream-refused', `${target.kind} cannot be told: the commit of the tag is not known`);
  const { path, headers, body } = callOf(target, report, commit);
  const answer = await sendJson(client, { name: target.kind, url: new URL(`${target.api}${path}`), headers, body }, signal);
  // GitLab refuses to say the same again.
  if (target.kind === 'gitlab' && answer.status === 400 && answer.text.includes('Cannot transition status')) return;
  expectSuccess(target.kind, answer);
}

function callOf({ kind, token }: StatusTarget, report: Report, commit: string): Call {
  const repository = report.path.split('/').map(encodeURIComponent).join('/');
  const isGood = report.verdict !== 'block';
  const context = `goyi/${report.module}`;
  const description = descriptionOf(report);
  switch (kind) {
    case 'gitlab':
      return {
        path: `/projects/${encodeURIComponent(report.path)}/statuses/${commit}`,
        headers: { 'private-token': token },
        body: { state: isGood ? 'success' : 'failed', name: context, description },
      };
    case 'github':
      return {
        path: `/repos/${repository}/statuses/${commit}`,
        headers: { authorization: `Bearer ${token}` },
        body: { state: isGood ? 'success' : 'failure', context, description },
      };
    case 'gitea':
    case 'forgejo':
      return {
        path: `/repos/${repository}/statuses/${commit}`,
        headers: { authorization: `token ${token}` },
        body: { state: isGood ? 'success' : 'failure', context, description },
      };
    case 'gitee':
      return {
        path: `/repos/${repository}/commits/${commit}/comments`,
        headers: { authorization: `Bearer ${token}` },
        body: { body: `${context}: ${description}` },
      };
    default:
      return unreachable(kind);
  }
}

function descriptionOf({ version, verdict, reason, note }: Report): string {
  const said = verdict === 'block' ? 'blocked' : verdict === 'released' ? 'released by an operator' : 'archived';
  return plainText(`${version} ${said}: ${note ?? reason}`, DESCRIPTION_LENGTH_MAX);
}
