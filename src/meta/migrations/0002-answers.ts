/** Only what exists is kept, so an answer has no outcome any more. Queries, whose names anybody can invent, get an index by which the oldest are found. */
export const answers: string = `
DROP INDEX answer_absent;
DELETE FROM answer WHERE outcome = 'absent';
ALTER TABLE answer DROP COLUMN outcome;
CREATE INDEX answer_query ON answer (fetched_at_ms) WHERE name GLOB '*.info';
`;
