import type { Clock, Timer } from '../platform/clock.js';
import { messageOf } from '../protocol/errors.js';
import type { Claim, ClaimRequest, TaskStore } from '../tasks/task-store.js';
import { Backoff, type FaultReport } from './fault-report.js';

export interface ClaimLoopOptions {
  store: TaskStore;
  clock: Clock;
  faults: FaultReport;
  owner: string;
  leaseMs: number;
  /** What may be claimed now; null for nothing. */
  demand: () => Pick<ClaimRequest, 'limit' | 'exceptAgents'> | null;
  accept: (claim: Claim) => void;
}

/** The clock of the machine may jump: no wait is longer than this. */
const LONGEST_WAIT_MS = 30_000;

/** Takes tasks from the queue into free slots: one claim at a time, and again when something was told to have changed. */
export class ClaimLoop {
  readonly #options: ClaimLoopOptions;
  readonly #backoff = new Backoff();
  #busy = false;
  #running: Promise<void> = Promise.resolve();
  #again = false;
  #timer: Timer | undefined;
  #pausedUntil = 0;
  #closed = false;

  constructor(options: ClaimLoopOptions) {
    this.#options = options;
  }

  /** Something may be claimable now. The claim is issued before this returns, unless one is on its way. */
  wake(): void {
    if (this.#closed) return;
    const pause = this.#pausedUntil - this.#options.clock.monotonic();
    if (pause > 0) {
      this.#wakeAfter(pause);
    } else if (this.#busy) {
      this.#again = true;
    } else {
      this.#busy = true;
      this.#running = this.#run();
    }
  }

  /** No claims for the next `ms` milliseconds. */
  pause(ms: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#options.clock.monotonic() + ms);
    this.#wakeAfter(ms);
  }

  /** Resolves when no claim is on its way. */
  async settled(): Promise<void> {
    while (this.#busy) await this.#running;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  async #run(): Promise<void> {
    try {
      do {
        this.#again = false;
        await this.#fill();
      } while (this.#again && !this.#closed);
    } catch (error) {
      this.#options.faults.raise('tasks.claim', `Tasks cannot be claimed: ${messageOf(error)}`);
      this.pause(this.#backoff.nextMs());
    } finally {
      this.#busy = false;
    }
  }

  async #fill(): Promise<void> {
    const { store, owner, leaseMs, demand, accept, clock, faults } = this.#options;
    while (!this.#closed && clock.monotonic() >= this.#pausedUntil) {
      const wanted = demand();
      if (wanted === null) return;
      const claims = await store.claim({ owner, leaseMs, ...wanted });
      faults.clear('tasks.claim');
      this.#backoff.reset();
      for (const claim of claims) accept(claim);
      if (claims.length < wanted.limit) {
        // Told of a change meanwhile: looking for what is ready now comes first.
        if (!this.#again) await this.#waitForNext();
        return;
      }
    }
  }

  async #waitForNext(): Promise<void> {
    const { store, clock } = this.#options;
    const runAt = await store.nextRunAt();
    // A pause has set the timer already.
    if (clock.monotonic() < this.#pausedUntil) return;
    if (runAt === null) this.#timer?.cancel();
    else this.#wakeAfter(Math.min(Math.max(runAt - clock.now(), 1), LONGEST_WAIT_MS));
  }

  #wakeAfter(ms: number): void {
    this.#timer?.cancel();
    if (this.#closed) return;
    this.#timer = this.#options.clock.setTimer(ms, () => this.wake());
  }
}
