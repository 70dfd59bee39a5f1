import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ModulePath, parseModulePath } from '../protocol/module-path.ts';
import { modulesOfTag, rootsOf, type SourceRule } from './tag-modules.ts';

function pathOf(text: string): ModulePath {
  const path = parseModulePath(text);
  assert.ok(path.ok);
  return path.value;
}

const root = 'git.example/team/lib';
const tags: readonly (readonly [tag: string, ...modules: string[]])[] = [
  ['v1.2.3', `${root}@v1.2.3`],
  ['v0.1.0-rc.1', `${root}@v0.1.0-rc.1`],
  ['v2.0.0', `${root}/v2@v2.0.0`, `${root}@v2.0.0+incompatible`],
  ['sub/v1.0.0', `${root}/sub@v1.0.0`],
  ['a/b/v3.1.0', `${root}/a/b/v3@v3.1.0`, `${root}/a/b@v3.1.0+incompatible`],
  ['v1.2'],
  ['1.2.3'],
  ['release-7'],
  ['v1.2.3+meta'],
  ['v2.0.0+incompatible'],
  ['v0.0.0-20270115080000-82b3d5ae55f7'],
  ['../v1.0.0'],
];
for (const [tag, ...modules] of tags)
  test(`the tag ${tag}`, () =>
    assert.deepEqual(
      modulesOfTag(pathOf(root), tag).map(({ path, version }) => `${path}@${version}`),
      modules,
    ));

const rule = (match: string, url: string, rootElements?: number): SourceRule => ({ match, url, rootElements });
const corp = rule('git.example/*', 'https://git.internal.example/{repo}.git');
const cases: readonly (readonly [
  title: string,
  urls: readonly string[],
  path: string,
  rules: readonly SourceRule[],
  ...roots: string[],
])[] = [
  ['by its https address', ['https://git.internal.example/team/lib.git'], 'team/lib', [corp], 'git.example/team/lib'],
  ['by its ssh address, whatever the port', ['ssh://git.internal.example:2222/team/lib.git'], 'x', [corp], 'git.example/team/lib'],
  ['deep below', ['https://git.internal.example/a/b/c/lib'], 'a/b/c/lib', [corp], 'git.example/a/b/c/lib'],
  ['by its path where the host is called otherwise', ['https://localhost:3000/team/lib.git'], 'team/lib', [corp], 'git.example/team/lib'],
  [
    'below a prefix',
    ['https://git.internal.example/scm/team/lib.git'],
    'team/lib',
    [rule('git.example', 'https://git.internal.example/scm/{repo}.git')],
    'git.example/team/lib',
  ],
  [
    'one repository of its own',
    ['https://git.internal.example/x/y.git'],
    'x/y',
    [rule('a.example/z', 'https://git.internal.example/x/y.git')],
    'a.example/z',
  ],
  [
    'another repository than that',
    ['https://git.internal.example/x/z.git'],
    'x/z',
    [rule('a.example/z', 'https://git.internal.example/x/y.git')],
  ],
  [
    'another number of elements',
    ['https://git.internal.example/a/b/c.git'],
    'a/b/c',
    [rule('git.example/*', 'https://git.internal.example/{repo}.git', 3)],
  ],
  [
    'a pattern for hosts',
    ['https://git.internal.example/a/b.git'],
    'a/b',
    [rule('*.example/*', 'https://git.internal.example/{repo}.git')],
  ],
  ['no rule', ['https://git.internal.example/a/b.git'], 'a/b', []],
];
for (const [title, urls, path, rules, ...roots] of cases)
  test(`root: ${title}`, () =>
    assert.deepEqual(
      rootsOf({ urls, path }, rules).map(({ module }) => module),
      roots,
    ));

const below = rule('git.example', 'https://git.internal.example/scm/{repo}.git');
const paths: readonly (readonly [title: string, url: string, said: string, rule: SourceRule, told: string])[] = [
  ['the one that both name', 'https://git.internal.example/team/lib.git', 'team/lib', corp, 'team/lib'],
  ['in the spelling of the host', 'https://git.internal.example/team/lib.git', 'Team/Lib', corp, 'Team/Lib'],
  ['a host that lies below a prefix', 'https://git.internal.example/scm/team/lib.git', 'team/lib', below, 'team/lib'],
  ['a host that counts the prefix', 'https://git.internal.example/scm/team/lib.git', 'scm/team/lib', below, 'scm/team/lib'],
  ['another repository than that of the address', 'https://git.internal.example/team/lib.git', 'other/secret', corp, 'team/lib'],
  ['the end of it, which is another', 'https://git.internal.example/a/team/lib.git', 'team/lib', corp, 'a/team/lib'],
  ['the end of a name', 'https://git.internal.example/scm/a-team/lib.git', 'team/lib', below, 'scm/a-team/lib'],
  ['one of its own', 'https://git.internal.example/a/x.git', 'x', rule('a.example/x', 'https://git.internal.example/a/x.git'), 'a/x'],
];
for (const [title, url, said, of, told] of paths)
  test(`a verdict is told of the repository that was looked at, whatever path the event names: ${title}`, () =>
    assert.deepEqual(
      rootsOf({ urls: [url], path: said }, [of]).map(({ path }) => path),
      [told],
    ));
