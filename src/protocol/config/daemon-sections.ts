import { z } from 'zod';
import { dollars, MAX_SECONDS, minutes } from './keys.js';

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;

const log = z
  .strictObject({
    max_size_mb: z
      .number()
      .min(0.001)
      .max(100_000)
      .default(50)
      .describe('Size at which the log is rotated, in MB; may be a fraction.'),
    max_files: z.int().min(1).max(1_000).default(5).describe('Rotated files kept beside the current one.'),
    level: z.enum(LOG_LEVELS).default('info').describe('Least important lines that are written.'),
  })
  .prefault({})
  .describe('The log `daemon/daemon.log`.');

/** Section `daemon`: the process and its bounds. */
export const daemonSchema = z
  .strictObject({
    heartbeat_interval_seconds: z
      .number()
      .min(0.1)
      .max(86_400)
      .default(30)
      .describe('How often the heartbeat and `state.json` are written.'),
    max_parallel_actions: z.int().min(1).max(1_000).default(3).describe('Tasks that run at the same time.'),
    action_timeout_minutes: minutes
      .default(120)
      .describe('Longest run of a task that sets no timeout of its own.'),
    stop_grace_seconds: z
      .number()
      .min(0)
      .max(MAX_SECONDS)
      .default(15)
      .describe('How long running agents may take to finish when the daemon stops.'),
    kill_grace_seconds: z
      .number()
      .min(0)
      .max(MAX_SECONDS)
      .default(8)
      .describe('Time between SIGTERM and SIGKILL for an agent that is ended.'),
    log,
  })
  .prefault({})
  .describe('The daemon itself.');

/** Section `budget`: what agents may cost. */
export const budgetSchema = z
  .strictObject({
    per_task_usd: dollars
      .nullable()
      .default(null)
      .describe('Most that one task may cost, in dollars; where it is null, 5 are reserved for a start.'),
    per_day_usd: dollars
      .nullable()
      .default(null)
      .describe('Most that all tasks of a day may cost; null: no bound.'),
    per_rule_day_usd: dollars
      .nullable()
      .default(null)
      .describe('Most that the tasks of one rule may cost in a day; null: no bound.'),
  })
  .prefault({})
  .describe('Money. Tasks over budget wait.');

/** Section `gates`: questions that wait for a person. */
export const gatesSchema = z
  .strictObject({
    expire_minutes: minutes
      .default(60)
      .describe('A gate that nobody answers in this time counts as rejected.'),
  })
  .prefault({})
  .describe("Questions that wait for a person's yes or no.");

/** Section `retention`: how long the past is kept. */
export const retentionSchema = z
  .strictObject({
    days: z
      .number()
      .positive()
      .max(9_999)
      .default(30)
      .describe('Days that ended tasks and their output are kept.'),
  })
  .prefault({})
  .describe('How long the past is kept.');
