import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderMarkdown } from './markdown.ts';

const cases: readonly (readonly [what: string, text: string, html: string])[] = [
  [
    'headings, with a place to link to',
    '## `go env`: what is *set*?',
    '<h2 id="go-env-what-is-set"><code>go env</code>: what is *set*?</h2>',
  ],
  ['a paragraph of several lines', 'a\nb\n\nc', '<p>a b</p>\n<p>c</p>'],
  ['code, in which nothing means anything', 'x `**<a>** [b](c.md)` y', '<p>x <code>**&#60;a&#62;** [b](c.md)</code> y</p>'],
  ['a link with code in it', 'see [`goyi sdk`](sdk.md#a-b).', '<p>see <a href="sdk.md#a-b"><code>goyi sdk</code></a>.</p>'],
  ['bold', '**not** so', '<p><strong>not</strong> so</p>'],
  ['a target that could run', '[x](javascript:alert)', '<p>[x](javascript:alert)</p>'],
  ['a target with a quote mark', '[x](https://a"b)', '<p>[x](https://a&#34;b)</p>'],
  ['markup', '<script>', '<p>&#60;script&#62;</p>'],
  ['a list whose items go on', '- a\n  b\n- c', '<ul>\n<li>a b</li>\n<li>c</li>\n</ul>'],
  ['a list of steps', 'so:\n1. a\n2. b', '<p>so:</p>\n<ol>\n<li>a</li>\n<li>b</li>\n</ol>'],
  [
    'a table with a bar in it',
    '| a | b |\n| --- | --- |\n| `x \\| y` | z |',
    '<table>\n<tr><th>a</th><th>b</th></tr>\n<tr><td><code>x | y</code></td><td>z</td></tr>\n</table>',
  ],
  ['a block of code', '```sh\n# a < b\n\nc\n```\nd', '<pre tabindex="0"><code># a &#60; b\n\nc</code></pre>\n<p>d</p>'],
  ['a block that does not end', '```\na', '<pre tabindex="0"><code>a</code></pre>'],
];
for (const [what, text, html] of cases) test(what, () => assert.equal(renderMarkdown(text), html));
