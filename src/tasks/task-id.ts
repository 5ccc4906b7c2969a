/** Fifteen digits are exact as a JavaScript number and more than anybody will ever submit. */
const TASK_ID = /^task-(\d{4,15})$/;

/** `task-0001` for 1: at least four digits. */
export function taskIdOf(seq: number): string {
  return `task-${String(seq).padStart(4, '0')}`;
}

/** The number of a task id; undefined where it is none (also for `task-00001`, which no task is ever called). */
export function seqOf(id: string): number | undefined {
  const digits = TASK_ID.exec(id)?.[1];
  if (digits === undefined) return undefined;
  const seq = Number(digits);
  return taskIdOf(seq) === id ? seq : undefined;
}
