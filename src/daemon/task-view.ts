import type { LiveAttempt } from '../agents/task-run.js';
import type { Task } from '../protocol/task.js';
import type { StoredTask } from '../tasks/task-store.js';

/** Characters of a prompt or a result in a list; `task.get` has them whole. */
const MAX_LISTED_CHARACTERS = 4096;

function cut(text: string): string;
function cut(text: string | null): string | null;
function cut(text: string | null): string | null {
  return text === null || text.length <= MAX_LISTED_CHARACTERS
    ? text
    : `${text.slice(0, MAX_LISTED_CHARACTERS)}…`;
}

/** The task as clients see it, with the present of its running attempt. */
export function taskView(stored: StoredTask, live: LiveAttempt | undefined, output: string | null): Task {
  return { ...stored, progress: null, ...(stored.state === 'running' ? live : undefined), output };
}

/** The same for a list: without output, long texts cut. */
export function listedTask(stored: StoredTask, live: LiveAttempt | undefined): Task {
  const { prompt, result, error } = stored;
  return taskView({ ...stored, prompt: cut(prompt), result: cut(result), error: cut(error) }, live, null);
}
