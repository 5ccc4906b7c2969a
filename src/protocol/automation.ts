import type { AiwgEvent } from './event.js';

/** A rule as `automation.status` shows it. Times are ISO 8601 in UTC. */
export interface RuleStatus {
  id: string;
  description: string | null;
  /** What sets it off, in words: `file_change src/**`. */
  trigger: string;
  enabled: boolean;
  /** It fired more often than `max_per_hour` and has paused itself; `automation.enable` lets it go on. */
  paused: boolean;
  lastFiredAt: string | null;
  firedCount: number;
  /** Runs at work, and runs that wait for their turn. */
  running: number;
  waiting: number;
}

export const RUN_STATES = ['waiting', 'running', 'completed', 'failed', 'cancelled', 'rejected'] as const;
/** `rejected`: a person said no, or nobody answered in time. */
export type RunState = (typeof RUN_STATES)[number];

/** One run of a rule or of a job: its actions, in order. */
export interface Execution {
  runId: string;
  /** The rule, or null for a job. */
  ruleId: string | null;
  jobId: string | null;
  state: RunState;
  startedAt: string;
  endedAt: string | null;
  eventId: string | null;
  taskIds: string[];
  error: string | null;
}

export interface AutomationStatus {
  enabled: boolean;
  ruleCount: number;
  rules: RuleStatus[];
  /** The newest first. */
  recentExecutions: Execution[];
}

/** What `automation.test` says of one rule. */
export interface RuleVerdict {
  ruleId: string;
  fires: boolean;
  why: string;
  /** When it would have fired: only for a test over the history. */
  times?: string[];
}

export interface ConditionReport {
  /** The condition in words: `payload.path matches ^src/`. */
  condition: string;
  /** `open`: only time or a command can tell; `skipped`: another condition had decided. */
  result: 'true' | 'false' | 'open' | 'skipped';
  why: string;
}

export interface ActionReport {
  type: string;
  state: 'waiting' | 'running' | 'done' | 'failed' | 'skipped';
  detail: string;
}

export const TRACE_OUTCOMES = [
  'fired',
  'waiting',
  'conditions',
  'held',
  'self',
  'dropped',
  'failed',
] as const;
/**
 * What became of an event that a rule was triggered by: `fired`; `waiting` for quiet or for its turn; stopped by its
 * `conditions`; `held` (rule disabled or paused); caused by the rule `self`; `dropped` by cooldown or mode; evaluation `failed`.
 */
export type TraceOutcome = (typeof TRACE_OUTCOMES)[number];

/** Why a rule fired, or why it did not. Outcomes that repeat are counted in one entry. */
export interface TraceEntry {
  id: number;
  ruleId: string;
  at: string;
  /** Of the newest of `count` events with the same outcome. */
  lastAt: string;
  count: number;
  event: { id: string; type: string; path: string | null };
  outcome: TraceOutcome;
  why: string;
  conditions: ConditionReport[];
  runId: string | null;
  actions: ActionReport[];
}

export interface TraceAnswer {
  entries: TraceEntry[];
  /** Of rules without any entry: why the newest events have not triggered them. */
  unseen: { ruleId: string; why: string }[];
}

export const GATE_STATES = ['pending', 'approved', 'rejected', 'expired'] as const;
export type GateState = (typeof GATE_STATES)[number];

export const GATE_KINDS = ['rule', 'action', 'permission'] as const;

/** A question that waits for a person's yes or no. */
export interface Gate {
  id: string;
  state: GateState;
  /** What asks: a rule with `requires_approval`, an action `gate`, or an agent for permission. */
  kind: (typeof GATE_KINDS)[number];
  summary: string;
  /** Exactly what will be done after a yes, in words that hide nothing. */
  action: string;
  /** What can be allowed for the rest of the task along with this, in the agent's own terms; null where nothing can. */
  always: string | null;
  ruleId: string | null;
  taskId: string | null;
  createdAt: string;
  expiresAt: string;
  answeredBy: string | null;
  reason: string | null;
}

export interface ScheduledJob {
  id: string;
  enabled: boolean;
  cron: string;
  timezone: string;
  action: string;
  /** Null for a job that never fires again, or is disabled. */
  next: string | null;
  last: string | null;
  lastOutcome: RunState | 'skipped' | null;
  catchUp: 'none' | 'last' | 'all';
  overlap: 'skip' | 'queue' | 'parallel';
}

/** An event as a person writes it for a dry run: what is left out is filled in. */
export type EventSketch = Partial<AiwgEvent> & Pick<AiwgEvent, 'type'>;
