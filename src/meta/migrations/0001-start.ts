/** Files with their proofs, the index feed, changing answers, heads of checksum databases, leases, settings. */
export const start: string = `
CREATE TABLE file (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('info', 'mod', 'zip')),
  module TEXT NOT NULL,
  version TEXT NOT NULL,
  size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
  sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
  fingerprint TEXT NOT NULL,
  h1 TEXT,
  origin TEXT NOT NULL,
  proof_database TEXT,
  proof_tree_size INTEGER,
  proof_record_id INTEGER,
  proved_at_ms INTEGER,
  stored_at_ms INTEGER NOT NULL,
  CHECK ((proof_database IS NULL) = (proof_tree_size IS NULL)
     AND (proof_database IS NULL) = (proof_record_id IS NULL)
     AND (proof_database IS NULL) = (proved_at_ms IS NULL))
) STRICT;
CREATE INDEX file_zip ON file (module, version) WHERE kind = 'zip';

-- Apart from file, so that counting uses does not rewrite wide rows.
CREATE TABLE file_use (
  file_id INTEGER PRIMARY KEY REFERENCES file (id) ON DELETE CASCADE,
  uses INTEGER NOT NULL,
  last_used_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX file_use_last ON file_use (last_used_at_ms);

-- One row, kept by triggers: to count a million files would take a second.
CREATE TABLE totals (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  files INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  versions INTEGER NOT NULL
) STRICT;
INSERT INTO totals VALUES (1, 0, 0, 0);
CREATE TRIGGER file_added AFTER INSERT ON file BEGIN
  UPDATE totals SET files = files + 1, size_bytes = size_bytes + new.size_bytes, versions = versions + (new.kind = 'zip') WHERE id = 1;
END;
CREATE TRIGGER file_removed AFTER DELETE ON file BEGIN
  UPDATE totals SET files = files - 1, size_bytes = size_bytes - old.size_bytes, versions = versions - (old.kind = 'zip') WHERE id = 1;
END;
CREATE TRIGGER file_changed AFTER UPDATE OF size_bytes, kind ON file WHEN old.size_bytes <> new.size_bytes OR old.kind <> new.kind BEGIN
  UPDATE totals SET size_bytes = size_bytes - old.size_bytes + new.size_bytes, versions = versions - (old.kind = 'zip') + (new.kind = 'zip') WHERE id = 1;
END;

CREATE TABLE index_entry (
  stored_at_us INTEGER PRIMARY KEY,
  module TEXT NOT NULL,
  version TEXT NOT NULL,
  UNIQUE (module, version)
) STRICT;

CREATE TABLE answer (
  name TEXT NOT NULL PRIMARY KEY,
  outcome TEXT NOT NULL CHECK (outcome IN ('found', 'absent')),
  body TEXT NOT NULL,
  origin TEXT NOT NULL,
  fetched_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX answer_absent ON answer (fetched_at_ms) WHERE outcome = 'absent';

CREATE TABLE head (
  checksum_database TEXT NOT NULL PRIMARY KEY,
  tree_size INTEGER NOT NULL CHECK (tree_size >= 0),
  root TEXT NOT NULL,
  note TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE fork (
  checksum_database TEXT NOT NULL PRIMARY KEY,
  kept_note TEXT NOT NULL,
  contradicting_note TEXT NOT NULL,
  detail TEXT NOT NULL,
  seen_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A row with a failure is what a lease left behind: nobody holds it, and for a moment nobody gets it.
CREATE TABLE lease (
  key TEXT NOT NULL PRIMARY KEY,
  owner TEXT NOT NULL,
  failure_code TEXT,
  failure_message TEXT,
  failed_until_ms INTEGER,
  CHECK ((failure_code IS NULL) = (failure_message IS NULL) AND (failure_code IS NULL) = (failed_until_ms IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX lease_owner ON lease (owner);
CREATE INDEX lease_failed ON lease (failed_until_ms) WHERE failed_until_ms IS NOT NULL;

CREATE TABLE setting (
  name TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`;
