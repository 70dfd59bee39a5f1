import type { BlobKey } from '../base/blob-key.ts';
import type { Events } from '../base/events.ts';
import { condemn } from '../hub/condemn.ts';
import type { FileRow, Metadata } from '../meta/metadata.ts';
import { parseModuleFileKey } from '../protocol/layout.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { BlobStore } from '../store/blob-store.ts';

/** A file of a public module in the store of a hub, and what that hub found when it proved it. */
export interface StoredFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  /** Undefined for `.info`. */
  readonly h1: string | undefined;
  /** Of the file when it was found. */
  readonly fingerprint: string;
}

export interface StoredFiles {
  /** By its name in a bundle, which is its key. @throws {HubError} storage-fault */
  find(name: string): Promise<StoredFile | undefined>;
  /** It does not have the digest that was recorded: it is set aside, if it can be, and not found again. */
  refuse(name: string, file: StoredFile): Promise<void>;
}

export interface StoredFilesParts {
  readonly store: BlobStore;
  readonly metadata: Metadata;
  readonly events: Events;
  /** The checksum database that has to have proved a file. */
  readonly database: string;
  readonly isPrivate: (module: ModulePath) => boolean;
}

/** What a hub on this machine has: found by its metadata, so that nothing is proved twice. Private modules are left to the hub, which knows who may have them. */
export function createStoredFiles({ store, metadata, events, database, isPrivate }: StoredFilesParts): StoredFiles {
  const refused = new Set<string>();
  return {
    async find(name) {
      const key = name as BlobKey;
      const parsed = parseModuleFileKey(name);
      if (parsed === undefined || parsed.file === 'ziphash' || refused.has(name) || isPrivate(parsed.module)) return undefined;
      const row = await metadata.file(key);
      if (row === undefined || !isProved(row, database)) return undefined;
      const opened = await store.open(key);
      if (opened === undefined) return undefined;
      await using blob = opened;
      const { localPath, sizeBytes, fingerprint } = blob;
      if (localPath === undefined || sizeBytes !== row.sizeBytes) return undefined;
      return { path: localPath, sizeBytes, sha256: row.sha256, h1: row.h1, fingerprint };
    },
    async refuse(name, { fingerprint }) {
      refused.add(name);
      const key = name as BlobKey;
      // Of a folder that others may only read it stays where it is: the hub that owns it finds it when it reads it.
      await metadata
        .file(key)
        .then((row) =>
          condemn(
            { store, metadata, events },
            { key, fingerprint, row },
            'its bytes are not those that were proved: found by goyi bundle create',
          ),
        )
        .catch(() => {});
    },
  };
}

/** `.info` files are covered by no database. */
function isProved({ kind, proof, h1 }: FileRow, database: string): boolean {
  if (kind === 'info') return proof.kind !== 'private';
  return proof.kind === 'checksum-database' && proof.database === database && h1 !== undefined;
}
