/** Bytes of small files that were made visible and are not on the disk yet, with the boot of the machine that wrote them. */
export const kept: string = `
CREATE TABLE kept (
  key TEXT NOT NULL PRIMARY KEY,
  bytes BLOB NOT NULL,
  boot TEXT NOT NULL,
  kept_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX kept_age ON kept (kept_at_ms);
`;
