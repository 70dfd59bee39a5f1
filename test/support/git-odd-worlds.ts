// Repositories whose content, objects or names of references are unusual.
import type { Step } from './git-repository.ts';
import { type GitWorld, code, go, rootOf } from './git-world.ts';

const attributes: GitWorld = {
  name: 'attributes',
  recipe: {
    steps: [
      {
        commit: 'one',
        files: {
          '.gitattributes': [
            'crlf.txt text eol=crlf',
            'auto.txt text=auto eol=crlf',
            'ident.txt ident',
            'wide.txt text working-tree-encoding=UTF-16LE',
            'latin.txt text working-tree-encoding=ISO-8859-1',
            'ignored.txt export-ignore',
            'ignored/ export-ignore',
            'subst.txt export-subst',
            'lfs.bin filter=lfs diff=lfs merge=lfs -text',
            'evil.txt filter=evil',
            '*.bin binary',
            'go.mod text eol=crlf',
          ].join('\n'),
          'go.mod': go('attributes'),
          'crlf.txt': 'one\ntwo\r\nthree\n',
          'auto.txt': 'one\ntwo\n',
          'ident.txt': '$Id$ and $Id: old $\n',
          'wide.txt': 'wide é\n',
          'latin.txt': 'latin é\n',
          'ignored.txt': 'kept\n',
          'ignored/a.go': code(),
          'subst.txt': '$Format:%H$\n',
          'lfs.bin': 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n',
          'evil.txt': 'evil\n',
          'zero.bin': Buffer.from([0, 1, 2, 13, 10, 10]),
          'plain.txt': 'one\r\ntwo\n',
          'sub/.gitattributes': '*.txt eol=crlf\n',
          'sub/go.mod': go('attributes', '/sub'),
          'sub/b.txt': 'a\nb\n',
          'sub/ident.txt': '$Id$\n',
        },
      },
      { tag: 'v1.0.0' },
      { tag: 'sub/v1.0.0' },
    ],
  },
  asks: {
    '': 'v1.0.0 latest',
    '/sub': 'v1.0.0',
  },
};

const contents: GitWorld = {
  name: 'contents',
  recipe: {
    steps: [
      {
        commit: 'one',
        files: {
          'go.mod': go('contents', '', '1.23'),
          'a.go': code(),
          'empty.txt': '',
          'large.txt': Buffer.alloc(3 * 1024 * 1024, 'large and dull\n'),
          'run.sh': { mode: '100755', data: '#!/bin/sh\n' },
          link: { mode: '120000', data: 'a.go' },
          'sub/link.go': { mode: '120000', data: '../a.go' },
          module: { mode: '160000', data: '0123456789012345678901234567890123456789' },
          '.gitmodules': '[submodule "module"]\n\tpath = module\n\turl = ext::sh -c "exit 1"\n',
          '.hg_archival.txt': 'x',
          'inner/.hg_archival.txt': 'x',
          'vendor/modules.txt': '# x\n',
          'vendor/x.go': code(),
          'vendor/example.com/x/x.go': code(),
          'a/vendor/x.go': code(),
          'a/vendor/y/x.go': code(),
          'abcdefgh/vendor/x.go': code(),
          'nested/go.mod': 'module example.com/nested\n',
          'nested/a.go': code(),
          'nested/deeper/a.go': code(),
          'shouting/GO.MOD': 'module example.com/shouting\n',
          'shouting/a.go': code(),
          'linkmod/go.mod': { mode: '120000', data: '../go.mod' },
          'linkmod/a.go': code(),
          'ünïcödé/日本語.go': code(),
          '𠜎.txt': 'astral',
          'ｚ.txt': 'wide z',
          '.dot/.file': 'x',
          'with space & co!.txt': 'x',
          [`${'long/'.repeat(45)}name.txt`]: 'x',
          [`${'n'.repeat(200)}.txt`]: 'x',
        },
      },
      { tag: 'v1.0.0' },
      { commit: 'two', files: { 'go.mod': go('contents', '', '1.24rc1') } },
      { tag: 'v1.1.0' },
      { commit: 'three', files: { 'go.mod': `module ${rootOf('contents')}\n\ngo 1.24\ngo 1.25\n` } },
      { tag: 'v1.2.0' },
      { commit: 'four', files: { 'go.mod': { mode: '120000', data: 'a.go' } } },
      { tag: 'v1.3.0' },
      { commit: 'five', files: { 'go.mod': undefined } },
      { tag: 'v1.4.0' },
    ],
  },
  asks: {
    '': 'v1.0.0 v1.1.0 v1.2.0 v1.3.0 v1.4.0 main',
    '/nested': 'main',
  },
};

/** Each in a version of its own, because each has to fail alone. */
const badFiles: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  colon: { 'a:b.txt': 'x' },
  device: { 'con.txt': 'x' },
  dot: { 'trailing.': 'x' },
  newline: { 'new\nline': 'x' },
  backslash: { 'back\\slash': 'x' },
  case: { 'Readme.md': 'x', 'README.md': 'y' },
  fold: { 'ſ.txt': 'x', 's.txt': 'y' },
  folder: { 'Dir/a': 'x', 'dir/b': 'y' },
  capital: { 'Go.mod': 'x' },
  bytes: { 'bad\\xff.txt': 'x' },
  emoji: { '😀.txt': 'x' },
  vendored: { 'vendor/x/a:b.txt': 'fine: left out before it is looked at', 'vendor/x/A': '1', 'vendor/x/a': '2' },
  nested: { 'n/go.mod': 'module example.com/n\n', 'n/a:b': 'fine' },
};

