import type { ModulePath } from './module-path.ts';
import type { Version } from './version.ts';

/** A tile as its URL names it. Width 256 is the full tile, whose URL has no `.p/W`. */
export interface TileName {
  readonly level: number | 'data';
  readonly index: number;
  readonly width: number;
}

/** A request of the GOPROXY protocol or of a checksum database below `/sumdb/NAME/`. https://go.dev/ref/mod#goproxy-protocol */
export type ProxyRequest =
  | { readonly kind: 'list'; readonly module: ModulePath }
  | { readonly kind: 'latest'; readonly module: ModulePath }
  | { readonly kind: 'file'; readonly file: 'info' | 'mod' | 'zip'; readonly module: ModulePath; readonly version: Version }
  /** `@v/QUERY.info` where QUERY is no canonical version: a branch, a commit, a version prefix. */
  | { readonly kind: 'query'; readonly module: ModulePath; readonly query: string }
  | { readonly kind: 'sumdb-supported'; readonly database: string }
  | { readonly kind: 'sumdb-latest'; readonly database: string }
  | { readonly kind: 'sumdb-lookup'; readonly database: string; readonly module: ModulePath; readonly version: Version }
  | { readonly kind: 'sumdb-tile'; readonly database: string; readonly tile: TileName };
