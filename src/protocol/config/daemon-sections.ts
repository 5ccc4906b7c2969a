import * as v from 'valibot';
import { nullableSetting, object, oneOf, setting, wholeNumber } from '../schema.js';
import { dollars, MAX_SECONDS, minutes, numberWithin } from './keys.js';

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;

const log = object({
  max_size_mb: setting(
    numberWithin(0.001, 100_000),
    50,
    'Size at which the log is rotated, in MB; may be a fraction.',
  ),
  max_files: setting(wholeNumber(1, 1_000), 5, 'Rotated files kept beside the current one.'),
  level: setting(oneOf(LOG_LEVELS), 'info', 'Least important lines that are written.'),
});

const daemon = object({
  heartbeat_interval_seconds: setting(
    numberWithin(0.1, 86_400),
    30,
    'How often the heartbeat and `state.json` are written.',
  ),
  max_parallel_actions: setting(wholeNumber(1, 1_000), 3, 'Tasks that run at the same time.'),
  action_timeout_minutes: setting(minutes, 120, 'Longest run of a task that sets no timeout of its own.'),
  stop_grace_seconds: setting(
    numberWithin(0, MAX_SECONDS),
    15,
    'How long running agents may take to finish when the daemon stops.',
  ),
  kill_grace_seconds: setting(
    numberWithin(0, MAX_SECONDS),
    8,
    'Time between SIGTERM and SIGKILL for an agent that is ended.',
  ),
  log: setting(log, {}, 'The log `daemon/daemon.log`.'),
});

/** Section `daemon`: the process and its bounds. */
export const daemonSchema = setting(daemon, {}, 'The daemon itself.');

const budget = object({
  per_task_usd: nullableSetting(
    dollars,
    'Most that one task may cost, in dollars; where it is null, 5 are reserved for a start.',
  ),
  per_day_usd: nullableSetting(dollars, 'Most that all tasks of a day may cost; null: no bound.'),
  per_rule_day_usd: nullableSetting(
    dollars,
    'Most that the tasks of one rule may cost in a day; null: no bound.',
  ),
});

/** Section `budget`: what agents may cost. */
export const budgetSchema = setting(budget, {}, 'Money. Tasks over budget wait.');

const gates = object({
  expire_minutes: setting(minutes, 60, 'A gate that nobody answers in this time counts as rejected.'),
});

/** Section `gates`: questions that wait for a person. */
export const gatesSchema = setting(gates, {}, "Questions that wait for a person's yes or no.");

const retention = object({
  days: setting(
    v.pipe(v.number(), v.gtValue(0), v.maxValue(9_999)),
    30,
    'Days that ended tasks and their output are kept.',
  ),
});

/** Section `retention`: how long the past is kept. */
export const retentionSchema = setting(retention, {}, 'How long the past is kept.');
