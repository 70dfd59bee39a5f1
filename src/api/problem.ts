/** How the API says that it did not do what was asked: a problem document. https://www.rfc-editor.org/rfc/rfc9457 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';

export const PROBLEM_TYPE = 'application/problem+json';

export interface Problem {
  /** The meaning of the status, as HTTP names it. */
  readonly title: string;
  readonly status: number;
  /** One sentence for a person. */
  readonly detail: string;
  /** An error code of `docs/errors.md`, or one that only a server knows. */
  readonly code: string;
  /** The id under which the hub's log knows the request. */
  readonly request: string;
}

export function formatProblem(problem: Problem): string {
  return `${JSON.stringify({ type: 'about:blank', ...problem })}\n`;
}

/** As lenient as a client has to be: what is missing is empty. */
export function parseProblem(text: string): Parsed<Problem> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return refused('this is no problem document');
    const fields = new Map<string, unknown>(Object.entries(value));
    const textOf = (name: string): string => {
      const field = fields.get(name);
      return typeof field === 'string' ? field : '';
    };
    return parsed({
      title: textOf('title'),
      status: Number(fields.get('status')),
      detail: textOf('detail'),
      code: textOf('code'),
      request: textOf('request'),
    });
  } catch {
    return refused('this is no problem document');
  }
}
