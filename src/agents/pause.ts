import type { Clock, Timer } from '../platform/clock.js';

/** A wait that others can cut short; what comes while nobody waits cuts the next one short. */
export class Pause {
  readonly #clock: Clock;
  #waiting: { timer: Timer; resume: () => void } | undefined;
  #cut = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** One wait at a time. */
  wait(ms: number): Promise<void> {
    if (this.#cut) {
      this.#cut = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const resume = (): void => {
        this.#waiting = undefined;
        resolve();
      };
      this.#waiting = { timer: this.#clock.setTimer(ms, resume), resume };
    });
  }

  cutShort(): void {
    const waiting = this.#waiting;
    this.#cut = waiting === undefined;
    waiting?.timer.cancel();
    waiting?.resume();
  }
}
