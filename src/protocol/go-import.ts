/**
 * What a discovery page (`https://PATH?go-get=1`) says of where a module is: `<meta name="go-import" content="ROOT VCS URL [SUBFOLDER]">`.
 *
 * - Only the head counts: reading ends at `</head>` or `<body>`, and at the first thing that cannot be read. Names of elements and attributes are
 *   compared without regard to case, and prefixes such as `x:` are not looked at.
 * - The page is read as lenient XML, as the go command reads it: values may stand in either quotes, or bare when they are of letters, digits, `_`, `:`
 *   and `-`. A script is no exception: `<` before what is no name ends the reading. An encoding other than UTF-8 or ASCII is refused.
 * - A tag of the kind `mod` replaces others of the same root and goes before all others. Apart from that, two tags that match one path are an error.
 *
 * https://go.dev/ref/mod#vcs-find, https://pkg.go.dev/cmd/go#hdr-Remote_import_paths
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';

export interface GoImport {
  /** Module path of the repository's root. */
  readonly root: string;
  /** `git`, `mod`, or something else, unchecked. */
  readonly vcs: string;
  /** Unchecked. */
  readonly url: string;
  /** The folder of the repository that stands for the root; empty when the tag names none. Unchecked. */
  readonly subfolder: string;
}

/** All tags of the head, those of the kind `mod` first. */
export function parseGoImports(page: string): Parsed<readonly GoImport[]> {
  const imports: GoImport[] = [];
  for (let at = page.indexOf('<'); at >= 0; ) {
    const token = readToken(page, at);
    if (token.kind === 'broken') {
      if (imports.length === 0) return refused(`the page cannot be read: ${token.reason}`);
      break;
    }
    if ((token.kind === 'start' && token.name === 'body') || (token.kind === 'end' && token.name === 'head')) break;
    const found = token.kind === 'start' && token.name === 'meta' ? importOf(token.attributes) : undefined;
    if (found !== undefined) imports.push(found);
    at = page.indexOf('<', token.end);
  }
  const proxies = imports.filter(({ vcs }) => vcs === 'mod');
  const replaced = new Set(proxies.map(({ root }) => root));
  return parsed([...proxies, ...imports.filter(({ vcs, root }) => vcs !== 'mod' && !replaced.has(root))]);
}

export type GoImportChoice =
  | { readonly kind: 'one'; readonly tag: GoImport }
  /** `roots`: those that the page speaks of instead. */
  | { readonly kind: 'none'; readonly roots: readonly string[] }
  | { readonly kind: 'several'; readonly tags: readonly GoImport[] };

/** The tag for a module path, among those of {@link parseGoImports}. */
export function chooseGoImport(imports: readonly GoImport[], module: string): GoImportChoice {
  const matching = imports.filter(({ root }) => module === root || module.startsWith(`${root}/`));
  const [first, second] = matching;
  if (first === undefined) return { kind: 'none', roots: imports.map(({ root }) => root) };
  if (second === undefined || (first.vcs === 'mod' && second.vcs !== 'mod')) return { kind: 'one', tag: first };
  return { kind: 'several', tags: matching };
}

/** Why a subfolder cannot be one, or undefined. */
export function subfolderFault(subfolder: string): string | undefined {
  if (subfolder === '') return undefined;
  if (subfolder.startsWith('/')) return 'begins with a slash';
  if (subfolder.startsWith('-')) return 'begins with a hyphen';
  return subfolder.split('/').some((element) => element === '' || element === '.' || element === '..') ? 'is no plain path' : undefined;
}

function importOf(attributes: readonly Attribute[]): GoImport | undefined {
  const valueOf = (name: string): string => attributes.find((attribute) => attribute.name === name)?.value ?? '';
  if (valueOf('name') !== 'go-import') return undefined;
  const [root, vcs, url, subfolder = '', ...more] = valueOf('content').trim().split(/\s+/);
  if (root === undefined || vcs === undefined || url === undefined || more.length > 0) return undefined;
  return { root, vcs, url, subfolder };
}

interface Attribute {
  /** In small letters. */
  readonly name: string;
  readonly value: string;
}

type Token =
  | { readonly kind: 'start'; readonly name: string; readonly attributes: readonly Attribute[]; readonly end: number }
  | { readonly kind: 'end'; readonly name: string; readonly end: number }
  | { readonly kind: 'skipped'; readonly end: number }
  | { readonly kind: 'broken'; readonly reason: string };

