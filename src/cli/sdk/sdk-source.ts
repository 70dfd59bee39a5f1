import { copyFile, readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SDK_PATH, parseSdkIndex } from '../../protocol/sdk-index.ts';
import { codeOf, HubError, messageOf } from '../../base/errors.ts';
import { withoutCredentials } from '../../base/log.ts';
import type { OutboundClient } from '../../net/outbound-client.ts';
import { TOOLCHAIN_MODULE, type SdkName, formatArchiveName, parseArchiveName, toolchainVersion } from '../../protocol/go-release.ts';
import { type LogProof, parseLogProof } from '../../protocol/log-proof.ts';
import type { VerifierKey } from '../../protocol/note.ts';
import type { OpenLog } from '../backends.ts';
import { doing } from '../name-index.ts';
import { digestOf, download, fetchText } from './sdk-download.ts';

/** An archive as its source announces it. */
export interface OfferedSdk {
  readonly name: SdkName;
  readonly origin: 'toolchain-module' | 'official';
  /** '' while it is not known. */
  readonly sha256: string;
  /** 0 while it is not known. */
  readonly sizeBytes: number;
}

/** Where SDKs are had from. Nothing that it says is believed of an archive with a proof. */
export interface SdkSource extends AsyncDisposable {
  /** For messages. */
  readonly shown: string;
  /** @throws {HubError} what the source says */
  list(signal: AbortSignal): Promise<readonly OfferedSdk[]>;
  /** 64 hex digits; the source may take minutes to find out. */
  digest(sdk: OfferedSdk, signal: AbortSignal): Promise<string>;
  /** Puts the archive, with that digest, at `path`; goes on with what lies there. @throws {HubError} as {@link download} */
  fetch(
    sdk: OfferedSdk,
    to: { readonly path: string; readonly sha256: string; readonly onBytes: (received: number, total: number | undefined) => void },
    signal: AbortSignal,
  ): Promise<void>;
  /** That a checksum database has the module of which the archive was made. Nothing of it is checked yet. */
  proof(sdk: OfferedSdk, signal: AbortSignal): Promise<LogProof>;
}

const PROOF = '.tlog-proof';
const DIGEST = '.sha256';

export interface HubSourceParts {
  readonly hub: URL;
  readonly client: OutboundClient;
  readonly key: VerifierKey;
  /** Of the database that the key is of. */
  readonly openLog: () => Promise<OpenLog>;
}

/** A hub, or whatever else answers in the form of golang.google.cn/dl. */
export class HubSource implements SdkSource {
  readonly shown: string;
  readonly #parts: HubSourceParts;

  constructor(parts: HubSourceParts) {
    this.#parts = parts;
    this.shown = withoutCredentials(parts.hub.href).replace(/\/$/, '');
  }

