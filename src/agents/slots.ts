import type { ClaimRequest } from '../tasks/task-store.js';
import { isCommand } from './command-task.js';
import type { TaskRun } from './task-run.js';

/** Commands at once. They are short, and nobody should wait for one because agents think. */
const COMMANDS_AT_ONCE = 8;

export type Demand = Pick<ClaimRequest, 'limit' | 'exceptAgents'> & Required<Pick<ClaimRequest, 'apart'>>;

/** Slots that are taken: agents share theirs, commands have others. */
export class Slots {
  readonly #runs: () => Iterable<TaskRun>;

  constructor(runs: () => Iterable<TaskRun>) {
    this.#runs = runs;
  }

  /** Slots that are taken, of one agent or of all. */
  taken(agentName?: string): number {
    return this.#count(
      (run) => !isCommand(run.claim.task) && (agentName === undefined || run.agentName === agentName),
    );
  }

  /** How many commands may start. */
  freeForCommands(): number {
    return Math.max(0, COMMANDS_AT_ONCE - this.#count((run) => isCommand(run.claim.task)));
  }

  #count(counts: (run: TaskRun) => boolean): number {
    let taken = 0;
    for (const run of this.#runs())
      if ((run.phase === 'running' || run.phase === 'unstored') && counts(run)) taken += 1;
    return taken;
  }
}
