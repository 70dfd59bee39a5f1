/**
 * A part of somebody's file that is ours: between two marked lines, put in once and taken out without a trace. The line end before it is ours as well, so
 * that a file without one at its end gets back what it had.
 */
import { parsed, refused, type Parsed } from '../base/parsed.ts';

/** `body` ends with a newline. The block stays where it was, or goes to the end. Refused when a mark has lost its other half. */
export function withBlock(text: string, name: string, body: string): Parsed<string> {
  const parts = split(text, name);
  if (!parts.ok) return parts;
  const { before, after } = parts.value;
  return parsed(`${before}\n${opening(name)}\n${body}${closing(name)}\n${after}`);
}

export function withoutBlock(text: string, name: string): Parsed<string> {
  const parts = split(text, name);
  return parts.ok ? parsed(parts.value.before + parts.value.after) : parts;
}

export function hasBlock(text: string, name: string): boolean {
  return text.includes(opening(name));
}

function split(text: string, name: string): Parsed<{ readonly before: string; readonly after: string }> {
  const start = text.indexOf(`\n${opening(name)}\n`);
  const end = text.indexOf(`\n${closing(name)}\n`);
  if (start < 0 && end < 0 && !hasBlock(text, name)) return parsed({ before: text, after: '' });
  const isWhole = start >= 0 && end > start && text.indexOf(opening(name), start + 2) < 0;
  if (!isWhole) return refused(`the lines between ${opening(name)} and ${closing(name)} have been changed: take them out by hand`);
  return parsed({ before: text.slice(0, start), after: text.slice(end + closing(name).length + 2) });
}

function opening(name: string): string {
  return `# >>> ${name} >>>`;
}

function closing(name: string): string {
  return `# <<< ${name} <<<`;
}
