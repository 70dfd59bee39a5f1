/**
 * `PUT /api/v1/modules/MODULE/@v/VERSION.zip`: takes in a version of a private module that lives in no repository. The body is the module zip, path and
 * version are escaped as in the GOPROXY protocol. 201: it is here now; 200: the very same was here already; 409: other content is.
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { parseHash } from '../protocol/dirhash.ts';

export const PUBLISH_PREFIX = '/api/v1/modules';

export interface PublishAnswer {
  readonly module: string;
  readonly version: string;
  /** `h1:…` of the zip, as in a go.sum. */
  readonly zipHash: string;
  readonly modHash: string;
  /** False when the very same was here already. */
  readonly isNew: boolean;
}

export function formatPublishAnswer(answer: PublishAnswer): string {
  return `${JSON.stringify(answer)}\n`;
}

export function parsePublishAnswer(text: string): Parsed<PublishAnswer> {
  try {
    const answer = JSON.parse(text) as Partial<Record<keyof PublishAnswer, unknown>> | null;
    const { module, version, zipHash, modHash, isNew } = answer ?? {};
    const isSound = typeof module === 'string' && typeof version === 'string' && typeof isNew === 'boolean';
    if (isSound && isHash(zipHash) && isHash(modHash)) return parsed({ module, version, zipHash, modHash, isNew });
  } catch {
    // Said below.
  }
  return refused('this is no answer of a hub to a published module');
}

function isHash(value: unknown): value is string {
  return typeof value === 'string' && parseHash(value).ok;
}
