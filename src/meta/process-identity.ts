import { readFileSync } from 'node:fs';
import { createProcessTable, type ProcessTable } from '../base/process-table.ts';

const table = createProcessTable((path) => readFileSync(path, 'latin1'));

export const ownIdentity: ProcessTable['ownIdentity'] = table.ownIdentity;
export const isAlive: ProcessTable['isAlive'] = table.isAlive;
