/** A pending timer; cancelling it twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void;
}

/**
 * The one source of time. Everything that waits or stamps takes a `Clock`, so that a test decides what time it is.
 * Wall time may jump either way; whoever measures a duration uses `monotonic`.
 */
export interface Clock {
  /** Wall time in milliseconds since 1970, UTC. */
  now(): number;
  /**
   * Milliseconds from an arbitrary moment that is the same for every process of one boot; never goes back, and stands
   * still while the machine sleeps.
   */
  monotonic(): number;
  /** Calls `callback` once after `ms` milliseconds, of any length (also beyond 2^31, where Node's own timers fire at once). */
  setTimer(ms: number, callback: () => void): Timer;
}

/** Node's `setTimeout` takes a signed 32-bit delay. */
const LONGEST_NODE_TIMER_MS = 2 ** 31 - 1;

class SystemTimer implements Timer {
  #handle: NodeJS.Timeout | undefined;

  constructor(ms: number, callback: () => void) {
    this.#arm(Math.max(0, ms), callback);
  }

  #arm(ms: number, callback: () => void): void {
    const step = Math.min(ms, LONGEST_NODE_TIMER_MS);
    this.#handle = setTimeout(() => {
      if (ms > step) this.#arm(ms - step, callback);
      else callback();
    }, step);
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  // CLOCK_MONOTONIC itself: `performance.now()` counts from the start of this process.
  monotonic: () => {
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1_000 + nanoseconds / 1_000_000;
  },
  setTimer: (ms, callback) => new SystemTimer(ms, callback),
};

/** Resolves after `ms`, or at once (without an error) when `signal` is aborted. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve();
      return;
    }
    const finish = (): void => {
      timer.cancel();
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const timer = clock.setTimer(ms, finish);
    signal?.addEventListener('abort', finish, { once: true });
  });
}
