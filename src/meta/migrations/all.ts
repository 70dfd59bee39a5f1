import { start } from './0001-start.ts';
import { answers } from './0002-answers.ts';
import { kept } from './0003-kept.ts';
import { ownLogs } from './0004-own-logs.ts';
import { privateFiles } from './0005-private-files.ts';
import { access } from './0006-access.ts';
import { jobs } from './0007-jobs.ts';
import { wishes } from './0008-wishes.ts';
import { heldVersions } from './0009-held-versions.ts';

/** In order; the schema's number is how many were applied. One that was released is never changed. */
export const migrations: readonly string[] = [start, answers, kept, ownLogs, privateFiles, access, jobs, wishes, heldVersions];
