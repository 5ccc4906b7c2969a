import type { Clock } from '../platform/clock.js';
import { messageOf } from '../protocol/errors.js';
import type { Health, HealthIssue } from '../protocol/status.js';

/** Collects what is wrong with the daemon, by code: raised by whoever notices it, cleared by the same. */
export class HealthRegister {
  readonly #issues = new Map<string, HealthIssue>();
  readonly #clock: Clock;
  readonly #onChange: (health: Health) => void;
  #lastCheck: string;

  constructor(clock: Clock, onChange: (health: Health) => void) {
    this.#clock = clock;
    this.#onChange = onChange;
    this.#lastCheck = this.#stamp();
  }

  /** A new message for a known code replaces the old one; `since` stays. Answers whether it is news. */
  raise(code: string, message: string): boolean {
    const known = this.#issues.get(code);
    if (known?.message === message) return false;
    this.#issues.set(code, { code, message, since: known?.since ?? this.#stamp() });
    this.#onChange(this.snapshot());
    return true;
  }

  clear(code: string): void {
    if (this.#issues.delete(code)) this.#onChange(this.snapshot());
  }

  /** A part of the daemon can't do its work, or (with no error) can again. */
  fault(code: string, error: unknown): void {
    if (error === undefined || error === null) this.clear(code);
    else this.raise(code, messageOf(error));
  }

  /** Notes that the daemon was alive to look at itself. */
  checked(): void {
    this.#lastCheck = this.#stamp();
  }

  snapshot(): Health {
    return {
      status: this.#issues.size === 0 ? 'healthy' : 'degraded',
      last_check: this.#lastCheck,
      issues: [...this.#issues.values()],
    };
  }

  #stamp(): string {
    return new Date(this.#clock.now()).toISOString();
  }
}
