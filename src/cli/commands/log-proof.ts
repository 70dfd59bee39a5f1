import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { HubError, codeOf } from '../../base/errors.ts';
import { findCosignature } from '../../protocol/cosignature.ts';
import { LOG_PROOF_BYTES_MAX, type LogProof, checkLogProof, formatLogProof, parseLogProof } from '../../protocol/log-proof.ts';
import { parseModulePath } from '../../protocol/module-path.ts';
import { parseNote } from '../../protocol/note.ts';
import { checkPathVersion } from '../../protocol/version.ts';
import { type CommandSpec, type Invocation, UsageError, withConfig } from '../command.ts';
import { exitCodes } from '../exit-code.ts';
import { formatDay } from '../format.ts';
import { cosignedByFlag, cosignersOf, keyFlags, keyForSigners, logTarget } from '../log-target.ts';
import { doing } from '../name-index.ts';

export const proveCommand: CommandSpec = {
  name: 'prove',
  describe: (m) => m.help.logProve,
  footer: (m) => m.help.logProveFooter,
  argument: { name: 'module@version', describe: (m) => m.help.logModule },
  flags: [{ flag: '--url <url>', describe: (m) => m.help.logUrl }, ...keyFlags, { flag: '--out <file>', describe: (m) => m.help.logOut }],
  configKeys: ['tls.caFile', 'outbound.proxy'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { messages, terminal, backends, folder, flags, signal } = invocation;
      const name = parseName(invocation);
      const { key, url } = logTarget(typeof flags['url'] === 'string' ? flags['url'] : undefined, config, invocation);
      await using log = await backends.openLog(config, url);
      // Loaded only here: a serving primary stays small.
      const { proveRecord } = await import('../../hub/prove-record.ts');
      const proof = await proveRecord({ reader: log.reader, key, ...name }, signal);
      const text = formatLogProof(proof);
      const { out } = flags;
      if (typeof out === 'string') {
        await doing(`write ${out}`, async () => {
          // An old proof is as good as a new one: nothing is replaced.
          await using file = await open(resolve(folder, out), 'wx');
          await file.writeFile(text);
        });
        terminal.aside(messages.log.proofWritten(out));
      } else {
        terminal.line(text.trimEnd());
      }
      terminal.value({
        ok: true,
        ...name,
        record: proof.recordId,
        database: key.name,
        proof: text,
        file: typeof out === 'string' ? out : null,
      });
      return exitCodes.done;
    }),
};

export const checkCommand: CommandSpec = {
  name: 'check',
  describe: (m) => m.help.logCheck,
  footer: (m) => m.help.logCheckFooter,
  argument: { name: 'file', describe: (m) => m.help.logFile },
  flags: [...keyFlags, cosignedByFlag],
  configKeys: ['checksumDatabases'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const proof = await readProof(invocation);
      const note = parseNote(proof.note);
      if (!note.ok) throw new HubError('log-invalid', note.reason);
      const key = keyForSigners(
        note.value.signatures.map(({ name }) => name),
        config,
        invocation,
      );
      const checked = checkLogProof(proof, key);
      if (!checked.ok) throw new HubError('log-invalid', checked.reason);
      const cosignatures = cosignersOf(invocation).map((cosigner) => {
        const found = findCosignature(note.value, cosigner);
        if (!found.ok) throw new HubError('log-invalid', found.reason);
        return { witness: cosigner.cosigner.name, timeSeconds: found.value.timeSeconds };
      });
      const { record, tree } = checked.value;
      const { terminal, messages } = invocation;
      terminal.value({
        ok: true,
        database: key.name,
        record: proof.recordId,
        ...record,
        treeSize: tree.size,
        root: tree.root.toString('base64'),
        cosignatures,
      });
      terminal.line(proof.text.trimEnd());
      terminal.aside(messages.log.proofHolds(key.name, proof.recordId, tree.size));
      for (const { witness, timeSeconds } of cosignatures) terminal.aside(messages.log.cosigned(witness, formatDay(timeSeconds * 1_000)));
      return exitCodes.done;
    }),
};

/** @throws {UsageError} */
function parseName({ argument = '', messages }: Invocation): { readonly module: string; readonly version: string } {
  const at = argument.lastIndexOf('@');
  const module = parseModulePath(argument.slice(0, Math.max(0, at)));
  const version = module.ok ? checkPathVersion(module.value, argument.slice(at + 1)) : module;
  if (!module.ok || !version.ok) throw new UsageError(messages.log.badModule(argument, version.ok ? '' : version.reason));
  return { module: module.value, version: version.value };
}

/** @throws {HubError} log-invalid when it is no proof; not-found; storage-fault */
async function readProof({ argument = '', folder, openStdin, signal }: Invocation): Promise<LogProof> {
  const bytes = argument === '-' ? await readAll(openStdin(signal)) : await readFile(resolve(folder, argument), argument);
  const proof = parseLogProof(bytes);
  if (!proof.ok) throw new HubError('log-invalid', `${argument}: ${proof.reason}`);
  return proof.value;
}

async function readFile(path: string, shown: string): Promise<Buffer> {
  try {
    return await doing(`read ${shown}`, async () => {
      await using file = await open(path, 'r');
      return await readAll(file.createReadStream({ autoClose: false }));
    });
  } catch (error) {
    const { cause } = error as Error;
    if (codeOf(error) === 'storage-fault' && (cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT')
      throw new HubError('not-found', `there is no file ${shown}`, { cause });
    throw error;
  }
}

/** One byte more than a proof may have, so that its parser sees that it is too long. */
async function readAll(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const read: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of chunks) {
    read.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes > LOG_PROOF_BYTES_MAX) break;
  }
  return Buffer.concat(read);
}
