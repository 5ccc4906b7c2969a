import type { Clock } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';

const QUIET_MS = 60_000;

/** Counts refused requests, and tells the log of the first at once and of the others once a minute at most. */
export class RejectionLog {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #byStatus = new Map<number, number>();
  #untold = 0;
  #toldAt: number | undefined;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  add(status: number, reason: string, path: string | undefined): void {
    this.#byStatus.set(status, (this.#byStatus.get(status) ?? 0) + 1);
    this.#untold += 1;
    const now = this.#clock.monotonic();
    if (this.#toldAt !== undefined && now - this.#toldAt < QUIET_MS) return;
    const fields = { status, reason, path, requests: this.#untold };
    this.#log.warn(fields, 'Webhook requests were refused; this is the newest of them');
    this.#toldAt = now;
    this.#untold = 0;
  }

  /** How many, by the status that they were answered with. */
  counts(): Record<string, number> {
    return Object.fromEntries(this.#byStatus);
  }
}
