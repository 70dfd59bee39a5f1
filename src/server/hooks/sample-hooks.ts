/** For tests: what each host sends when a tag is pushed, in the shape that its documentation has. */
import { createHmac } from 'node:crypto';
import type { HookKind, TagEvent } from '../../hub/tag-event.ts';

export const secret = 'a secret of the test';
export const sampleNowMs = 1_800_000_000_000;
const commit = '82b3d5ae55f7080f1e6022629cdb57bfae7cccc7';
const tagObject = '1f0e3dad99908345f7439f8ffabdffc4d3a1b2c5';
const zeros = '0'.repeat(40);

export interface SampleHook {
  readonly kind: HookKind;
  readonly title: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly body: object;
  readonly event: Omit<TagEvent, 'hook' | 'kind'>;
  /** Made anew for another body. */
  readonly sign: (body: string) => Readonly<Record<string, string>>;
}

const hmac = (body: string, algorithm = 'sha256', key: string | Buffer = secret): string =>
  createHmac(algorithm, key).update(body).digest('hex');
const created = { tag: 'v1.2.3', change: 'created', commit } as const;

const githubPush = {
  ref: 'refs/tags/v1.2.3',
  before: zeros,
  after: tagObject,
  created: true,
  deleted: false,
  forced: false,
  base_ref: 'refs/heads/main',
  commits: [],
  head_commit: { id: commit, message: 'release', timestamp: '2027-01-15T07:59:00Z' },
  repository: {
    id: 1,
    full_name: 'team/lib',
    private: true,
    html_url: 'https://code.example/team/lib',
    clone_url: 'https://code.example/team/lib.git',
    ssh_url: 'git@code.example:team/lib.git',
  },
  pusher: { name: 'someone' },
};
const githubUrls = ['https://code.example/team/lib.git', 'ssh://code.example/team/lib.git', 'https://code.example/team/lib'];

const gitlabPush = {
  object_kind: 'tag_push',
  event_name: 'tag_push',
  before: zeros,
  after: tagObject,
  ref: 'refs/tags/v1.2.3',
  checkout_sha: commit,
  message: 'release',
  user_name: 'someone',
  project_id: 7,
  project: {
    path_with_namespace: 'team/sub/lib',
    git_http_url: 'https://code.example/team/sub/lib.git',
    git_ssh_url: 'git@code.example:team/sub/lib.git',
    web_url: 'https://code.example/team/sub/lib',
  },
  repository: { name: 'lib', url: 'git@code.example:team/sub/lib.git', homepage: 'https://code.example/team/sub/lib' },
  commits: [],
};
const gitlabUrls = ['https://code.example/team/sub/lib.git', 'ssh://code.example/team/sub/lib.git', 'https://code.example/team/sub/lib'];

const giteePush = {
  hook_name: 'tag_push_hooks',
  hook_id: 3,
  password: '',
  timestamp: String(sampleNowMs),
  ref: 'refs/tags/v1.2.3',
  before: zeros,
  after: commit,
  created: true,
  deleted: false,
  commits: null,
  head_commit: { id: commit },
  repository: { full_name: 'team/lib', path_with_namespace: 'team/lib', git_http_url: 'https://gitee.example/team/lib.git' },
  project: {
    path_with_namespace: 'team/lib',
    git_http_url: 'https://user:word@gitee.example/team/lib.git?x=1',
    git_ssh_url: 'git@gitee.example:team/lib.git',
    clone_url: 'https://gitee.example/team/lib.git',
  },
};
const giteeUrls = ['https://gitee.example/team/lib.git', 'ssh://gitee.example/team/lib.git'];

const gitcodePush = { ...gitlabPush, uuid: '124d0745-22c5-4105-8dd8-c80f45b9cf8b', checkout_sha: commit, after: commit };

export const signingToken: string = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
export const dingtalkSign = (timeMs: number): string => createHmac('sha256', secret).update(`${timeMs}\n${secret}`).digest('base64');

