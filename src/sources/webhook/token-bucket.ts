import type { Clock } from '../../platform/clock.js';

/** Lets `burst` things pass at once and `perMinute` of them in the long run. */
export class TokenBucket {
  readonly #clock: Clock;
  readonly #burst: number;
  readonly #perMs: number;
  #tokens: number;
  #at: number;

  constructor(clock: Clock, { burst, perMinute }: { burst: number; perMinute: number }) {
    this.#clock = clock;
    this.#burst = burst;
    this.#perMs = perMinute / 60_000;
    this.#tokens = burst;
    this.#at = clock.monotonic();
  }

  /** Takes one token. Answers 0, or where there is none the milliseconds until there will be. */
  take(): number {
    const wait = this.wait();
    if (wait === 0) this.#tokens -= 1;
    return wait;
  }

  /** Milliseconds until a token can be taken; 0 for now. */
  wait(): number {
    const now = this.#clock.monotonic();
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs);
    this.#at = now;
    return this.#tokens >= 1 ? 0 : Math.ceil((1 - this.#tokens) / this.#perMs);
  }
}
