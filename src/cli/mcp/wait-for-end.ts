import { EventSubscription } from '../../ipc/event-subscription.js';
import { type Clock, sleep } from '../../platform/clock.js';
import { TASK_TOPICS } from '../../protocol/event.js';
import { isFinal, type Task } from '../../protocol/task.js';
import { whileDaemonLives } from '../following/away-watch.js';
import { DaemonCalls } from './daemon-calls.js';
import type { ToolContext } from './tool.js';

/** However much happens, the task is not looked at more often. */
const LOOK_GAP_MS = 200;
/** However little happens, a client that asked for progress hears so often that all is well. */
const SILENCE_MS = 10_000;

/**
 * The task when it has ended, or as it is after `forMs`. A restart of the daemon in between is waited for, up to a minute.
 * NOT_FOUND for an unknown task. The task goes on whatever becomes of the wait.
 */
export async function waitForEnd(
  context: ToolContext,
  taskId: string,
  forMs: number,
  tell: (task: Task) => void,
): Promise<Task> {
  const { daemon, signal } = context;
  const { clock, paths } = daemon;
  const deadline = clock.monotonic() + forMs;
  // An unknown task, or no daemon, is told at once.
  const first = await daemon.call('task.get', { taskId }, signal);
  tell(first);
  if (isFinal(first.state) || forMs === 0) return first;
  return whileDaemonLives(paths, clock, async (alive) => {
    const either = AbortSignal.any([alive, signal, daemon.leaving]);
    const topics = topicsFor(context.progress !== undefined);
    const bell = new TaskBell(daemon, { taskId, topics, signal: either });
    try {
      for (;;) {
        const rest = deadline - clock.monotonic();
        await bell.wait(Math.min(rest, SILENCE_MS));
        const task = await look(daemon, taskId, either, rest <= 0);
        if (task !== undefined) {
          tell(task);
          if (isFinal(task.state) || rest <= 0) return task;
        }
        await sleep(clock, Math.min(LOOK_GAP_MS, Math.max(0, rest)), either);
      }
    } finally {
      bell.close();
    }
  });
}

/** Output says nothing of a task that a look at it would show, and progress nothing to a client that did not ask. */
function topicsFor(progress: boolean): string[] {
  return TASK_TOPICS.filter((topic) => topic !== 'task:output' && (progress || topic !== 'task:progress'));
}

/** The task as it is; undefined where the daemon is away and may come back. */
async function look(
  daemon: DaemonCalls,
  taskId: string,
  signal: AbortSignal,
  last: boolean,
): Promise<Task | undefined> {
  try {
    return await daemon.call('task.get', { taskId }, signal);
  } catch (error) {
    if (!last && DaemonCalls.isAway(error)) return undefined;
    throw error;
  }
}

interface BellOptions {
  taskId: string;
  topics: string[];
  signal: AbortSignal;
}

/** Rings when something has happened to one task, and after each (re)connection, when anything may have. */
class TaskBell {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #subscription: EventSubscription;
  #rung = new AbortController();
  #failure: { error: unknown } | undefined;

  constructor({ dial, clock }: DaemonCalls, { taskId, topics, signal }: BellOptions) {
    this.#clock = clock;
    this.#signal = signal;
    this.#subscription = new EventSubscription({
      dial,
      clock,
      reconnect: true,
      topics,
      onEvent: ({ payload }) => {
        if (payload['taskId'] === taskId) this.#ring();
      },
      onSubscribed: this.#ring,
      onFailure: (error) => {
        this.#failure = { error };
        this.#ring();
      },
    });
    signal.addEventListener('abort', this.#ring, { once: true });
  }

  /** Resolves when it has rung since the last time, or after `ms`. Throws the signal's reason, and what ended the ringing. */
  async wait(ms: number): Promise<void> {
    this.#signal.throwIfAborted();
    await sleep(this.#clock, Math.max(0, ms), this.#rung.signal);
    this.#signal.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#rung.signal.aborted) this.#rung = new AbortController();
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.#ring);
    this.#subscription.close();
  }

  readonly #ring = (): void => this.#rung.abort();
}
