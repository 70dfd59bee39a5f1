/** Key files of SM2, which read and are guarded like those of notes (`key-file.ts`). A file of its own, so that nothing else loads the arithmetic. */
import { generateSm2Key, parseSm2SignerKey, type Sm2SignerKey } from '../protocol/sm2.ts';
import { createKeyText, type KeyFile, readKeyText } from './key-file.ts';

/** Undefined when there is no such file. @throws {HubError} as {@link readKeyText} */
export async function readSm2KeyFile(key: Pick<KeyFile, 'file' | 'name'>): Promise<Sm2SignerKey | undefined> {
  return readKeyText(key, parseSm2SignerKey);
}

/** Undefined when there is a file already, which stays. @throws {HubError} as {@link createKeyText} */
export async function createSm2KeyFile({ file, name }: Pick<KeyFile, 'file' | 'name'>): Promise<Sm2SignerKey | undefined> {
  const { signer, text } = generateSm2Key(name);
  return (await createKeyText(file, text)) ? signer : undefined;
}
