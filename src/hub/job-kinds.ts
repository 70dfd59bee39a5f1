/** A tag came or went. */
export const TAG_JOB = 'tag';
/** A host or a chat is told what came of it. */
export const REPORT_JOB = 'report';
