import type { PauseReason } from './provider-pauses.js';

/** A provider that is overloaded for a day is met so often and more; a request that always breaks it, without end. */
const MOST_OVERLOADS = 20;
/** One that has met the limit before lets others go first when the pause is over. */
const LATER_MS = 2_000;
const MAX_TASKS = 1_000;

/**
 * Tasks that meet limits again and again. What a provider calls an overload may be the doing of one request: such a task
 * must not hold up the others, nor go on for ever. Known as long as the daemon lives.
 */
export class RepeatedLimits {
  readonly #times = new Map<string, number>();

  /** A task has met a limit: how much later than the pause it comes back, and whether its attempt counts. */
  note(taskId: string, reason: PauseReason): { delayMs: number; counts: boolean } {
    const times = (this.#times.get(taskId) ?? 0) + 1;
    this.#times.delete(taskId);
    this.#times.set(taskId, times);
    const [oldest] = this.#times.keys();
    if (this.#times.size > MAX_TASKS && oldest !== undefined) this.#times.delete(oldest);
    return { delayMs: times > 1 ? LATER_MS : 0, counts: reason === 'overloaded' && times > MOST_OVERLOADS };
  }

  /** Its attempt has ended otherwise. */
  forget(taskId: string): void {
    this.#times.delete(taskId);
  }
}
