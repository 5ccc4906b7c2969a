import { closeSync } from 'node:fs';
import { endOfLastLine, linesBackward } from './backward-lines.js';
import { openLogs } from './log-files.js';

export interface TailOptions {
  /** Lines wanted at most. */
  count: number;
  /** Whether a line is wanted. */
  accepts: (line: string) => boolean;
  /** True for a line that is older than all that are wanted: the search ends there. */
  isTooOld: (line: string) => boolean;
}

/** The log file that was current, held open, and the end of the last line that was looked at. */
export interface FollowPoint {
  file: number;
  id: string;
  offset: number;
}

export interface Tail {
  /** Oldest first. */
  lines: string[];
  /** From where to follow; undefined where there is no log yet. Its file is the caller's to close. */
  point: FollowPoint | undefined;
}

/** The last lines of a log that are wanted, reaching back into its rotated files as far as it takes. */
export function readTail(path: string, options: TailOptions): Tail {
  const newestFirst: string[] = [];
  let point: FollowPoint | undefined;
  let done = options.count === 0;
  for (const { file, id, size } of openLogs(path)) {
    try {
      const lines = linesBackward(file, size);
      for (let next = done ? undefined : lines.next(); next?.done === false; next = lines.next()) {
        if (options.isTooOld(next.value)) done = true;
        else if (options.accepts(next.value)) newestFirst.push(next.value);
        if (newestFirst.length >= options.count) done = true;
        if (done) break;
      }
    } finally {
      if (point === undefined) point = { file, id, offset: endOfLastLine(file, size) };
      else closeSync(file);
    }
    if (done) break;
  }
  return { lines: newestFirst.toReversed(), point };
}
