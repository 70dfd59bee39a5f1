import { createReadStream } from 'node:fs';
import { copyFile, constants, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseProblem } from '../../api/problem.ts';
import { parsePublishAnswer, PUBLISH_PREFIX, type PublishAnswer } from '../../api/publish.ts';
import { HubError } from '../../base/errors.ts';
import { parseGoMod } from '../../protocol/go-mod.ts';
import { escapePath, type ModulePath, parseModulePath } from '../../protocol/module-path.ts';
import { checkPathVersion, escapeVersion, type Version } from '../../protocol/version.ts';
import { type CommandSpec, type Invocation, UsageError, withConfig } from '../command.ts';
import { exitCodes, knownCode } from '../exit-code.ts';
import { formatSize } from '../format.ts';
import { TOKEN_VARIABLE } from '../config/overrides.ts';
import { listeningAt, parseHubAddress } from '../hub-address.ts';
import { doing } from '../name-index.ts';

export const publishCommand: CommandSpec = {
  name: 'publish',
  describe: (m) => m.publish.command,
  footer: (m) => m.publish.footer,
  argument: { name: 'folder', describe: (m) => m.publish.folder, many: true },
  flags: [
    { flag: '--at <version>', describe: (m) => m.publish.version, required: true },
    { flag: '--module <path>', describe: (m) => m.publish.module },
    { flag: '--zip <file>', describe: (m) => m.publish.zip },
    { flag: '--out <file>', describe: (m) => m.publish.out },
    { flag: '--hub <url>', describe: (m) => m.publish.hub },
    { flag: '--token-env <name>', describe: (m) => m.publish.tokenEnv },
    { flag: '--dry-run', describe: (m) => m.publish.dryRun },
  ],
  configKeys: [],
  run: async (invocation) => {
    const { hub } = invocation.flags;
    if (typeof hub !== 'string') return await withConfig(invocation, (config) => publish(listeningAt(config), invocation));
    const url = parseHubAddress(hub);
    if (url === undefined) throw new UsageError(invocation.messages.warm.badHub(hub));
    return await publish(url, invocation);
  },
};

/** Until the hub has checked the zip, which it does before it answers. */
const limits = { firstByteMs: 600_000, idleMs: 60_000 };
const ANSWER_LENGTH_MAX = 64 * 1024;

interface Subject {
  readonly module: ModulePath;
  readonly version: Version;
}

