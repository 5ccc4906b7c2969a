/** Waits of this length in a row are no hiccup: whoever gave the attempt its slot is told. */
const PATIENCE_MS = 10_000;
/** The program's own delay before its first retry; it doubles from one to the next. */
const OWN_DELAY_MS = 500;
/** Its own delays vary by a quarter: one that is longer by half has another reason. */
const CLEARLY_LONGER = 1.5;
const LONGEST_DELAY_MS = 30 * 24 * 3_600_000;

/**
 * The program's own retries of a request (`system/api_retry`). Where the API names a time to wait, the program waits for
 * that, a minute or more if need be, and tells it in `retry_delay_ms` with up to a quarter on top.
 */
export class ApiRetries {
  readonly #now: (() => number) | undefined;
  #waitedMs = 0;
  #status: number | null = null;
  /** What the API told to wait; null where it told nothing. */
  #toldMs: number | null = null;
  #toldAt: number | undefined;

  constructor(now: (() => number) | undefined) {
    this.#now = now;
  }

  /** Takes an `api_retry`. */
  add(message: Record<string, unknown>): void {
    const { retry_delay_ms: delay, attempt, error_status: status } = message;
    if (typeof delay !== 'number' || !(delay >= 0 && delay <= LONGEST_DELAY_MS)) return;
    const own = OWN_DELAY_MS * 2 ** ((typeof attempt === 'number' ? attempt : 1) - 1);
    this.#waitedMs += delay;
    this.#status = typeof status === 'number' ? status : null;
    // Its own delays grow past what the API tells in every answer: the first of them show it best.
    if (delay > own * CLEARLY_LONGER) this.#toldMs = delay;
    this.#toldAt = this.#now?.();
  }

  /** The API has answered. */
  over(): void {
    this.#waitedMs = 0;
    this.#status = null;
    this.#toldMs = null;
  }

  /** The last retry has failed too: what the API told before counts from now on. */
  exhausted(): void {
    this.#toldAt = this.#now?.();
  }

  /** Waits so long that it is as good as given up; null while it does not. */
  get waiting(): { status: number | null; waitedMs: number } | null {
    return this.#waitedMs > PATIENCE_MS ? { status: this.#status, waitedMs: this.#waitedMs } : null;
  }

  /** Until when the API told to wait, in milliseconds since 1970; null where it told nothing. */
  get until(): number | null {
    return this.#toldMs === null || this.#toldAt === undefined
      ? null
      : Math.round(this.#toldAt + this.#toldMs);
  }
}
