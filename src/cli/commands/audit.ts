import { formatChainPlace, parseChainPlace } from '../../protocol/audit-chain.ts';
import { type CommandSpec, UsageError, withConfig } from '../command.ts';
import { exitCodes } from '../exit-code.ts';

/** With `--json` one entry a line, so that a year of them can be read as they come. */
const listCommand: CommandSpec = {
  name: 'list',
  describe: (m) => m.access.help.auditList,
  flags: [{ flag: '--since <time>', describe: (m) => m.access.help.auditSince }],
  configKeys: ['dataDir'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { messages, terminal, backends, flags, signal } = invocation;
      const since = flags['since'];
      const sinceMs = typeof since === 'string' ? parseTime(since) : 0;
      if (sinceMs === undefined) throw new UsageError(messages.access.audit.badSince);
      await backends.auditEntries(
        config,
        {
          sinceMs,
          onEntries: (entries) => {
            for (const { id, atMs, act, actor, subject, detail, count, hash } of entries) {
              const time = new Date(atMs).toISOString();
              terminal.item({ id, time, act, actor, subject, detail, count, hash });
              const often = count === 1 ? '' : `  ×${count}`;
              terminal.line(`${id}  ${time}  ${act}  ${actor}  ${subject}${detail === '' ? '' : `  (${detail})`}${often}`);
            }
          },
        },
        signal,
      );
      return exitCodes.done;
    }),
};

/** A day, or a moment with its zone. */
function parseTime(text: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

const verifyCommand: CommandSpec = {
  name: 'verify',
  describe: (m) => m.access.help.auditVerify,
  flags: [{ flag: '--anchor <place>', describe: (m) => m.access.help.auditAnchor }],
  configKeys: ['dataDir'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { messages, terminal, backends, flags, signal } = invocation;
      const texts = messages.access.audit;
      const anchor = typeof flags['anchor'] === 'string' ? parseChainPlace(flags['anchor']) : undefined;
      if (flags['anchor'] !== undefined && anchor === undefined) throw new UsageError(texts.badAnchor);
      const onProgress = (checked: number, total: number): void => terminal.progress(() => texts.progress(checked, total));
      const { checked, cut, head, fault } = await backends.verifyAudit(config, { anchor, onProgress }, signal);
      const places = { checked, cut: formatChainPlace(cut), head: formatChainPlace(head) };
      terminal.value({ ok: fault === undefined, ...places, ...(fault !== undefined && { fault }) });
      if (fault === undefined) terminal.line(texts.whole(checked, places.head));
      else terminal.aside(`goyi: ${texts.broken(fault.id, fault.reason)}`);
      return fault === undefined ? exitCodes.done : exitCodes.unverified;
    }),
};

export const auditCommand: CommandSpec = {
  name: 'audit',
  describe: (m) => m.access.help.audit,
  flags: [],
  configKeys: [],
  commands: [listCommand, verifyCommand],
};
