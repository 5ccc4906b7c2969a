import type { Clock, Timer } from '../platform/clock.js';
import { messageOf } from '../protocol/errors.js';
import type { Claim, TaskStore } from '../tasks/task-store.js';
import { Backoff, type FaultReport } from './fault-report.js';
import type { Demand } from './slots.js';

export interface ClaimLoopOptions {
  store: TaskStore;
  clock: Clock;
  faults: FaultReport;
  owner: string;
  leaseMs: number;
  /**
   * What may be claimed now; null for nothing. `apartMayWait` is false where nothing can be ready for the agent with
   * slots of its own: asking for it alone is not worth a claim then.
   */
  demand: (apartMayWait: boolean) => Demand | null;
  accept: (claim: Claim) => void;
  /** Milliseconds until there may be more demand without anything being told; null where there is none to come. */
  changesInMs: () => number | null;
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
  #apartMayWait = true;
  /** Nothing is ready apart any more, and nobody has asked yet when something will be. */
  #untimed = false;

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

  /** The same where the agent with slots of its own may have something to do, or has a slot more. */
  wakeApart(): void {
    this.#apartMayWait = true;
    this.wake();
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
    const { clock, demand } = this.#options;
    while (!this.#closed && clock.monotonic() >= this.#pausedUntil) {
      const wanted = demand(this.#apartMayWait);
      if (wanted !== null && (await this.#claim(wanted))) continue;
      // Told of a change meanwhile: looking for what is ready now comes first.
      if ((wanted !== null || this.#untimed) && !this.#again) await this.#waitForNext();
      return;
    }
  }

  /** Answers whether there may be more of it. */
  async #claim(wanted: Demand): Promise<boolean> {
    const { store, owner, leaseMs, accept, faults } = this.#options;
    const { limit, apart } = wanted;
    // Before the claim is issued: what is submitted meanwhile may have come too late for it.
    if (apart.limit > 0 && this.#apartMayWait) {
      this.#apartMayWait = false;
      this.#untimed = true;
    }
    const claims = await store.claim({ owner, leaseMs, ...wanted });
    faults.clear('tasks.claim');
    this.#backoff.reset();
    for (const claim of claims) accept(claim);
    const ofApart = claims.filter(({ task }) => task.agent === apart.agent).length;
    const moreApart = apart.limit > 0 && ofApart === apart.limit;
    if (moreApart) this.#apartMayWait = true;
    return moreApart || (limit > 0 && claims.length - ofApart === limit);
  }

  async #waitForNext(): Promise<void> {
    const { store, clock } = this.#options;
    // Before it is asked: what is told meanwhile may have come too late for the answer.
    this.#untimed = false;
    const runAt = await store.nextRunAt();
    // A pause has set the timer already.
    if (clock.monotonic() < this.#pausedUntil) return;
    const waits = [runAt === null ? null : runAt - clock.now(), this.#options.changesInMs()];
    const known = waits.filter((ms) => ms !== null);
    if (known.length === 0) this.#timer?.cancel();
    else this.#wakeAfter(Math.min(Math.max(Math.min(...known), 1), LONGEST_WAIT_MS));
  }

  #wakeAfter(ms: number): void {
    this.#timer?.cancel();
    if (this.#closed) return;
    this.#timer = this.#options.clock.setTimer(ms, () => this.wakeApart());
  }
}
