import { chmod, lstat, readFile, readdir, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HubError } from '../../../base/errors.ts';
import { withoutCredentials } from '../../../base/log.ts';
import type { GoSumLine } from '../../../protocol/go-sum.ts';
import { nameOf } from '../../../protocol/main-go-mod.ts';
import { escapePath } from '../../../protocol/module-path.ts';
import { escapeVersion } from '../../../protocol/version.ts';
import type { Facts } from '../facts.ts';
import { type Check, type Finding, type FindingId, type Fix, type Proof, typed } from '../finding.ts';
import type { Examined } from '../module-bench.ts';
import { below } from '../proxy-list.ts';
import { quoted } from '../setting-fix.ts';

/** `checksum mismatch`: of go.sum, module cache, proxy and database, which one differs? */
export const checksums: Check = {
  finds: ['go-sum-wrong', 'go-sum-malformed', 'cache-altered', 'cache-damaged', 'proxy-altered', 'database-differs'],
  async run(facts) {
    const { project } = facts;
    const found: Finding[] = [];
    if (project.goSumFault !== undefined) {
      const file = join(project.folder, 'go.sum');
      found.push({
        id: 'go-sum-malformed',
        subject: file,
        proof: [{ ran: `read ${file}`, got: project.goSumFault }],
        fix: typed('go mod tidy'),
      });
    }
    for (const examined of await facts.modules.examined()) found.push(...judge(examined, facts));
    return found;
  },
};

type Place = 'sum' | 'cache' | 'proxy' | 'database';
type Hashes = Partial<Record<Place, string>>;

function judge(examined: Examined, facts: Facts): readonly Finding[] {
  const { zip, written } = examined.cached;
  const damage = damageOf(examined);
  const kinds: readonly ('zip' | 'mod')[] = ['zip', 'mod'];
  // A zip that is not what its own .ziphash says is damaged, and that it differs from the others as well is no second fault; one that
  // was replaced together with it is altered, and what was unpacked before is none either.
  const isReplaced = zip?.ok === true && zip.value === written;
  const found = kinds.flatMap((kind) => {
    const hashes = hashesOf(examined, kind);
    const id = culprit(hashes);
    if (id === undefined || (id === 'cache-altered' && kind === 'zip' && damage !== undefined && !isReplaced)) return [];
    return [makeFinding({ id, kind, hashes, examined }, facts)];
  });
  const isTold = damage === undefined || (isReplaced && found.some(({ id }) => id === 'cache-altered'));
  return isTold ? found : [...found, damage];
}

function hashesOf({ sumZip, sumMod, cached, asked }: Examined, kind: 'zip' | 'mod'): Hashes {
  const sums = kind === 'zip' ? sumZip : sumMod;
  const record = asked?.record?.ok === true && asked.record.value !== 'absent' ? asked.record.value : undefined;
  const database = kind === 'zip' ? record?.zipHash : record?.modHash;
  // Several lines may name one thing, and each has to agree: the one that does not is what counts.
  const sum = sums.map(({ hash }) => hash).find((hash, _, all) => all.length === 1 || hash !== database) ?? sums[0]?.hash;
  const cache = kind === 'zip' ? (cached.zip?.ok === true ? cached.zip.value : undefined) : cached.goMod;
  const proxy = kind === 'zip' ? asked?.zip : asked?.goMod;
  return { ...(sum && { sum }), ...(cache && { cache }), ...(proxy && { proxy }), ...(database && { database }) };
}

/** The database's word counts most, because it is signed; without it that of go.sum, unless cache and proxy agree against it. */
function culprit({ sum, cache, proxy, database }: Hashes): FindingId | undefined {
  const others = [sum, cache, proxy].filter((hash) => hash !== undefined);
  if (database !== undefined) {
    const wrong = others.filter((hash) => hash !== database);
    if (wrong.length === 0) return undefined;
    if (others.length > 1 && wrong.length === others.length && new Set(wrong).size === 1) return 'database-differs';
    if (sum !== undefined && sum !== database) return 'go-sum-wrong';
    return cache !== undefined && cache !== database ? 'cache-altered' : 'proxy-altered';
  }
  if (sum === undefined || others.every((hash) => hash === sum)) return undefined;
  if (cache !== undefined && cache === proxy) return 'go-sum-wrong';
  return cache !== undefined && cache !== sum ? 'cache-altered' : 'proxy-altered';
}

interface Case {
  readonly id: FindingId;
  readonly kind: 'zip' | 'mod';
  readonly hashes: Hashes;
  readonly examined: Examined;
}

