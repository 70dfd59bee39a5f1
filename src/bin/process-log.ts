import type { Log } from '../base/log.ts';
import type { LogConfig } from '../cli/config/hub-config.ts';
import { createLog } from '../server/json-log.ts';

/** The log of this process, on standard output: pretty for people, one JSON object a line for machines. */
export function openProcessLog(config: LogConfig, isTerminal: boolean): Log {
  const pretty = config.format === 'pretty' || (config.format === 'auto' && isTerminal);
  return createLog({ level: config.level, pretty, destination: process.stdout, ...(!pretty && { fields: { pid: process.pid } }) });
}
