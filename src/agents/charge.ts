import type { TokenCounts } from '../protocol/task.js';
import type { Charge, Claim, Outcome } from '../tasks/task-store.js';
import type { Prices } from './agent-config.js';
import type { AgentProvider, Verdict } from './agent-provider.js';
import type { AttemptEnd } from './attempt.js';
import type { BegunAttempt } from './begin-attempt.js';
import type { Settlement } from './retry-policy.js';

export interface ChargedAttempt {
  attemptId: string;
  agentName: string;
  provider: Pick<AgentProvider, 'counts'>;
  prices: Prices | null;
  /** What was set aside for it; null where no budget holds. */
  reservedUsd: number | null;
  /** Its end was such that the program itself may have forgotten what it cost: no later report of the session tells it. */
  forgets: boolean;
}

/**
 * What an attempt cost. Null for agents that count nothing, and for an attempt that never got as far as its model. Where
 * nobody can tell any more, what was set aside counts, until a later report of its session holds it: one that never will
 * is charged to no session.
 */
export function chargeOf(
  { attemptId, agentName, provider, prices, reservedUsd, forgets }: ChargedAttempt,
  { costUsd: told, tokens, sessionId: session, sessionTotals }: Verdict,
): Charge | null {
  if (provider.counts === 'nothing') return null;
  const costUsd = told ?? (prices === null || tokens === null ? null : priceOf(tokens, prices));
  if (costUsd === null && tokens === null && session === null) return null;
  const sessionId = costUsd === null && forgets ? null : session;
  const countedUsd = costUsd ?? reservedUsd ?? 0;
  return { attemptId, agent: agentName, costUsd, tokens, countedUsd, sessionId, sessionTotals };
}

const MILLION = 1_000_000;

function priceOf({ input, cachedInput, output }: TokenCounts, prices: Prices): number {
  const cachedPrice = prices.cached_input ?? prices.input;
  const fresh = Math.max(0, input - cachedInput);
  return (fresh * prices.input + cachedInput * cachedPrice + output * prices.output) / MILLION;
}

/** The same for an attempt that has ended. */
export function chargeFor(
  claim: Claim,
  { attempt, agent, reservedUsd }: BegunAttempt,
  { launched, verdict, signal, exitKnown }: AttemptEnd,
): Charge | null {
  if (!launched) return null;
  const { name: agentName, provider, config } = agent;
  const attemptId = claim.attemptId || attempt.id;
  const prices = config.usd_per_million_tokens ?? null;
  // Measured with claude: it keeps its count when it is told to end, and loses it to a SIGKILL.
  const forgets = signal === 'SIGKILL' || !exitKnown;
  return chargeOf({ attemptId, agentName, provider, prices, reservedUsd, forgets }, verdict);
}

/** The same settlement, with what the attempt cost. */
export function withCharge(settlement: Settlement, charge: Charge | null): Settlement {
  return settlement.kind === 'finish'
    ? { kind: 'finish', outcome: { ...settlement.outcome, charge } }
    : { kind: 'release', release: { ...settlement.release, charge } };
}

/** The same outcome, with what all attempts of the task cost, as the store tells it. */
export function withTotal({ spentUsd }: Claim, outcome: Outcome): Outcome {
  const { costUsd = null } = outcome.charge ?? {};
  return { ...outcome, costUsd: costUsd === null && spentUsd === 0 ? null : spentUsd + (costUsd ?? 0) };
}
