import type { Clock, Timer } from '#aiwgd/platform/clock.js';

/** Lets promises and immediates that are due run. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** A clock that stands still until the test moves it. */
export class FakeClock implements Clock {
  #wall = Date.parse('2026-01-02T03:04:05.000Z');
  #monotonic = 0;
  #timers: { at: number; callback: () => void }[] = [];

  now(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  setTimer(ms: number, callback: () => void): Timer {
    const timer = { at: this.#monotonic + ms, callback };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  /** Timers that are pending. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Moves the wall clock alone, as an administrator would. */
  jump(ms: number): void {
    this.#wall += ms;
  }

  /** Lets `ms` pass: fires what falls due in order, and lets its consequences run before the next. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    await settle();
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#moveTo(Math.max(next.at, this.#monotonic));
      next.callback();
      await settle();
    }
    this.#moveTo(end);
  }

  #moveTo(at: number): void {
    this.#wall += at - this.#monotonic;
    this.#monotonic = at;
  }
}
