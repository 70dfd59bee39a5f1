/**
 * The bytes in memory of their own, for whoever keeps them: the same buffer if it has that already, else a copy. Node cuts small buffers out of slabs of 64 kB,
 * and a slab lives as long as anything that was cut out of it: of a cache that keeps a few hundred bytes here and there, each would hold 64 kB.
 */
export function ownBytes(bytes: Buffer): Buffer {
  if (bytes.length === bytes.buffer.byteLength) return bytes;
  const own = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(own);
  return own;
}
