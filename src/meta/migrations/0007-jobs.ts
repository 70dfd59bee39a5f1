/** Work that is to be done whatever happens, the webhooks that asked for it, and what the gate decided about versions. */
export const jobs: string = `
CREATE TABLE job (
  -- Never given twice, also when the newest one is gone.
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  payload TEXT NOT NULL CHECK (length(payload) <= 65536),
  state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed')),
  attempts INTEGER NOT NULL CHECK (attempts >= 0),
  next_at_ms INTEGER NOT NULL,
  owner TEXT CHECK ((owner IS NOT NULL) = (state = 'running')),
  created_at_ms INTEGER NOT NULL,
  changed_at_ms INTEGER NOT NULL,
  error TEXT,
  outcome TEXT
) STRICT;
CREATE INDEX job_state ON job (state, next_at_ms);
CREATE INDEX job_key ON job (kind, key, state);
CREATE UNIQUE INDEX job_waiting ON job (kind, key) WHERE state = 'waiting';

-- Deliveries that were taken, so that a replay is none.
CREATE TABLE hook_delivery (
  nonce TEXT PRIMARY KEY CHECK (length(nonce) = 64),
  job INTEGER NOT NULL,
  seen_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX hook_delivery_seen ON hook_delivery (seen_at_ms);

CREATE TABLE verdict (
  id INTEGER PRIMARY KEY,
  module TEXT NOT NULL,
  version TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('archive', 'block', 'released')),
  reason TEXT NOT NULL,
  decided_at_ms INTEGER NOT NULL,
  released_for TEXT CHECK ((released_for IS NOT NULL) = (kind = 'released')),
  released_at_ms INTEGER,
  UNIQUE (module, version)
) STRICT;
CREATE INDEX verdict_blocked ON verdict (id) WHERE kind = 'block';
`;
