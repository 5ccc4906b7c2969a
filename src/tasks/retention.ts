import type { Clock, Timer } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { messageOf } from '../protocol/errors.js';
import type { OutputFiles } from './output-files.js';
import type { TaskStore } from './task-store.js';

const DAY_MS = 86_400_000;
const SWEEP_EVERY_MS = 3_600_000;
/** 50 tasks every 250 ms: 200 a second at most, so that nobody else notices. */
const SLICE_TASKS = 50;
const SLICE_PAUSE_MS = 250;

export interface RetentionOptions {
  store: TaskStore;
  files: OutputFiles;
  clock: Clock;
  /** Ended tasks are kept for so many days. */
  days: number;
  log: Log;
}

/** Forgets ended tasks, and removes their folders, some time after their end: at once when made, and then every hour. */
export class Retention {
  readonly #options: RetentionOptions;
  #days: number;
  #timer: Timer | undefined;
  #slice: Promise<void> | undefined;
  #closed = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#days = options.days;
    this.#runIn(0);
  }

  /** Applies a new limit at once. */
  setDays(days: number): void {
    this.#days = days;
    if (this.#slice === undefined) this.#runIn(0);
  }

  /** Resolves when nothing is being removed any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#slice;
  }

  #runIn(ms: number): void {
    if (this.#closed) return;
    this.#timer?.cancel();
    this.#timer = this.#options.clock.setTimer(ms, () => {
      this.#slice = this.#runSlice();
    });
  }

  async #runSlice(): Promise<void> {
    const days = this.#days;
    const pause = await this.#removeSlice();
    this.#slice = undefined;
    this.#runIn(days === this.#days ? pause : 0);
  }

  /** Answers how long to wait for the next one. Never throws. */
  async #removeSlice(): Promise<number> {
    const { store, clock, log } = this.#options;
    try {
      const ids = await store.endedBefore(clock.now() - this.#days * DAY_MS, SLICE_TASKS);
      // Files first: whatever is cut off in between is found again by its task.
      for (const id of ids) await this.#removeFiles(id);
      // Also of no task: what is kept besides them (see `TaskStore.forget`) grows old, too.
      const count = await store.forget(ids);
      if (count > 0) log.debug({ count }, 'Forgot tasks that ended long ago.');
      return ids.length < SLICE_TASKS ? SWEEP_EVERY_MS : SLICE_PAUSE_MS;
    } catch (error) {
      log.warn({ err: messageOf(error) }, 'Old tasks could not be removed; tried again in an hour.');
      return SWEEP_EVERY_MS;
    }
  }
  /** One folder that cannot be removed keeps no other task. */
  async #removeFiles(id: string): Promise<void> {
    const { files, log } = this.#options;
    try {
      await files.remove(id);
    } catch (error) {
      log.warn(
        { taskId: id, err: messageOf(error) },
        'The files of an old task cannot be removed; they stay.',
      );
    }
  }
}
