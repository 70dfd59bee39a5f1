import type { Branded } from './brand.ts';

/**
 * Where bytes lie below the data folder or the bucket's prefix, in the layout of GOPROXY, e.g. `modules/rsc.io/quote/@v/v1.5.2.zip`.
 * Slash-separated, relative, no empty, `.` or `..` element. Made from checked names only: see `protocol/layout.ts`.
 */
export type BlobKey = Branded<string, 'BlobKey'>;
