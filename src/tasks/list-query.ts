import { AiwgdError } from '../protocol/errors.js';
import type { TaskState } from '../protocol/task.js';
import { storedText } from './stored-text.js';
import type { ListQuery } from './task-store.js';

/** A list request with its cursor as a number. */
export interface SeqQuery {
  state: TaskState | undefined;
  agent: string | undefined;
  limit: number;
  /** Only tasks below this number; all where it is undefined. */
  below: number | undefined;
}

/** Throws INVALID_PARAMS for a limit or cursor that no store gave out. */
export function parseListQuery({ state, agent, limit, cursor }: ListQuery): SeqQuery {
  requireWholeNumber('limit', limit, 1, 1000);
  if (cursor !== undefined && !/^\d{1,15}$/.test(cursor)) {
    throw new AiwgdError(
      'INVALID_PARAMS',
      `"${cursor}" is no cursor: pass the nextCursor of the page before.`,
    );
  }
  return { state, agent: storedText(agent), limit, below: cursor === undefined ? undefined : Number(cursor) };
}

/** Throws INVALID_PARAMS unless `value` is a whole number from `min` to `max`. */
export function requireWholeNumber(name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new AiwgdError(
    'INVALID_PARAMS',
    `${name} is ${value}; it must be a whole number from ${min} to ${max}.`,
  );
}
