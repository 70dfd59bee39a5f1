import { HubError, messageOf } from '../../base/errors.ts';
import { type FactsOptions, gatherFacts } from './facts.ts';
import type { Finding } from './finding.ts';
import { goCommand } from './checks/go-version.ts';
import { checks } from './registry.ts';

export interface Examination {
  readonly findings: readonly Finding[];
  /** Modules that were beyond the limits. */
  readonly skipped: number;
  /** The outbound proxy is a SOCKS one, which goyi does not speak: nothing was asked over the network. */
  readonly blind: boolean;
}

/** Runs every check. Changes nothing. @throws {HubError} canceled, or the signal's reason */
export async function examine(options: FactsOptions): Promise<Examination> {
  await using facts = await gatherFacts(options);
  const findings = new Map<string, Finding>();
  // Without a go command nothing else can be known.
  for (const check of facts.go === undefined ? [goCommand] : checks) {
    options.signal.throwIfAborted();
    for (const finding of await check.run(facts)) findings.set(`${finding.id} ${finding.subject}`, masked(finding));
  }
  return { findings: [...findings.values()], skipped: facts.modules.skipped, blind: facts.network.blind };
}

export interface Applied {
  readonly finding: Finding;
  /** Undefined: done. */
  readonly failure: string | undefined;
}

/** Applies what can be applied, in order. */
export async function applyFixes(findings: readonly Finding[], signal: AbortSignal): Promise<readonly Applied[]> {
  const applied: Applied[] = [];
  for (const finding of findings) {
    if (finding.fix.apply === undefined) continue;
    try {
      await finding.fix.apply(signal);
      applied.push({ finding, failure: undefined });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof HubError) && !(error instanceof Error && 'code' in error)) throw error;
      applied.push({ finding, failure: messageOf(error) });
    }
  }
  return applied;
}

/** Settings may hold passwords, and what is said may end in a log. */
function masked(finding: Finding): Finding {
  const { subject, proof, fix } = finding;
  return {
    ...finding,
    subject: mask(subject),
    proof: proof.map(({ ran, got }) => ({ ran: mask(ran), got: mask(got) })),
    fix: { ...fix, lines: fix.lines.map(mask), undo: fix.undo.map(mask) },
  };
}

function mask(text: string): string {
  return text.replace(/:\/\/[^/@,|\s'"]+@/g, '://USER:PASSWORD@').replace(/\b(ssh):\/\/USER:PASSWORD@/g, '$1://git@');
}
