/** Tokens of clients, and the chain of what was granted, refused and administered. */
export const access: string = `
CREATE TABLE access_token (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  hash TEXT NOT NULL UNIQUE CHECK (length(hash) = 64),
  grants TEXT NOT NULL,
  member_of TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER,
  last_used_at_ms INTEGER,
  revoked_at_ms INTEGER
) STRICT;

CREATE TABLE audit_entry (
  id INTEGER PRIMARY KEY CHECK (id > 0),
  at_ms INTEGER NOT NULL,
  act TEXT NOT NULL,
  actor TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL,
  count INTEGER NOT NULL,
  hash TEXT NOT NULL CHECK (length(hash) = 64)
) STRICT;

-- Where the chain that is kept begins and ends.
CREATE TABLE audit_bounds (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  cut_id INTEGER NOT NULL,
  cut_hash TEXT NOT NULL CHECK (length(cut_hash) = 64),
  head_id INTEGER NOT NULL,
  head_hash TEXT NOT NULL CHECK (length(head_hash) = 64),
  CHECK (cut_id >= 0 AND head_id >= cut_id)
) STRICT;
INSERT INTO audit_bounds VALUES (1, 0, '${'0'.repeat(64)}', 0, '${'0'.repeat(64)}');
`;
