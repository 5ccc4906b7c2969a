import type { SpendKey, SpendRow, SpendSum } from '../protocol/spend.js';
import type { TokenCounts } from '../protocol/task.js';
import { storedText } from './stored-text.js';
import type { Charge, SessionTotals } from './task-store.js';

/** How long what attempts cost is kept: a year, and a month to look back on it. */
export const CHARGES_KEPT_MS = 400 * 86_400_000;

/**
 * A charge as every store keeps it. A figure that is none (not finite, or below 0) is one that nobody knows: an outcome
 * is never refused for what its agent has counted.
 */
export function storedCharge(charge: Charge): Charge {
  return {
    attemptId: storedText(charge.attemptId),
    agent: storedText(charge.agent),
    costUsd: amount(charge.costUsd),
    tokens: storedTokens(charge.tokens),
    countedUsd: amount(charge.countedUsd) ?? 0,
    sessionId: storedText(charge.sessionId),
    sessionTotals: storedTotals(charge.sessionTotals),
  };
}

function storedTotals(totals: SessionTotals | null): SessionTotals | null {
  return totals && { costUsd: amount(totals.costUsd), tokens: storedTokens(totals.tokens) };
}

function storedTokens(tokens: TokenCounts | null): TokenCounts | null {
  if (tokens === null) return null;
  const count = (value: number): number => Math.round(amount(value) ?? 0);
  return { input: count(tokens.input), cachedInput: count(tokens.cachedInput), output: count(tokens.output) };
}

function amount(value: number | null): number | null {
  return value !== null && Number.isFinite(value) && value >= 0 ? value : null;
}

/**
 * Whether this charge holds the cost of earlier attempts in its session that nobody knew the cost of: the program counts
 * from the session's beginning, and what it had counted before those attempts was subtracted.
 */
export function coversUnknown(charge: Charge): charge is Charge & { sessionId: string } {
  return charge.sessionId !== null && charge.costUsd !== null && charge.sessionTotals !== null;
}

/** The first millisecond of the day of `time`, in the time zone of this process. */
export function startOfLocalDay(time: number): number {
  return new Date(time).setHours(0, 0, 0, 0);
}

/** The day of `time` in the time zone of this process, as `2026-01-31`. */
export function localDay(time: number): string {
  const date = new Date(time);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** All of them together. */
export function totalSpend(sums: readonly SpendSum[]): SpendSum {
  const total = nothingSpent();
  for (const sum of sums) addSpend(total, sum);
  return total;
}

function nothingSpent(): SpendSum {
  const tokens = { input: 0, cachedInput: 0, output: 0 };
  return { costUsd: 0, countedUsd: 0, attempts: 0, unknown: 0, tokens };
}

function addSpend(sum: SpendSum, more: SpendSum): void {
  sum.costUsd += more.costUsd;
  sum.countedUsd += more.countedUsd;
  sum.attempts += more.attempts;
  sum.unknown += more.unknown;
  for (const kind of ['input', 'cachedInput', 'output'] as const) sum.tokens[kind] += more.tokens[kind];
}

/** Sums of charges by their key. */
export class SpendSums {
  readonly #rows = new Map<string | null, SpendRow>();

  get size(): number {
    return this.#rows.size;
  }

  add(row: SpendRow): void {
    const sum = this.#rows.get(row.key) ?? { key: row.key, ...nothingSpent() };
    addSpend(sum, row);
    this.#rows.set(row.key, sum);
  }

  /** In the order that `TaskStore.spend` promises. */
  rows(by: SpendKey, limit: number): SpendRow[] {
    const text = (key: string | null): string => key ?? '';
    const compare = (a: SpendRow, b: SpendRow): number => (text(a.key) < text(b.key) ? -1 : 1);
    return [...this.#rows.values()]
      .toSorted((a, b) =>
        by === 'day' ? compare(b, a) : b.costUsd - a.costUsd || b.countedUsd - a.countedUsd || compare(a, b),
      )
      .slice(0, limit);
  }
}
