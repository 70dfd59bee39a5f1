import { withoutCredentials } from '../../base/log.ts';
import { unreachable } from '../../base/invariant.ts';
import { explainProxy, type FoundVariable, proxyAddress, type ProxyDecision } from '../../net/proxy-explain.ts';
import { decideByOthers, type OtherDecision } from '../../net/proxy-others.ts';
import { type CommandSpec, UsageError } from '../command.ts';
import { exitCodes } from '../exit-code.ts';
import type { Messages } from '../messages/zh.ts';

export const envWhyCommand: CommandSpec = {
  name: 'why',
  describe: (m) => m.env.help.envWhy,
  footer: (m) => m.env.help.envWhyFooter,
  argument: { name: 'url', describe: (m) => m.env.help.whyUrl },
  flags: [],
  configKeys: [],
  run: async ({ argument = '', env, messages, terminal }) => {
    const text = argument.includes('://') ? argument : `https://${argument}`;
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol)) throw new UsageError(messages.env.badUrl(argument));
    const decision = explainProxy(env, url);
    const others = decideByOthers(env, url);
    const shown = withoutCredentials(url.href);
    terminal.value({ ok: decision.kind !== 'unreadable', url: shown, go: shownDecision(decision), others: others.map(shownOther) });
    terminal.line(`${shown} ${sentenceOf(decision, messages)}`);
    for (const other of others) terminal.line(`  ${messages.env.why.names[other.program]}: ${otherSentence(other, messages)}`);
    terminal.line(`  ${messages.env.why.docker}`);
    return decision.kind === 'unreadable' || decision.kind === 'refused' ? exitCodes.attention : exitCodes.done;
  },
};

const addressOf = ({ value }: FoundVariable): string => withoutCredentials(proxyAddress(value));

function sentenceOf(decision: ProxyDecision, { env: { why } }: Messages): string {
  switch (decision.kind) {
    case 'proxy':
      return decision.noProxy === undefined
        ? why.through(addressOf(decision.proxy), decision.proxy.name)
        : why.throughUnmatched(addressOf(decision.proxy), decision.proxy.name, decision.noProxy.name);
    case 'refused':
      return why.refused(decision.proxy.name);
    case 'unreadable':
      return why.unreadable(decision.proxy.name);
    case 'direct':
      switch (decision.because.kind) {
        case 'no-proxy':
          return why.noProxySet;
        case 'loopback':
          return why.loopback;
        case 'entry':
          return why.entry(decision.because.entry, 'noProxy' in decision ? (decision.noProxy?.name ?? '') : '');
        default:
          return unreachable(decision.because);
      }
    default:
      return unreachable(decision);
  }
}

function otherSentence({ goesDirect, proxy, noProxy }: OtherDecision, { env: { why } }: Messages): string {
  if (proxy === undefined) return why.noProxySet;
  return goesDirect ? why.byVariable(noProxy?.name ?? '') : why.through(addressOf(proxy), proxy.name);
}

/** Nothing of a proxy's address but what may be shown. */
function shownDecision(decision: ProxyDecision): unknown {
  const { kind } = decision;
  const because = kind === 'direct' ? decision.because : undefined;
  const proxy =
    'proxy' in decision ? { variable: decision.proxy.name, address: kind === 'unreadable' ? null : addressOf(decision.proxy) } : null;
  const noProxy = 'noProxy' in decision && decision.noProxy !== undefined ? decision.noProxy.name : null;
  return { kind, ...(because === undefined ? {} : { because }), proxy, noProxy };
}

function shownOther({ program, goesDirect, proxy }: OtherDecision): unknown {
  return {
    program,
    kind: goesDirect ? 'direct' : 'proxy',
    proxy: proxy === undefined ? null : { variable: proxy.name, address: addressOf(proxy) },
  };
}
