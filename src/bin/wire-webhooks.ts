import { systemClock } from '../base/clock.ts';
import { HubError } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import type { ChatConfig, HookConfig, HubConfig } from '../cli/config/hub-config.ts';
import { noteDrift } from '../hub/drift.ts';
import { type GateReport, TagGate } from '../hub/gate.ts';
import { createGatePorts } from '../hub/gate-ports.ts';
import { HookDesk } from '../hub/hook-desk.ts';
import { RELEASE_JOB, REPORT_JOB, TAG_JOB } from '../hub/job-kinds.ts';
import { JobRunner } from '../hub/job-runner.ts';
import type { HookKind } from '../hub/tag-event.ts';
import type { SourceRule } from '../hub/tag-modules.ts';
import { Verdicts } from '../hub/verdicts.ts';
import type { Metadata } from '../meta/metadata.ts';
import type { OutboundClient } from '../net/outbound-client.ts';
import { reportToChat } from '../origin/reports/chat.ts';
import { reportToHost, type StatusHost } from '../origin/reports/commit-status.ts';
import type { Report } from '../origin/reports/report-target.ts';
import type { HookSecret } from '../server/hooks/verify-hook.ts';
import type { HubServerOptions } from '../server/http-server.ts';
import { readSecret } from './read-secret.ts';
import type { WiredHub } from './wire-hub.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface WiredWebhooks extends AsyncDisposable {
  readonly hooks: NonNullable<HubServerOptions['hooks']>;
  /** Jobs under way in this process. */
  readonly running: () => number;
}

export interface WebhookParts {
  readonly hub: Pick<WiredHub, 'station' | 'metadata' | 'client' | 'homes' | 'policy'>;
  readonly events: Events;
  readonly log: Log;
  readonly env: Env;
}

/** Webhooks in, the jobs that they ask for, and word of what came of it. Undefined when none is configured. @throws {HubError} config-invalid when a secret cannot be read */
export async function wireWebhooks(config: HubConfig, parts: WebhookParts): Promise<WiredWebhooks | undefined> {
  const { hooks, chat } = config.webhooks;
  if (hooks.length === 0) return undefined;
  const { hub, events, log, env } = parts;
  const { metadata, station, client, homes, policy } = hub;
  const clock = systemClock;
  const secrets = await secretsOf(hooks, env);
  const reporting = { metadata, hooks, chat, client, env };
  const ports = createGatePorts({
    station,
    rules: sourceRules(config),
    policy,
    privateVersions: station.privateVersions,
    homes,
    drifted: ({ path, version }, { from, to }) =>
      noteDrift(
        { metadata, events, clock, log },
        // What is compared is the commit that the tag stands for, not yet what would be made of it.
        {
          module: path,
          version,
          kind: 'zip',
          recordedHash: `git:${from ?? 'unknown'}`,
          offeredHash: `git:${to ?? 'gone'}`,
          origin: 'webhook',
        },
      ),
    report: (report) => queueReports(reporting, report),
    decided: ({ path }) => station.lists.refresh(path),
  });
  const gate = new TagGate({ ports, verdicts: new Verdicts({ jobs: metadata, clock }), events });
  const runner = new JobRunner({
    jobs: metadata,
    handlers: new Map([
      [TAG_JOB, (job, signal) => gate.look(job, signal)],
      [RELEASE_JOB, (job, signal) => gate.release(job, signal)],
      [REPORT_JOB, (job, signal) => sendReport(reporting, JSON.parse(job.payload) as QueuedReport, signal)],
    ]),
    brief: new Set([REPORT_JOB]),
    events,
    log,
    clock,
    random: Math.random,
  });
  const desk = new HookDesk({ jobs: metadata, clock, onAdded: () => runner.nudge() });
  return {
    hooks: { desk, secrets, events },
    running: () => runner.running,
    [Symbol.asyncDispose]: () => runner[Symbol.asyncDispose](),
  };
}

/** An uploads rule has no repository, and a public one is none of ours. */
function sourceRules(config: HubConfig): readonly SourceRule[] {
  return config.private.flatMap(({ match, home }) =>
    home.kind === 'git' ? [{ match, url: home.url, rootElements: home.rootElements }] : [],
  );
}

async function secretsOf(hooks: readonly HookConfig[], env: Env): Promise<ReadonlyMap<HookKind, readonly HookSecret[]>> {
  const all = await Promise.all(hooks.map(async ({ kind, name, secret }) => ({ kind, name, secret: await readSecret(secret, env) })));
  return Map.groupBy(all, ({ kind }) => kind);
}

interface Reporting {
  readonly metadata: Pick<Metadata, 'addJob'>;
  readonly hooks: readonly HookConfig[];
  readonly chat: readonly ChatConfig[];
  readonly client: OutboundClient;
  readonly env: Env;
}

/** One for each who is told. Targets are named, not numbered: the configuration may change before it is sent. */
interface QueuedReport {
  readonly target: { readonly kind: 'host'; readonly hook: string } | { readonly kind: 'chat'; readonly urlEnv: string };
  readonly report: Report;
}

async function queueReports({ metadata, hooks, chat }: Reporting, { event, isNews, module, version, ...what }: GateReport): Promise<void> {
  const report: Report = { module, version, ...what, tag: event.tag };
  const hook = hooks.find(({ name }) => name === event.hook);
  const targets: QueuedReport['target'][] = [
    ...(hook?.report === undefined ? [] : [{ kind: 'host', hook: hook.name } as const]),
    ...(isNews ? chat.map(({ urlEnv }) => ({ kind: 'chat', urlEnv }) as const) : []),
  ];
  for (const target of targets) {
    const payload = JSON.stringify({ target, report } satisfies QueuedReport);
    const to = target.kind === 'host' ? target.hook : target.urlEnv;
    await metadata.addJob(
      { kind: REPORT_JOB, key: `${to} ${module} ${version} ${what.verdict}`, payload },
      { nowMs: systemClock.wallMs() },
    );
  }
}

/** @throws {HubError} config-invalid when the target is not configured any more */
async function sendReport({ hooks, chat, client, env }: Reporting, { target, report }: QueuedReport, signal: AbortSignal): Promise<string> {
  const how = { client, nowMs: systemClock.wallMs() };
  if (target.kind === 'host') {
    const hook = hooks.find(({ name }) => name === target.hook);
    if (hook?.report === undefined) throw new HubError('config-invalid', `the webhook ${target.hook} has no report any more`);
    const { api, token } = hook.report;
    // Read each time: a token that is renewed needs no new start.
    await reportToHost({ kind: hook.kind as StatusHost, api, token: await readSecret(token, env) }, report, how, signal);
    return `${hook.kind} was told`;
  }
  const robot = chat.find(({ urlEnv }) => urlEnv === target.urlEnv);
  if (robot === undefined) throw new HubError('config-invalid', `the chat of ${target.urlEnv} is not configured any more`);
  const { kind, urlEnv, secretEnv, language } = robot;
  const secret = secretEnv === undefined ? undefined : env[secretEnv];
  await reportToChat({ kind, url: new URL(env[urlEnv] ?? ''), secret, language }, report, how, signal);
  return `${kind} was told`;
}
