// Repositories for each rule by which commits and tags become versions.
import { type GitWorld, code, go, words } from './git-world.ts';

const plain: GitWorld = {
  name: 'plain',
  recipe: {
    steps: [
      { commit: 'first', files: { 'a.go': code(), 'go.mod': go('plain') } },
      { tag: 'v0.1.0' },
      { commit: 'one', files: { 'b.go': code() } },
      { tag: 'v1.0.0', annotated: true },
      { tag: 'release-1' },
      { commit: 'between', files: { 'c.go': code() } },
      { commit: 'rc', files: { 'd.go': code() } },
      { tag: 'v1.1.0-rc.1' },
      { commit: 'meta', files: { 'e.go': code() } },
      { tag: 'v1.1.0-rc.1.0.20060102150405-abcdefabcdef' },
      { tag: 'v1.0.5+meta' },
      { tag: 'v1.2' },
      { tag: 'v01.2.3' },
      { tag: 'V1.2.3' },
      { commit: 'two', files: { 'f.go': code() } },
      { tag: 'v2.0.0' },
      { tag: 'v1.1.0' },
      { tag: 'v1.1.1' },
      { commit: 'tip', files: { 'g.go': code() } },
      { commit: 'side', branch: 'dev', parents: ['rc'], files: { 'h.go': code() } },
      { commit: 'named', branch: 'v1.5.0', parents: ['one'], files: { 'i.go': code() } },
      { commit: 'slashed', branch: 'feature/x', parents: ['tip'], files: { 'j.go': code() } },
      { git: ['update-ref', 'refs/tags/dev', '{one}'] },
      { git: ['update-ref', 'refs/heads/deadbeef', '{first}'] },
      { git: ['update-ref', 'refs/changes/1/head', '{side}'] },
    ],
  },
  asks: {
    '': words(
      'latest v0.1.0 v1.0.0 v1.1.0-rc.1 v1.1.0 v1.1.1 v2.0.0 v2.0.0+incompatible v1.0.5+meta v9.9.9 v1.5.0 v01.2.3',
      'V1.2.3 main dev release-1 feature/x HEAD deadbeef nothing {first} {one:7} {between} {between:12} {meta:9}',
      '{two:40} {tip:8} {side} {named} {one:6} 0000000 refs/heads/main heads/main tags/v1.0.0 main~1 v1.0.0^{} -x',
      'v1.1.0-rc.1.0.20060102150405-abcdefabcdef',
    ),
    '/v2': 'latest v2.0.0 main v1.0.0 {two}',
    '/nothing': 'latest v1.0.0 main',
  },
};

/** What may be said in a pseudo-version, and what may not. The times are those of the recipe: the first commit is a minute after its start. */
const pseudo: GitWorld = {
  name: 'pseudo',
  recipe: {
    steps: [
      { commit: 'bare', at: 1_700_000_060, files: { 'a.go': code(), 'go.mod': go('pseudo') } },
      { commit: 'tagged', at: 1_700_000_120, files: { 'b.go': code() } },
      { tag: 'v1.2.3' },
      { tag: 'v1.2.2+meta' },
      { commit: 'after', at: 1_700_000_180, files: { 'c.go': code() } },
      { commit: 'pre', at: 1_700_000_240, files: { 'd.go': code() } },
      { tag: 'v1.3.0-beta.1' },
      { commit: 'last', at: 1_700_000_300, files: { 'e.go': code() } },
      { commit: 'apart', at: 1_700_000_360, branch: 'apart', parents: [], files: { 'a.go': code(), 'go.mod': go('pseudo') } },
    ],
  },
  asks: {
    '': words(
      '{bare} {tagged} {after} {pre} {last} {apart} v0.0.0-20231114221420-{bare:12} v0.0.0-20231114221421-{bare:12}',
      'v0.0.0-20231114221420-{bare:11} v0.0.0-20231114221420-{bare:13} v1.0.0-20231114221420-{bare:12}',
      'v1.2.4-0.20231114221620-{after:12} v1.2.5-0.20231114221620-{after:12} v1.2.3-0.20231114221620-{after:12}',
      'v1.2.4-0.20231114221520-{tagged:12} v1.2.3-0.20231114221520-{tagged:12} v0.0.0-20231114221620-{after:12}',
      'v1.3.0-beta.1.0.20231114221820-{last:12} v1.3.0-beta.2.0.20231114221820-{last:12}',
      'v1.2.4-0.20231114221820-{last:12} v1.2.4-0.20231114221920-{apart:12} v0.0.0-20231114221920-{apart:12}',
      'v0.0.0-20231114221920-abcdefabcdef v2.0.0-20231114221420-{bare:12} v0.0.0-20231114221420-{bare:12}+incompatible',
      'v0.0.0-20239914221420-{bare:12} v1.2.4-0.20231114221620-{after:12}+incompatible',
    ),
    '/v2': 'v2.0.0-20231114221420-{bare:12}',
  },
};

