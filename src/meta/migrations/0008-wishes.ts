/** What clients of a hub without upstreams asked for and did not get: to be carried in. An empty version: any. */
export const wishes: string = `
CREATE TABLE wish (
  module TEXT NOT NULL,
  version TEXT NOT NULL,
  first_seen_ms INTEGER NOT NULL,
  last_seen_ms INTEGER NOT NULL,
  count INTEGER NOT NULL CHECK (count > 0),
  PRIMARY KEY (module, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX wish_last ON wish (last_seen_ms);
`;
