import type { HookKind } from '../../hub/tag-event.ts';

/** Where public modules come from, in order. */
export type UpstreamsConfig =
  /** Nothing configured: the well-known mirror, then what this machine's own Go is set to (design: default upstreams). */
  | { readonly kind: 'default' }
  /** `off`: nothing is fetched; only what is stored is served. */
  | { readonly kind: 'off' }
  | { readonly kind: 'list'; readonly entries: readonly UpstreamEntry[] };

export type UpstreamEntry =
  /** An `http:` or `https:` address without query, fragment and trailing slash; `https:` may carry user and password. */
  | { readonly kind: 'url'; readonly url: string }
  /** Accepted and said plainly at start: the hub does not read public Git by itself yet. Always the last entry. */
  | { readonly kind: 'direct' };

export interface ListenAddress {
  /** A host name, an IPv4 address, an IPv6 address without brackets, or '' for all addresses of the machine. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** True for 127.0.0.0/8, ::1 and localhost. */
  readonly loopback: boolean;
}

export interface LimitsConfig {
  /** To the first byte of an upstream's answer, and for small answers as a whole. */
  readonly upstreamMs: number;
  /** Of silence from an upstream. */
  readonly idleMs: number;
  /** Averaged over a minute; 0 means no such limit. */
  readonly bytesPerSecondMin: number;
  /** How long a client waits for a fill before it is told to come again. */
  readonly waitMs: number;
  /** Open connections of clients, a worker. */
  readonly connectionsMax: number;
  /** Until a client has sent the head of its request. */
  readonly headerMs: number;
  /** Requests to upstreams at once, a worker; one upstream may use a quarter, and less where it has shown that this is too many. */
  readonly fetchSlots: number;
  /** Over which one large zip may be fetched at once where the link throttles single streams; 1 switches that off. */
  readonly rangeStreams: number;
  /** Requests to upstreams at once for what nobody asked for yet, a worker; 0 switches looking ahead off. */
  readonly prefetchSlots: number;
  /** Of small and hot files kept in memory, a worker. */
  readonly memoryCacheBytes: number;
  /** Threads that check module zips, a worker. */
  /** Of the mirrors of private repositories together. */
  readonly mirrorBytes: number;
  readonly proofThreads: number;
  /** How long a stopping hub lets running answers finish. */
  readonly drainMs: number;
  /** In this time the scrubber has read the whole store once; 0 switches it off. */
  readonly scrubEveryMs: number;
}

export interface OutboundConfig {
  /** Go's three values (golang.org/x/net/http/httpproxy), from `outbound:` or else from the environment. May hold a password. */
  readonly httpProxy: string | undefined;
  readonly httpsProxy: string | undefined;
  readonly noProxy: string | undefined;
  /** Absolute path of a PEM file with a company's own certificate authorities. */
  readonly caFile: string | undefined;
}

/** Ordered; the first match wins. `match` follows GOPRIVATE's prefix-glob rule, optionally `@version`. */
export interface NameRuleConfig {
  readonly match: string;
  readonly action: 'allow' | 'deny';
  /** One sentence without control characters; '' is possible only with `allow`. */
  readonly reason: string;
}

export interface LogConfig {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** `auto`: pretty on a terminal, else JSON lines. */
  readonly format: 'auto' | 'json' | 'pretty';
  /** Which requests get a line: `all`, what was not a hit (`misses`), what failed (`errors`), none (`off`). */
  readonly access: 'all' | 'misses' | 'errors' | 'off';
}

export interface AddressRange {
  /** IPv4 or IPv6. */
  readonly address: string;
  /** How many of its first bits count. */
  readonly bits: number;
}

/** Who sends large stored files once the hub has found that they are what they were. `prefix` stands before a file's name and ends with a slash. */
export type HandOverConfig =
  /** The hub does. */
  | { readonly kind: 'off' }
  /** The web server that the request came through, told by a header of the answer; only to those at the addresses `to`. */
  | {
      readonly kind: 'x-accel-redirect' | 'x-sendfile';
      readonly prefix: string;
      readonly minBytes: number;
      readonly to: readonly AddressRange[];
    }
  /** Another server with the same files, to which the client is sent. */
  | { readonly kind: 'redirect'; readonly prefix: string; readonly minBytes: number };

/** Ordered; the first whose patterns match a module decides. `match` follows GOPRIVATE's prefix-glob rule, compared without regard to case. */
export interface PrivateRuleConfig {
  readonly match: string;
  readonly home: /** The way of every other module. */
    | { readonly kind: 'public' }
    /** Nowhere but here: versions are put here by who may publish. */
    | { readonly kind: 'uploads' }
    | {
        readonly kind: 'git';
        /** https, http or ssh, without user and password; `{repo}` stands for the path of the repository's root without its first element. */
        readonly url: string;
        /** How many elements the path of a repository's root has; undefined: to be found out. */
        readonly rootElements: number | undefined;
        /** `archive-on-tag`: clients see what a webhook had checked and stored, and nothing else. */
        readonly mode: 'on-demand' | 'archive-on-tag';
        readonly credential:
          | { readonly kind: 'password'; readonly username: string; readonly password: SecretPlace }
          /** `knownHostsFile`: keys of hosts that are accepted, and no others; undefined: the first that a host shows, from then on. */
          | { readonly kind: 'ssh-key'; readonly file: string; readonly knownHostsFile: string | undefined }
          | undefined;
      };
}

