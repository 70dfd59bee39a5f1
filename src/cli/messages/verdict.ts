/** What `goyi admin verdict` says. */
export interface VerdictMessages {
  readonly help: Readonly<Record<'verdict' | 'show' | 'clear' | 'version' | 'reason', string>>;
  readonly none: string;
  readonly row: (module: string, when: string, reason: string) => string;
  readonly released: (module: string) => string;
  readonly notBlocked: (module: string) => string;
  readonly badVersion: (text: string) => string;
  readonly badReason: string;
}

export const verdictEn: VerdictMessages = {
  help: {
    verdict: 'look at what the gate blocked, or let a version go',
    show: 'list the versions that are blocked, with the reason',
    clear: 'release a blocked version for good; a running hub makes it at once',
    version: 'the version, as MODULE@VERSION',
    reason: 'why it is released; goes into the audit trail',
  },
  none: 'nothing is blocked',
  row: (module: string, when: string, reason: string): string => `${module}  ${when}  ${reason}`,
  released: (module: string): string => `${module} is released`,
  notBlocked: (module: string): string => `${module} is not blocked`,
  badVersion: (text: string): string => `${text} is no MODULE@VERSION`,
  badReason: 'the reason must be one sentence of at most 400 characters',
};

export const verdictZh: VerdictMessages = {
  help: {
    verdict: '查看被门禁拦截的版本，或放行某个版本',
    show: '列出被拦截的版本及原因',
    clear: '永久放行一个被拦截的版本；运行中的镜像站会立即生成它',
    version: '版本，写作 模块@版本',
    reason: '放行原因，会写入审计记录',
  },
  none: '没有被拦截的版本',
  row: (module, when, reason) => `${module}  ${when}  ${reason}`,
  released: (module) => `${module} 已放行`,
  notBlocked: (module) => `${module} 未被拦截`,
  badVersion: (text) => `${text} 不是 模块@版本 的形式`,
  badReason: '原因应为一句话，最多 400 字符',
};
