import type { Clock, Timer } from '../platform/clock.js';
import { messageOf } from '../protocol/errors.js';
import type { Progress, TaskStore } from '../tasks/task-store.js';
import type { FaultReport } from './fault-report.js';
import type { TaskRun } from './task-run.js';

export const LEASE_MS = 30_000;
const HEARTBEAT_MS = 10_000;
/** A daemon that lives so long with a task is not brought down by it. */
const STEADY_MS = 60_000;

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

  /** Records how far the attempts are, for the daemon that takes them over; no more leases are renewed. */
  async handOver(): Promise<void> {
    this.close();
    await this.#renew(
      [...this.#runs()].filter((run) => run.phase === 'running'),
      true,
    );
  }

  async #beat(): Promise<void> {
    this.#timer = undefined;
    const runs = [...this.#runs()].filter((run) => run.phase === 'running' || run.phase === 'unstored');
    if (runs.length === 0) return;
    // Armed first: a store that hangs must not end the heartbeats.
    this.wake();
    await this.#renew(runs, false);
  }

  async #renew(runs: readonly TaskRun[], planned: boolean): Promise<void> {
    if (runs.length === 0) return;
    const now = this.#clock.monotonic();
    const updates = runs.map((run) => ({
      token: run.claim.token,
      ...known(run.live),
      steady: planned || now - run.since >= STEADY_MS,
    }));
    try {
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

/** What is not known yet does not take the place of what an earlier attempt or daemon knew. */
function known({ pid, sessionId, outputBytes }: TaskRun['live']): Omit<Progress, 'token'> {
  return { ...(pid === null ? {} : { pid }), ...(sessionId === null ? {} : { sessionId }), outputBytes };
}
