import { AiwgdError } from '../protocol/errors.js';
import { type AiwgEvent, TASK_TOPICS } from '../protocol/event.js';
import type { OutputParams, OutputSlice, OutputStream } from '../protocol/method-types.js';
import { isFinal, type Task } from '../protocol/task.js';
import { EventSubscription, type EventSubscriptionOptions } from './event-subscription.js';

const STREAMS = ['stdout', 'stderr'] as const;

/** A piece of what one attempt wrote. */
export interface OutputChunk {
  attempt: number;
  stream: OutputStream;
  /** Of the first byte of `data` in the stream of this attempt. */
  offset: number;
  data: string;
}

export interface TaskOutputOptions extends Pick<EventSubscriptionOptions, 'dial' | 'clock' | 'reconnect'> {
  taskId: string;
  /** Where to begin in the stdout of the newest attempt, in bytes. */
  fromOffset: number;
  /** Ends the waiting with its reason. */
  signal: AbortSignal;
  getTask: () => Promise<Task>;
  read: (params: OutputParams) => Promise<OutputSlice>;
}

/**
 * What a task writes, until it has ended and all of it was read; returns the ended task. The reader sets the pace: a
 * piece is asked for when the one before was taken, and events only say when to ask again. So nothing has to be held
 * for a slow reader, and after a lost connection it goes on where it was.
 */
export async function* taskOutput(options: TaskOutputOptions): AsyncGenerator<OutputChunk, Task, undefined> {
  const bell = new TaskBell(options);
  try {
    await bell.wait();
    let task = await options.getTask();
    let attempt = Math.max(1, task.attempt);
    let offsets: Record<OutputStream, number> = { stdout: options.fromOffset, stderr: 0 };
    for (;;) {
      // Asked before reading: the output of a task that has ended by now is whole when it is read.
      if (bell.takeChange()) task = await options.getTask();
      for (let progress = true; progress; ) {
        progress = false;
        for (const stream of STREAMS) {
          const offset = offsets[stream];
          const slice = await readSlice(options, { attempt, stream, offset });
          if (slice === undefined || slice.nextOffset <= offset) continue;
          offsets[stream] = slice.nextOffset;
          progress = true;
          yield { attempt, stream, offset, data: slice.data };
        }
      }
      if (task.attempt > attempt) {
        attempt += 1;
        offsets = { stdout: 0, stderr: 0 };
      } else if (isFinal(task.state)) {
        return task;
      } else {
        await bell.wait();
      }
    }
  } finally {
    bell.close();
  }
}

async function readSlice(
  { read, taskId }: TaskOutputOptions,
  place: { attempt: number; stream: OutputStream; offset: number },
): Promise<OutputSlice | undefined> {
  try {
    return await read({ taskId, ...place });
  } catch (error) {
    // An attempt that has not begun, or whose files were cleaned up, has nothing to read.
    if (error instanceof AiwgdError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

/** Rings when something happens to one task, and after every (re)connection, when anything may have happened. */
class TaskBell {
  readonly #taskId: string;
  readonly #subscription: EventSubscription;
  readonly #signal: AbortSignal;
  #rung = false;
  /** More than new output. */
  #changed = false;
  #failure: { error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor({ taskId, dial, clock, reconnect, signal }: TaskOutputOptions) {
    this.#taskId = taskId;
    this.#signal = signal;
    this.#subscription = new EventSubscription({
      dial,
      clock,
      reconnect,
      topics: [...TASK_TOPICS],
      onEvent: (event) => this.#hear(event),
      onSubscribed: () => this.#ring(true),
      onFailure: (error) => {
        this.#failure = { error };
        this.#wake?.();
      },
    });
    signal.addEventListener('abort', this.#aborted, { once: true });
  }

  /** Resolves when it has rung since the last time. */
  async wait(): Promise<void> {
    while (!this.#rung && this.#failure === undefined && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#signal.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#rung = false;
  }

  /** Whether the task's state may have changed since the last time. */
  takeChange(): boolean {
    const changed = this.#changed;
    this.#changed = false;
    return changed;
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.#aborted);
    this.#subscription.close();
  }

  readonly #aborted = (): void => this.#wake?.();

  #hear(event: AiwgEvent): void {
    if (event.payload.taskId === this.#taskId)
      this.#ring(event.type !== 'task:output' && event.type !== 'task:progress');
  }

  #ring(changed: boolean): void {
    this.#rung = true;
    this.#changed ||= changed;
    this.#wake?.();
  }
}
