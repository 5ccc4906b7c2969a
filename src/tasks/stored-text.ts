import { AiwgdError } from '../protocol/errors.js';
import type { NewTask } from './task-store.js';

/** NUL, at which a C library ends a text, and halves of surrogate pairs, which UTF-8 cannot hold. */
const UNSTORABLE = /[\0\p{Surrogate}]/gu;

/** A text from an agent or another store as every store keeps it: what can't be stored becomes U+FFFD. */
export function storedText<T extends string | null | undefined>(text: T): T {
  return (typeof text === 'string' ? text.replace(UNSTORABLE, '\u{fffd}') : text) as T;
}

const TEXTS = [
  'prompt',
  'agent',
  'key',
  'once',
  'cwd',
  'ruleId',
  'causedBy',
  'conversation',
  'resumes',
] as const satisfies readonly (keyof NewTask)[];

/**
 * Throws INVALID_PARAMS for a NUL in any text of a new task, which nobody can pass on to a program, and for one that is
 * to go on in two ways.
 */
export function checkNewTask(task: NewTask): void {
  for (const field of TEXTS) {
    if (task[field]?.includes('\0')) {
      throw new AiwgdError('INVALID_PARAMS', `The task's ${field} holds a NUL character; take it out.`, {
        data: { field },
      });
    }
  }
  if (task.conversation !== null && task.resumes !== null) {
    throw new AiwgdError(
      'INVALID_PARAMS',
      'A task goes on in a conversation or from another task; give one of the two.',
    );
  }
}

/** Throws INVALID_PARAMS for what JSON can't hold: a cycle, a bigint, too many levels. */
export function toJson(value: unknown, name: string): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AiwgdError('INVALID_PARAMS', `${name} cannot be written as JSON: ${reason}`, { cause: error });
  }
}
