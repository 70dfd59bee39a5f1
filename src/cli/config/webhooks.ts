import { z } from 'zod';
import { type HookKind, hookKinds } from '../../hub/tag-event.ts';
import type { Say } from './faults.ts';
import type { ChatConfig, HubConfig, SecretPlace } from './hub-config.ts';
import type { Check, ResolvePath } from './own-database.ts';
import { parsePath, parseWitnessUrl } from './parse-values.ts';
import type { CheckedTree } from './schema.ts';

/** Hosts that a verdict can be reported to. */
const reportKinds: ReadonlySet<HookKind> = new Set(['gitee', 'gitlab', 'github', 'gitea', 'forgejo']);
const HOOKS_MAX = 256;
const CHATS_MAX = 16;

const hook: z.ZodType<WebhooksTree['hooks'][number]> = z
  .strictObject({
    kind: z.enum(hookKinds),
    name: z.string().optional(),
    secretEnv: z.string().optional(),
    secretFile: z.string().optional(),
    report: z.strictObject({ api: z.string(), tokenEnv: z.string().optional(), tokenFile: z.string().optional() }).optional(),
  })
  .check((context) => {
    const { kind, name, secretEnv, secretFile, report } = context.value;
    const fault = (path: string[], say: Say): void =>
      void context.issues.push({ code: 'custom', input: context.value, path, params: { say, what: 'value' } });
    if (name !== undefined && !/^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/.test(name)) fault(['name'], (m) => m.config.badHookName);
    checkPlace({ secretEnv, secretFile }, (path, say) => fault([...path], say));
    if (report === undefined) return;
    if (!reportKinds.has(kind)) fault(['report'], (m) => m.config.reportImpossible([...reportKinds]));
    if (!parseWitnessUrl(report.api).ok) fault(['report', 'api'], (m) => m.config.badReportApi);
    const { tokenEnv, tokenFile } = report;
    checkPlace({ tokenEnv, tokenFile }, (path, say) => fault(['report', ...path], say));
  });

/** A variable or a file, each under its name. */
function checkPlace(places: Readonly<Record<string, string | undefined>>, fault: (path: readonly string[], say: Say) => void): void {
  const written = Object.entries(places).filter(([, text]) => text !== undefined);
  if (written.length !== 1) fault([], (m) => m.config.oneSecret(Object.keys(places)));
  for (const [name, text = ''] of written) {
    if (name.endsWith('Env') && !isVariable(text)) fault([name], badVariable);
    if (name.endsWith('File') && !parsePath(text).ok) fault([name], (m) => m.config.badPath);
  }
}

const chat: z.ZodType<WebhooksTree['chat'][number]> = z
  .strictObject({
    kind: z.enum(['dingtalk', 'wecom', 'feishu']),
    urlEnv: z.string(),
    secretEnv: z.string().optional(),
    language: z.enum(['zh', 'en']).default('zh'),
  })
  .check((context) => {
    for (const key of ['urlEnv', 'secretEnv'] as const) {
      const name = context.value[key];
      if (name !== undefined && !isVariable(name))
        context.issues.push({ code: 'custom', input: name, path: [key], params: { say: badVariable, what: 'value' } });
    }
    // WeCom knows no signature.
    if (context.value.kind === 'wecom' && context.value.secretEnv !== undefined)
      context.issues.push({ code: 'custom', input: context.value, path: ['secretEnv'], params: { say: wecomSecret, what: 'value' } });
  });

const badVariable: Say = (m) => m.config.badVariableName;
const wecomSecret: Say = (m) => m.config.wecomSecret;

export interface WebhooksTree {
  readonly hooks: readonly {
    readonly kind: HookKind;
    readonly name?: string | undefined;
    readonly secretEnv?: string | undefined;
    readonly secretFile?: string | undefined;
    readonly report?: { readonly api: string; readonly tokenEnv?: string | undefined; readonly tokenFile?: string | undefined } | undefined;
  }[];
  readonly chat: readonly {
    readonly kind: ChatConfig['kind'];
    readonly urlEnv: string;
    readonly secretEnv?: string | undefined;
    readonly language: ChatConfig['language'];
  }[];
}

