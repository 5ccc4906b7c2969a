import type { Hold } from '../agents/limits/routes.js';
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

/** What is known of a task beside the store: the present of its attempt, or what keeps it back. */
export interface Present {
  live: LiveAttempt | undefined;
  hold: Hold | undefined;
}

/** A queued task that its agent's limit or the budget keeps back, as one that waits. */
export function waitingTask(stored: StoredTask, hold: Hold | undefined): StoredTask {
  if (hold === undefined) return stored;
  const { waitReason, runAt } = hold;
  return { ...stored, waitReason, runAt: runAt === null ? null : new Date(runAt).toISOString() };
}

/** The task as clients see it, with the present of its running attempt. */
export function taskView(stored: StoredTask, { live, hold }: Present, output: string | null): Task {
  const task = waitingTask(stored, hold);
  return { ...task, progress: null, ...(stored.state === 'running' ? live : undefined), output };
}

/** The same for a list: without output, long texts cut. */
export function listedTask(stored: StoredTask, present: Present): Task {
  const { prompt, result, error } = stored;
  return taskView({ ...stored, prompt: cut(prompt), result: cut(result), error: cut(error) }, present, null);
}
