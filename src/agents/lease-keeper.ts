import type { Clock, Timer } from '../platform/clock.js';
import { messageOf } from '../protocol/errors.js';
import type { TaskStore } from '../tasks/task-store.js';
import type { FaultReport } from './fault-report.js';
import type { TaskRun } from './task-run.js';

export const LEASE_MS = 30_000;
const HEARTBEAT_MS = 10_000;

/** Renews the leases of running tasks, records their progress, and learns what became of them elsewhere. */
export class LeaseKeeper {
  readonly #store: TaskStore;
  readonly #clock: Clock;
  readonly #faults: FaultReport;
  readonly #runs: () => Iterable<TaskRun>;
  #timer: Timer | undefined;
  #closed = false;

  constructor(store: TaskStore, clock: Clock, faults: FaultReport, runs: () => Iterable<TaskRun>) {
    this.#store = store;
    this.#clock = clock;
    this.#faults = faults;
    this.#runs = runs;
  }

  /** There is something to keep. */
  wake(): void {
    if (this.#closed) return;
    this.#timer ??= this.#clock.setTimer(HEARTBEAT_MS, () => {
      void this.#beat();
    });
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  async #beat(): Promise<void> {
    this.#timer = undefined;
    const runs = [...this.#runs()].filter((run) => run.phase === 'running' || run.phase === 'unstored');
    if (runs.length === 0) return;
    // Armed first: a store that hangs must not end the heartbeats.
    this.wake();
    try {
      const updates = runs.map((run) => ({ token: run.claim.token, ...run.live }));
      const answers = await this.#store.heartbeat(updates, LEASE_MS);
      this.#faults.clear('tasks.lease');
      for (const [index, run] of runs.entries()) {
        const answer = answers[index];
        if (answer === undefined || run.phase !== 'running') continue;
        if (!answer.held) run.lose();
        else if (answer.cancelRequested) run.cancel();
      }
    } catch (error) {
      // No lease is lost for that: as long as the store does not answer us, nobody else can have taken the tasks.
      this.#faults.raise('tasks.lease', `The leases of running tasks cannot be renewed: ${messageOf(error)}`);
    }
  }
}
