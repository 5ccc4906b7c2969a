import { z } from 'zod';
import type { AiwgEvent } from './event.js';
import type { MethodTypes } from './method-types.js';
import type { DaemonStatus } from './status.js';
import { TASK_SOURCES, TASK_STATES, type Task, type TaskCounts, WAIT_REASONS } from './task.js';
import { isTopic, isTopicGlob } from './topic.js';

/** One row of the method table. */
export interface MethodSpec<P, R> {
  summary: string;
  params: z.ZodType<P>;
  /** Describes the answer for the reference and `rpc.discover`; answers are not checked at run time. */
  result: z.ZodType<R>;
}

export type MethodTable = {
  [M in keyof MethodTypes]: MethodSpec<MethodTypes[M]['params'], MethodTypes[M]['result']>;
};

const none = z.strictObject({});
const taskId = z.string().min(1).max(64).describe('Id of a task, such as `task-0001`');
const nullableString = z.string().nullable();
const jsonObject = z.record(z.string(), z.unknown());

export const taskSchema: z.ZodType<Task> = z.object({
  id: z.string(),
  prompt: z.string(),
  agent: nullableString,
  priority: z.number(),
  state: z.enum(TASK_STATES),
  createdAt: z.string(),
  startedAt: nullableString,
  completedAt: nullableString,
  pid: z.number().nullable(),
  result: nullableString,
  error: nullableString,
  output: nullableString,
  outputBytes: z.number(),
  metadata: jsonObject,
  attempt: z.number(),
  maxAttempts: z.number(),
  timeoutMs: z.number().nullable(),
  runAt: nullableString,
  waitReason: z.enum(WAIT_REASONS).nullable(),
  key: nullableString,
  cwd: nullableString,
  exitCode: z.number().nullable(),
  signal: nullableString,
  sessionId: nullableString,
  costUsd: z.number().nullable(),
  usage: jsonObject.nullable(),
  source: z.enum(TASK_SOURCES),
  ruleId: nullableString,
  causedBy: nullableString,
});

export const eventSchema: z.ZodType<AiwgEvent> = z.object({
  id: z.string(),
  type: z.string(),
  source: z.string(),
  timestamp: z.string(),
  payload: jsonObject,
  cause: z.string().exactOptional(),
});

const counts: z.ZodType<TaskCounts> = z.object({
  total: z.number(),
  queued: z.number(),
  running: z.number(),
  completed: z.number(),
  failed: z.number(),
  cancelled: z.number(),
  timeout: z.number(),
});

const deadLetter = z.object({
  id: z.string(),
  event: eventSchema,
  subscriber: z.string(),
  error: z.string(),
  attempts: z.number(),
  at: z.string(),
});

const issue = z.object({ code: z.string(), message: z.string(), since: z.string() });
const health = z.object({
  status: z.enum(['healthy', 'degraded']),
  last_check: z.string(),
  issues: z.array(issue),
});

const daemonStatus: z.ZodType<DaemonStatus> = z.object({
  pid: z.number(),
  version: z.string(),
  project: z.string(),
  started_at: z.string(),
  uptime_seconds: z.number(),
  restart_count: z.number(),
  health,
  task_stats: counts,
  subsystems: z.object({
    ipc: z.object({ socket: z.string(), clients: z.number(), subscriptions: z.number() }),
    supervisor: z.object({
      running: z.number(),
      queued: z.number(),
      maxConcurrency: z.number(),
      tasks: z.object({ running: z.array(z.string()), queued: z.array(z.string()) }),
    }),
    automation: jsonObject,
    file_watcher: jsonObject,
    scheduler: jsonObject,
    messaging: jsonObject,
  }),
});

const topic = z.string().refine(isTopic, 'must be segments of letters, digits, _, - or /, joined by . or :');
const topicGlob = z
  .string()
  .refine(isTopicGlob, 'must be a topic in which * and ** may stand, at most three times');
const wholeNumber = z.int().min(0);
const limit = z.int().min(1).max(1000);
const filter = {
  state: z.enum(TASK_STATES).exactOptional(),
  agent: z.string().min(1).exactOptional(),
  limit: limit.exactOptional().describe('Rows at most; 100 where not given'),
  cursor: z.string().max(64).exactOptional().describe('`nextCursor` of the page before'),
};

/** 9,999 days: long enough for anybody, short enough for date arithmetic. */
const MAX_DELAY_MS = 9_999 * 86_400_000;

/**
 * The RPC interface: validation, the typed client, `rpc.discover` and the reference page are all made from this table.
 */
