import { formatPublishAnswer, PUBLISH_PREFIX } from '../api/publish.ts';
import { HubError } from '../base/errors.ts';
import type { Published } from '../hub/publish.ts';
import type { Station } from '../hub/station.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import { parseProxyRequest } from '../protocol/proxy-request.ts';
import type { Version } from '../protocol/version.ts';
import type { Exchange } from './exchange.ts';
import { bodyOf } from './request-body.ts';

/** Of one worker at once; each has a file in staging. */
const RUNS_MAX = 8;
const TIMES = { idleMs: 30_000, totalMs: 600_000 };

export interface PublishSubject {
  readonly module: ModulePath;
  readonly version: Version;
}

/** What the path of a call names, by the same parser as every request for a module. @throws {HubError} bad-request, not-found */
export function publishSubject(path: string): PublishSubject {
  const request = parseProxyRequest(path.slice(PUBLISH_PREFIX.length), []);
  if (!request.ok) throw new HubError(request.status === 'malformed' ? 'bad-request' : 'not-found', request.reason);
  if (request.value.kind !== 'file' || request.value.file !== 'zip')
    throw new HubError('not-found', `a module is published at ${PUBLISH_PREFIX}/MODULE/@v/VERSION.zip, with a canonical version`);
  const { module, version } = request.value;
  return { module, version };
}

/** Answers `PUT /api/v1/modules/…`. One for a server. */
export class PublishAnswers {
  readonly #station: Pick<Station, 'publish'>;
  #running = 0;

  constructor(station: Pick<Station, 'publish'>) {
    this.#station = station;
  }

  /** The caller has found that this client may. @throws {HubError} as {@link Station.publish} */
  async answer(
    exchange: Exchange,
    { module, version }: PublishSubject,
    by: string,
  ): Promise<{ readonly status: 200 | 201; readonly body: string }> {
    if (this.#running >= RUNS_MAX)
      throw new HubError('overloaded', `${RUNS_MAX} modules are being published already: try again in a while`);
    this.#running += 1;
    try {
      const length = exchange.req.headers['content-length'];
      const sizeBytes = length === undefined ? undefined : Number(length);
      const zip = { sizeBytes, [Symbol.asyncIterator]: () => bodyOf(exchange, TIMES) };
      const published: Published = await this.#station.publish({ module, version, zip, by }, exchange.signal);
      return { status: published.isNew ? 201 : 200, body: formatPublishAnswer({ module, version, ...published }) };
    } finally {
      this.#running -= 1;
    }
  }
}
