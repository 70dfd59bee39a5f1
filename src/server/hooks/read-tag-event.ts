/**
 * What a verified webhook says, as far as it is about a tag. Hosts fall into two families: those whose events look like GitHub's, where a tag is a push to
 * `refs/tags/…` (or a `create`, a `delete` with `ref_type: tag`), and those whose events look like GitLab's, where it is an event of its own.
 *
 * A header that names the event is covered by no signature, so the body is asked first wherever it says the same.
 */
import { type Parsed, parsed, refused } from '../../base/parsed.ts';
import { unreachable } from '../../base/invariant.ts';
import type { HookKind, TagEvent } from '../../hub/tag-event.ts';
import { Json } from './hook-body.ts';
import type { HookRequest } from './verify-hook.ts';

export type HookNews =
  | { readonly kind: 'tag'; readonly event: TagEvent }
  /** Nothing to do, and why. */
  | { readonly kind: 'ignored'; readonly sentence: string };

type Found = Omit<TagEvent, 'kind' | 'hook' | 'delivery'>;

const TAGS = 'refs/tags/';
const TAG_LENGTH_MAX = 240;
const URL_LENGTH_MAX = 2_048;
const URLS_MAX = 6;
const PATH_LENGTH_MAX = 1_024;

/** Refused: it is about a tag, and a part that is needed is missing or malformed. */
export function readTagEvent(kind: HookKind, hook: string, request: Pick<HookRequest, 'headers'>, body: Json): Parsed<HookNews> {
  const name = (header: string): string => plain(request.headers[header], 100);
  const news = find(kind, name, body);
  if (!news.ok) return news;
  if (typeof news.value === 'string') return parsed({ kind: 'ignored', sentence: news.value });
  return parsed({ kind: 'tag', event: { kind, hook, ...news.value, delivery: deliveryOf(kind, name, body) } });
}

/** A tag, or the sentence why there is nothing to do. */
function find(kind: HookKind, header: (name: string) => string, body: Json): Parsed<Found | string> {
  switch (kind) {
    case 'github':
      return likeGitHub(header('x-github-event'), body);
    case 'gitea':
      return likeGitHub(header('x-gitea-event'), body);
    case 'forgejo':
      return likeGitHub(header('x-forgejo-event') || header('x-gitea-event'), body);
    case 'gogs':
      return likeGitHub(header('x-gogs-event'), body);
    case 'coding':
      return likeGitHub(header('x-coding-event'), body);
    case 'gitlab':
      return likeGitLab(body.at('object_kind').text || header('x-gitlab-event'), body);
    case 'codeup':
      return likeGitLab(body.at('object_kind').text || header('codeup-event'), body);
    case 'gitcode':
      return likeGitLab(body.at('object_kind').text || header('x-gitcode-event'), body);
    case 'tgit':
      return likeGitLab(body.at('object_kind').text || header('x-event'), body);
    case 'gitee':
      return likeGitLab(body.at('hook_name').text || header('x-gitee-event'), body);
    case 'zentao':
      // What ZenTao itself sends is about stories, tasks and bugs: releases and builds are not among it.
      return body.at('tag').text === '' ? parsed('ZenTao says nothing about tags in its own webhooks') : own(body);
    case 'generic':
      return own(body);
    default:
      return unreachable(kind);
  }
}

function likeGitHub(event: string, body: Json): Parsed<Found | string> {
  const ref = body.at('ref').text;
  const isTagOfCreate = body.at('ref_type').text === 'tag';
  if (!ref.startsWith(TAGS) && !isTagOfCreate) return parsed(notAboutTags(event));
  // A release or a pull request may name a ref as well.
  if (event !== '' && !['push', 'create', 'delete'].includes(event)) return parsed(notAboutTags(event));
  const isDeleted = isTagOfCreate ? event === 'delete' : body.at('deleted').flag === true || isZeros(body.at('after').text);
  const repository = body.at('repository');
  return finish({
    tag: ref.startsWith(TAGS) ? ref.slice(TAGS.length) : ref,
    change: isDeleted ? 'deleted' : 'created',
    // `after` of an annotated tag is the tag's own object.
    commit: body.at('head_commit').at('id').text || body.at('sha').text || body.at('after').text,
    urls: ['clone_url', 'git_http_url', 'ssh_url', 'git_ssh_url', 'html_url'].map((name) => repository.at(name).text),
    path: repository.at('full_name').text || repository.at('path_with_namespace').text,
  });
}

/** As GitLab, Gitee and others write it in header or body. */
const tagPushes: ReadonlySet<string> = new Set(['tag_push', 'tag push hook', 'tag_push_hooks']);

