import type { Messages } from '../messages/zh.ts';

/** A sentence in whichever language it is asked for. */
export type Say = (messages: Messages) => string;

/** Where a value was written. Lines and columns count from 1. */
export type Place =
  | { readonly kind: 'file'; readonly file: string; readonly line: number; readonly column: number }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'flag'; readonly name: string }
  /** Nowhere: a default, or something that is missing. */
  | { readonly kind: 'none' };

export interface ConfigFault {
  readonly place: Place;
  /** Dotted, entries of lists counted from 0: `policy.rules.0.match`. '' for the file as a whole. */
  readonly key: string;
  readonly say: Say;
}

/** One line: `goyi.yaml:3:9: listen: must be …`. Never holds a value, since a value may be a secret. */
export function formatFault(fault: ConfigFault, messages: Messages): string {
  return printable([formatPlace(fault.place), fault.key, fault.say(messages)].filter((part) => part !== '').join(': '));
}

/** Keys are quoted from the file: what could steer a terminal is replaced, and the line is kept to a bearable length. */
function printable(line: string): string {
  return line.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '\uFFFD').slice(0, 1_000);
}

function formatPlace(place: Place): string {
  switch (place.kind) {
    case 'file':
      return `${place.file}:${place.line}:${place.column}`;
    case 'variable':
    case 'flag':
      return place.name;
    case 'none':
      return '';
  }
}

const rank = { flag: 0, variable: 1, file: 2, none: 3 } as const;

/** Flags first, then variables, each by name, then the file from top to bottom. */
export function compareFaults(a: ConfigFault, b: ConfigFault): number {
  if (a.place.kind === 'file' && b.place.kind === 'file') return a.place.line - b.place.line || a.place.column - b.place.column;
  const [first, second] = [formatPlace(a.place), formatPlace(b.place)];
  return rank[a.place.kind] - rank[b.place.kind] || (first < second ? -1 : first > second ? 1 : 0);
}
