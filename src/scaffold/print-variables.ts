/**
 * Environment variables as a place takes them: a shell, a service, an image, a pipeline. Each has its own way to quote, and what would be expanded there
 * is written so that it is not.
 *
 * - systemd: C escapes and `%` as `%%` inside of double quotes. https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#Environment=
 * - Dockerfile: a backslash before `$` keeps it. https://docs.docker.com/reference/dockerfile/#environment-replacement
 * - GitLab: `$$` is a dollar. https://docs.gitlab.com/ci/variables/#prevent-cicd-variable-expansion
 * - bk-ci: a name in capitals is a constant, which must be written as an object; `${{` begins an expression.
 * - PowerShell takes typographic single quotes for quotes as well.
 */
import { unreachable } from '../base/invariant.ts';
import { parsed, refused, type Parsed } from '../base/parsed.ts';
import { shellQuote } from './setup-sh.ts';

export const printTargets = ['bash', 'zsh', 'fish', 'powershell', 'cmd', 'setx', 'systemd', 'docker', 'gitlab', 'jenkins', 'bk'] as const;
export type PrintTarget = (typeof printTargets)[number];

export interface Variable {
  readonly name: string;
  readonly value: string;
}

/** The text to paste, with a newline at its end. Refused when a value cannot be said there. */
export function formatVariables(target: PrintTarget, variables: readonly Variable[]): Parsed<string> {
  const lines: string[] = [];
  for (const variable of variables) {
    // eslint-disable-next-line no-control-regex -- they are what is looked for
    if (/[\x00-\x1f\x7f]/.test(variable.value)) return refused(`the value of ${variable.name} holds a control character`);
    const line = lineOf(target, variable);
    if (!line.ok) return line;
    lines.push(line.value);
  }
  const { before = [], after = [] } = frames[target] ?? {};
  return parsed([...before, ...lines, ...after].map((line) => `${line}\n`).join(''));
}

interface Frame {
  readonly before?: readonly string[];
  readonly after?: readonly string[];
}

const frames: Partial<Readonly<Record<PrintTarget, Frame>>> = {
  systemd: { before: ['[Service]'] },
  gitlab: { before: ['variables:'] },
  jenkins: { before: ['environment {'], after: ['}'] },
  bk: { before: ['variables:'] },
};

function lineOf(target: PrintTarget, { name, value }: Variable): Parsed<string> {
  switch (target) {
    case 'bash':
    case 'zsh':
      return parsed(`export ${name}=${shellQuote(value)}`);
    case 'fish':
      return parsed(`set -gx ${name} '${value.replace(/[\\']/g, '\\$&')}'`);
    case 'powershell':
      return parsed(`$env:${name} = ${powerShellQuote(value)}`);
    case 'cmd':
      if (value.includes('"')) return refused(`cmd cannot take the double quote in ${name}`);
      return parsed(`set "${name}=${value.replaceAll('%', '%%')}"`);
    case 'setx':
      if (value.includes('"')) return refused(`cmd cannot take the double quote in ${name}`);
      if (value.length > SETX_LENGTH_MAX) return refused(`setx cuts values at ${SETX_LENGTH_MAX} characters, and ${name} is longer`);
      // A backslash before the closing quote would take it for text.
      return parsed(`setx ${name} "${value.replaceAll('%', '%%').replace(/\\+$/, '$&$&')}"`);
    case 'systemd':
      return parsed(`Environment="${name}=${value.replace(/[\\"]/g, '\\$&').replaceAll('%', '%%')}"`);
    case 'docker':
      return parsed(`ENV ${name}="${value.replace(/[\\"$]/g, '\\$&')}"`);
    case 'gitlab':
      return parsed(`  ${name}: ${JSON.stringify(value.replaceAll('$', '$$$$'))}`);
    case 'jenkins':
      return parsed(`  ${name} = '${value.replace(/[\\']/g, '\\$&')}'`);
    case 'bk':
      if (value.includes('${{')) return refused(`bk-ci would expand what begins with \${{ in ${name}`);
      return parsed(`  ${name}: {value: ${JSON.stringify(value)}}`);
    default:
      return unreachable(target);
  }
}

const SETX_LENGTH_MAX = 1_024;

/** A string of PowerShell that stands for just this text. */
export function powerShellQuote(text: string): string {
  return `'${text.replace(/['\u2018-\u201b]/g, '$&$&')}'`;
}