export const METHODS: MethodTable = {
  ping: {
    summary: 'Answers at once.',
    params: none,
    result: z.object({ pong: z.literal(true), pid: z.number(), version: z.string() }),
  },
  'rpc.discover': {
    summary: 'Describes this interface as an OpenRPC document.',
    params: none,
    result: jsonObject,
  },
  'daemon.status': {
    summary: 'State of the daemon and of each subsystem.',
    params: none,
    result: daemonStatus,
  },
  'daemon.reload': {
    summary:
      'Reads the configuration again; a bad one is refused with all its errors and the old one stays in force.',
    params: none,
    result: z.object({ changed: z.array(z.string()) }),
  },
  'daemon.stop': {
    summary: 'Stops the daemon as SIGTERM does; answers before it goes.',
    params: z.strictObject({
      graceMs: wholeNumber
        .max(86_400_000)
        .exactOptional()
        .describe('How long running agents may take to finish'),
    }),
    result: z.object({ stopping: z.literal(true) }),
  },
  'task.submit': {
    summary: 'Queues a task. When this has answered, the task is on disk.',
    params: z.strictObject({
      prompt: z.string(),
      agent: z.string().min(1).max(128).nullable().exactOptional(),
      priority: z.int().min(-1_000_000).max(1_000_000).exactOptional(),
      timeoutMs: z.int().min(1).max(MAX_DELAY_MS).nullable().exactOptional(),
      key: z.string().min(1).max(512).nullable().exactOptional(),
      delayMs: wholeNumber.max(MAX_DELAY_MS).exactOptional(),
      maxAttempts: z.int().min(1).max(100).exactOptional(),
      retries: wholeNumber.max(99).exactOptional().describe('Attempts that may follow failures'),
      cwd: z.string().min(1).nullable().exactOptional(),
      metadata: jsonObject.exactOptional(),
      source: z.enum(TASK_SOURCES).exactOptional(),
    }),
    result: z.object({ taskId: z.string(), state: z.enum(TASK_STATES), deduped: z.boolean() }),
  },
  'task.cancel': {
    summary:
      'Cancels a queued task at once, a running one with its whole process tree. False when it had already ended.',
    params: z.strictObject({ taskId }),
    result: z.object({ cancelled: z.boolean() }),
  },
  'task.retry': {
    summary: 'Queues an ended task anew.',
    params: z.strictObject({ taskId }),
    result: z.object({ taskId: z.string(), state: z.enum(TASK_STATES) }),
  },
  'task.list': {
    summary:
      'Tasks, newest first, without their output; long prompts and results are cut, `task.get` has them whole.',
    params: z.strictObject(filter),
    result: z.array(taskSchema),
  },
  'task.page': {
    summary: 'As `task.list`, with the cursor of the next page.',
    params: z.strictObject(filter),
    result: z.object({ tasks: z.array(taskSchema), nextCursor: nullableString }),
  },
  'task.get': { summary: 'One task, whole.', params: z.strictObject({ taskId }), result: taskSchema },
  'task.stats': { summary: 'Number of tasks by state.', params: none, result: counts },
  'task.output': {
    summary: 'A piece of what an attempt wrote, cut at a whole character.',
    params: z.strictObject({
      taskId,
      attempt: z.int().min(1).exactOptional().describe('The newest where not given'),
      stream: z.enum(['stdout', 'stderr']).exactOptional(),
      offset: wholeNumber.exactOptional().describe('In bytes'),
      limit: z.int().min(1).max(1_048_576).exactOptional().describe('Bytes at most; 65,536 where not given'),
    }),
    result: z.object({
      data: z.string(),
      nextOffset: z.number(),
      eof: z.boolean().describe('The attempt has ended and all of it was read'),
    }),
  },
  'event.emit': {
    summary: 'Publishes an event.',
    params: z.strictObject({
      topic,
      payload: jsonObject.exactOptional(),
      cause: z.string().min(1).max(128).exactOptional(),
    }),
    result: z.object({ eventId: z.string() }),
  },
  'event.history': {
    summary: 'The newest events that match, oldest first.',
    params: z.strictObject({
      topic: topicGlob.exactOptional(),
      limit: limit.exactOptional(),
      before: z.string().max(64).exactOptional().describe('Id of an event: only what came before it'),
    }),
    result: z.array(eventSchema),
  },
  'event.dead.list': {
    summary: 'Events that a subscriber could not handle.',
    params: none,
    result: z.array(deadLetter),
  },
  'event.dead.retry': {
    summary: 'Delivers a dead letter once more to its subscriber.',
    params: z.strictObject({ id: z.string().min(1).max(64) }),
    result: z.object({ delivered: z.boolean() }),
  },
  'event.dead.drop': {
    summary: 'Forgets a dead letter.',
    params: z.strictObject({ id: z.string().min(1).max(64) }),
    result: z.object({ dropped: z.boolean() }),
  },
  subscribe: {
    summary:
      'Events that match any of the globs follow as notifications `event`; with `taskId`, its output as `output`.',
    params: z.strictObject({
      topics: z.array(topicGlob).min(1).max(64),
      taskId: taskId.exactOptional(),
      fromOffset: wholeNumber.exactOptional().describe('Where the stream of stdout begins, in bytes'),
    }),
    result: z.object({ subscription: z.string() }),
  },
  unsubscribe: {
    summary: 'Ends a subscription.',
    params: z.strictObject({ subscription: z.string().min(1).max(64) }),
    result: z.object({ unsubscribed: z.boolean() }),
  },
};
