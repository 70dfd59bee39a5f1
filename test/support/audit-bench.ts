import { type AuditReport, type AuditRequest, type LogReader, type NameIndex, auditLog } from '../../src/hub/audit-log.ts';
import { formatTilePath } from '../../src/protocol/proxy-request.ts';
import type { Lie, TestChecksumDatabase } from './checksum-database-server.ts';

/** Appends records of module versions that are not there yet, as long as the name is another. */
export function grow(database: TestChecksumDatabase, count: number, name = 'm'): TestChecksumDatabase {
  for (let i = 0; i < count; i += 1) database.add(`${name}.example/m${database.size}`, 'v1.0.0');
  return database;
}

/** A log that is read without a network. */
export class TestLogReader implements LogReader {
  readonly origin = 'the test';
  readonly database: TestChecksumDatabase;
  readonly lie: Lie | undefined;
  readonly asked: string[] = [];

  constructor(log: TestChecksumDatabase, lie?: Lie) {
    this.database = log;
    this.lie = lie;
  }

  latest = (): Promise<Awaited<ReturnType<LogReader['latest']>>> => this.#get('latest');
  tile = (tile: Parameters<LogReader['tile']>[0], signal: AbortSignal): ReturnType<LogReader['tile']> => {
    signal.throwIfAborted();
    return this.#get(formatTilePath(tile));
  };
  lookup = (module: string, version: string): ReturnType<LogReader['lookup']> => this.#get(`lookup/${module}@${version}`);

  async #get(resource: string): ReturnType<LogReader['latest']> {
    this.asked.push(resource);
    const honest = this.database.answer(resource);
    const { status, body } = this.lie?.(resource, honest) ?? honest;
    if (status === 200) return { kind: 'found', bytes: body };
    return status === 404 ? { kind: 'absent' } : { kind: 'refused', status };
  }
}

/** In memory; the one on the disk is tested by itself. */
export class MemoryNames implements NameIndex {
  readonly seen: (readonly [string, number])[] = [];

  add(name: string, recordId: number): void {
    this.seen.push([name, recordId]);
  }

  async *repeats(): AsyncGenerator<{ readonly first: number; readonly again: number }> {
    const firsts = new Map<string, number>();
    for (const [name, again] of this.seen) {
      const first = firsts.get(name);
      if (first === undefined) firsts.set(name, again);
      else yield { first, again };
    }
  }
}

export async function audit(
  reader: TestLogReader,
  more: Partial<AuditRequest> = {},
  signal: AbortSignal = AbortSignal.timeout(60_000),
): Promise<AuditReport> {
  return auditLog(
    {
      reader,
      key: reader.database.key,
      known: undefined,
      fromStart: false,
      scope: 'records',
      names: new MemoryNames(),
      cosigners: [],
      onProgress: () => {},
      ...more,
    },
    signal,
  );
}
