import { type Clock, sleep } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import type { ClaimLoop } from './claim-loop.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { SettlementWriter } from './settlement-writer.js';
import type { TaskRun } from './task-run.js';

export interface ShutdownParts {
  clock: Clock;
  log: Log;
  loop: ClaimLoop;
  leases: LeaseKeeper;
  writer: SettlementWriter;
  runs: () => Iterable<TaskRun>;
  /** What else is on its way to the store. */
  pending: () => Iterable<Promise<unknown>>;
}

/** How long a stop waits for what nothing can end, beyond the grace it gives. */
const STOP_PATIENCE_MS = 10_000;

/** The end of a supervisor's work: with an end to every agent, or with the agents left to the next daemon. */
export class Shutdown {
  readonly #parts: ShutdownParts;

  constructor(parts: ShutdownParts) {
    this.#parts = parts;
  }

  /** As `AgentSupervisor.stop`. */
  async stop(graceMs: number): Promise<void> {
    const { loop, writer, runs, log } = this.#parts;
    loop.close();
    writer.hurry();
    for (const run of runs()) run.stop(graceMs);
    if (await this.#allEndWithin(graceMs + STOP_PATIENCE_MS)) return;
    const left = [...runs()].filter((run) => run.phase === 'running');
    if (left.length === 0) return;
    log.error({ tasks: left.map((run) => run.claim.task.id) }, 'Some attempts could not be ended');
  }

  /** As `AgentSupervisor.handOver`. */
  async handOver(): Promise<void> {
    const { loop, writer, leases, runs } = this.#parts;
    loop.close();
    writer.hurry();
    await loop.settled();
    await leases.handOver();
    for (const run of runs()) run.detach();
    await this.#allEndWithin(STOP_PATIENCE_MS);
  }

  /** Whether every run is over in time; afterwards no lease is renewed. */
  async #allEndWithin(ms: number): Promise<boolean> {
    const { clock, leases, runs } = this.#parts;
    const patience = new AbortController();
    const ended = this.#allEnded().then(() => true);
    const late = sleep(clock, ms, patience.signal).then(() => false);
    const inTime = await Promise.race([ended, late]);
    patience.abort();
    leases.close();
    return inTime || (![...runs()].some((run) => run.phase === 'running') && ended);
  }

  async #allEnded(): Promise<void> {
    const { loop, runs, pending } = this.#parts;
    await loop.settled();
    await Promise.all([...pending(), ...[...runs()].map((run) => run.done)]);
  }
}
