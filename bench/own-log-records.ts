import { hash } from 'node:crypto';

/** Of the log that the suite `log` fills. */
export const LOG_NAME = 'goyi.bench.example/sumdb';

/** As long as the names of real modules are. */
export function moduleAt(index: number): string {
  return `forge.example/organisation-${index % 997}/some-module-${index}`;
}

/** What a public database would have proved of it. */
export function proved(module: string): { database: string; zipHash: string; modHash: string } {
  return {
    database: 'sum.public.example',
    zipHash: `h1:${hash('sha256', module, 'base64')}`,
    modHash: `h1:${hash('sha256', `${module}/go.mod`, 'base64')}`,
  };
}
