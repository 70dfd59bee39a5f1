/** The hub's own transparency logs, and what origins offered in place of what is recorded. */
export const ownLogs: string = `
CREATE TABLE own_log (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  size INTEGER NOT NULL CHECK (size >= 0),
  root BLOB NOT NULL CHECK (length(root) = 32)
) STRICT;

CREATE TABLE own_record (
  log INTEGER NOT NULL REFERENCES own_log (id),
  id INTEGER NOT NULL CHECK (id >= 0),
  module TEXT NOT NULL,
  version TEXT NOT NULL,
  zip_hash TEXT NOT NULL CHECK (zip_hash GLOB 'h1:*' AND length(zip_hash) = 47),
  mod_hash TEXT NOT NULL CHECK (mod_hash GLOB 'h1:*' AND length(mod_hash) = 47),
  proved_by TEXT,
  PRIMARY KEY (log, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX own_record_version ON own_record (log, module, version);

-- The partial tile of each level: where the tree grows.
CREATE TABLE own_edge (
  log INTEGER NOT NULL REFERENCES own_log (id),
  level INTEGER NOT NULL,
  hashes BLOB NOT NULL CHECK (length(hashes) BETWEEN 32 AND 8160 AND length(hashes) % 32 = 0),
  PRIMARY KEY (log, level)
) STRICT, WITHOUT ROWID;

-- Full tiles until the store has them.
CREATE TABLE own_tile (
  id INTEGER PRIMARY KEY,
  log INTEGER NOT NULL REFERENCES own_log (id),
  level INTEGER NOT NULL,
  tile_index INTEGER NOT NULL,
  hashes BLOB NOT NULL CHECK (length(hashes) = 8192),
  UNIQUE (log, level, tile_index)
) STRICT;

CREATE TABLE drift (
  id INTEGER PRIMARY KEY,
  module TEXT NOT NULL,
  version TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('mod', 'zip')),
  recorded_hash TEXT NOT NULL,
  offered_hash TEXT NOT NULL,
  origin TEXT NOT NULL,
  first_seen_ms INTEGER NOT NULL,
  last_seen_ms INTEGER NOT NULL,
  count INTEGER NOT NULL,
  UNIQUE (module, version, kind, offered_hash, origin)
) STRICT;
CREATE INDEX drift_last ON drift (last_seen_ms);
`;
