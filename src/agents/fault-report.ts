import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import type { HealthIssue } from '../protocol/status.js';

/** Faults that are not an agent's: the machine is short of something, or the store does not answer. */
export type FaultCode = 'agents.launch' | 'tasks.claim' | 'tasks.outcome' | 'tasks.lease' | 'tasks.recovery';

/** Tells health what is wrong, once when it begins and once when it is over. */
export class FaultReport {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onFault: (issue: HealthIssue | null) => void;
  readonly #issues = new Map<FaultCode, HealthIssue>();

  /** `onFault` gets the oldest of the issues, null when there is none any more. */
  constructor(clock: Clock, log: Log, onFault: (issue: HealthIssue | null) => void) {
    this.#clock = clock;
    this.#log = log;
    this.#onFault = onFault;
  }

  raise(code: FaultCode, message: string): void {
    const known = this.#issues.get(code);
    if (known?.message === message) return;
    this.#log.error({ code }, message);
    this.#issues.set(code, {
      code,
      message,
      since: known?.since ?? new Date(this.#clock.now()).toISOString(),
    });
    this.#tell();
  }

  clear(code: FaultCode): void {
    if (!this.#issues.delete(code)) return;
    this.#log.info({ code }, 'The fault is over');
    this.#tell();
  }

  #tell(): void {
    const [oldest] = this.#issues.values();
    this.#onFault(oldest ?? null);
  }
}

/** Delays that double: 1 s, 2 s … 30 s. */
export class Backoff {
  #next = 1_000;

  nextMs(): number {
    const delay = this.#next;
    this.#next = Math.min(delay * 2, 30_000);
    return delay;
  }

  reset(): void {
    this.#next = 1_000;
  }
}
