import { type SdkRelease, SDK_PATH, formatSdkIndex } from '../protocol/sdk-index.ts';
import { HubError } from '../base/errors.ts';
import type { Executables } from '../hub/executables.ts';
import type { SdkProofs } from '../hub/sdk-proofs.ts';
import { type ListedSdk, type SdkShelf, byRelease } from '../hub/sdk-shelf.ts';
import { type SdkName, formatArchiveName, isStable, languageOf, parseArchiveName } from '../protocol/go-release.ts';
import { formatLogProof } from '../protocol/log-proof.ts';
import type { Exchange } from './exchange.ts';
import { pageHeaders } from './front-page.ts';
import { HTML } from './go-get-page.ts';
import { type Sender, sendServed, sendText, shortLived, TEXT } from './send-answer.ts';
import { sdkPage } from './sdk-page.ts';
import { clientAddress, prefersChinese } from './welcome.ts';

export interface SdkAnswersParts {
  readonly sdks: Pick<SdkShelf, 'list' | 'describe' | 'open'>;
  readonly executables: Pick<Executables, 'list' | 'open'>;
  /** Undefined: nothing is verified here. */
  readonly sdkProofs?: Pick<SdkProofs, 'key' | 'isMirrored' | 'prove'> | undefined;
  readonly publicUrl: string | undefined;
  readonly secure: boolean;
}

export interface SdkQuestion {
  /** Percent-encoded as it was sent; begins with `/dl`. */
  readonly path: string;
  readonly query: string;
  /** False: only what is stored. */
  readonly fill: boolean;
}

const SHA256 = '.sha256';
const PROOF = '.tlog-proof';
/** Below `/dl/`: goyi itself. */
const EXECUTABLES = 'goyi/';
/** As many lines of releases as the Go project supports at a time. */
const SUPPORTED_LINES = 2;

/** Answers below `/dl/`: the list of SDKs for programs and for people, archives, and their SHA-256. */
export class SdkAnswers {
  readonly #parts: SdkAnswersParts;
  readonly #sender: Sender;

  constructor(parts: SdkAnswersParts, sender: Sender) {
    this.#parts = parts;
    this.#sender = sender;
  }

  /** @throws {HubError} not-found for what is no archive, and what the shelf throws */
  async answer(exchange: Exchange, { path, query, fill }: SdkQuestion): Promise<void> {
    const { sdks } = this.#parts;
    const options = { fill, client: exchange.peer };
    const file = path.slice(SDK_PATH.length);
    if (file === '') return this.#list(exchange, new URLSearchParams(query), options);
    if (file.startsWith(EXECUTABLES)) return this.#executable(exchange, file.slice(EXECUTABLES.length));
    const suffix = [SHA256, PROOF].find((ending) => file.endsWith(ending)) ?? '';
    const name = parseArchiveName(file.slice(0, file.length - suffix.length));
    if (!name.ok) throw new HubError('not-found', `no such file here: ${name.reason}`);
    if (suffix === PROOF) return this.#proof(exchange, name.value, options);
    if (suffix === SHA256) {
      const { sha256 } = await sdks.describe(name.value, options, exchange.signal);
      // As the Go project serves it: the digits and nothing else.
      return sendText(this.#sender, exchange, 200, TEXT, sha256, ['Cache-Control', shortLived(exchange)]);
    }
    const served = await sdks.open(name.value, options, exchange.signal);
    if (exchange.isOver) {
      if (served.kind === 'blob') await served.blob[Symbol.asyncDispose]();
      throw new HubError('canceled', 'the client left');
    }
    await sendServed(this.#sender, exchange, served);
  }

  /** Of an archive that was made of a module, that the checksum database has the module. */
  async #proof(exchange: Exchange, name: SdkName, options: { fill: boolean; client: string | undefined }): Promise<void> {
    const { sdks, sdkProofs } = this.#parts;
    const file = formatArchiveName(name);
    if (sdkProofs === undefined) throw new HubError('not-found', `there is no proof of ${file}: this hub verifies nothing (verify: off)`);
    const { origin } = await sdks.describe(name, options, exchange.signal);
    if (origin.kind === 'official')
      throw new HubError(
        'not-found',
        `there is no proof of ${file}: it is the Go project's own archive, which stands in no checksum database`,
      );
    const proof = formatLogProof(await sdkProofs.prove(name, options, exchange.signal));
    sendText(this.#sender, exchange, 200, TEXT, proof, ['Cache-Control', shortLived(exchange)]);
  }

  /** `goyi/` lists names, one a line; `goyi/NAME` and `goyi/NAME.sha256` are as of an SDK. */
  async #executable(exchange: Exchange, file: string): Promise<void> {
    const { executables } = this.#parts;
    const caching = ['Cache-Control', shortLived(exchange)];
    if (file === '') {
      const names = await executables.list();
      return sendText(this.#sender, exchange, 200, TEXT, names.map((name) => `${name}\n`).join(''), caching);
    }
    const isDigest = file.endsWith(SHA256);
    const served = await executables.open(isDigest ? file.slice(0, -SHA256.length) : file, exchange.signal);
    if (!isDigest && !exchange.isOver) return await sendServed(this.#sender, exchange, served);
    await served.blob[Symbol.asyncDispose]();
    if (exchange.isOver) throw new HubError('canceled', 'the client left');
    sendText(this.#sender, exchange, 200, TEXT, served.sha256, caching);
  }

  async #list(exchange: Exchange, query: URLSearchParams, options: { fill: boolean; client: string | undefined }): Promise<void> {
    const isWhole = query.get('include') === 'all';
    const all = byRelease(await this.#parts.sdks.list(options, exchange.signal)).map(releaseOf);
    const releases = isWhole ? all : supported(all);
    if (query.get('mode') === 'json') {
      sendText(this.#sender, exchange, 200, 'application/json', formatSdkIndex(releases), ['Cache-Control', shortLived(exchange)]);
      return;
    }
    const { publicUrl, secure } = this.#parts;
    const { host, 'accept-language': language } = exchange.req.headers;
    const page = sdkPage({ address: clientAddress({ publicUrl, host, secure }), releases, isWhole }, prefersChinese(language));
    const headers = ['Cache-Control', shortLived(exchange), 'Vary', 'Accept-Language, Host', ...pageHeaders];
    sendText(this.#sender, exchange, 200, HTML, page, headers);
  }
}

function releaseOf({ release, sdks }: { readonly release: ListedSdk['name']['release']; readonly sdks: readonly ListedSdk[] }): SdkRelease {
  return {
    version: release,
    stable: isStable(release),
    files: sdks.map(({ name, manifest, official }) => ({
      filename: formatArchiveName(name),
      os: name.os,
      arch: name.arch,
      version: release,
      sha256: manifest?.sha256 ?? official?.sha256 ?? '',
      size: manifest?.sizeBytes ?? official?.sizeBytes ?? 0,
      kind: 'archive',
      origin: manifest?.origin.kind ?? (official === undefined ? 'toolchain-module' : 'official'),
    })),
  };
}

/** The newest release of each of the newest lines. `releases`: the newest first. */
function supported(releases: readonly SdkRelease[]): readonly SdkRelease[] {
  const lines = new Map<string, SdkRelease>();
  for (const release of releases) {
    if (!release.stable) continue;
    const line = languageOf(release.version as ListedSdk['name']['release']);
    if (!lines.has(line) && lines.size < SUPPORTED_LINES) lines.set(line, release);
  }
  return [...lines.values()];
}
