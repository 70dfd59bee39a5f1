/**
 * What a client of a hub sets, and why: the one place that decides, for set-up scripts, the front page and the command line.
 *
 * One client has exactly one checksum database. An empty `GONOSUMDB` or `GONOPROXY` falls back to `GOPRIVATE`, so where everything is to be checked,
 * and is to come through the hub, both say `none`. https://go.dev/ref/mod#environment-variables
 */
export interface ClientFacts {
  /** Of the hub, without a slash at the end. */
  readonly address: string;
  /** The hub's own database; undefined when it signs none. */
  readonly ownDatabase: { readonly verifierKey: string; readonly sign: 'all' | 'private' } | undefined;
  /** Of the rules of private modules, as GOPRIVATE takes them. */
  readonly privatePatterns: readonly string[];
}

export interface BothLanguages {
  readonly en: string;
  readonly zh: string;
}

export interface ClientSetting {
  readonly name: 'GOPROXY' | 'GOSUMDB' | 'GONOPROXY' | 'GONOSUMDB';
  readonly value: string;
  readonly why: BothLanguages;
}

export function clientSettings({ address, ownDatabase, privatePatterns }: ClientFacts): readonly ClientSetting[] {
  const checksAll = ownDatabase?.sign === 'all';
  const unchecked = checksAll ? [] : privatePatterns;
  return [
    {
      name: 'GOPROXY',
      value: address,
      why: { en: 'every module comes through the hub', zh: '所有模块都经由本站获取' },
    },
    {
      name: 'GOSUMDB',
      value: checksAll ? ownDatabase.verifierKey : 'sum.golang.org',
      why: checksAll
        ? { en: "every module is checked against the hub's checksum database", zh: '所有模块都以本站的校验数据库检查' }
        : {
            en: 'public modules are checked against the public database, which the hub relays',
            zh: '公共模块以公共校验数据库检查，由本站转发',
          },
    },
    {
      name: 'GONOPROXY',
      value: 'none',
      why: { en: 'private modules come through the hub as well', zh: '私有模块同样经由本站获取' },
    },
    unchecked.length > 0
      ? {
          name: 'GONOSUMDB',
          value: unchecked.join(','),
          why: { en: 'the public database knows no private modules', zh: '公共校验数据库中没有私有模块' },
        }
      : { name: 'GONOSUMDB', value: 'none', why: { en: 'nothing is left unchecked', zh: '没有任何模块不受检查' } },
  ];
}
