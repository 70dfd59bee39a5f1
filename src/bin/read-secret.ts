import { open } from 'node:fs/promises';
import { HubError, messageOf } from '../base/errors.ts';
import type { SecretPlace } from '../cli/config/hub-config.ts';

const LENGTH_MAX = 4_096;

/** The text of a secret; of a file its one line. @throws {HubError} config-invalid */
export async function readSecret(place: SecretPlace, env: Readonly<Record<string, string | undefined>>): Promise<string> {
  if (place.kind === 'variable') return env[place.name] ?? '';
  const { file } = place;
  let text: string;
  try {
    await using handle = await open(file, 'r');
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(LENGTH_MAX + 1), 0, LENGTH_MAX + 1, 0);
    text = buffer.toString('utf8', 0, bytesRead);
  } catch (error) {
    throw new HubError('config-invalid', `the secret in ${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  const secret = text.replace(/\r?\n$/, '');
  // A second line, or the blanks of an editor, would make every signature wrong without a word of why.
  if (secret === '' || text.length > LENGTH_MAX || /[\p{C}]|^\s|\s$/u.test(secret))
    throw new HubError('config-invalid', `${file} is to hold a secret in one line of at most ${LENGTH_MAX} bytes, and nothing else`);
  return secret;
}