export const sampleHooks: readonly SampleHook[] = [
  {
    kind: 'github',
    title: 'github push',
    headers: { 'x-github-event': 'push', 'x-github-delivery': 'd-1' },
    body: githubPush,
    event: { ...created, urls: githubUrls, path: 'team/lib', delivery: 'd-1' },
    sign: (body) => ({ 'x-hub-signature-256': `sha256=${hmac(body)}` }),
  },
  {
    kind: 'github',
    title: 'github delete',
    headers: { 'x-github-event': 'delete', 'x-github-delivery': 'd-2' },
    body: { ref: 'v1.2.3', ref_type: 'tag', repository: githubPush.repository },
    event: { tag: 'v1.2.3', change: 'deleted', commit: undefined, urls: githubUrls, path: 'team/lib', delivery: 'd-2' },
    sign: (body) => ({ 'x-hub-signature-256': `sha256=${hmac(body)}` }),
  },
  {
    kind: 'gitea',
    title: 'gitea create of a tag of a submodule',
    headers: { 'x-gitea-event': 'create', 'x-gitea-delivery': 'd-3' },
    body: { ref: 'sub/dir/v0.1.0', ref_type: 'tag', sha: commit, repository: githubPush.repository },
    event: { tag: 'sub/dir/v0.1.0', change: 'created', commit, urls: githubUrls, path: 'team/lib', delivery: 'd-3' },
    sign: (body) => ({ 'x-gitea-signature': hmac(body) }),
  },
  {
    kind: 'forgejo',
    title: 'forgejo push that deletes',
    headers: { 'x-forgejo-event': 'push', 'x-gitea-event': 'push', 'x-forgejo-delivery': 'd-4' },
    body: { ...githubPush, deleted: undefined, head_commit: null, before: commit, after: zeros },
    event: { tag: 'v1.2.3', change: 'deleted', commit: undefined, urls: githubUrls, path: 'team/lib', delivery: 'd-4' },
    sign: (body) => ({ 'x-forgejo-signature': hmac(body), 'x-gitea-signature': hmac(body) }),
  },
  {
    kind: 'gogs',
    title: 'gogs create',
    headers: { 'x-gogs-event': 'create', 'x-gogs-delivery': 'd-5' },
    body: { ref: 'v1.2.3', ref_type: 'tag', sha: commit, repository: githubPush.repository },
    event: { ...created, urls: githubUrls, path: 'team/lib', delivery: 'd-5' },
    sign: (body) => ({ 'x-gogs-signature': hmac(body) }),
  },
  {
    kind: 'coding',
    title: 'coding push',
    headers: { 'x-coding-event': 'push', 'x-coding-delivery': 'd-6' },
    body: githubPush,
    event: { ...created, urls: githubUrls, path: 'team/lib', delivery: 'd-6' },
    sign: (body) => ({ 'x-coding-signature': `sha1=${hmac(body, 'sha1')}` }),
  },
  {
    kind: 'gitlab',
    title: 'gitlab with a secret token',
    headers: { 'x-gitlab-event': 'Tag Push Hook', 'x-gitlab-event-uuid': 'd-7' },
    body: gitlabPush,
    event: { ...created, urls: gitlabUrls, path: 'team/sub/lib', delivery: 'd-7' },
    sign: () => ({ 'x-gitlab-token': secret }),
  },
  {
    kind: 'gitee',
    title: 'gitee with a password',
    headers: { 'x-gitee-event': 'Tag Push Hook', 'user-agent': 'git-oschina-hook', 'x-gitee-timestamp': String(sampleNowMs) },
    body: giteePush,
    event: { ...created, urls: giteeUrls, path: 'team/lib', delivery: '' },
    sign: () => ({ 'x-gitee-token': secret }),
  },
  {
    kind: 'gitee',
    title: 'gitee with a signature',
    headers: { 'x-gitee-event': 'Tag Push Hook', 'x-gitee-timestamp': String(sampleNowMs - 200_000) },
    body: giteePush,
    event: { ...created, urls: giteeUrls, path: 'team/lib', delivery: '' },
    sign: () => ({ 'x-gitee-token': dingtalkSign(sampleNowMs - 200_000) }),
  },
  {
    kind: 'gitee',
    title: 'gitee with a signature written for an address',
    headers: { 'x-gitee-event': 'tag_push_hooks', 'x-gitee-timestamp': String(sampleNowMs + 200_000) },
    body: { ...giteePush, hook_name: undefined },
    event: { ...created, urls: giteeUrls, path: 'team/lib', delivery: '' },
    sign: () => ({ 'x-gitee-token': encodeURIComponent(dingtalkSign(sampleNowMs + 200_000)) }),
  },
  {
    kind: 'tgit',
    title: 'tgit, whose before is not zeros',
    headers: { 'x-event': 'Tag Push Hook' },
    body: {
      object_kind: 'tag_push',
      operation_kind: 'create',
      action_kind: 'create tag',
      ref: 'refs/tags/v1.2.3',
      before: commit,
      after: commit,
      repository: { name: 'lib', homepage: 'https://tgit.example/team/lib', git_http_url: 'https://tgit.example/team/lib.git' },
    },
    event: {
      ...created,
      urls: ['https://tgit.example/team/lib.git', 'https://tgit.example/team/lib'],
      path: 'team/lib',
      delivery: '',
    },
    sign: () => ({ 'x-token': secret }),
  },
  {
    kind: 'codeup',
    title: 'codeup',
    headers: { 'codeup-event': 'Tag Push Hook' },
    body: {
      ...gitlabPush,
      project: undefined,
      checkout_sha: undefined,
      after: commit,
      repository: { ...gitlabPush.repository, git_http_url: 'https://code.example/team/sub/lib.git' },
    },
    event: {
      ...created,
      urls: ['https://code.example/team/sub/lib.git', 'https://code.example/team/sub/lib'],
      path: 'team/sub/lib',
      delivery: '',
    },
    sign: () => ({ 'x-codeup-token': secret }),
  },
  {
    kind: 'gitcode',
    title: 'gitcode with a signature',
    headers: { 'x-gitcode-event': 'Tag Push Hook', 'x-gitcode-delivery': 'd-8' },
    body: gitcodePush,
    event: { ...created, urls: gitlabUrls, path: 'team/sub/lib', delivery: 'd-8' },
    sign: (body) => ({ 'x-gitcode-signature-256': `sha256=${hmac(body)}` }),
  },
  {
    kind: 'gitcode',
    title: 'gitcode with a password',
    headers: { 'x-gitcode-event': 'Tag Push Hook' },
    body: gitcodePush,
    event: { ...created, urls: gitlabUrls, path: 'team/sub/lib', delivery: '124d0745-22c5-4105-8dd8-c80f45b9cf8b' },
    sign: () => ({ 'x-gitcode-token': secret }),
  },
  {
    kind: 'generic',
    title: 'generic',
    headers: { 'goyi-timestamp': String(sampleNowMs / 1_000), 'goyi-delivery': 'job 9' },
    body: { repository: 'https://code.example/team/lib.git', tag: 'refs/tags/v1.2.3', commit },
    event: { ...created, urls: ['https://code.example/team/lib.git'], path: 'team/lib', delivery: 'job 9' },
    sign: (body) => ({ 'goyi-signature': `sha256=${hmac(`${sampleNowMs / 1_000}.${body}`)}` }),
  },
  {
    kind: 'zentao',
    title: 'a script beside zentao',
    headers: { 'goyi-timestamp': String(sampleNowMs / 1_000) },
    body: { repository: 'git@code.example:team/lib.git', tag: 'v1.2.3', action: 'deleted' },
    event: {
      tag: 'v1.2.3',
      change: 'deleted',
      commit: undefined,
      urls: ['ssh://code.example/team/lib.git'],
      path: 'team/lib',
      delivery: '',
    },
    sign: (body) => ({ 'goyi-signature': `sha256=${hmac(`${sampleNowMs / 1_000}.${body}`)}` }),
  },
];