  async list(signal: AbortSignal): Promise<readonly OfferedSdk[]> {
    const url = this.#url('');
    url.search = '?mode=json&include=all';
    const text = await fetchText(this.#parts.client, url, signal).catch((error: unknown) => {
      if (codeOf(error) !== 'not-found' && codeOf(error) !== 'bad-request') throw error;
      throw new HubError(
        'not-found',
        `${this.shown} has no list of SDKs, so it is no hub with SDKs: name one by --hub (${messageOf(error)})`,
      );
    });
    const index = parseSdkIndex(text);
    if (!index.ok)
      throw new HubError(
        'upstream-invalid',
        `${this.shown} has no list of SDKs, so it is no hub with SDKs: name one by --hub (${index.reason})`,
      );
    return index.value.flatMap(({ files }) =>
      files.flatMap(({ filename, kind, sha256, size, origin = 'official' }) => {
        const name = parseArchiveName(filename);
        return name.ok && kind === 'archive' ? [{ name: name.value, origin, sha256, sizeBytes: size }] : [];
      }),
    );
  }

  async digest({ name, sha256 }: OfferedSdk, signal: AbortSignal): Promise<string> {
    if (sha256 !== '') return sha256;
    const file = formatArchiveName(name);
    const text = (await fetchText(this.#parts.client, this.#url(`${file}${DIGEST}`), signal)).trim();
    if (!/^[0-9a-f]{64}$/.test(text)) throw new HubError('upstream-invalid', `${this.shown} answers no SHA-256 of ${file}`);
    return text;
  }

  fetch(sdk: OfferedSdk, to: Parameters<SdkSource['fetch']>[1], signal: AbortSignal): Promise<void> {
    return download({ client: this.#parts.client, url: this.#url(formatArchiveName(sdk.name)), ...to }, signal);
  }

  async proof({ name }: OfferedSdk, signal: AbortSignal): Promise<LogProof> {
    await using log = await this.#parts.openLog();
    // Loaded only here: most commands prove nothing.
    const { proveRecord } = await import('../../hub/prove-record.ts');
    const wanted = { module: TOOLCHAIN_MODULE, version: toolchainVersion(name) };
    return await proveRecord({ reader: log.reader, key: this.#parts.key, ...wanted }, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.client[Symbol.asyncDispose]();
  }

  #url(file: string): URL {
    const url = new URL(this.#parts.hub);
    url.pathname = `${url.pathname.replace(/\/$/, '')}${SDK_PATH}${file}`;
    return url;
  }
}

/** A folder that `goyi sdk bundle` has filled: archives, each with a proof beside it. */
export class FolderSource implements SdkSource {
  readonly shown: string;
  readonly #only: SdkName | undefined;

  /** `only`: of all archives there, this one alone. */
  constructor(folder: string, only?: SdkName) {
    this.shown = folder;
    this.#only = only;
  }

  async list(): Promise<readonly OfferedSdk[]> {
    const files = await doing(`read ${this.shown}`, () => readdir(this.shown));
    const offered: OfferedSdk[] = [];
    for (const file of files) {
      const name = parseArchiveName(file);
      if (!name.ok || (this.#only !== undefined && formatArchiveName(this.#only) !== file)) continue;
      const { size } = await doing(`read ${file}`, () => stat(join(this.shown, file)));
      const origin = files.includes(`${file}${PROOF}`) ? 'toolchain-module' : 'official';
      offered.push({ name: name.value, origin, sha256: '', sizeBytes: size });
    }
    return offered;
  }

  /** Of the file beside it, else of the archive itself: what is in it is proved anyway. */
  async digest({ name }: OfferedSdk, signal: AbortSignal): Promise<string> {
    const path = join(this.shown, formatArchiveName(name));
    const written = await readFile(`${path}${DIGEST}`, 'utf8').catch(() => '');
    return /^([0-9a-f]{64})\b/.exec(written)?.[1] ?? (await digestOf(path, signal));
  }

  async fetch({ name }: OfferedSdk, { path, sha256, onBytes }: Parameters<SdkSource['fetch']>[1], signal: AbortSignal): Promise<void> {
    const from = join(this.shown, formatArchiveName(name));
    await doing(`copy ${from}`, () => copyFile(from, path));
    const found = await digestOf(path, signal);
    if (found !== sha256) throw new HubError('checksum-mismatch', `${from} has SHA-256 ${found} where ${sha256} was promised`);
    const { size } = await stat(path);
    onBytes(size, size);
  }

  async proof({ name }: OfferedSdk): Promise<LogProof> {
    const path = join(this.shown, `${formatArchiveName(name)}${PROOF}`);
    const proof = parseLogProof(await doing(`read ${path}`, () => readFile(path)));
    if (!proof.ok) throw new HubError('log-invalid', `${path}: ${proof.reason}`);
    return proof.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Names beside an archive in a bundle. */
export const besides: { readonly proof: string; readonly digest: string } = { proof: PROOF, digest: DIGEST };
