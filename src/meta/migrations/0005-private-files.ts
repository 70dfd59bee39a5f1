/** Which files are of private modules: what was stored of a name while it was public is none of them, and the other way round. */
export const privateFiles: string = `
ALTER TABLE file ADD COLUMN private INTEGER NOT NULL DEFAULT 0 CHECK (private IN (0, 1) AND (private = 0 OR proof_database IS NULL));
DROP INDEX file_zip;
CREATE INDEX file_zip ON file (module, private, version) WHERE kind = 'zip';
`;
