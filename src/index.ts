export { AiwgdError, ERROR_CATALOGUE, type ErrorCode } from './protocol/errors.js';
export type { AiwgEvent, DeadLetter } from './protocol/event.js';
export type { Task, TaskCounts, TaskState } from './protocol/task.js';
