import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { ConfigFault, Place, Say } from './faults.ts';

export type Path = readonly (string | number)[];

/** Plain values as they stand in the file. Records have no prototype; a key without a value is left out. */
export type Tree = string | number | boolean | bigint | null | readonly Tree[] | { readonly [key: string]: Tree };

export interface YamlFile {
  readonly tree: { readonly [key: string]: Tree };
  readonly faults: readonly ConfigFault[];
  /** Where the value at a path stands, or its nearest enclosing value; `key` asks for the place of the key itself. */
  placeOf(path: Path, what: 'value' | 'key'): Place;
  /** Whether the file gives a value at this very path. */
  has(path: Path): boolean;
}

const DEPTH_MAX = 16;
const SYNTAX_FAULTS_MAX = 5;

/** Reads YAML 1.2, keeping positions. `file` is how messages name it. Faults of syntax are collected, never thrown. */
export function readYaml(file: string, text: string): YamlFile {
  const lines = new LineCounter();
  const reader = new Reader(file, lines);
  const read = (tree: YamlFile['tree']): YamlFile => ({
    tree,
    faults: reader.faults,
    placeOf: (path, what) => reader.placeOf(path, what),
    has: (path) => reader.has(path),
  });
  try {
    const document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      version: '1.2',
      schema: 'core',
      strict: true,
      stringKeys: true,
      logLevel: 'silent',
    });
    // One slip of syntax draws others after it; the first few say it.
    for (const error of [...document.errors, ...document.warnings].slice(0, SYNTAX_FAULTS_MAX)) {
      // An unquoted `*.corp.example` reads as an alias; say so, instead of that the alias is unresolved.
      const say: Say = error.code === 'BAD_ALIAS' ? (m) => m.config.aliasOrAnchor : (m) => m.config.yaml(error.message);
      reader.fault(error.pos[0], say);
    }
    const tree = reader.faults.length > 0 || document.contents === null ? {} : reader.top(document.contents);
    return read(tree);
  } catch (error) {
    // The parser recurses, so only a file made to be nested absurdly deep gets here.
    if (!(error instanceof RangeError)) throw error;
    reader.fault(0, (m) => m.config.tooDeep);
    return read({});
  }
}

class Reader {
  readonly faults: ConfigFault[] = [];
  readonly #file: string;
  readonly #lines: LineCounter;
  readonly #valueOffsets = new Map<string, number>();
  readonly #keyOffsets = new Map<string, number>();

  constructor(file: string, lines: LineCounter) {
    this.#file = file;
    this.#lines = lines;
  }

  top(node: Node): { readonly [key: string]: Tree } {
    if (isScalar(node) && (node.value === null || node.value === undefined)) return {};
    if (!isMap(node)) {
      this.fault(node.range?.[0] ?? 0, (m) => m.config.topMustBeGroup);
      return {};
    }
    return this.#read(node, []) as { readonly [key: string]: Tree };
  }

  fault(offset: number, say: Say, path: Path = []): void {
    this.faults.push({ place: this.#place(offset), key: path.join('.'), say });
  }

  placeOf(path: Path, what: 'value' | 'key'): Place {
    for (let length = path.length; length > 0; length -= 1) {
      const name = JSON.stringify(path.slice(0, length));
      const offset = (what === 'key' && length === path.length ? this.#keyOffsets.get(name) : undefined) ?? this.#valueOffsets.get(name);
      if (offset !== undefined) return this.#place(offset);
    }
    return this.#place(0);
  }

  has(path: Path): boolean {
    return this.#valueOffsets.has(JSON.stringify(path));
  }

  #place(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { kind: 'file', file: this.#file, line: Math.max(line, 1), column: Math.max(col, 1) };
  }

  #read(node: Node, path: Path): Tree {
    const offset = node.range?.[0] ?? 0;
    this.#valueOffsets.set(JSON.stringify(path), offset);
    if (path.length > DEPTH_MAX) {
      this.fault(offset, (m) => m.config.tooDeep, path);
      return null;
    }
    if (isAlias(node) || node.anchor !== undefined) {
      this.fault(offset, (m) => m.config.aliasOrAnchor, path);
      return null;
    }
    if (isSeq<Node>(node)) return node.items.map((item, index) => this.#read(item, [...path, index]));
    if (!isMap<Node, Node | null>(node)) return isScalar(node) ? (node.value as Tree) : null;
    const tree: Record<string, Tree> = Object.create(null) as Record<string, Tree>;
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : '';
      const below = [...path, name];
      this.#keyOffsets.set(JSON.stringify(below), key.range?.[0] ?? offset);
      if (value === null || (isScalar(value) && value.value === null)) continue;
      const read = this.#read(value, below);
      // What is told as a fault here is not told again as a value of the wrong kind.
      if (read !== null) tree[name] = read;
    }
    return tree;
  }
}