const legacy: GitWorld = {
  name: 'legacy',
  recipe: {
    steps: [
      { commit: 'one', files: { 'a.go': code() } },
      { tag: 'v1.0.0' },
      { commit: 'two', files: { 'b.go': code() } },
      { tag: 'v2.0.0' },
      { tag: 'v2.1.0-pre' },
      { commit: 'aftertwo', files: { 'c.go': code() } },
      { commit: 'three', files: { 'go.mod': go('legacy', '/v3') } },
      { tag: 'v3.0.0' },
      { commit: 'threeone', files: { 'go.mod': undefined, 'd.go': code() } },
      { tag: 'v3.1.0' },
      { commit: 'four', files: { 'go.mod': go('legacy', '/v4') } },
      { tag: 'v4.0.0' },
      { commit: 'five', files: { 'go.mod': undefined, 'v5/go.mod': go('legacy', '/v5'), 'v5/a.go': code() } },
      { tag: 'v5.0.0' },
      { commit: 'tip', files: { 'v5/go.mod': undefined, 'e.go': code() } },
    ],
  },
  asks: {
    '': words(
      'latest v1.0.0 v2.0.0 v2.0.0+incompatible v1.0.0+incompatible v2.1.0-pre+incompatible v3.0.0+incompatible',
      'v3.1.0+incompatible v4.0.0 v4.0.0+incompatible v5.0.0 v5.0.0+incompatible main {one} {two} {aftertwo} {three}',
      '{five} v2.1.0-pre.0.20231114221620-{aftertwo:12}+incompatible v2.1.0-pre.0.20231114221620-{aftertwo:12}',
    ),
    '/v3': 'latest v3.0.0 v3.1.0 main',
    '/v5': 'latest v5.0.0 {five}',
  },
};

const hardline: GitWorld = {
  name: 'hardline',
  recipe: {
    steps: [
      { commit: 'two', files: { 'a.go': code() } },
      { tag: 'v2.0.0' },
      { commit: 'one', files: { 'go.mod': go('hardline') } },
      { tag: 'v1.0.0' },
      { commit: 'tip', files: { 'b.go': code() } },
    ],
  },
  asks: {
    '': 'latest v2.0.0 v2.0.0+incompatible v1.0.0 main {two}',
  },
};

const majors: GitWorld = {
  name: 'majors',
  recipe: {
    steps: [
      { commit: 'one', files: { 'go.mod': go('majors'), 'a.go': code(), LICENSE: 'root licence\n' } },
      { tag: 'v1.0.0' },
      { commit: 'two', files: { 'v2/go.mod': go('majors', '/v2'), 'v2/a.go': code('two') } },
      { tag: 'v2.0.0' },
      { tag: 'v1.1.0' },
      { commit: 'three', branch: 'third', parents: ['one'], files: { 'go.mod': go('majors', '/v3') } },
      { tag: 'v3.0.0' },
      { commit: 'both', branch: 'both', parents: ['one'], files: { 'go.mod': go('majors', '/v4'), 'v4/go.mod': go('majors', '/v4') } },
      { tag: 'v4.0.0' },
      { commit: 'other', branch: 'other', parents: ['one'], files: { 'go.mod': go('majors', '/v6'), 'v6/go.mod': go('majors', '/v7') } },
      { tag: 'v6.0.0' },
      { commit: 'fork', branch: 'fork', parents: ['one'], files: { 'go.mod': 'module example.com/some/other/v8\n' } },
      { tag: 'v8.0.0' },
      { commit: 'silent', branch: 'silent', parents: ['one'], files: { 'go.mod': 'go 1.21\n' } },
      { tag: 'v0.9.0' },
      { commit: 'quoted', branch: 'quoted', parents: ['one'], files: { 'go.mod': '// c\nmodule "example.com/quoted" // x\n' } },
      { tag: 'v0.9.1' },
      { commit: 'gopkg', branch: 'gopkg', parents: ['one'], files: { 'go.mod': 'module gopkg.in/yaml.v2\n' } },
      { tag: 'v0.9.2' },
      { commit: 'block', branch: 'block', parents: ['one'], files: { 'go.mod': 'module (\n\texample.com/block\n)\n' } },
      { tag: 'v0.9.3' },
      { commit: 'malformed', branch: 'malformed', parents: ['one'], files: { 'go.mod': 'module example.com/x/v1\n' } },
      { tag: 'v0.9.4' },
    ],
  },
  asks: {
    '': 'latest v1.0.0 v1.1.0 v2.0.0 main third v0.9.0 v0.9.1 v0.9.2 v0.9.3 v0.9.4',
    '/v2': 'latest v2.0.0 main v2.0.1-0.20231114221520-{two:12} {one}',
    '/v3': 'latest v3.0.0 third main',
    '/v4': 'latest v4.0.0 both',
    '/v6': 'latest v6.0.0',
    '/v8': 'latest v8.0.0',
    '/v9': 'latest main',
  },
};

