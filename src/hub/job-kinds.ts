/** A tag came or went. */
export const TAG_JOB = 'tag';
/** An operator let a version go that was blocked. */
export const RELEASE_JOB = 'release';
/** A host or a chat is told what came of it. */
export const REPORT_JOB = 'report';
