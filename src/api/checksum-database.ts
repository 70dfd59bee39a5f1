/** `GET /api/v1/checksum-database`: which checksum database the hub signs itself, in the words that clients set. All of it is public. */
export const CHECKSUM_DATABASE_PATH = '/api/v1/checksum-database';

export interface OwnDatabaseFacts {
  /** Reads `host[/path]`. */
  readonly name: string;
  /** `NAME+HASH+KEY`. */
  readonly verifierKey: string;
  /** Which modules have a record. */
  readonly sign: 'all' | 'private';
}

/** The database that clients are told to use, and former ones that still answer. */
export interface OwnDatabaseSet extends OwnDatabaseFacts {
  readonly former: readonly OwnDatabaseFacts[];
}

export interface OwnDatabaseAnswer extends OwnDatabaseFacts {
  /** The line for clients that reach the database through their GOPROXY. */
  readonly gosumdb: string;
  /** The same for clients that ask at this address, whatever their GOPROXY is. */
  readonly gosumdbWithUrl: string;
  readonly former: readonly (OwnDatabaseFacts & { readonly gosumdb: string })[];
}

/** `hubUrl` has no slash at the end. */
export function ownDatabaseAnswer(own: OwnDatabaseSet, hubUrl: string): OwnDatabaseAnswer {
  const gosumdbWithUrl = formatGoSumDb(own.verifierKey, ownDatabaseUrl(hubUrl, own.name));
  return { ...withLine(own), gosumdbWithUrl, former: own.former.map(withLine) };
}

function withLine({ name, verifierKey, sign }: OwnDatabaseFacts): OwnDatabaseFacts & { readonly gosumdb: string } {
  return { name, verifierKey, sign, gosumdb: formatGoSumDb(verifierKey) };
}

/** `GOSUMDB=NAME+HASH+KEY`; with an address `GOSUMDB="NAME+HASH+KEY URL"`, quoted because of the space. */
export function formatGoSumDb(verifierKey: string, url?: string): string {
  return url === undefined ? `GOSUMDB=${verifierKey}` : `GOSUMDB="${verifierKey} ${url}"`;
}

/** Where a database answers below the address of its hub, which has no slash at the end. */
export function ownDatabaseUrl(hubUrl: string, name: string): string {
  return `${hubUrl}/sumdb/${name}`;
}

export function formatOwnDatabaseAnswer(answer: OwnDatabaseAnswer): string {
  return `${JSON.stringify(answer, undefined, 2)}\n`;
}
