import type { Clock } from '../platform/clock.js';

/** An agent that has given its last result may take this long to exit. */
const POST_RESULT_MS = 10_000;
/** One that would wait for more to be told has nothing to exit for: this long, lest something more comes of itself. */
const POST_RESULT_OPEN_MS = 1_000;
/** Between two looks at an attempt lies a quarter of a second; a longer pause was not the agent's time, beyond this much. */
const LONGEST_LAPSE_MS = 10_000;

/**
 * The time limits of one attempt, counted from look to look. While the machine sleeps, or all of us were stopped,
 * nobody looks, and such a pause counts for ten seconds at most: the agent did nothing in it either. So no sleep turns
 * into a storm of timeouts, no jump of the wall clock matters, and a limit may be of any length. Nor does time count in
 * which the agent waits for a person.
 */
export class AttemptLimits {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #stallMs: number;
  readonly #postResultMs: number;
  #lookedAt: number;
  #ranMs: number;
  #silentMs = 0;
  #withResultMs = 0;
  #waitedMs: number;
  #waiting = false;

  /**
   * `startedMono` by `Clock.monotonic`; the time from there to now counts, for an attempt that is adopted ran on, but for
   * the `waitedMs` in which it waited for a person.
   */
  constructor(
    limits: { timeoutMs: number | null; stallMs: number | null; staysOpen: boolean; waitedMs: number },
    clock: Clock,
    startedMono: number,
  ) {
    this.#clock = clock;
    this.#timeoutMs = limits.timeoutMs ?? Number.POSITIVE_INFINITY;
    this.#stallMs = limits.stallMs ?? Number.POSITIVE_INFINITY;
    this.#postResultMs = limits.staysOpen ? POST_RESULT_OPEN_MS : POST_RESULT_MS;
    this.#waitedMs = limits.waitedMs;
    this.#lookedAt = clock.monotonic();
    this.#ranMs = Math.max(0, this.#lookedAt - startedMono - limits.waitedMs);
  }

  /** How long the attempt has waited for people so far. */
  get waitedMs(): number {
    return this.#waitedMs;
  }

  /** It had waited for a person already when it was adopted: that time did not count either. */
  hadWaited(ms: number): void {
    const waited = Math.min(Math.max(0, ms), this.#ranMs);
    this.#ranMs -= waited;
    this.#waitedMs += waited;
  }

  /**
   * The limit that is exceeded now. `grown`: it has written something since the last look; `waiting`: it waits for a
   * person, and did not go on since the last look.
   */
  exceeded(seen: {
    hasResult: boolean;
    grown: boolean;
    waiting: boolean;
  }): 'timeout' | 'stalled' | 'finished' | null {
    const now = this.#clock.monotonic();
    const passed = Math.max(0, now - this.#lookedAt);
    const lapse = Math.min(passed, LONGEST_LAPSE_MS);
    this.#lookedAt = now;
    this.#waiting = seen.waiting;
    if (seen.waiting) {
      this.#waitedMs += passed;
      this.#silentMs = 0;
      this.#withResultMs = 0;
      return null;
    }
    this.#ranMs += lapse;
    this.#silentMs = seen.grown ? 0 : this.#silentMs + lapse;
    this.#withResultMs = seen.hasResult ? this.#withResultMs + lapse : 0;
    if (this.#ranMs >= this.#timeoutMs) return 'timeout';
    if (this.#withResultMs >= this.#postResultMs) return 'finished';
    return this.#silentMs >= this.#stallMs ? 'stalled' : null;
  }

  /** How long until a limit can be exceeded that is not yet, at the earliest. */
  nextMs(): number {
    if (this.#waiting) return Number.POSITIVE_INFINITY;
    const left = [this.#timeoutMs - this.#ranMs, this.#stallMs - this.#silentMs];
    return Math.min(...left.map((ms) => (ms > 0 ? Math.max(ms, 1) : Number.POSITIVE_INFINITY)));
  }
}
