import { en } from './en.ts';
import { type Messages, zh } from './zh.ts';

export type Language = 'zh' | 'en';

export const messagesOf: Readonly<Record<Language, Messages>> = { zh, en };

/** The language of the environment by the order that POSIX gives the variables: the first that is not empty decides. */
export function languageOf(env: Readonly<Record<string, string | undefined>>): Language {
  const locale = env['LC_ALL'] || env['LC_MESSAGES'] || env['LANG'] || '';
  return /^zh(?:[_.@-]|$)/i.test(locale) ? 'zh' : 'en';
}
