import * as v from 'valibot';
import { automationSummary } from './automation-schemas.js';
import type { AiwgEvent, DeadLetter } from './event.js';
import { object, oneOf, record, type Schema } from './schema.js';
import type { DaemonStatus } from './status.js';
import { TASK_SOURCES, TASK_STATES, type Task, type TaskCounts, WAIT_REASONS } from './task.js';

const nullableString = v.nullable(v.string());
const jsonObject = record(v.string(), v.unknown());

const tokenCounts = object({ input: v.number(), cachedInput: v.number(), output: v.number() });
const progress = object({
  turns: v.number(),
  tool: nullableString,
  text: v.string(),
  tokens: v.nullable(tokenCounts),
  costUsd: v.nullable(v.number()),
});

export const taskSchema: Schema<Task> = object({
  id: v.string(),
  prompt: v.string(),
  agent: nullableString,
  priority: v.number(),
  state: oneOf(TASK_STATES),
  createdAt: v.string(),
  startedAt: nullableString,
  completedAt: nullableString,
  pid: v.nullable(v.number()),
  result: nullableString,
  error: nullableString,
  output: nullableString,
  outputBytes: v.number(),
  metadata: jsonObject,
  attempt: v.number(),
  maxAttempts: v.number(),
  timeoutMs: v.nullable(v.number()),
  runAt: nullableString,
  waitReason: v.nullable(oneOf(WAIT_REASONS)),
  key: nullableString,
  cwd: nullableString,
  exitCode: v.nullable(v.number()),
  signal: nullableString,
  sessionId: nullableString,
  costUsd: v.nullable(v.number()),
  usage: v.nullable(jsonObject),
  source: oneOf(TASK_SOURCES),
  ruleId: nullableString,
  causedBy: nullableString,
  outside: v.boolean(),
  conversation: nullableString,
  progress: v.nullable(progress),
});

export const eventSchema: Schema<AiwgEvent> = object({
  id: v.string(),
  type: v.string(),
  source: v.string(),
  timestamp: v.string(),
  payload: jsonObject,
  cause: v.exactOptional(v.string()),
});

export const taskCounts: Schema<TaskCounts> = object({
  total: v.number(),
  queued: v.number(),
  running: v.number(),
  completed: v.number(),
  failed: v.number(),
  cancelled: v.number(),
  timeout: v.number(),
});

export const deadLetterSchema: Schema<DeadLetter> = object({
  id: v.string(),
  event: eventSchema,
  subscriber: v.string(),
  error: v.string(),
  attempts: v.number(),
  at: v.string(),
});

const issue = object({ code: v.string(), message: v.string(), since: v.string() });
const health = object({
  status: oneOf(['healthy', 'degraded']),
  last_check: v.string(),
  issues: v.array(issue),
});

export const daemonStatusSchema: Schema<DaemonStatus> = object({
  pid: v.number(),
  version: v.string(),
  project: v.string(),
  started_at: v.string(),
  uptime_seconds: v.number(),
  restart_count: v.number(),
  health,
  task_stats: taskCounts,
  subsystems: object({
    ipc: object({ socket: v.string(), clients: v.number(), subscriptions: v.number() }),
    supervisor: object({
      running: v.number(),
      queued: v.number(),
      maxConcurrency: v.number(),
      tasks: object({ running: v.array(v.string()), queued: v.array(v.string()) }),
      spentTodayUsd: v.number(),
      reservedUsd: v.number(),
      dayLimitUsd: v.nullable(v.number()),
      paused: v.array(
        object({
          provider: v.string(),
          program: v.string(),
          agents: v.array(v.string()),
          until: v.string(),
          reason: oneOf(['rate_limit', 'overloaded']),
        }),
      ),
    }),
    automation: automationSummary,
    file_watcher: jsonObject,
    scheduler: jsonObject,
    webhook: jsonObject,
    messaging: jsonObject,
  }),
});
