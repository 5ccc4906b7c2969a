import type { TokenCounts } from './task.js';

/** Reserved for an attempt where a bound of the day holds, and none of the task. */
export const DEFAULT_RESERVATION_USD = 5;

export const SPEND_KEYS = ['rule', 'agent', 'day', 'task'] as const;
export type SpendKey = (typeof SPEND_KEYS)[number];

/** What a number of attempts cost together. */
export interface SpendSum {
  /** Sum of the known costs. */
  costUsd: number;
  /** As budgets count: with what was reserved for attempts whose cost nobody knows. */
  countedUsd: number;
  attempts: number;
  /** How many of them nobody knows the cost of. */
  unknown: number;
  tokens: TokenCounts;
}

export interface SpendRow extends SpendSum {
  /** Rule, agent, task, or day as `2026-01-31` in the daemon's time zone; null for tasks without a rule. */
  key: string | null;
}

export interface SpendParams {
  /** Days where it is absent. */
  by?: SpendKey;
  /** ISO time; 30 days ago where it is absent. */
  since?: string;
  limit?: number;
}

export interface SpendReport {
  /** ISO times: ends of attempts from `since` on, until the report was made. */
  since: string;
  until: string;
  by: SpendKey;
  /** The most expensive first; for days the newest first. */
  rows: SpendRow[];
  /** Of all attempts, also of those that had no room in `rows`. */
  total: SpendSum;
}
