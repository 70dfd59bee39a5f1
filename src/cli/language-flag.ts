import { UsageError } from './command.ts';
import { type Language, languageOf, messagesOf } from './messages/language.ts';

/** The language that a command line asks for, wherever in it, else that of the environment. @throws {UsageError} */
export function languageAsked(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Language {
  const own = ownFlags(argv);
  const at = own.findLastIndex((arg) => arg === '--lang' || arg.startsWith('--lang='));
  const value = at < 0 ? undefined : own[at]?.includes('=') ? own[at].slice('--lang='.length) : own[at + 1];
  const usual = languageOf(env);
  if (value === undefined) return usual;
  if (value !== 'zh' && value !== 'en') throw new UsageError(messagesOf[usual].usage.badLanguage(value));
  return value;
}

/** What stands before `--`, which ends the flags. */
export function ownFlags(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--');
  return end < 0 ? argv : argv.slice(0, end);
}
