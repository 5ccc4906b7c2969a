import { type Logger, pino, stdTimeFunctions } from 'pino';
import type { Config } from '../protocol/config/config-schema.js';
import { LogFile, type LogFileOptions } from './log-file.js';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const BYTES_PER_MB = 1024 * 1024;

export interface LogBounds {
  level: LogLevel;
  maxBytes: number;
  maxFiles: number;
}

/** What the configuration says of the log. */
export function logBounds({ daemon: { log } }: Config): LogBounds {
  return { level: log.level, maxBytes: log.max_size_mb * BYTES_PER_MB, maxFiles: log.max_files };
}

/** The daemon's log: pino's JSON lines in a rotated file. */
export interface DaemonLog {
  readonly logger: Logger;
  reconfigure(bounds: LogBounds): void;
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
