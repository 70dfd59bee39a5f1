/** Versions that are being archived: some of their files are stored, and nobody may see them until there is a verdict, which takes the row away. */
export const heldVersions: string = `
CREATE TABLE held_version (
  module TEXT NOT NULL,
  version TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  PRIMARY KEY (module, version)
) STRICT, WITHOUT ROWID;
`;
