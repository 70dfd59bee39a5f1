import type { HubConfig } from '../cli/config/hub-config.ts';

/** Origins that reports go to, which may be private addresses. */
export function reportOrigins({ webhooks }: HubConfig, env: Readonly<Record<string, string | undefined>>): readonly string[] {
  const hosts = webhooks.hooks.flatMap(({ report }) => (report === undefined ? [] : [report.api]));
  return [...hosts, ...webhooks.chat.map(({ urlEnv }) => env[urlEnv] ?? '')].filter((url) => URL.canParse(url));
}
