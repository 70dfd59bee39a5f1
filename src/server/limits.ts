/** What one worker's server allows its clients. Every time is in milliseconds. */
export interface ServerLimits {
  /** Open connections; more are closed by the kernel's next accept. */
  readonly connectionsMax: number;
  /** From a connection's first byte (or its opening) to the end of a request's head. */
  readonly headerMs: number;
  /** From the first byte to the end of a whole request, whose body may be a module zip of 500 MiB. Who reads a body has tighter limits. */
  readonly requestMs: number;
  /** Of a request's head, target included. */
  readonly headerBytesMax: number;
  /** Characters of a request's target. */
  readonly targetLengthMax: number;
  /** How long an idle connection is kept. */
  readonly keepAliveMs: number;
  /** A client that has taken nothing of its answer for this long is cut. One write to a slow client is `firstWriteBytes`, so this is also a minimum speed. */
  readonly writeStallMs: number;
  /** Requests of one connection that wait for the one before them; a client that sends more ahead is cut. */
  readonly pipelineMax: number;
  /** Requests that wait for an answer at once; beyond it only what is stored is answered, the rest is told to come again. */
  readonly waitingMax: number;
  /** Size of one read of a large answer, and the most that is written at once. */
  readonly chunkBytes: number;
  /** The first write of a large answer; later ones are larger while the client takes them quickly. */
  readonly firstWriteBytes: number;
  /** Chunks of large answers in memory; when all are held, `spareChunkBytes` at a time are sent, so that nobody waits for a buffer. */
  readonly chunkBuffersMax: number;
  readonly spareChunkBytes: number;
}

/** Memory they allow: buffers 32 MiB + 4096 connections of 32 KiB; 1024 waiting requests with 32 behind each. */
export const defaultServerLimits: ServerLimits = {
  connectionsMax: 4096,
  headerMs: 15_000,
  requestMs: 600_000,
  headerBytesMax: 16 * 1024,
  targetLengthMax: 4096,
  keepAliveMs: 75_000,
  writeStallMs: 60_000,
  pipelineMax: 32,
  waitingMax: 1024,
  chunkBytes: 512 * 1024,
  firstWriteBytes: 64 * 1024,
  chunkBuffersMax: 64,
  spareChunkBytes: 32 * 1024,
};
