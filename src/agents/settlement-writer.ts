import { type Clock, sleep } from '../platform/clock.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import type { TaskStore } from '../tasks/task-store.js';
import { Backoff, type FaultReport } from './fault-report.js';
import type { Settlement } from './retry-policy.js';

export interface WriteWatch {
  /** Called each time the store has refused. */
  onDelayed?: () => void;
  /** Called as soon as it is stored, before a claim that was handed in later is answered. */
  onStored?: () => void;
}

const LAST_TRIES = 4;
const LAST_PAUSE_MS = 250;

/**
 * Writes what became of tasks, and keeps trying while the store cannot take it (a full disk, say). An outcome that no
 * store takes, whatever its condition, is written without what the agent said.
 */
export class SettlementWriter {
  readonly #store: TaskStore;
  readonly #clock: Clock;
  readonly #faults: FaultReport;
  readonly #hurried = new AbortController();

  constructor(store: TaskStore, clock: Clock, faults: FaultReport) {
    this.#store = store;
    this.#clock = clock;
    this.#faults = faults;
  }

  /**
   * The first try is handed to the store before this returns, so that it shares a commit with what follows. False when
   * the task is another owner's. Throws the store's error only after `hurry`: the next daemon finds the outcome in the
   * files of the attempt.
   */
  async write(token: string, settlement: Settlement, watch: WriteWatch = {}): Promise<boolean> {
    const backoff = new Backoff();
    let lastTries = LAST_TRIES;
    let writable = settlement;
    for (;;) {
      try {
        const held = await this.#issue(token, writable);
        if (held) watch.onStored?.();
        this.#faults.clear('tasks.outcome');
        return held;
      } catch (error) {
        if (writable === settlement && writable.kind === 'finish' && isRefusal(error)) {
          writable = withoutDetails(writable, error);
          continue;
        }
        this.#faults.raise('tasks.outcome', `The outcome of a task cannot be stored: ${messageOf(error)}`);
        watch.onDelayed?.();
        if (this.#hurried.signal.aborted) {
          if (lastTries === 0) throw error;
          lastTries -= 1;
          await sleep(this.#clock, LAST_PAUSE_MS);
        } else {
          await sleep(this.#clock, backoff.nextMs(), this.#hurried.signal);
        }
      }
    }
  }

  /** The daemon ends: whatever waits is tried a few times more, within a second. */
  hurry(): void {
    this.#hurried.abort();
  }

  #issue(token: string, settlement: Settlement): Promise<boolean> {
    return settlement.kind === 'finish'
      ? this.#store.finish(token, settlement.outcome)
      : this.#store.release(token, settlement.release);
  }
}

function isRefusal(error: unknown): error is AiwgdError {
  return error instanceof AiwgdError && error.code === 'INVALID_PARAMS';
}

function withoutDetails({ outcome }: Settlement & { kind: 'finish' }, refusal: AiwgdError): Settlement {
  const error = `What the agent said cannot be stored, its files have it: ${refusal.message}`;
  return { kind: 'finish', outcome: { ...outcome, result: null, usage: null, error } };
}