const NAME = /[\w:.\-\u0080-\uffff]*/y;
const SPACE = /[ \t\r\n]*/y;
const BARE_VALUE = /[\w:-]*/y;

/** What begins at the `<` that stands at `at`. */
function readToken(page: string, at: number): Token {
  if (page.startsWith('<!--', at)) return skipTo(page, '-->', at + 4);
  if (page.startsWith('<![CDATA[', at)) return skipTo(page, ']]>', at + 9);
  if (page.startsWith('<!', at)) return skipDirective(page, at + 2);
  if (page.startsWith('<?', at)) return readInstruction(page, at);
  const isEnd = page[at + 1] === '/';
  const nameAt = at + (isEnd ? 2 : 1);
  const name = matchAt(NAME, page, nameAt);
  if (name === '' || /^[\d.-]/.test(name)) return broken('a < without a name');
  let next = nameAt + name.length;
  if (!isEnd) return readAttributes(page, localName(name), next);
  next += matchAt(SPACE, page, next).length;
  return page[next] === '>' ? { kind: 'end', name: localName(name), end: next + 1 } : broken(`</${name} does not end`);
}

function readAttributes(page: string, name: string, from: number): Token {
  const attributes: Attribute[] = [];
  for (let at = from; ; ) {
    at += matchAt(SPACE, page, at).length;
    if (page[at] === '>') return { kind: 'start', name, attributes, end: at + 1 };
    if (page.startsWith('/>', at)) return { kind: 'start', name, attributes, end: at + 2 };
    const attribute = matchAt(NAME, page, at);
    if (attribute === '') return broken(`<${name} has an attribute without a name`);
    at += attribute.length;
    const value = at + matchAt(SPACE, page, at).length;
    if (page[value] !== '=') {
      attributes.push({ name: localName(attribute), value: attribute });
      continue;
    }
    at = value + 1;
    at += matchAt(SPACE, page, at).length;
    const quote = page[at];
    if (quote === '"' || quote === "'") {
      const end = page.indexOf(quote, at + 1);
      if (end < 0) return broken(`a value of <${name} does not end`);
      attributes.push({ name: localName(attribute), value: unescaped(page.slice(at + 1, end)) });
      at = end + 1;
      continue;
    }
    const bare = matchAt(BARE_VALUE, page, at);
    attributes.push({ name: localName(attribute), value: bare });
    at += bare.length;
  }
}

/** `<!DOCTYPE …>`: quotes and angle brackets in it are balanced. */
function skipDirective(page: string, from: number): Token {
  let depth = 1;
  let quote = '';
  for (let at = from; at < page.length; at += 1) {
    const character = page[at] ?? '';
    if (quote !== '') quote = character === quote ? '' : quote;
    else if (character === '"' || character === "'") quote = character;
    else if (character === '<') depth += 1;
    else if (character === '>' && (depth -= 1) === 0) return { kind: 'skipped', end: at + 1 };
  }
  return broken('<! does not end');
}

function readInstruction(page: string, at: number): Token {
  const end = page.indexOf('?>', at);
  if (end < 0) return broken('<? does not end');
  const text = page.slice(at, Math.min(end, at + 1024));
  const encoding = /^<\?xml\s(?:[^]*\s)?encoding\s*=\s*["']([^"']*)["']/.exec(text)?.[1]?.toLowerCase();
  if (encoding !== undefined && encoding !== '' && encoding !== 'utf-8' && encoding !== 'ascii')
    return broken(`its encoding is ${encoding}`);
  return { kind: 'skipped', end: end + 2 };
}

function skipTo(page: string, mark: string, from: number): Token {
  const found = page.indexOf(mark, from);
  return found < 0 ? broken(`${mark} is missing`) : { kind: 'skipped', end: found + mark.length };
}

function broken(reason: string): Token {
  return { kind: 'broken', reason };
}

function matchAt(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? '';
}

function localName(name: string): string {
  return name.slice(name.indexOf(':') + 1).toLowerCase();
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', apos: "'", quot: '"' };

/** What is no entity of XML stays as it is. */
function unescaped(value: string): string {
  return value.replace(/&(?:#([0-9]{1,7})|#x([0-9a-fA-F]{1,6})|([a-z]{2,4}));/g, (whole, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
