import { type Logger, pino, stdTimeFunctions } from 'pino';
import { LogFile, type LogFileOptions } from './log-file.js';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The daemon's log: pino's JSON lines in a rotated file. */
export interface DaemonLog {
  readonly logger: Logger;
  reconfigure(settings: { level: LogLevel; maxBytes: number; maxFiles: number }): void;
  close(): void;
}

/** Throws when the file can't be opened. */
export function openLog(options: LogFileOptions & { level: LogLevel }): DaemonLog {
  const file = new LogFile(options);
  const logger = pino(
    {
      level: options.level,
      base: { pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    file,
  );
  return {
    logger,
    reconfigure: ({ level, maxBytes, maxFiles }) => {
      logger.level = level;
      file.resize(maxBytes, maxFiles);
    },
    close: () => file.close(),
  };
}
