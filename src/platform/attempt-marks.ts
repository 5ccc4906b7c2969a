/** Names the attempt in the environment of each of its processes. */
export const ATTEMPT_MARK = 'AIWG_ATTEMPT_ID';
/** Names the project in the environment of each process of its attempts. */
export const PROJECT_MARK = 'AIWG_PROJECT';
/** Names the task there. */
export const TASK_MARK = 'AIWG_TASK_ID';
