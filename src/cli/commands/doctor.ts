import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { HubError } from '../../base/errors.ts';
import { type CommandSpec, type Invocation, UsageError } from '../command.ts';
import type { Applied, Examination } from '../doctor/examine.ts';
import { type Finding, severities } from '../doctor/finding.ts';
import { exitCodes } from '../exit-code.ts';

export const doctorCommand: CommandSpec = {
  name: 'doctor',
  describe: (m) => m.doctor.command,
  footer: (m) => m.doctor.footer,
  argument: { name: 'folder', describe: (m) => m.doctor.folder, many: true },
  flags: [
    { flag: '--fix', describe: (m) => m.doctor.fixFlag },
    { flag: '--dry-run', describe: (m) => m.doctor.dryRunFlag },
    { flag: '--explain', describe: (m) => m.doctor.explainFlag },
  ],
  configKeys: [],
  run: async (invocation) => {
    const { flags, operands, messages } = invocation;
    if (operands.length > 1) throw new UsageError(messages.usage.tooManyArguments(operands.slice(1).join(' ')));
    if (flags['dry-run'] === true && flags['fix'] !== true) throw new UsageError(messages.doctor.dryRunNeedsFix);
    return flags['explain'] === true ? await explain(invocation) : await diagnose(invocation);
  },
};

async function diagnose(invocation: Invocation): Promise<number> {
  const { messages, terminal, env, folder, flags, operands, signal } = invocation;
  terminal.progress(() => messages.doctor.looking);
  // Loaded only here: the other commands start sooner, and a serving primary stays small.
  const { applyFixes, examine } = await import('../doctor/examine.ts');
  const options = { env, folder: resolve(folder, operands[0] ?? '.'), signal };
  const isFolder = await stat(options.folder).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) throw new UsageError(messages.doctor.noFolder(options.folder));
  const before = await examine(options);
  const isFix = flags['fix'] === true;
  const isDryRun = flags['dry-run'] === true;
  if (!isFix || isDryRun) {
    tell(before, { invocation, isDryRun, applied: [] });
    return before.findings.length === 0 ? exitCodes.done : exitCodes.attention;
  }
  const applied = await applyFixes(before.findings, signal);
  // What was mended is not believed but looked at again; and one fault may have hidden another.
  const after = applied.length === 0 ? before : await examine(options);
  tell(after, { invocation, isDryRun: false, applied });
  return after.findings.length === 0 ? exitCodes.done : exitCodes.attention;
}

interface Telling {
  readonly invocation: Invocation;
  readonly isDryRun: boolean;
  readonly applied: readonly Applied[];
}

function tell({ findings, skipped, blind }: Examination, { invocation, isDryRun, applied }: Telling): void {
  const { terminal, messages } = invocation;
  const { doctor } = messages;
  terminal.value({
    ok: findings.length === 0,
    findings: findings.map((finding) => asJson(finding, invocation)),
    fixed: applied.map(({ finding, failure }) => ({
      id: finding.id,
      subject: finding.subject,
      did: finding.fix.lines,
      undo: finding.fix.undo,
      ...(failure !== undefined && { failure }),
    })),
    skippedModules: skipped,
    networkAsked: !blind,
  });
  for (const { finding, failure } of applied) {
    const title = doctor.findings[finding.id].title(finding.subject);
    terminal.line(failure === undefined ? doctor.fixed(title) : doctor.notFixed(title, failure));
    for (const line of finding.fix.lines) terminal.line(`    ${line}`);
    if (failure !== undefined) continue;
    terminal.line(`  ${doctor.undoWith}`);
    for (const line of finding.fix.undo) terminal.line(`    ${line}`);
  }
  for (const finding of findings) tellFinding(finding, isDryRun, invocation);
  if (blind) terminal.aside(doctor.blind);
  if (skipped > 0) terminal.aside(doctor.skipped(skipped));
  terminal.line(findings.length === 0 ? doctor.well : doctor.found(findings.length));
}

function asJson(finding: Finding, { messages }: Invocation): Record<string, unknown> {
  const { id, subject, proof, fix } = finding;
  const { title, why, todo } = messages.doctor.findings[id];
  const canFix = fix.apply !== undefined;
  return { id, severity: severities[id], subject, title: title(subject), why, proof, todo, type: fix.lines, canFix, undo: fix.undo };
}

function tellFinding({ id, subject, proof, fix }: Finding, isDryRun: boolean, { terminal, messages }: Invocation): void {
  const { doctor } = messages;
  const { title, why, todo } = doctor.findings[id];
  terminal.line(`${severities[id] === 'error' ? doctor.error : doctor.warning} ${title(subject)} [${id}]`);
  for (const { ran, got } of proof) terminal.line(`    ${ran} → ${got === '' ? '""' : got}`);
  terminal.line(`  ${why}`);
  terminal.line(`  ${todo}`);
  for (const line of fix.lines) terminal.line(`    ${line}`);
  if (fix.apply !== undefined) terminal.line(`  ${isDryRun ? doctor.wouldFix : doctor.canFix}`);
  terminal.line('');
}

async function explain(invocation: Invocation): Promise<number> {
  const { terminal, messages, openStdin, signal } = invocation;
  const { doctor } = messages;
  const { explainLog, LOG_LENGTH_MAX } = await import('../doctor/explain.ts');
  const { explained, unknown } = explainLog(await readLog(openStdin(signal), LOG_LENGTH_MAX));
  const means = (id: (typeof explained)[number]['id']): { readonly title: string; readonly why: string } => messages.explain[id];
  terminal.value({
    ok: explained.length === 0 && unknown.length === 0,
    explained: explained.map((one) => ({ ...one, ...means(one.id) })),
    unknown,
  });
  for (const { id, line, text, type } of explained) {
    terminal.line(`${means(id).title} [${id}]`);
    terminal.line(`    ${line}: ${text}`);
    terminal.line(`  ${means(id).why}`);
    for (const command of type) terminal.line(`    ${command}`);
    terminal.line('');
  }
  if (unknown.length > 0) {
    terminal.line(doctor.unknown);
    for (const { line, text } of unknown) terminal.line(`    ${line}: ${text}`);
  }
  if (explained.length > 0 || unknown.length > 0) return exitCodes.attention;
  terminal.line(doctor.nothingRecognised);
  return exitCodes.done;
}

async function readLog(input: AsyncIterable<Uint8Array>, sizeMaxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of input) {
    sizeBytes += chunk.length;
    if (sizeBytes > sizeMaxBytes) throw new HubError('too-large', `the log is longer than ${sizeMaxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