const bad: GitWorld = {
  name: 'bad',
  recipe: {
    steps: [
      { commit: 'base', files: { 'go.mod': go('bad'), 'a.go': code() } },
      ...Object.entries(badFiles).flatMap(([name, files], index): Step[] => [
        { commit: name, branch: name, parents: ['base'], files },
        { tag: `v1.${index}.0` },
      ]),
      { commit: 'linked', branch: 'linked', parents: ['base'], files: { 'l:nk': { mode: '120000', data: 'a.go' } } },
      { tag: 'v1.90.0' },
      { commit: 'caselink', branch: 'caselink', parents: ['base'], files: { 'A.go': { mode: '120000', data: 'a.go' } } },
      { tag: 'v1.91.0' },
      {
        commit: 'largemod',
        branch: 'largemod',
        parents: ['base'],
        files: { 'go.mod': `${go('bad')}${`// ${'x'.repeat(1021)}\n`.repeat(16 * 1024)}` },
      },
      { tag: 'v1.92.0' },
      { commit: 'largelicense', branch: 'largelicense', parents: ['base'], files: { LICENSE: Buffer.alloc(16 * 1024 * 1024 + 1, 'x') } },
      { tag: 'v1.93.0' },
    ],
  },
  asks: {
    '': `${Object.keys(badFiles)
      .map((_, index) => `v1.${index}.0`)
      .join(' ')} v1.90.0 v1.91.0 v1.92.0 v1.93.0`,
  },
};

const sha256: GitWorld = {
  name: 'sha256',
  recipe: {
    format: 'sha256',
    steps: [
      { commit: 'one', files: { 'go.mod': go('sha256'), 'a.go': code() } },
      { tag: 'v1.0.0', annotated: true },
      { commit: 'tip', files: { 'b.go': code() } },
    ],
  },
  asks: {
    '': 'latest v1.0.0 main {tip} {tip:12} {tip:40}',
  },
};

const empty: GitWorld = {
  name: 'empty',
  recipe: { steps: [] },
  asks: {
    '': 'latest v1.0.0 main',
    '/v2': 'latest',
  },
};

const hollow: GitWorld = {
  name: 'hollow',
  recipe: { steps: [{ commit: 'one', files: {} }, { tag: 'v1.0.0' }] },
  asks: {
    '': 'latest v1.0.0',
  },
};

const unborn: GitWorld = {
  name: 'unborn',
  recipe: { head: 'refs/heads/none', steps: [{ commit: 'one', files: { 'go.mod': go('unborn'), 'a.go': code() } }] },
  asks: {
    '': 'latest main {one}',
  },
};

const objects: GitWorld = {
  name: 'objects',
  recipe: {
    steps: [
      { commit: 'one', files: { 'go.mod': go('objects'), 'a.go': code() } },
      { tag: 'v1.0.0' },
      { tag: 'v1.0.1', annotated: true },
      { git: ['update-ref', 'refs/tags/v1.1.0', '{one}^{tree}'] },
      { git: ['update-ref', 'refs/tags/v0.2.0', '{one}:a.go'] },
      { git: ['tag', '-a', '-m', 'nested', 'v0.3.0', 'v1.0.1'] },
      { git: ['update-ref', 'refs/heads/v0.4.0', '{one}'] },
      { commit: 'tip', files: { 'b.go': code() } },
    ],
  },
  asks: {
    '': 'v1.0.0 v1.0.1 v1.1.0 v0.2.0 v0.3.0 v0.4.0 main',
  },
};

const hostile: GitWorld = {
  name: 'hostile',
  recipe: {
    steps: [
      { commit: 'one', files: { 'go.mod': go('hostile'), 'a.go': code() } },
      { git: ['update-ref', 'refs/tags/--upload-pack=touch', '{one}'] },
      { git: ['update-ref', 'refs/tags/-oProxyCommand=x', '{one}'] },
      { git: ['update-ref', 'refs/heads/--output=x', '{one}'] },
      { git: ['update-ref', 'refs/heads/$(id)', '{one}'] },
      { git: ['update-ref', 'refs/heads/HEAD', '{one}'] },
      { git: ['update-ref', 'refs/tags/HEAD', '{one}'] },
      { git: ['update-ref', 'refs/tags/refs/heads/main', '{one}'] },
      { git: ['update-ref', 'refs/tags/ünï', '{one}'] },
      { git: ['update-ref', 'refs/tags/v1.0.0', '{one}'] },
      { git: ['update-ref', 'refs/tags/v1.0.0-rc/1', '{one}'] },
      { commit: 'tip', files: { 'b.go': code() } },
    ],
  },
  asks: {
    '': 'latest v1.0.0 HEAD refs/heads/main main ünï',
  },
};

export const oddWorlds: readonly GitWorld[] = [attributes, contents, bad, sha256, empty, hollow, unborn, objects, hostile];
