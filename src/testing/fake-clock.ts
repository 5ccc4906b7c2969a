import type { Clock, Timer } from '../platform/clock.js';

interface FakeTimer extends Timer {
  due: number;
  order: number;
  callback: () => void;
}

/** A clock that a test moves by hand. Timers fire within `advance`, in the order in which they are due. */
export class FakeClock implements Clock {
  #monotonic = 0;
  #wallOffset: number;
  #order = 0;
  readonly #timers = new Set<FakeTimer>();

  /** `wall` is the wall time to begin with, in milliseconds since 1970; 2026-01-01 where not given. */
  constructor(wall: number = Date.UTC(2026, 0, 1)) {
    this.#wallOffset = wall;
  }

  now(): number {
    return this.#wallOffset + this.#monotonic;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  setTimer(ms: number, callback: () => void): Timer {
    this.#order += 1;
    const timer: FakeTimer = {
      due: this.#monotonic + Math.max(0, ms),
      order: this.#order,
      callback,
      cancel: () => this.#timers.delete(timer),
    };
    this.#timers.add(timer);
    return timer;
  }

  /** How many timers are pending; for tests that check that everything was cancelled. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Lets `ms` milliseconds pass. Timers set by a timer that fires within them fire too. */
  advance(ms: number): void {
    const end = this.#monotonic + ms;
    for (let timer = this.#nextUntil(end); timer !== undefined; timer = this.#nextUntil(end)) {
      this.#timers.delete(timer);
      this.#monotonic = Math.max(this.#monotonic, timer.due);
      timer.callback();
    }
    this.#monotonic = end;
  }

  /** Makes wall time jump to `ms` since 1970, as after a correction of the system's clock; no timer notices. */
  setWall(ms: number): void {
    this.#wallOffset = ms - this.#monotonic;
  }

  #nextUntil(end: number): FakeTimer | undefined {
    let next: FakeTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.due > end) continue;
      if (
        next === undefined ||
        timer.due < next.due ||
        (timer.due === next.due && timer.order < next.order)
      ) {
        next = timer;
      }
    }
    return next;
  }
}
