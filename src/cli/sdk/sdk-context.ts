import { join, resolve } from 'node:path';
import { HubError } from '../../base/errors.ts';
import { withoutCredentials } from '../../base/log.ts';
import { parseChecksumDatabaseEntry } from '../../protocol/checksum-database-entry.ts';
import { type GoPlatform, type SdkName, languageOf, nearestReleases, parsePlatform } from '../../protocol/go-release.ts';
import { type FlagSpec, type Invocation, UsageError } from '../command.ts';
import type { HubConfig } from '../config/hub-config.ts';
import { TOKEN_VARIABLE } from '../config/overrides.ts';
import { goSetting } from '../go-env.ts';
import { listeningAt, parseHubAddress } from '../hub-address.ts';
import { type InstalledSdk, SdkFolder, releasesFor, samePlatform } from './sdk-folder.ts';
import {
  type ProjectRelease,
  type SdkQuery,
  chooseRelease,
  findProjectRelease,
  formatSdkQuery,
  parseSdkQuery,
  platformOf,
} from './sdk-query.ts';
import { HubSource, type OfferedSdk } from './sdk-source.ts';

export const rootFlag: FlagSpec = { flag: '--root <folder>', describe: (m) => m.sdk.help.root };
export const hubFlag: FlagSpec = { flag: '--hub <url>', describe: (m) => m.sdk.help.hub };
export const tokenFlag: FlagSpec = { flag: '--token-env <name>', describe: (m) => m.sdk.help.tokenEnv };
export const dryRunFlag: FlagSpec = { flag: '--dry-run', describe: (m) => m.sdk.help.dryRun };
export const quietFlag: FlagSpec = { flag: '--quiet', describe: (m) => m.sdk.help.quiet };
export const platformsFlag: FlagSpec = { flag: '--platform <list>', describe: (m) => m.sdk.help.platforms };

export function nameOf({ release, os, arch }: SdkName): string {
  return `${release}.${os}-${arch}`;
}

/** @throws {UsageError} */
export function sdkFolderOf({ flags, folder, env, messages }: Invocation): SdkFolder {
  const { root } = flags;
  if (typeof root === 'string') return new SdkFolder(resolve(folder, root));
  const home = env['HOME'] || env['USERPROFILE'];
  if (home === undefined || home === '') throw new UsageError(messages.sdk.noHome);
  return new SdkFolder(join(home, '.goyi', 'sdk'));
}

export const hostPlatform: GoPlatform = platformOf(process);

/** @throws {UsageError} */
export function platformsOf({ flags, messages }: Invocation): readonly GoPlatform[] {
  const list = flags['platform'];
  if (typeof list !== 'string') return [hostPlatform];
  return list.split(',').map((text) => {
    const platform = parsePlatform(text.trim().replace('/', '-'));
    if (!platform.ok) throw new UsageError(messages.sdk.badPlatform(text));
    return platform.value;
  });
}

/** A release that was asked for, and the file that asks for it when nobody typed it. */
export type Wanted = Partial<Pick<ProjectRelease, 'file'>> & Pick<ProjectRelease, 'query'>;

/** @throws {UsageError} */
export function parseWanted(text: string, { messages }: Pick<Invocation, 'messages'>): SdkQuery {
  const query = parseSdkQuery(text);
  if (!query.ok) throw new UsageError(messages.sdk.badVersion(text, query.reason));
  return query.value;
}

/** What was typed, else what the project says. @throws {UsageError} */
export async function wantedOf(text: string | undefined, invocation: Invocation): Promise<Wanted> {
  if (text !== undefined) return { query: parseWanted(text, invocation) };
  const project = await findProjectRelease(invocation.folder);
  if (project === undefined) throw new UsageError(invocation.messages.sdk.noProject);
  return project;
}

/** The installed SDK for this machine that is meant: what was typed, else what the project says, else the default. @throws {HubError} not-found; {UsageError} */
export async function installedFor(
  text: string | undefined,
  invocation: Invocation,
): Promise<{ readonly sdk: InstalledSdk; readonly file: string | undefined }> {
  const folder = sdkFolderOf(invocation);
  const project = text === undefined ? await findProjectRelease(invocation.folder) : undefined;
  const current = text === undefined && project === undefined ? await folder.current() : undefined;
  if (current !== undefined) return { sdk: current, file: undefined };
  const wanted = project ?? (await wantedOf(text, invocation));
  return { sdk: await installedOf(wanted.query, invocation), file: wanted.file };
}

