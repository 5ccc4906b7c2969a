import type { Clock } from '../../platform/clock.js';
import type { WaitReason } from '../../protocol/task.js';
import type { Agent } from '../agent-catalogue.js';
import type { Budget } from '../money/budget.js';
import { startOfNextDay } from '../money/day.js';
import { type ProviderPauses, pauseKey } from './provider-pauses.js';

/** Why tasks wait that nothing of their own keeps back. */
export interface Hold {
  waitReason: Extract<WaitReason, 'budget' | 'rate_limit'>;
  /** When they go on at the latest, in milliseconds since 1970; null where that depends on an attempt that is sent ahead. */
  runAt: number | null;
}

/** Who carries out the tasks of an agent now, and how many of them. */
export interface Route {
  agent: Agent;
  /** How many may start; may be infinite. */
  room: number;
  /** Set where there is no room, for another reason than that its slots are taken. */
  hold: Hold | null;
}

/** Whether a budget can count an agent: one whose cost nobody knows is in none. */
export function isCounted({ provider, config }: Agent): boolean {
  return provider.counts === 'usd' || (provider.counts === 'tokens' && !!config.usd_per_million_tokens);
}

export interface RouteParts {
  clock: Clock;
  pauses: ProviderPauses;
  budget: Budget;
  /** Slots that an agent has taken. */
  taken: (agentName: string) => number;
}

/**
 * The way of a task. Of `chain`, which begins with its own agent, the first one carries it out whose provider does not
 * pause; where that one has no slot free or nothing is left of the budget, the task waits.
 */
export function routeOf(chain: readonly [Agent, ...Agent[]], parts: RouteParts): Route {
  const { pauses, clock } = parts;
  let hold: Hold | null = null;
  for (const agent of chain) {
    const key = pauseKey(agent.config);
    const paused = pauses.room(key);
    const until = pauses.heldUntil(key);
    if (until !== undefined && paused === 0) {
      hold = earlier(hold, { waitReason: 'rate_limit', runAt: until > clock.now() ? until : null });
      continue;
    }
    const slots = (agent.config.max_parallel ?? Number.POSITIVE_INFINITY) - parts.taken(agent.name);
    const affordable = isCounted(agent) ? parts.budget.fitting(clock.now()) : Number.POSITIVE_INFINITY;
    if (affordable === 0) hold = { waitReason: 'budget', runAt: startOfNextDay(clock.now()) };
    const room = Math.max(0, Math.min(paused, slots, affordable));
    return { agent, room, hold: room > 0 ? null : hold };
  }
  return { agent: chain[0], room: 0, hold };
}

function earlier(one: Hold | null, other: Hold): Hold {
  if (one === null) return other;
  return (one.runAt ?? 0) <= (other.runAt ?? 0) ? one : other;
}
