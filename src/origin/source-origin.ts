/** A place of source code behind the face of an upstream: what the hub fills from asks for files, a {@link ModuleSource} makes them. */
import { codeOf, HubError, messageOf } from '../base/errors.ts';
import { unreachable } from '../base/invariant.ts';
import { type ProxyRequest, parseProxyRequest } from '../protocol/proxy-request.ts';
import { formatVersionList } from '../protocol/version-list.ts';
import type { ModuleOrigin, OriginAnswer, OriginBody, OriginRequest } from './module-origin.ts';
import type { ModuleSource, SourceVersion } from './module-source.ts';

/** `name` is what answers give as their origin. One failure is final: there is no second place to ask. */
export function createSourceOrigin(source: ModuleSource, name: string): ModuleOrigin {
  let lastFault: string | undefined;
  return {
    async fetch<T>(
      request: OriginRequest,
      consume: (body: OriginBody, origin: string, signal: AbortSignal) => Promise<T>,
      signal: AbortSignal,
    ): Promise<OriginAnswer<T>> {
      const parsedRequest = parseProxyRequest(`/${request.resource.split('/').map(encodeURIComponent).join('/')}`, []);
      if (!parsedRequest.ok) return { kind: 'absent', reason: parsedRequest.reason };
      let body: OriginBody;
      try {
        body = bounded(await make(source, parsedRequest.value, request, signal), request);
        lastFault = undefined;
      } catch (error) {
        if (codeOf(error) === 'not-found') return { kind: 'absent', reason: messageOf(error) };
        if (!signal.aborted) lastFault = messageOf(error);
        throw error;
      }
      return { kind: 'found', value: await consume(body, name, signal), origin: name };
    },
    states: () => [{ name, breaker: 'closed', latencyMs: undefined, concurrencyLimit: 0, lastFault }],
  };
}

/** As the go command writes `.info` files into its module cache. */
export function formatSourceInfo({ version, time, origin }: SourceVersion): string {
  const { vcs, url, subdir, hash, ref } = origin;
  // A key whose value is undefined is left out.
  return JSON.stringify({ Version: version, Time: time, Origin: { VCS: vcs, URL: url, Subdir: subdir, Hash: hash, Ref: ref } });
}

type Made = Buffer | AsyncIterable<Uint8Array>;

async function make(
  whole: ModuleSource,
  request: ProxyRequest,
  { commit, current, ...urgency }: OriginRequest,
  signal: AbortSignal,
): Promise<Made> {
  const source = whole.urged(urgency);
  const files = commit === undefined ? source : source.pinned(commit);
  switch (request.kind) {
    case 'list':
      return Buffer.from(formatVersionList(await source.versions(request.module, signal)));
    case 'latest':
      return Buffer.from(formatSourceInfo(await source.resolve(request.module, 'latest', signal)));
    case 'query':
      return Buffer.from(formatSourceInfo(await source.resolve(request.module, request.query, signal)));
    case 'file':
      if (request.file === 'mod') return files.goMod(request.module, request.version, signal);
      if (request.file === 'zip') return files.zip(request.module, request.version, signal);
      return Buffer.from(formatSourceInfo(await source[current === true ? 'current' : 'resolve'](request.module, request.version, signal)));
    case 'sumdb-supported':
    case 'sumdb-latest':
    case 'sumdb-lookup':
    case 'sumdb-tile':
      throw new HubError('not-found', 'a place of source code has no checksum database');
    default:
      return unreachable(request);
  }
}

function bounded(made: Made, { resource, sizeMaxBytes }: OriginRequest): OriginBody {
  const tooLarge = (): HubError => new HubError('upstream-invalid', `${resource} is larger than ${sizeMaxBytes} bytes`);
  if (made instanceof Uint8Array && made.length > sizeMaxBytes) throw tooLarge();
  const iterate = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    if (made instanceof Uint8Array) {
      if (made.length > 0) yield made;
      return;
    }
    let sizeBytes = 0;
    for await (const chunk of made) {
      sizeBytes += chunk.length;
      if (sizeBytes > sizeMaxBytes) throw tooLarge();
      yield chunk;
    }
  };
  return { sizeBytes: made instanceof Uint8Array ? made.length : undefined, [Symbol.asyncIterator]: iterate };
}
