import { readdir, readFile } from 'node:fs/promises';
import { HubError, messageOf } from '../base/errors.ts';
import { bundledText, bundledTexts } from '../base/program-parts.ts';
import type { Manual } from '../server/manual.ts';

/** Beside `src` and `dist` alike. */
const FOLDER = new URL('../../docs/', import.meta.url);
const NAME = /^[\w-]+\.md$/;

/** The folder `docs` of this goyi, or what of it lies within the single executable. */
export const manual: Manual = {
  async names() {
    const bundled = bundledTexts();
    const found = bundled ?? (await readdir(FOLDER).catch(() => []));
    return found.filter((name) => NAME.test(name)).toSorted();
  },
  async read(name) {
    if (bundledTexts() !== undefined) return bundledText(name);
    return await readFile(new URL(name, FOLDER), 'utf8').catch((error: unknown) => {
      throw new HubError('storage-fault', `cannot read docs/${name}: ${messageOf(error)}`, { cause: error });
    });
  },
};
