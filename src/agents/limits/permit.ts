import type { Claim } from '../../tasks/task-store.js';
import type { Agent, ResolvedAgent } from '../agent-catalogue.js';
import type { Settlement } from '../retry-policy.js';

/** Under what conditions an attempt runs. */
export interface Permit {
  /** Who carries it out; undefined for a command, which brings its own. */
  by: ResolvedAgent | undefined;
  /** The most that the attempt may cost, as it was reserved; null for no bound. Stands in the attempt's header. */
  reservedUsd: number | null;
  /** In place of the agent that the task names, while the provider of that one pauses. */
  standsIn: boolean;
  /** The agent that the task names, where another one carries it out. */
  asked?: Agent;
}

/** The permit of an attempt that an earlier daemon began: what was reserved for it stands in its record. */
export function permitOf({ agent, reservedUsd }: { agent: Agent; reservedUsd: number | null }): Permit {
  return { by: { agent, subAgent: null }, reservedUsd, standsIn: false };
}

/** What becomes of a claim. `back`: to the queue as it was; the demand has changed since it was asked for. */
export type Admitted =
  | { kind: 'run'; claim: Claim; permit: Permit }
  | { kind: 'settle'; settlement: Settlement }
  | { kind: 'back' };

/** What the policy of retries has to know beside the attempt itself. */
export interface Circumstances {
  /** Set where the attempt has met a limit of its provider. */
  limit: MetLimit | null;
  /** The attempt's session is of no use to the agent that the task names: another program stood in for that. */
  foreignSession: boolean;
}

export interface MetLimit {
  /** When the provider goes on, in milliseconds since 1970. */
  until: number;
  /** Another agent takes over now. */
  movesOn: boolean;
  /** The same task has met it too often for the limit alone to be the reason: its attempts count. */
  counts: boolean;
}

export const NO_CIRCUMSTANCES: Circumstances = { limit: null, foreignSession: false };
