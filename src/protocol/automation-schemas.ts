import * as v from 'valibot';
import {
  type AutomationStatus,
  GATE_KINDS,
  GATE_STATES,
  type Gate,
  RUN_STATES,
  type RuleVerdict,
  type ScheduledJob,
  TRACE_OUTCOMES,
  type TraceAnswer,
} from './automation.js';
import { object, oneOf, type Schema } from './schema.js';

const nullableString = v.nullable(v.string());

const automationFields = {
  enabled: v.boolean(),
  ruleCount: v.number(),
  rules: v.array(
    object({
      id: v.string(),
      description: nullableString,
      trigger: v.string(),
      enabled: v.boolean(),
      paused: v.boolean(),
      lastFiredAt: nullableString,
      firedCount: v.number(),
      running: v.number(),
      waiting: v.number(),
    }),
  ),
  recentExecutions: v.array(
    object({
      runId: v.string(),
      ruleId: nullableString,
      jobId: nullableString,
      state: oneOf(RUN_STATES),
      startedAt: v.string(),
      endedAt: nullableString,
      eventId: nullableString,
      taskIds: v.array(v.string()),
      error: nullableString,
    }),
  ),
};
export const automationStatus: Schema<AutomationStatus> = object(automationFields);
/** As the status of the daemon has it. */
export const automationSummary: Schema<AutomationStatus & { gatesPending: number }> = object({
  ...automationFields,
  gatesPending: v.number(),
});

export const verdicts: Schema<RuleVerdict[]> = v.array(
  object({
    ruleId: v.string(),
    fires: v.boolean(),
    why: v.string(),
    times: v.exactOptional(v.array(v.string())),
  }),
);

export const trace: Schema<TraceAnswer> = object({
  entries: v.array(
    object({
      id: v.number(),
      ruleId: v.string(),
      at: v.string(),
      lastAt: v.string(),
      count: v.number(),
      event: object({ id: v.string(), type: v.string(), path: nullableString }),
      outcome: oneOf(TRACE_OUTCOMES),
      why: v.string(),
      conditions: v.array(
        object({
          condition: v.string(),
          result: oneOf(['true', 'false', 'open', 'skipped']),
          why: v.string(),
        }),
      ),
      runId: nullableString,
      actions: v.array(
        object({
          type: v.string(),
          state: oneOf(['waiting', 'running', 'done', 'failed', 'skipped']),
          detail: v.string(),
        }),
      ),
    }),
  ),
  unseen: v.array(object({ ruleId: v.string(), why: v.string() })),
});

export const gate: Schema<Gate> = object({
  id: v.string(),
  state: oneOf(GATE_STATES),
  kind: oneOf(GATE_KINDS),
  summary: v.string(),
  action: v.string(),
  always: nullableString,
  ruleId: nullableString,
  taskId: nullableString,
  createdAt: v.string(),
  expiresAt: v.string(),
  answeredBy: nullableString,
  reason: nullableString,
});

export const scheduledJob: Schema<ScheduledJob> = object({
  id: v.string(),
  enabled: v.boolean(),
  cron: v.string(),
  timezone: v.string(),
  action: v.string(),
  next: nullableString,
  last: nullableString,
  lastOutcome: v.nullable(oneOf([...RUN_STATES, 'skipped'])),
  catchUp: oneOf(['none', 'last', 'all']),
  overlap: oneOf(['skip', 'queue', 'parallel']),
});