function likeGitLab(event: string, body: Json): Parsed<Found | string> {
  if (!tagPushes.has(event.toLowerCase())) return parsed(notAboutTags(event));
  const ref = body.at('ref').text;
  if (!ref.startsWith(TAGS)) return refused('ref does not begin with refs/tags/');
  const after = body.at('after').text;
  // TGit says what was done, and its `before` and `after` are no help.
  const operation = body.at('operation_kind').text;
  const isDeleted = operation === '' ? body.at('deleted').flag === true || isZeros(after) : operation === 'delete';
  const [project, repository] = [body.at('project'), body.at('repository')];
  const names = ['git_http_url', 'http_url', 'clone_url', 'git_ssh_url', 'ssh_url', 'web_url', 'homepage'];
  return finish({
    tag: ref.slice(TAGS.length),
    change: isDeleted ? 'deleted' : 'created',
    commit: body.at('head_commit').at('id').text || body.at('checkout_sha').text || after,
    urls: [project, repository].flatMap((place) => names.map((name) => place.at(name).text)),
    path: project.at('path_with_namespace').text || repository.at('path_with_namespace').text,
  });
}

function own(body: Json): Parsed<Found | string> {
  const action = body.at('action').text || 'created';
  if (action !== 'created' && action !== 'deleted') return refused('action is neither created nor deleted');
  const [tag, repository] = [body.at('tag').text, body.at('repository').text];
  if (tag === '' || repository === '') return refused('the body needs tag and repository');
  return finish({
    tag: tag.startsWith(TAGS) ? tag.slice(TAGS.length) : tag,
    change: action,
    commit: body.at('commit').text,
    urls: [repository],
    path: body.at('path').text,
  });
}

function finish(found: Omit<Found, 'commit'> & { readonly commit: string }): Parsed<Found> {
  const { tag, change } = found;
  if (!isTagName(tag)) return refused('the name of the tag is none');
  const urls = [...new Set(found.urls.map(cleanUrl).filter((url) => url !== undefined))].slice(0, URLS_MAX);
  const path = isPath(found.path) ? found.path : pathOf(urls);
  if (path === '') return refused('the body does not say which repository this is');
  const commit = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(found.commit) && !isZeros(found.commit) ? found.commit : undefined;
  return parsed({ urls, path, tag, change, commit: change === 'deleted' ? undefined : commit });
}

/** The part of https://git-scm.com/docs/git-check-ref-format that keeps names harmless. */
function isTagName(tag: string): boolean {
  if (tag === '' || tag.length > TAG_LENGTH_MAX || /[\p{C}\s~^:?*[\\]|\.\.|@\{|\/\//u.test(tag)) return false;
  return !/^[-/.]|[/.]$/.test(tag);
}

/** Without user, password, query and fragment; the short form of ssh is written out. */
function cleanUrl(text: string): string | undefined {
  if (text === '' || text.length > URL_LENGTH_MAX || /[\p{C}\s\\]/u.test(text)) return undefined;
  const short = /^(?:[A-Za-z0-9._-]+@)?([A-Za-z0-9.-]+):(?!\/)(.+)$/.exec(text);
  const written = short === null || text.includes('://') ? text : `ssh://${short[1]}/${short[2]}`;
  if (!URL.canParse(written)) return undefined;
  const url = new URL(written);
  if (!['http:', 'https:', 'ssh:'].includes(url.protocol) || url.hostname === '') return undefined;
  return `${url.protocol}//${url.host}${url.pathname}`;
}

function isPath(path: string): boolean {
  return path !== '' && path.length <= PATH_LENGTH_MAX && !/[\p{C}\s\\?#%]|(?:^|\/)\.{0,2}(?:\/|$)/u.test(path);
}

function pathOf(urls: readonly string[]): string {
  const paths = urls.map((url) => new URL(url).pathname.replace(/^\/+|\/+$/g, '').replace(/\.git$/, ''));
  return paths.find(isPath) ?? '';
}

function isZeros(text: string): boolean {
  return /^0{40,64}$/.test(text);
}

function notAboutTags(event: string): string {
  const name = event.replace(/[^\w .-]/g, '').slice(0, 60);
  return name === '' ? 'nothing to do: this is not about a tag' : `nothing to do: the event ${name} is not about a tag`;
}

const deliveryHeaders: Readonly<Record<HookKind, readonly string[]>> = {
  gitee: [],
  gitlab: ['webhook-id', 'idempotency-key', 'x-gitlab-event-uuid'],
  github: ['x-github-delivery'],
  gitea: ['x-gitea-delivery'],
  forgejo: ['x-forgejo-delivery', 'x-gitea-delivery'],
  gogs: ['x-gogs-delivery'],
  codeup: [],
  gitcode: ['x-gitcode-delivery'],
  tgit: [],
  coding: ['x-coding-delivery'],
  zentao: [],
  generic: ['goyi-delivery'],
};

function deliveryOf(kind: HookKind, header: (name: string) => string, body: Json): string {
  const named = deliveryHeaders[kind].map(header).find((id) => id !== '');
  return named ?? plain(body.at('uuid').text, 100);
}

/** Fit for a log; '' when it is not. */
function plain(text: string | string[] | undefined, lengthMax: number): string {
  return typeof text === 'string' && text.length <= lengthMax && /^[\x20-\x7e]*$/.test(text) ? text : '';
}
