import { codeOf } from '../base/errors.ts';
import type { LogAnswer, LogReader } from '../origin/log-reader.ts';
import { type SdkName, TOOLCHAIN_MODULE, formatArchiveName, toolchainVersion } from '../protocol/go-release.ts';
import type { LogProof } from '../protocol/log-proof.ts';
import { parseModulePath } from '../protocol/module-path.ts';
import type { VerifierKey } from '../protocol/note.ts';
import type { ProxyRequest } from '../protocol/proxy-request.ts';
import { checkPathVersion } from '../protocol/version.ts';
import { boundedCache } from './bounded-cache.ts';
import { proveRecord } from './prove-record.ts';
import type { AnswerOptions, Station } from './station.ts';
import { chunksOf } from './stored-files.ts';

export interface SdkProofsParts {
  readonly station: Pick<Station, 'answer'>;
  /** Of the database that proves what this hub serves. */
  readonly key: VerifierKey;
  /** Whether this hub may have archives besides, which no database knows. */
  readonly isMirrored: boolean;
}

/** A few KiB each. */
const PROOFS_KEPT_MAX = 200;

/** Proofs that the checksum database has the modules of which archives of Go are made, for who has nothing but the database's key. */
export class SdkProofs {
  readonly key: VerifierKey;
  readonly isMirrored: boolean;
  readonly #station: SdkProofsParts['station'];
  /** A proof holds for ever. */
  readonly #proofs = boundedCache<string, LogProof>(PROOFS_KEPT_MAX);

  constructor({ station, key, isMirrored }: SdkProofsParts) {
    this.#station = station;
    this.key = key;
    this.isMirrored = isMirrored;
  }

  /** @throws {HubError} not-found when there is no record, and as {@link Station.answer} */
  async prove(name: SdkName, options: AnswerOptions, signal: AbortSignal): Promise<LogProof> {
    const file = formatArchiveName(name);
    const known = this.#proofs.get(file);
    if (known !== undefined) return known;
    const reader = readerThrough(this.#station, this.key.name, options);
    const proof = await proveRecord({ reader, key: this.key, module: TOOLCHAIN_MODULE, version: toolchainVersion(name) }, signal);
    this.#proofs.set(file, proof);
    return proof;
  }
}

/** The log as this hub relays it to its clients. */
function readerThrough(station: SdkProofsParts['station'], database: string, options: AnswerOptions): LogReader {
  const ask = async (request: ProxyRequest, signal: AbortSignal): Promise<LogAnswer> => {
    try {
      const served = await station.answer(request, options, signal);
      if (served.kind === 'bytes') return { kind: 'found', bytes: served.bytes };
      await using blob = served.blob;
      const chunks: Buffer[] = [];
      for await (const chunk of chunksOf(blob)) chunks.push(Buffer.from(chunk));
      return { kind: 'found', bytes: Buffer.concat(chunks) };
    } catch (error) {
      if (codeOf(error) !== 'not-found') throw error;
      return { kind: 'absent' };
    }
  };
  return {
    origin: database,
    latest: (signal) => ask({ kind: 'sumdb-latest', database }, signal),
    tile: (tile, signal) => ask({ kind: 'sumdb-tile', database, tile }, signal),
    lookup: async (modulePath, versionText, signal) => {
      const module = parseModulePath(modulePath);
      if (!module.ok) return { kind: 'absent' };
      const version = checkPathVersion(module.value, versionText);
      return version.ok
        ? ask({ kind: 'sumdb-lookup', database, module: module.value, version: version.value }, signal)
        : { kind: 'absent' };
    },
  };
}