/** A webhook that is taken in. Names are unique. */
export interface HookConfig {
  readonly kind: HookKind;
  readonly name: string;
  readonly secret: SecretPlace;
  /** Where verdicts are reported to: the base address of the host's API, without a slash at the end. */
  readonly report: { readonly api: string; readonly token: SecretPlace } | undefined;
}

/** Where a secret is, which never stands in the configuration itself. `file` is absolute. */
export type SecretPlace = { readonly kind: 'variable'; readonly name: string } | { readonly kind: 'file'; readonly file: string };

/** A group chat that is told about verdicts. Its address is a secret of its own. */
export interface ChatConfig {
  readonly kind: 'dingtalk' | 'wecom' | 'feishu';
  readonly urlEnv: string;
  readonly secretEnv: string | undefined;
  readonly language: 'zh' | 'en';
}

/** A checksum database that this hub signs itself. */
export interface OwnDatabaseConfig {
  /** Reads `host[/path]`. */
  readonly name: string;
  /** Absolute; outside of the data folder. The key in it has this name. */
  readonly keyFile: string;
  /** Which modules get a record: every one, or only private ones. `all` never stands beside `verify: off`. */
  readonly sign: 'all' | 'private';
}

/** Who cosigns the heads of our current database. */
export interface OwnWitnessConfig {
  /** Without trailing slash. */
  readonly url: string;
  /** With which it cosigns this one log: `NAME+HASH+KEY`. */
  readonly key: string;
}

/** Who may do what; grants as they are written, each of them well formed. */
export interface AccessConfig {
  readonly anonymous: readonly string[];
  /** Web servers in front of the hub that say who asks. */
  readonly trustedProxies: readonly AddressRange[];
  /** Each name once. */
  readonly groups: readonly { readonly name: string; readonly grants: readonly string[] }[];
  readonly oidc: readonly {
    readonly issuer: string;
    readonly audience: string;
    /** An absolute path, or an https address. */
    readonly jwks: { readonly kind: 'file'; readonly file: string } | { readonly kind: 'url'; readonly url: string };
    /** Patterns by claim; groups are among those above. */
    readonly rules: readonly {
      readonly claims: Readonly<Record<string, string>>;
      readonly grants: readonly string[];
      readonly groups: readonly string[];
    }[];
  }[];
}

/** What `goyi witness` is told. */
export interface WitnessConfig {
  /** Undefined: this is no configuration of a witness. */
  readonly name: string | undefined;
  readonly listen: ListenAddress;
  /** Absolute. */
  readonly stateDir: string;
  /** Absolute. */
  readonly keyFile: string;
  /** Verifier keys, each once; may be empty. */
  readonly logs: readonly string[];
}

/** The checked configuration of one hub: what file, environment and flags said, every path absolute, every bound kept. Immutable plain JSON. */
export interface HubConfig {
  readonly listen: ListenAddress;
  /** Without trailing slash; undefined: from each request's Host. */
  readonly publicUrl: string | undefined;
  /** Absolute. */
  readonly dataDir: string;
  /** 1 to 64. */
  readonly workers: number;
  readonly upstreams: UpstreamsConfig;
  /** At least one; each entry reads as in GOSUMDB: `NAME`, `NAME+HASH+KEY` or `NAME+HASH+KEY URL`. The first proves, all are relayed. */
  readonly checksumDatabases: readonly string[];
  readonly freshness: { readonly listMs: number; readonly negativeMs: number };
  readonly limits: LimitsConfig;
  /** Absolute paths of PEM files. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly outbound: OutboundConfig;
  readonly verify: 'require' | 'off';
  /**
   * The database that clients are told to use, and the former ones, each with a key and a log of its own, that go on being signed for
   * clients that were not changed over yet. No two share a name or a key file. Witnesses, each with another key, cosign the current one alone.
   */
  readonly ownDatabase:
    | (OwnDatabaseConfig & { readonly former: readonly OwnDatabaseConfig[]; readonly witnesses: readonly OwnWitnessConfig[] })
    | undefined;
  readonly private: readonly PrivateRuleConfig[];
  readonly webhooks: { readonly hooks: readonly HookConfig[]; readonly chat: readonly ChatConfig[] };
  readonly access: AccessConfig;
  /** Of the Go project's own archives: folders without a slash at the end, and the list by whose SHA-256 each is believed. None: they are not wanted. */
  readonly sdk: { readonly mirrors: readonly string[]; readonly index: string };
  readonly nameRules: readonly NameRuleConfig[];
  readonly store: { readonly kind: 'fs' };
  /** Whether every bundle that is taken has to be signed by SM2 as well, by a key that is trusted. */
  readonly bundles: { readonly sm2: 'optional' | 'required' };
  readonly handOver: HandOverConfig;
  readonly metadata: { readonly kind: 'sqlite' };
  readonly witness: WitnessConfig;
  readonly log: LogConfig;
}
