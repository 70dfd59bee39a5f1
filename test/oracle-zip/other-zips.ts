/** Two other implementations of zip, as second opinions: yauzl reads, yazl writes. They bring no types. */
import { createRequire } from 'node:module';
import { buffer } from 'node:stream/consumers';

interface Yauzl {
  fromBufferPromise(zip: Buffer): Promise<YauzlReader>;
}

interface YauzlReader {
  eachEntry(): AsyncIterable<{ fileName: string }>;
  openReadStreamPromise(entry: { fileName: string }): Promise<NodeJS.ReadableStream>;
}

interface Yazl {
  ZipFile: new () => {
    addBuffer(content: Buffer, name: string, options: { compress: boolean }): void;
    end(): void;
    readonly outputStream: NodeJS.ReadableStream;
  };
}

const require = createRequire(import.meta.url);

export interface ReadEntry {
  readonly name: string;
  readonly content: Buffer;
}

/** Throws where yauzl refuses. */
export async function readByYauzl(zip: Buffer): Promise<ReadEntry[]> {
  const reader = await (require('yauzl') as Yauzl).fromBufferPromise(zip);
  const entries: ReadEntry[] = [];
  for await (const entry of reader.eachEntry())
    entries.push({ name: entry.fileName, content: await buffer(await reader.openReadStreamPromise(entry)) });
  return entries;
}

export async function writeByYazl(entries: readonly (ReadEntry & { readonly compress: boolean })[]): Promise<Buffer> {
  const writer = new (require('yazl') as Yazl).ZipFile();
  for (const { name, content, compress } of entries) writer.addBuffer(content, name, { compress });
  writer.end();
  return buffer(writer.outputStream);
}