const folders: GitWorld = {
  name: 'folders',
  recipe: {
    steps: [
      {
        commit: 'one',
        files: {
          'go.mod': go('folders'),
          LICENSE: 'root licence\n',
          'a.go': code(),
          'sub/go.mod': go('folders', '/sub'),
          'sub/a.go': code('sub'),
          'sub/deep/go.mod': go('folders', '/sub/deep'),
          'sub/deep/a.go': code('deep'),
          'licensed/go.mod': go('folders', '/licensed'),
          'licensed/LICENSE': 'own licence\n',
          'licensed/inner/LICENSE': 'inner licence\n',
          'linked/go.mod': go('folders', '/linked'),
          'linked/LICENSE': { mode: '120000', data: '../LICENSE' },
          'license-folder/go.mod': go('folders', '/license-folder'),
          'license-folder/LICENSE/text': 'x',
          'bare/a.go': code(),
        },
      },
      { tag: 'v1.0.0' },
      { tag: 'sub/v0.1.0' },
      { tag: 'sub/deep/v1.0.0', annotated: true },
      { tag: 'licensed/v1.0.0' },
      { tag: 'linked/v1.0.0' },
      { tag: 'license-folder/v1.0.0' },
      { tag: 'bare/v1.0.0' },
      { commit: 'two', files: { 'sub/b.go': code(), 'sub/v2/go.mod': go('folders', '/sub/v2'), 'sub/v2/b.go': code() } },
      { tag: 'sub/v0.2.0' },
      { tag: 'sub/v2.0.0' },
      { tag: 'sub/v0.0.0-20060102150405-abcdefabcdef' },
      { commit: 'tip', files: { 'a.go': code('more') } },
    ],
  },
  asks: {
    '': 'latest v1.0.0 main {two}',
    '/sub': 'latest v0.1.0 v0.2.0 v1.0.0 main {one} v0.2.1-0.20231114221620-{tip:12} sub/v0.1.0',
    '/sub/v2': 'latest v2.0.0 main',
    '/sub/deep': 'latest v1.0.0 main',
    '/licensed': 'v1.0.0',
    '/linked': 'v1.0.0',
    '/license-folder': 'v1.0.0',
    '/bare': 'latest v1.0.0 main',
  },
};

const retracting: GitWorld = {
  name: 'retracting',
  recipe: {
    steps: [
      { commit: 'one', files: { 'go.mod': go('retracting'), 'a.go': code() } },
      { tag: 'v1.0.0' },
      { commit: 'two', files: { 'b.go': code() } },
      { tag: 'v1.0.5' },
      { commit: 'three', files: { 'c.go': code() } },
      { tag: 'v1.0.9' },
      { tag: 'v1.0.8' },
      {
        commit: 'four',
        files: { 'go.mod': `${go('retracting')}retract [v1.0.5, v1.0.9] // broken\nretract (\n\tv1.1.0\n\t[v1.1.5, v1.1.6]\n)\n` },
      },
      { tag: 'v1.1.0' },
      { commit: 'tip', files: { 'd.go': code() } },
    ],
  },
  asks: {
    '': 'latest v1.0.5 v1.1.0 main {two} {three} {four} HEAD',
  },
};

const gone: GitWorld = {
  name: 'gone',
  recipe: {
    steps: [
      { commit: 'one', files: { 'go.mod': `${go('gone')}\nretract [v0.0.0, v1.9.9]\n`, 'a.go': code() } },
      { tag: 'v1.0.0' },
      { commit: 'tip', files: { 'b.go': code() } },
    ],
  },
  asks: {
    '': 'latest v1.0.0 main {one}',
  },
};

const merged: GitWorld = {
  name: 'merged',
  recipe: {
    steps: [
      { commit: 'root', files: { 'go.mod': go('merged'), 'a.go': code() } },
      { tag: 'v0.1.0' },
      { commit: 'left', files: { 'b.go': code() } },
      { commit: 'right', branch: 'right', parents: ['root'], files: { 'c.go': code() } },
      { tag: 'v0.5.0' },
      { commit: 'joined', parents: ['left', 'right'], files: { 'd.go': code() } },
      { commit: 'tip', files: { 'e.go': code() } },
      { commit: 'apart', branch: 'apart', parents: ['left'], files: { 'f.go': code() } },
      { commit: 'far', branch: 'far', parents: [], files: { 'go.mod': go('merged'), 'z.go': code() } },
      { tag: 'v9.0.0' },
      { tag: 'v1.9.0' },
    ],
  },
  asks: {
    '': 'latest main apart far {left} {joined} right',
  },
};

export const worlds: readonly GitWorld[] = [plain, pseudo, legacy, hardline, majors, folders, retracting, gone, merged];
