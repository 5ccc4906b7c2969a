import type { ErrorCode } from './errors.js';

/** What a detached daemon tells the command that started it: one JSON line on file descriptor 3, then end of file. */
export type StartReport =
  | { ready: { pid: number; socket: string; warnings: string[] } }
  | { error: { code: ErrorCode; message: string; data?: unknown } };

/** The file descriptor on which a detached daemon reports. */
export const START_REPORT_FD = 3;
