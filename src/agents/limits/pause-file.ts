import { readFileSync } from 'node:fs';
import { writeFileAtomic } from '../../platform/atomic-file.js';
import type { Log } from '../../platform/log.js';
import { messageOf } from '../../protocol/errors.js';
import { PAUSE_REASONS, type PauseReason, type SavedPause } from './provider-pauses.js';

/** The last millisecond of the calendar of `Date`. */
const LATEST_TIME = 8.64e15;
/** More providers than this no project has. */
const MAX_PAUSES = 100;

/** Keeps the pauses of providers over a restart. Losing them costs one attempt that meets the limit again. */
export class PauseFile {
  readonly #path: string;
  readonly #log: Log;

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
  }

  /** What an earlier daemon wrote; nothing where there is no file, or none of ours. Never throws. */
  read(): SavedPause[] {
    try {
      const pauses: unknown = JSON.parse(readFileSync(this.#path, 'utf8'));
      return Array.isArray(pauses) ? pauses.filter(isPause).slice(0, MAX_PAUSES) : [];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.#log.warn(
          { error: messageOf(error) },
          'The pauses of providers cannot be read; they are forgotten',
        );
      return [];
    }
  }

  /** Never throws. */
  write(pauses: readonly SavedPause[]): void {
    try {
      writeFileAtomic(this.#path, `${JSON.stringify(pauses)}\n`);
    } catch (error) {
      this.#log.warn({ error: messageOf(error) }, 'The pauses of providers cannot be written');
    }
  }
}

function isPause(value: unknown): value is SavedPause {
  if (typeof value !== 'object' || value === null) return false;
  const { key, reason, until, strikes } = value as Record<string, unknown>;
  return (
    typeof key === 'string' &&
    PAUSE_REASONS.includes(reason as PauseReason) &&
    typeof until === 'number' &&
    Math.abs(until) <= LATEST_TIME &&
    Number.isSafeInteger(strikes) &&
    Number(strikes) >= 0
  );
}
