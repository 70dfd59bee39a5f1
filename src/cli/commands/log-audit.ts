import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { HubError, codeOf } from '../../base/errors.ts';
import type { AuditProgress, AuditReport } from '../../hub/audit-log.ts';
import type { Finding, FindingId } from '../../hub/audit-findings.ts';
import { type AuditState, readAuditState, writeAuditState } from '../audit-state.ts';
import { type CommandSpec, type Invocation, UsageError, withConfig } from '../command.ts';
import type { HubConfig } from '../config/hub-config.ts';
import { type ExitCode, exitCodes } from '../exit-code.ts';
import { formatDay } from '../format.ts';
import { type LogTarget, cosignedByFlag, cosignersOf, keyFlags, logTarget } from '../log-target.ts';
import { FolderNameIndex } from '../name-index.ts';

export const auditCommand: CommandSpec = {
  name: 'audit',
  describe: (m) => m.help.logAudit,
  footer: (m) => m.help.logAuditFooter,
  argument: { name: 'url', describe: (m) => m.help.logAuditUrl, many: true },
  flags: [
    ...keyFlags,
    { flag: '--state <file>', describe: (m) => m.help.logState },
    { flag: '--from-start', describe: (m) => m.help.logFromStart },
    { flag: '--hashes-only', describe: (m) => m.help.logHashesOnly },
    cosignedByFlag,
    { flag: '--stored <folder>', describe: (m) => m.help.logStored },
  ],
  configKeys: ['checksumDatabases', 'tls.caFile', 'outbound.proxy'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { operands, messages, flags } = invocation;
      if (operands.length > 1) throw new UsageError(messages.usage.tooManyArguments(operands.slice(1).join(' ')));
      const [address] = operands;
      const { stored } = flags;
      if (typeof stored === 'string') {
        if (address !== undefined) throw new UsageError(messages.log.storedHasNoAddress);
        return auditStored(stored, config, invocation);
      }
      if (address === undefined && flags['database'] === undefined && flags['key'] === undefined)
        throw new UsageError(messages.log.addressNeeded);
      return auditLog(logTarget(address, config, invocation), config, invocation);
    }),
};

/** Findings that call for a look and prove no lie. */
const mildFindings: ReadonlySet<FindingId> = new Set(['rolled-back', 'tile-unproved']);
/** Findings printed; `--json` has the first 1000. */
const PRINTED_MAX = 20;
const BAR_WIDTH = 30;

async function auditLog(target: LogTarget, config: HubConfig, invocation: Invocation): Promise<number> {
  const { backends, flags, folder, messages, terminal, signal } = invocation;
  const { key, url } = target;
  const stateFile = typeof flags['state'] === 'string' ? resolve(folder, flags['state']) : undefined;
  const scope = flags['hashes-only'] === true ? 'hashes' : 'records';
  const former = stateFile === undefined ? undefined : await readAuditState(stateFile, key);
  const fromStart = flags['from-start'] === true;
  const goesOn = scope === 'records' && !fromStart;
  await using names = await FolderNameIndex.open(stateFile ?? join(tmpdir(), 'goyi-audit'), goesOn ? former?.namesFolder : undefined);
  await using log = await backends.openLog(config, url);
  // Loaded only here: a serving primary stays small.
  const { auditLog: audit } = await import('../../hub/audit-log.ts');
  const onProgress = progressTo(invocation);
  let report: AuditReport;
  try {
    const cosigners = cosignersOf(invocation);
    report = await audit({ reader: log.reader, key, known: former, fromStart, scope, names, cosigners, onProgress }, signal);
  } catch (error) {
    throw withHint(error, invocation);
  }
  const saved = stateFile !== undefined && report.audited !== undefined;
  if (saved) await saveState({ stateFile, target, report, names, former, scope });
  const { audited: _audited, note, ...shown } = report;
  const ok = report.isComplete && report.findingCount === 0;
  terminal.value({ ok, database: key.name, origin: log.reader.origin, scope, ...shown, note, stateSaved: saved });
  tellReport(report, { key: key.name, scope, former }, invocation);
  if (stateFile !== undefined) terminal.aside(saved ? messages.log.stateSaved(stateFile) : messages.log.stateKept(stateFile));
  return signal.aborted && report.findingCount === 0 ? exitCodes.interrupted : exitCodeOfFindings(report.findings);
}