function makeFinding({ id, kind, hashes, examined }: Case, facts: Facts): Finding {
  const { module, cached, asked, sumZip, sumMod } = examined;
  const name = nameOf(module);
  const extension = kind === 'zip' ? '.zip' : '.mod';
  const rest = `${escapePath(module.path)}/@v/${escapeVersion(module.version)}${extension}`;
  const url = asked?.end.kind === 'found' ? withoutCredentials(below(asked.end.base, rest).href) : '';
  const line = (kind === 'zip' ? sumZip : sumMod).find(({ hash }) => hash === hashes.sum);
  const ran: Readonly<Record<Place, string>> = {
    sum: `go.sum:${line?.line ?? 0}`,
    cache: `${cached.files}${extension}`,
    proxy: `GET ${url}`,
    database: `GOSUMDB ${name}${kind === 'mod' ? '/go.mod' : ''}`,
  };
  const proof: Proof[] = (['sum', 'cache', 'proxy', 'database'] as const).flatMap((place) => {
    const got = hashes[place];
    return got === undefined ? [] : [{ ran: ran[place], got }];
  });
  return { id, subject: `${name}${kind === 'mod' ? '/go.mod' : ''}`, proof, fix: fixOf({ id, kind, hashes, examined }, line, facts) };
}

function fixOf({ id, kind, hashes, examined }: Case, line: GoSumLine | undefined, { project }: Facts): Fix {
  const name = nameOf(examined.module);
  if (id === 'cache-altered') return forgetFix(examined);
  if (id === 'go-sum-wrong' && line !== undefined && hashes.database !== undefined) {
    const file = join(project.folder, 'go.sum');
    const old = `${line.path} ${line.version}${kind === 'mod' ? '/go.mod' : ''} ${line.hash ?? ''}`;
    const proved = `${line.path} ${line.version}${kind === 'mod' ? '/go.mod' : ''} ${hashes.database}`;
    return {
      lines: [`# go.sum:${line.line}: ${proved}`],
      undo: [`# go.sum:${line.line}: ${old}`],
      apply: () => replaceLine(file, line.line, old, proved),
    };
  }
  if (id === 'go-sum-wrong') return typed(`# go.sum:${line?.line ?? 0}`, `go mod download ${name}`);
  if (id === 'proxy-altered') return typed(`GOPROXY=… go mod download ${name}`);
  return typed(`go mod download -x ${name}`);
}

/** Nothing but the one line is written, and only if it still says what was read. */
async function replaceLine(file: string, number: number, old: string, proved: string): Promise<void> {
  const lines = (await readFile(file, 'utf8')).split('\n');
  const at = number - 1;
  if (
    lines[at]
      ?.trim()
      .split(/[ \t]+/)
      .join(' ') !== old
  )
    throw new HubError('conflict', `${file} was changed meanwhile`);
  // Two equal lines would stand there, where the right one was there as well.
  if (lines.includes(proved)) lines.splice(at, 1);
  else lines[at] = proved;
  // Beside it and then in its place: whoever is interrupted has the old file or the new one.
  const place = await realpath(file);
  const beside = `${place}.goyi-${process.pid}`;
  await writeFile(beside, lines.join('\n'), { mode: (await stat(place)).mode });
  await rename(beside, place);
}

/** What `go mod verify` finds: a zip, or an unpacked folder, that is not what was put there. */
function damageOf(examined: Examined): Finding | undefined {
  const { module, cached, sumZip } = examined;
  const { zip, written, unpacked } = cached;
  const proof: Proof[] = [];
  const right = written ?? sumZip[0]?.hash;
  if (zip !== undefined && !zip.ok) proof.push({ ran: `${cached.files}.zip`, got: zip.reason });
  else if (zip !== undefined && written !== undefined && zip.value !== written) proof.push({ ran: `${cached.files}.zip`, got: zip.value });
  if (unpacked !== undefined && right !== undefined && unpacked !== right && (zip === undefined || !zip.ok || unpacked !== zip.value))
    proof.push({ ran: cached.folder, got: unpacked });
  if (proof.length === 0) return undefined;
  if (written !== undefined) proof.push({ ran: `${cached.files}.ziphash`, got: written });
  return { id: 'cache-damaged', subject: nameOf(module), proof, fix: forgetFix(examined) };
}

/** Takes one module version out of the cache: the go command fetches and checks it again. */
function forgetFix({ module, cached }: Examined): Fix {
  const files = ['.zip', '.ziphash', '.mod', '.lock'].map((extension) => `${cached.files}${extension}`);
  return {
    lines: [
      ...(cached.unpacked === undefined ? [] : [`chmod -R u+w ${quoted(cached.folder)}`]),
      `rm -rf ${[cached.folder, ...files].map(quoted).join(' ')}`,
    ],
    undo: [`go mod download ${nameOf(module)}`],
    apply: async () => {
      await makeWritable(cached.folder);
      await rm(cached.folder, { recursive: true, force: true });
      for (const file of files) await rm(file, { force: true });
    },
  };
}

/** The go command takes the right to write from every folder. */
async function makeWritable(folder: string): Promise<void> {
  if ((await lstat(folder).catch(() => undefined))?.isDirectory() !== true) return;
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) if (entry.isDirectory()) await makeWritable(join(folder, entry.name));
}