export const webhooksShape: {
  readonly hooks: z.ZodType<WebhooksTree['hooks']>;
  readonly chat: z.ZodType<WebhooksTree['chat']>;
} = {
  hooks: z.array(hook).max(HOOKS_MAX).default([]),
  chat: z.array(chat).max(CHATS_MAX).default([]),
};

/** By the list of groups, as the schema tells them. */
export const webhookNames: readonly (readonly [string, readonly string[]])[] = [
  ['webhooks.hooks', ['kind', 'name', 'secretEnv', 'secretFile', 'report']],
  ['webhooks.chat', ['kind', 'urlEnv', 'secretEnv', 'language']],
];

/** Rules over several keys: each hook has its own name, and its secrets are there. */
export function checkWebhooks({ webhooks }: CheckedTree, env: Readonly<Record<string, string | undefined>>, check: Check): void {
  const isSet = (path: readonly (string | number)[], name: string | undefined): void =>
    check(['webhooks'], name === undefined || (env[name] ?? '') !== '', path, (m) => m.config.variableNotSet(name ?? ''));
  const names = new Set<string>();
  for (const [index, { kind, name = kind, secretEnv, report }] of webhooks.hooks.entries()) {
    const at = ['webhooks', 'hooks', index];
    check(['webhooks'], !names.has(name), at, (m) => m.config.hookTwice(name));
    names.add(name);
    isSet([...at, 'secretEnv'], secretEnv);
    isSet([...at, 'report', 'tokenEnv'], report?.tokenEnv);
  }
  for (const [index, { urlEnv, secretEnv }] of webhooks.chat.entries()) {
    const at = ['webhooks', 'chat', index];
    isSet([...at, 'urlEnv'], urlEnv);
    isSet([...at, 'secretEnv'], secretEnv);
    const url = env[urlEnv] ?? '';
    // It holds a secret, so the sentence does not show it.
    check(['webhooks'], url === '' || (/^https?:\/\/[^\s#]+$/.test(url) && URL.canParse(url)), [...at, 'urlEnv'], (m) =>
      m.config.badChatUrl(urlEnv),
    );
  }
}

/** Expects a tree without faults. */
export function webhooksOf({ webhooks }: CheckedTree, resolve: ResolvePath): HubConfig['webhooks'] {
  const placeOf = (variable: string | undefined, file: string | undefined, at: readonly (string | number)[]): SecretPlace =>
    file === undefined ? { kind: 'variable', name: variable ?? '' } : { kind: 'file', file: resolve(file, at) };
  return {
    hooks: webhooks.hooks.map(({ kind, name, secretEnv, secretFile, report }, index) => {
      const at = ['webhooks', 'hooks', index] as const;
      return {
        kind,
        name: name ?? kind,
        secret: placeOf(secretEnv, secretFile, [...at, 'secretFile']),
        report: report && {
          api: report.api.replace(/\/+$/, ''),
          token: placeOf(report.tokenEnv, report.tokenFile, [...at, 'report', 'tokenFile']),
        },
      };
    }),
    chat: webhooks.chat.map(({ kind, urlEnv, secretEnv, language }) => ({ kind, urlEnv, secretEnv, language })),
  };
}

/** As it would be written. */
export function webhooksTree({ hooks, chat }: HubConfig['webhooks']): Readonly<Record<string, unknown>> {
  const written = (name: string, place: SecretPlace): Readonly<Record<string, string>> =>
    place.kind === 'file' ? { [`${name}File`]: place.file } : { [`${name}Env`]: place.name };
  return {
    hooks: hooks.map(({ kind, name, secret, report }) => ({
      kind,
      name,
      ...written('secret', secret),
      ...(report && { report: { api: report.api, ...written('token', report.token) } }),
    })),
    chat,
  };
}

function isVariable(name: string): boolean {
  return /^(?!GOYI_)[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name);
}
