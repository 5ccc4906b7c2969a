import type { Charge } from '../../tasks/task-store.js';
import type { Verdict } from '../agent-provider.js';
import type { Settlement } from '../retry-policy.js';

/**
 * What an attempt cost. Where nobody can tell (it was killed before it told), what was reserved for it is what a budget
 * counts: better too much than nothing.
 */
export function chargeOf(
  { attemptId, agent, reservedUsd }: { attemptId: string; agent: string; reservedUsd: number | null },
  verdict: Pick<Verdict, 'costUsd' | 'tokens' | 'sessionId' | 'sessionTotals'>,
): Charge {
  const { costUsd, tokens, sessionId, sessionTotals } = verdict;
  return {
    attemptId,
    agent,
    costUsd,
    tokens,
    countedUsd: Math.max(0, costUsd ?? reservedUsd ?? 0),
    sessionId,
    sessionTotals,
  };
}

/** The same settlement, which stores what the attempt cost. */
export function charged(settlement: Settlement, charge: Charge): Settlement {
  return settlement.kind === 'finish'
    ? { kind: 'finish', outcome: { ...settlement.outcome, charge } }
    : { kind: 'release', release: { ...settlement.release, charge } };
}
