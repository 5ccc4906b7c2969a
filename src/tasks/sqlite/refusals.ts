import { AiwgdError } from '../../protocol/errors.js';
import { taskIdOf } from '../task-id.js';

/** The error of a task whose second half is not there. */
export function promptMissing(seq: number): AiwgdError {
  return new AiwgdError('STORAGE_FAILED', `${taskIdOf(seq)} lacks its prompt: the store is damaged.`);
}

/** The error of a submission that is to go on from a task which is not there. */
export function nothingToResume(id: string): AiwgdError {
  return new AiwgdError('NOT_FOUND', `There is no task ${id} to go on from; it may have been forgotten.`, {
    data: { taskId: id },
  });
}

/** The error of a `requeue` whose key belongs to another task by now. */
export function keyTaken(id: string, holder: string): AiwgdError {
  return new AiwgdError(
    'CONFLICT',
    `${id} cannot be queued again: ${holder} has the same key and is not done. Wait for it, or cancel it.`,
    { data: { taskId: id, holder } },
  );
}
