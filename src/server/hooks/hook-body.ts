import { type Parsed, parsed, refused } from '../../base/parsed.ts';

const DEPTH_MAX = 64;

/** A part of a JSON text of which nothing is known. Fields are looked up by their own name alone, so that `__proto__` is a name like another. */
export class Json {
  readonly #value: unknown;

  constructor(value: unknown) {
    this.#value = value;
  }

  at(name: string): Json {
    const value = this.#value;
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value) && Object.hasOwn(value, name);
    return new Json(isObject ? (value as Readonly<Record<string, unknown>>)[name] : undefined);
  }

  /** '' when it is no text. */
  get text(): string {
    return typeof this.#value === 'string' ? this.#value : '';
  }

  get flag(): boolean | undefined {
    return typeof this.#value === 'boolean' ? this.#value : undefined;
  }

  get isObject(): boolean {
    return typeof this.#value === 'object' && this.#value !== null && !Array.isArray(this.#value);
  }
}

/** An object in UTF-8, nested at most {@link DEPTH_MAX} deep. */
export function parseHookBody(body: Uint8Array): Parsed<Json> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    return refused('the body is no UTF-8');
  }
  if (isTooDeep(text)) return refused(`the body is nested more than ${DEPTH_MAX} deep`);
  try {
    const json = new Json(JSON.parse(text));
    return json.isObject ? parsed(json) : refused('the body is no JSON object');
  } catch {
    return refused('the body is no JSON');
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function isTooDeep(text: string): boolean {
  let depth = 0;
  let isQuoted = false;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (isQuoted) {
      if (unit === BACKSLASH) i += 1;
      else if (unit === QUOTE) isQuoted = false;
    } else if (unit === QUOTE) isQuoted = true;
    // `[` and `{`, then `]` and `}`
    else if (unit === 0x5b || unit === 0x7b) {
      depth += 1;
      if (depth > DEPTH_MAX) return true;
    } else if (unit === 0x5d || unit === 0x7d) depth -= 1;
  }
  return false;
}
