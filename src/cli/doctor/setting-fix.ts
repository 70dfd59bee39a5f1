import type { Facts } from './facts.ts';
import { type Fix, typed } from './finding.ts';
import { placesThatSet } from '../shadowed.ts';

/** Gives a variable of the go command another value; undefined: its default. What the environment sets is for its owner to change. */
export async function settingFix(facts: Facts, name: string, value: string | undefined): Promise<Fix> {
  const { go, settings, env } = facts;
  if (settings.source(name) === 'environment') {
    const places = await placesThatSet(name, env);
    return typed(
      ...places.map(({ file, line, text }) => `# ${file}:${line}: ${text}`),
      value === undefined ? `unset ${name}` : `export ${name}=${quoted(value)}`,
    );
  }
  const line = (to: string | undefined): string => (to === undefined ? `go env -u ${name}` : `go env -w ${name}=${quoted(to)}`);
  return {
    lines: [line(value)],
    undo: [line(settings.written.get(name))],
    apply: async (signal) => await go?.set(name, value, signal),
  };
}

/** One word of a POSIX shell. */
export function quoted(text: string): string {
  return /^[\w./:@,+=~-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** How a variable is shown as a subject. */
export function shown(facts: Facts, name: string): string {
  return `${name}=${facts.settings.value(name)}`;
}
