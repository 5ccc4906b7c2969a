import type { Clock } from '../platform/clock.js';

/** An agent that has given its last result may take this long to exit. */
const POST_RESULT_MS = 10_000;
/** Between two looks at an attempt lies a quarter of a second; a longer pause was not the agent's time, beyond this much. */
const LONGEST_LAPSE_MS = 10_000;

/**
 * The time limits of one attempt, counted from look to look. While the machine sleeps, or all of us were stopped,
 * nobody looks, and such a pause counts for ten seconds at most: the agent did nothing in it either. So no sleep turns
 * into a storm of timeouts, no jump of the wall clock matters, and a limit may be of any length.
 */
export class AttemptLimits {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #stallMs: number;
  #lookedAt: number;
  #ranMs: number;
  #silentMs = 0;
  #withResultMs = 0;

  /** `startedMono` by `Clock.monotonic`; the time from there to now counts in full: an attempt that is adopted ran on. */
  constructor(
    limits: { timeoutMs: number | null; stallMs: number | null },
    clock: Clock,
    startedMono: number,
  ) {
    this.#clock = clock;
    this.#timeoutMs = limits.timeoutMs ?? Number.POSITIVE_INFINITY;
    this.#stallMs = limits.stallMs ?? Number.POSITIVE_INFINITY;
    this.#lookedAt = clock.monotonic();
    this.#ranMs = Math.max(0, this.#lookedAt - startedMono);
  }

  /** The limit that is exceeded now. `grown`: it has written something since the last look. */
  exceeded(seen: { hasResult: boolean; grown: boolean }): 'timeout' | 'stalled' | 'finished' | null {
    const now = this.#clock.monotonic();
    const lapse = Math.min(Math.max(0, now - this.#lookedAt), LONGEST_LAPSE_MS);
    this.#lookedAt = now;
    this.#ranMs += lapse;
    this.#silentMs = seen.grown ? 0 : this.#silentMs + lapse;
    this.#withResultMs = seen.hasResult ? this.#withResultMs + lapse : 0;
    if (this.#ranMs >= this.#timeoutMs) return 'timeout';
    if (this.#withResultMs >= POST_RESULT_MS) return 'finished';
    return this.#silentMs >= this.#stallMs ? 'stalled' : null;
  }

  /** How long until a limit can be exceeded that is not yet, at the earliest. */
  nextMs(): number {
    const left = [this.#timeoutMs - this.#ranMs, this.#stallMs - this.#silentMs];
    return Math.min(...left.map((ms) => (ms > 0 ? Math.max(ms, 1) : Number.POSITIVE_INFINITY)));
  }
}
