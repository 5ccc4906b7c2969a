import type { Log } from '../platform/log.js';

/** Faults that are not an agent's: the machine is short of something, or the store does not answer. */
export type FaultCode =
  | 'agents.launch'
  /** Of one agent, whose name ends it. */
  | `agents.output.${string}`
  | 'tasks.claim'
  | 'tasks.outcome'
  | 'tasks.lease'
  | 'tasks.recovery';

/** Told the message when a fault begins or changes, null when it is over. */
export type OnFault = (code: FaultCode, message: string | null) => void;

/** Tells health what is wrong, once when it begins and once when it is over. */
export class FaultReport {
  readonly #log: Log;
  readonly #onFault: OnFault;
  readonly #messages = new Map<FaultCode, string>();

  constructor(log: Log, onFault: OnFault) {
    this.#log = log;
    this.#onFault = onFault;
  }

  raise(code: FaultCode, message: string): void {
    if (this.#messages.get(code) === message) return;
    this.#log.error({ code }, message);
    this.#messages.set(code, message);
    this.#onFault(code, message);
  }

  clear(code: FaultCode): void {
    if (!this.#messages.delete(code)) return;
    this.#log.info({ code }, 'The fault is over');
    this.#onFault(code, null);
  }
}

const LONGEST_BACKOFF_MS = 5_000;

/** Delays that double: 1 s, 2 s, 4 s, then 5 s each: whoever has made room is not kept waiting. */
export class Backoff {
  #next = 1_000;

  nextMs(): number {
    const delay = this.#next;
    this.#next = Math.min(delay * 2, LONGEST_BACKOFF_MS);
    return delay;
  }

  reset(): void {
    this.#next = 1_000;
  }
}