/** @throws {HubError} not-found, with what is installed */
export async function installedOf(query: SdkQuery, invocation: Invocation): Promise<InstalledSdk> {
  const folder = sdkFolderOf(invocation);
  const installed = await folder.installed();
  const release = chooseRelease(query, releasesFor(installed, hostPlatform));
  const sdk = installed.find(({ name }) => name.release === release && samePlatform(name, hostPlatform));
  if (sdk !== undefined) return sdk;
  const there = releasesFor(installed, hostPlatform).slice(0, 8).join(', ');
  throw new HubError('not-found', invocation.messages.sdk.notInstalled(formatSdkQuery(query).replace(/^go/, ''), there));
}

/** @throws {HubError} not-found, with the nearest that there are */
export function chooseOffered(
  query: SdkQuery,
  platform: GoPlatform,
  { offered, messages }: { readonly offered: readonly OfferedSdk[] } & Pick<Invocation, 'messages'>,
): OfferedSdk {
  const forPlatform = offered.filter(({ name }) => samePlatform(name, platform));
  const releases = forPlatform.map(({ name }) => name.release);
  const release = chooseRelease(query, releases);
  const found = forPlatform.find(({ name }) => name.release === release);
  if (found !== undefined) return found;
  const { sdk } = messages;
  const [wanted, shown] = [formatSdkQuery(query), `${platform.os}-${platform.arch}`];
  const isMeant = ({ name }: OfferedSdk): boolean =>
    query.kind === 'exact' ? name.release === query.release : query.kind === 'language' && languageOf(name.release) === query.language;
  const others = [...new Set(offered.filter(isMeant).map(({ name }) => `${name.os}-${name.arch}`))].slice(0, 8);
  if (others.length > 0) throw new HubError('not-found', sdk.otherPlatforms(wanted, shown, others.join(', ')));
  const nearest = nearestReleases(wanted, releases).join(', ');
  throw new HubError('not-found', nearest === '' ? sdk.unknownAlone(wanted, shown) : sdk.unknown(wanted, shown, nearest));
}

/** The hub of this machine. Whoever gets it disposes of it. @throws {UsageError}, {HubError} config-invalid */
export async function openHubSource(config: HubConfig, invocation: Invocation): Promise<HubSource> {
  const { backends, env, flags } = invocation;
  const token = env[typeof flags['token-env'] === 'string' ? flags['token-env'] : TOKEN_VARIABLE] || undefined;
  const hub = await hubOf(config, invocation);
  const entry = await databaseOf(invocation);
  const client = await backends.openClient(config, hub, token);
  const { key } = entry;
  const sumdb = new URL(entry.url ?? hub.href);
  if (entry.url === undefined) sumdb.pathname = `${hub.pathname.replace(/\/$/, '')}/sumdb/${entry.name}`;
  return new HubSource({
    hub,
    client,
    key,
    openLog: () => backends.openLog(config, sumdb, sumdb.origin === hub.origin ? token : undefined),
  });
}

/** By what archives made of modules are proved: GOSUMDB, as the go command has it, which never goes without for toolchains. @throws {UsageError} */
export async function databaseOf({
  env,
  messages,
}: Invocation): Promise<Extract<ReturnType<typeof parseChecksumDatabaseEntry>, { ok: true }>['value']> {
  const text = await goSetting(env, 'GOSUMDB');
  const entry = parseChecksumDatabaseEntry(text === '' || text === 'off' ? 'sum.golang.org' : text);
  if (!entry.ok) throw new UsageError(messages.sdk.failed('GOSUMDB', entry.reason));
  return entry.value;
}

async function hubOf(config: HubConfig, { flags, env, messages }: Invocation): Promise<URL> {
  const { hub } = flags;
  if (typeof hub === 'string') {
    const url = parseHubAddress(hub);
    if (url === undefined) throw new UsageError(messages.sdk.badHub(hub));
    return url;
  }
  return firstProxy(await goSetting(env, 'GOPROXY')) ?? listeningAt(config);
}

/** The first address in a GOPROXY, as the go command reads it: `https://` may be left out, and a password goes over https alone. */
export function firstProxy(text: string): URL | undefined {
  for (const entry of text.split(/[,|]/).map((part) => part.trim())) {
    if (entry === 'direct' || entry === 'off') return undefined;
    const address = entry.includes('://') ? entry : `https://${entry}`;
    const url = URL.canParse(address) ? new URL(address) : undefined;
    if (url === undefined || (url.username !== '' && url.protocol !== 'https:')) continue;
    if (parseHubAddress(withoutCredentials(url.href)) !== undefined && url.search === '' && url.hash === '') return url;
  }
  return undefined;
}
