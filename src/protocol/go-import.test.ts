import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseGoImport, type GoImport, parseGoImports, subfolderFault } from './go-import.ts';

const lib: GoImport = { root: 'a.example/lib', vcs: 'git', url: 'https://code.example/lib', subfolder: '' };
const tag = '<meta name="go-import" content="a.example/lib git https://code.example/lib">';

const pages: readonly { readonly name: string; readonly page: string; readonly imports: readonly GoImport[] }[] = [
  { name: 'one tag', page: tag, imports: [lib] },
  {
    name: 'a whole document',
    page: `<!DOCTYPE html>\n<html lang=en><head><title>x</title>${tag}</head><body>y</body></html>`,
    imports: [lib],
  },
  {
    name: 'other quotes, other case, closed',
    page: `<META NAME='go-import' Content='a.example/lib git https://code.example/lib'/>`,
    imports: [lib],
  },
  {
    name: 'spaces and lines',
    page: `<meta name = "go-import"\n content= "  a.example/lib \n git\thttps://code.example/lib " >`,
    imports: [lib],
  },
  { name: 'a subfolder', page: tag.replace('lib">', 'lib sub/go">'), imports: [{ ...lib, subfolder: 'sub/go' }] },
  { name: 'too many fields', page: tag.replace('lib">', 'lib sub more">'), imports: [] },
  { name: 'too few fields', page: '<meta name="go-import" content="a.example/lib git">', imports: [] },
  { name: 'after the head', page: `<head></head>${tag}`, imports: [] },
  { name: 'in the body', page: `<body>${tag}`, imports: [] },
  { name: 'in a comment', page: `<!-- ${tag} -->`, imports: [] },
  { name: 'in CDATA', page: `<![CDATA[${tag}]]>`, imports: [] },
  { name: 'another name', page: tag.replace('go-import', 'go-source'), imports: [] },
  {
    name: 'entities',
    page: tag.replace('code.example', 'code&#46;example&amp;&nbsp;&#x2e;'),
    imports: [{ ...lib, url: 'https://code.example&&nbsp;./lib' }],
  },
  { name: 'attributes without a value', page: tag.replace('<meta', '<meta hidden data-x=y:z'), imports: [lib] },
  { name: 'a script that can be read', page: `<script>let x = 1;</script>${tag}`, imports: [lib] },
  { name: 'what cannot be read after it', page: `${tag}<script>if (1 < 2) {}</script>${tag}`, imports: [lib] },
  {
    name: 'mod goes first',
    page: `${tag}<meta name="go-import" content="a.example mod https://p.example">`,
    imports: [{ root: 'a.example', vcs: 'mod', url: 'https://p.example', subfolder: '' }, lib],
  },
  { name: 'mod replaces the same root', page: `${tag}${tag.replace(' git ', ' mod ')}`, imports: [{ ...lib, vcs: 'mod' }] },
  { name: 'an XML head', page: `<?xml version="1.0" encoding="UTF-8"?>${tag}`, imports: [lib] },
  { name: 'an empty page', page: '', imports: [] },
];

for (const { name, page, imports } of pages) {
  test(`parseGoImports: ${name}`, () => assert.deepEqual(parseGoImports(page), { ok: true, value: imports }));
}

for (const page of [
  '<script>if (1 < 2)',
  '<!-- no end',
  `<meta name="go-import`,
  `<3${tag}`,
  `<?xml version="1.0" encoding="latin1"?>${tag}`,
  '<! "',
  `<meta =x>${tag}`,
]) {
  test(`parseGoImports refuses ${page.slice(0, 24)}`, () => assert.equal(parseGoImports(page).ok, false));
}

test('parseGoImports bears any text, and hostile pages in a time that grows with their length alone', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => typeof parseGoImports(`<meta ${text}`).ok === 'boolean'));
  for (const piece of ['<', '<!', '<!<', '<a ', '<a b', '<a b="', '<?xml encoding ', '<!--', '<a b=c ', '&#46;']) {
    assert.equal(typeof parseGoImports(`<meta content="x" ${piece.repeat(50_000)}`).ok, 'boolean');
    assert.equal(typeof parseGoImports(piece.repeat(50_000)).ok, 'boolean');
  }
});

const other: GoImport = { root: 'a.example', vcs: 'git', url: 'https://code.example/all', subfolder: '' };
const proxy: GoImport = { ...other, vcs: 'mod' };
const choices: readonly { readonly imports: readonly GoImport[]; readonly module: string; readonly kind: string; readonly url?: string }[] =
  [
    { imports: [lib], module: 'a.example/lib', kind: 'one', url: lib.url },
    { imports: [lib], module: 'a.example/lib/v2', kind: 'one', url: lib.url },
    { imports: [lib], module: 'a.example/library', kind: 'none' },
    { imports: [lib], module: 'a.example', kind: 'none' },
    { imports: [lib, other], module: 'a.example/x', kind: 'one', url: other.url },
    { imports: [lib, other], module: 'a.example/lib/x', kind: 'several' },
    { imports: [lib, lib], module: 'a.example/lib', kind: 'several' },
    { imports: [proxy, lib], module: 'a.example/lib', kind: 'one', url: proxy.url },
    { imports: [proxy, proxy], module: 'a.example/lib', kind: 'several' },
  ];
for (const { imports, module, kind, url } of choices) {
  test(`chooseGoImport: ${imports.map(({ root, vcs }) => `${root} ${vcs}`).join(', ')} for ${module} is ${kind}`, () => {
    const choice = chooseGoImport(imports, module);
    assert.equal(choice.kind, kind);
    if (choice.kind === 'one') assert.equal(choice.tag.url, url);
  });
}

for (const [subfolder, fault] of [
  ['', false],
  ['a/b', false],
  ['/a', true],
  ['-a', true],
  ['a/../b', true],
  ['..', true],
  ['a//b', true],
  ['a/', true],
] as const) {
  test(`subfolderFault(${subfolder})`, () => assert.equal(subfolderFault(subfolder) !== undefined, fault));
}
