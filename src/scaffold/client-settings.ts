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
  readonly name: 'GOPROXY' | 'GOSUMDB' | 'GONOPROXY' | 'GONOSUMDB' | 'GOVCS' | 'GOTOOLCHAIN' | 'GOFLAGS' | 'GOAUTH';
  readonly value: string;
  readonly why: BothLanguages;
}

/**
 * Where a client stands: `corp` in the house, `airgap` in a network without a way out, `public` outside of the house, where the hub cannot be reached.
 */
export const clientProfiles = ['corp', 'airgap', 'public'] as const;
export type ClientProfile = (typeof clientProfiles)[number];

/** What is set only when somebody asks for it. */
export interface ClientWishes {
  readonly profile?: ClientProfile | undefined;
  readonly toolchain?: string | undefined;
  readonly flags?: string | undefined;
  readonly auth?: string | undefined;
}

export function clientSettings(facts: ClientFacts, wishes: ClientWishes = {}): readonly ClientSetting[] {
  const { profile = 'corp', toolchain, flags, auth } = wishes;
  const settings: ClientSetting[] = profile === 'public' ? outside(facts) : inTheHouse(facts);
  if (profile === 'airgap') {
    settings.push({
      name: 'GOVCS',
      value: '*:off',
      why: {
        en: 'the go command never runs git here: it would wait for hosts that nobody reaches',
        zh: 'go 命令不运行 git：网络中无法访问代码主机',
      },
    });
  }
  const wantedToolchain = toolchain ?? (profile === 'airgap' ? 'local' : undefined);
  if (wantedToolchain !== undefined) settings.push({ name: 'GOTOOLCHAIN', value: wantedToolchain, why: whyToolchain(wantedToolchain) });
  if (flags !== undefined) settings.push({ name: 'GOFLAGS', value: flags, why: asked });
  if (auth !== undefined) settings.push({ name: 'GOAUTH', value: auth, why: asked });
  return settings;
}

const asked: BothLanguages = { en: 'you asked for it', zh: '按您的要求' };

function whyToolchain(value: string): BothLanguages {
  if (value !== 'local') return asked;
  return { en: 'the installed Go is used, and none is ever fetched', zh: '只用已安装的 Go，从不另行下载' };
}

function inTheHouse({ address, ownDatabase, privatePatterns }: ClientFacts): ClientSetting[] {
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
      value: checksAll ? ownDatabase.verifierKey : PUBLIC_DATABASE,
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

const PUBLIC_DATABASE = 'sum.golang.org';
const PUBLIC_PROXY = 'https://goproxy.cn,direct';

/** Away from the hub the one thing that matters of it is which names must not be asked of anybody outside. */
function outside({ privatePatterns }: ClientFacts): ClientSetting[] {
  const kept = privatePatterns.join(',') || 'none';
  const why: BothLanguages =
    privatePatterns.length > 0
      ? { en: 'names of private modules are told to nobody outside', zh: '私有模块的名称不会告知外部' }
      : { en: 'there are no private modules', zh: '没有私有模块' };
  return [
    {
      name: 'GOPROXY',
      value: PUBLIC_PROXY,
      why: { en: 'public modules come from a public mirror, the hub being out of reach', zh: '无法访问本站时，公共模块取自公共镜像' },
    },
    { name: 'GOSUMDB', value: PUBLIC_DATABASE, why: { en: 'and are checked against the public database', zh: '并以公共校验数据库检查' } },
    { name: 'GONOPROXY', value: kept, why },
    { name: 'GONOSUMDB', value: kept, why },
  ];
}
