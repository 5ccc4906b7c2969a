import { type Clock, sleep } from '../../platform/clock.js';
import type { AiwgEvent } from '../../protocol/event.js';
import { isFinal } from '../../protocol/task.js';
import type { TaskEnd, TaskPort } from '../ports.js';

const ENDS = new Set(['task:completed', 'task:failed', 'task:timeout', 'task:cancelled']);
const RETRY_MS = 1_000;

/** Waits for tasks to end: told by their events, and by the store where the end came before the question. */
export class TaskWaits {
  readonly #tasks: TaskPort;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, () => void>();

  constructor(tasks: TaskPort, clock: Clock) {
    this.#tasks = tasks;
    this.#clock = clock;
  }

  note(event: AiwgEvent): void {
    const { taskId } = event.payload;
    if (ENDS.has(event.type) && typeof taskId === 'string') this.#waiting.get(taskId)?.();
  }

  /** Resolves with how the task ended; undefined when it is not known (any more), or `signal` was aborted. */
  async end(taskId: string, signal: AbortSignal): Promise<TaskEnd | undefined> {
    for (;;) {
      let told = (): void => undefined;
      const ended = new Promise<void>((resolve) => {
        told = resolve;
      });
      // Before the question: an end in between is told.
      this.#waiting.set(taskId, told);
      signal.addEventListener('abort', told, { once: true });
      try {
        const task = await this.#ask(taskId, signal);
        if (signal.aborted || task === undefined || isFinal(task.state)) return task;
        await ended;
        if (signal.aborted) return undefined;
      } finally {
        signal.removeEventListener('abort', told);
        this.#waiting.delete(taskId);
      }
    }
  }

  /** A store that cannot answer just now is asked again; its own health issue says so. */
  async #ask(taskId: string, signal: AbortSignal): Promise<TaskEnd | undefined> {
    for (;;) {
      try {
        return await this.#tasks.get(taskId);
      } catch (error) {
        if (signal.aborted) throw error;
        await sleep(this.#clock, RETRY_MS, signal);
      }
    }
  }
}