async function publish(hub: URL, invocation: Invocation): Promise<number> {
  const { messages, terminal, flags, folder, backends, signal } = invocation;
  const subject = await readSubject(invocation);
  const name = `${subject.module}@${subject.version}`;
  const work = await mkdtemp(join(tmpdir(), 'goyi-publish-'));
  try {
    const given = flags['zip'];
    const zip = typeof given === 'string' ? resolve(folder, given) : join(work, 'module.zip');
    if (typeof given !== 'string') {
      terminal.progress(() => messages.publish.making(subject.module, subject.version));
      await backends.makeModuleZip({ ...subject, folder: sourceFolder(invocation), file: zip }, signal);
    }
    // The same rules that the hub will apply: what it would refuse is said before anything is sent.
    const checked = await backends.checkModuleZip({ ...subject, file: zip }, signal);
    const { zipHash } = checked;
    if (typeof flags['out'] === 'string') {
      const out = resolve(folder, flags['out']);
      await doing(`write ${flags['out']}`, () => copyFile(zip, out, constants.COPYFILE_EXCL));
      terminal.value({ ok: true, ...subject, zipHash, file: out, sizeBytes: checked.sizeBytes });
      terminal.line(messages.publish.written(flags['out'], formatSize(checked.sizeBytes)));
      return exitCodes.done;
    }
    if (flags['dry-run'] === true) {
      terminal.value({ ok: true, dryRun: true, ...subject, zipHash, sizeBytes: checked.sizeBytes, files: checked.files });
      terminal.line(messages.publish.wouldPublish(name, formatSize(checked.sizeBytes), checked.files));
      terminal.line(`${subject.module} ${subject.version} ${zipHash}`);
      return exitCodes.done;
    }
    const answer = await send({ hub, subject, zip, sizeBytes: checked.sizeBytes }, invocation);
    terminal.value({ ok: true, ...answer });
    terminal.line((answer.isNew ? messages.publish.published : messages.publish.present)(name));
    terminal.line(`${answer.module} ${answer.version} ${answer.zipHash}`);
    terminal.line(`${answer.module} ${answer.version}/go.mod ${answer.modHash}`);
    return exitCodes.done;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function sourceFolder({ folder, operands }: Invocation): string {
  return resolve(folder, operands[0] ?? '.');
}

/** @throws {UsageError} */
async function readSubject(invocation: Invocation): Promise<Subject> {
  const { messages, flags, operands } = invocation;
  if (operands.length > 1) throw new UsageError(messages.usage.tooManyArguments(operands.slice(1).join(' ')));
  const path = typeof flags['module'] === 'string' ? flags['module'] : await moduleOf(invocation);
  const module = parseModulePath(path);
  if (!module.ok) throw new UsageError(messages.publish.badModule(path, module.reason));
  const text = String(flags['at']);
  const version = checkPathVersion(module.value, text);
  if (!version.ok) throw new UsageError(messages.publish.badVersion(text, version.reason));
  return { module: module.value, version: version.value };
}

async function moduleOf(invocation: Invocation): Promise<string> {
  const { messages, flags } = invocation;
  if (flags['zip'] !== undefined) throw new UsageError(messages.publish.moduleNeeded);
  const folder = sourceFolder(invocation);
  const file = join(folder, 'go.mod');
  if (
    !(await stat(file).then(
      (found) => found.isFile(),
      () => false,
    ))
  )
    throw new UsageError(messages.publish.noGoMod(folder));
  const goMod = parseGoMod(await doing(`read ${file}`, () => readFile(file, 'utf8')));
  if (!goMod.ok) throw new UsageError(`${file}: ${goMod.reason}`);
  return goMod.value.module;
}

async function send(
  { hub, subject, zip, sizeBytes }: { hub: URL; subject: Subject; zip: string; sizeBytes: number },
  { messages, terminal, env, flags, signal }: Invocation,
): Promise<PublishAnswer> {
  const url = new URL(hub);
  const target = `${PUBLISH_PREFIX}/${escapePath(subject.module)}/@v/${escapeVersion(subject.version)}.zip`;
  url.pathname = `${hub.pathname.replace(/\/$/, '')}${target}`;
  const token = env[typeof flags['token-env'] === 'string' ? flags['token-env'] : TOKEN_VARIABLE] || undefined;
  let sentBytes = 0;
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of createReadStream(zip, { highWaterMark: 256 * 1024 })) {
      yield chunk as Buffer;
      sentBytes += (chunk as Buffer).length;
      terminal.progress(() => messages.publish.sending(formatSize(sentBytes), formatSize(sizeBytes)));
    }
  };
  // Loaded only here: a serving primary stays small.
  const { callHub } = await import('../../net/hub-call.ts');
  const call = { url, method: 'PUT', contentType: 'application/zip', body: { sizeBytes, chunks: chunks() }, token, ...limits } as const;
  await using reply = await callHub(call, signal);
  let text = '';
  for await (const chunk of reply.body) {
    text += chunk.toString('utf8');
    if (text.length > ANSWER_LENGTH_MAX) break;
  }
  const answer = parsePublishAnswer(text);
  if ((reply.status === 200 || reply.status === 201) && answer.ok) return answer.value;
  const problem = parseProblem(text);
  if (!problem.ok || problem.value.detail === '') throw new HubError('origin-unavailable', messages.publish.notAHub(hub.href));
  const { code, detail } = problem.value;
  throw new HubError(knownCode(code) ?? 'policy-denied', detail);
}
