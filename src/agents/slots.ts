import type { Claim, ClaimRequest } from '../tasks/task-store.js';
import type { AgentCatalogue } from './agent-catalogue.js';
import { COMMAND_AGENT, isCommand } from './command-task.js';
import type { TaskRun } from './task-run.js';

/** Commands at once. They are short, and nobody should wait for one because agents think. */
const COMMANDS_AT_ONCE = 8;

export type Demand = Pick<ClaimRequest, 'limit' | 'exceptAgents'> & Required<Pick<ClaimRequest, 'apart'>>;

export interface SlotLimits {
  /** Agents at once. Where it is 0, commands are not begun either. */
  maxParallel: number;
  catalogue: AgentCatalogue;
}

/** How many attempts more there may be: agents share their slots, commands have others. */
export class Slots {
  readonly #runs: () => Iterable<TaskRun>;

  constructor(runs: () => Iterable<TaskRun>) {
    this.#runs = runs;
  }

  /** What may be claimed now; null for nothing, and where only commands could be, but none waits. */
  demand({ maxParallel, catalogue }: SlotLimits, commandsMayWait: boolean): Demand | null {
    if (maxParallel <= 0) return null;
    const apart = { agent: COMMAND_AGENT, limit: Math.max(0, COMMANDS_AT_ONCE - this.#takenByCommands()) };
    let limit = maxParallel - this.#taken();
    const exceptAgents: (string | null)[] = [];
    for (const { agent, limit: own } of catalogue.limited()) {
      const free = own - this.#taken(agent.name);
      if (free <= 0) exceptAgents.push(...catalogue.queueNames(agent));
      // Not more at once than the narrowest agent has room for: all of them might be for it.
      else limit = Math.min(limit, free);
    }
    if (limit <= 0 && !(commandsMayWait && apart.limit > 0)) return null;
    const demand = { limit: Math.max(0, limit), apart };
    return exceptAgents.length === 0 ? demand : { ...demand, exceptAgents };
  }

  /** The limits may have changed while the claim was on its way, or a sub-agent's name was not known yet. */
  hasRoom({ task }: Claim, { maxParallel, catalogue }: SlotLimits): boolean {
    if (isCommand(task)) return maxParallel > 0 && this.#takenByCommands() < COMMANDS_AT_ONCE;
    if (this.#taken() >= maxParallel) return false;
    const agent = catalogue.resolve(task.agent)?.agent;
    const own = agent?.config.max_parallel;
    return agent === undefined || typeof own !== 'number' || this.#taken(agent.name) < own;
  }

  /** Slots that are taken, of one agent or of all. */
  #taken(agentName?: string): number {
    return this.#count(
      (run) => !isCommand(run.claim.task) && (agentName === undefined || run.agentName === agentName),
    );
  }

  #takenByCommands(): number {
    return this.#count((run) => isCommand(run.claim.task));
  }

  #count(counts: (run: TaskRun) => boolean): number {
    let taken = 0;
    for (const run of this.#runs())
      if ((run.phase === 'running' || run.phase === 'unstored') && counts(run)) taken += 1;
    return taken;
  }
}
