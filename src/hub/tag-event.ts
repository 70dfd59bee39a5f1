/** Code hosts whose webhooks are understood, by the word that stands in the address of a hook. */
export const hookKinds = [
  'gitee',
  'gitlab',
  'github',
  'gitea',
  'forgejo',
  'gogs',
  'codeup',
  'gitcode',
  'tgit',
  'coding',
  'zentao',
  'generic',
] as const;

export type HookKind = (typeof hookKinds)[number];

/** A code host's word that a tag has come or gone. It says where to look and proves nothing: what the tag is, the repository is asked. */
export interface TagEvent {
  readonly kind: HookKind;
  /** The name of the configured hook whose secret verified it. */
  readonly hook: string;
  /** Addresses of the repository as the host has them, without credentials; at least one, unless `path` is there. For comparison only: nothing is fetched from them. */
  readonly urls: readonly string[];
  /** The repository's path on its host, such as `team/lib`. */
  readonly path: string;
  /** Without `refs/tags/`. */
  readonly tag: string;
  readonly change: 'created' | 'deleted';
  /** The commit's whole object name, when the host said it. */
  readonly commit: string | undefined;
  /** How the host names this delivery, for people who compare logs; '' when it does not. */
  readonly delivery: string;
}