async function saveState({
  stateFile,
  target,
  report,
  names,
  former,
  scope,
}: {
  readonly stateFile: string;
  readonly target: LogTarget;
  readonly report: AuditReport;
  readonly names: FolderNameIndex;
  readonly former: AuditState | undefined;
  readonly scope: 'records' | 'hashes';
}): Promise<void> {
  if (report.audited === undefined) return;
  const isRecords = scope === 'records';
  if (isRecords) await names.keep();
  const namesFolder = isRecords ? names.folder : former?.namesFolder;
  await writeAuditState(stateFile, target.key, { ...report.audited, namesFolder }, former);
}

/** What a hub has stored below its data folder, offline. */
async function auditStored(stored: string, config: HubConfig, invocation: Invocation): Promise<number> {
  const { backends, folder, messages, terminal, signal } = invocation;
  const { key } = logTarget(undefined, config, invocation);
  const dataDir = resolve(folder, stored);
  const onProgress = (files: number): void => terminal.progress(() => messages.log.storedProgress(files));
  const report = await backends.auditStored({ dataDir, key, onProgress }, signal);
  terminal.value({ ok: report.findingCount === 0, database: key.name, dataDir, ...report });
  terminal.line(messages.log.tree(key.name, report.treeSize, report.root));
  terminal.line(messages.log.storedVerified(report.hashTiles, report.dataTiles, report.lookups));
  tellFindings(report, invocation);
  return exitCodeOfFindings(report.findings);
}

function tellReport(
  report: AuditReport,
  { key, scope, former }: { readonly key: string; readonly scope: 'records' | 'hashes'; readonly former: AuditState | undefined },
  invocation: Invocation,
): void {
  const { terminal, messages } = invocation;
  const { log } = messages;
  if (report.treeSize !== undefined) terminal.line(log.tree(key, report.treeSize, report.root ?? ''));
  for (const { witness, timeSeconds } of report.cosignatures) terminal.line(log.cosigned(witness, formatDay(timeSeconds * 1_000)));
  if (former !== undefined && report.audited !== undefined) terminal.line(log.continues(former.records));
  if (report.to > report.from)
    terminal.line(
      scope === 'records'
        ? log.verified(report.from, report.to - 1, report.dataTiles, report.hashTiles)
        : log.verifiedHashes(report.from, report.to - 1, report.hashTiles),
    );
  else if (report.isComplete) terminal.line(log.nothingNew);
  if (!report.isComplete && invocation.signal.aborted) terminal.aside(log.interrupted(report.to, report.treeSize ?? 0));
  else tellFindings(report, invocation);
}

function tellFindings(
  { findings, findingCount }: { readonly findings: readonly Finding[]; readonly findingCount: number },
  { terminal, messages: { log } }: Invocation,
): void {
  if (findingCount === 0) terminal.line(log.sound);
  else terminal.line(log.findings(findingCount));
  for (const { id, what } of findings.slice(0, PRINTED_MAX)) terminal.line(`  ${id} (${log.findingMeans[id]}): ${what}`);
  if (findingCount > PRINTED_MAX) terminal.line(log.moreFindings(findingCount - PRINTED_MAX));
}

function exitCodeOfFindings(findings: readonly Finding[]): ExitCode {
  if (findings.length === 0) return exitCodes.done;
  return findings.every(({ id }) => mildFindings.has(id)) ? exitCodes.attention : exitCodes.unverified;
}

function progressTo({ terminal, messages }: Invocation): (progress: AuditProgress) => void {
  const startedMs = performance.now();
  return ({ from, done, total }) =>
    terminal.progress(() => {
      const filled = Math.floor((BAR_WIDTH * done) / Math.max(1, total));
      const bar = `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`;
      const rate = Math.round(((done - from) * 1_000) / Math.max(1, performance.now() - startedMs));
      return messages.log.progress(bar, done, total, rate);
    });
}

/** Who may not read records can still check the tiles. */
function withHint(error: unknown, { messages, flags }: Invocation): unknown {
  const code = codeOf(error);
  if (flags['hashes-only'] === true || (code !== 'policy-denied' && code !== 'not-found')) return error;
  return new HubError(code, `${(error as Error).message}. ${messages.log.hashesOnlyHint}`, { cause: error });
}
