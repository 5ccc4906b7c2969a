import * as v from 'valibot';
import {
  daemonStatusSchema,
  deadLetterSchema,
  eventSchema,
  taskCounts,
  taskSchema,
} from './answer-schemas.js';
import { type EventSketch, GATE_STATES } from './automation.js';
import { automationStatus, gate, scheduledJob, trace, verdicts } from './automation-schemas.js';
import { CHECK_STATUSES } from './doctor-report.js';
import type { MethodTypes } from './method-types.js';
import { about, literal, object, oneOf, record, type Schema, wholeNumber } from './schema.js';
import { spendParams, spendReport } from './spend-schemas.js';
import { TASK_SOURCES, TASK_STATES } from './task.js';
import { isTopic, isTopicGlob } from './topic.js';
import { pruneAnswer, taskDiff, taskMerge, worktree } from './worktree-schemas.js';

/** One row of the method table. */
export interface MethodSpec<P, R> {
  summary: string;
  params: Schema<P>;
  /** Describes the answer for the reference and `rpc.discover`; answers are not checked at run time. */
  result: Schema<R>;
}

export type MethodTable = {
  [M in keyof MethodTypes]: MethodSpec<MethodTypes[M]['params'], MethodTypes[M]['result']>;
};

const none = object({});
const filled = v.pipe(v.string(), v.minLength(1));
const filledUpTo = (most: number) => v.pipe(filled, v.maxLength(most));
const shortText = v.pipe(v.string(), v.maxLength(64));
const taskId = about(filledUpTo(64), 'Id of a task, such as `task-0001`');
const nullableString = v.nullable(v.string());
const jsonObject = record(v.string(), v.unknown());

const topic = v.pipe(
  v.string(),
  v.check(isTopic, 'must be segments of letters, digits, _, - or /, joined by . or :'),
);
const topicGlob = v.pipe(
  v.string(),
  v.check(isTopicGlob, 'must be a topic in which * and ** may stand, at most three times'),
);
const limit = v.exactOptional(wholeNumber(1, 1000));
const filter = {
  state: v.exactOptional(oneOf(TASK_STATES)),
  agent: v.exactOptional(filled),
  limit: about(limit, 'Rows at most; 100 where not given'),
  cursor: about(v.exactOptional(shortText), '`nextCursor` of the page before'),
};

const ruleId = about(v.exactOptional(filledUpTo(128)), 'Id of a rule');
const gateId = about(filledUpTo(64), 'Id of a gate, such as `gate-0001`');
const eventSketch: Schema<EventSketch> = object({
  type: topic,
  id: v.exactOptional(shortText),
  source: v.exactOptional(shortText),
  timestamp: v.exactOptional(shortText),
  payload: v.exactOptional(jsonObject),
  cause: v.exactOptional(filledUpTo(128)),
});

/** 9,999 days: long enough for anybody, short enough for date arithmetic. */
const MAX_DELAY_MS = 9_999 * 86_400_000;

/**
 * The RPC interface: validation, the typed client, `rpc.discover` and the reference page are all made from this table.
 */
export const METHODS: MethodTable = {
  ping: {
    summary: 'Answers at once.',
    params: none,
    result: object({ pong: literal(true), pid: v.number(), version: v.string() }),
  },
  'rpc.discover': {
    summary: 'Describes this interface as an OpenRPC document.',
    params: none,
    result: jsonObject,
  },
  'daemon.status': {
    summary: 'State of the daemon and of each subsystem.',
    params: none,
    result: daemonStatusSchema,
  },
  'daemon.doctor': {
    summary:
      'Looks at everything that the daemon stands on: configuration, files, the programs and versions of agents, variables, disk, watches, clock. Takes some seconds.',
    params: none,
    result: object({
      ok: v.boolean(),
      checks: v.array(
        object({
          name: v.string(),
          status: oneOf(CHECK_STATUSES),
          detail: v.string(),
          remedy: v.exactOptional(v.string()),
        }),
      ),
    }),
  },
  'daemon.reload': {
    summary:
      'Reads the configuration again; a bad one is refused with all its errors and the old one stays in force.',
    params: none,
    result: object({ changed: v.array(v.string()) }),
  },
  'daemon.stop': {
    summary:
      'Stops the daemon as SIGTERM does, or with `keepAgents` as SIGUSR2 does; answers before it goes. Of several calls the first decides which; later ones can only shorten the grace.',
    params: object({
      graceMs: about(
        v.exactOptional(wholeNumber(0, 86_400_000)),
        'How long running agents may take to finish; `daemon.stop_grace_seconds` where not given',
      ),
      keepAgents: about(
        v.exactOptional(v.boolean()),
        'True: running agents are not told and not ended; their output goes on being recorded, and the next daemon reports how they end',
      ),
      pid: about(
        v.exactOptional(wholeNumber(1)),
        'The daemon that is meant: another one, which has taken its place meanwhile, answers CONFLICT and goes on',
      ),
    }),
    result: object({ stopping: literal(true) }),
  },
  'task.submit': {
    summary: 'Queues a task. When this has answered, the task is on disk.',
    params: object({
      prompt: v.string(),
      agent: v.exactOptional(v.nullable(filledUpTo(128))),
      priority: v.exactOptional(wholeNumber(-1_000_000, 1_000_000)),
      timeoutMs: v.exactOptional(v.nullable(wholeNumber(1, MAX_DELAY_MS))),
      key: v.exactOptional(v.nullable(filledUpTo(512))),
      delayMs: v.exactOptional(wholeNumber(0, MAX_DELAY_MS)),
      maxAttempts: v.exactOptional(wholeNumber(1, 100)),
      retries: about(v.exactOptional(wholeNumber(0, 99)), 'Attempts that may follow failures'),
      cwd: v.exactOptional(v.nullable(filled)),
      metadata: v.exactOptional(jsonObject),
      source: v.exactOptional(oneOf(TASK_SOURCES)),
      cause: about(v.exactOptional(filledUpTo(128)), 'Id of the task or event that brings it about'),
      resume: about(
        v.exactOptional(filledUpTo(64)),
        'Id of a task: the prompt goes on in its session, with its agent and in its folder',
      ),
      verify: about(
        v.exactOptional(v.pipe(v.array(v.string()), v.minLength(1), v.maxLength(256))),
        'Program and arguments that judge the work after the agent says it is done',
      ),
      verifyRounds: about(
        v.exactOptional(wholeNumber(0, 20)),
        'How often the output of a failed `verify` is handed back; 2 where not given',
      ),
    }),
    result: object({ taskId: v.string(), state: oneOf(TASK_STATES), deduped: v.boolean() }),
  },
  'chat.send': {
    summary:
      'Queues a message of a conversation: its messages are answered one after another, in one session of the agent.',
    params: object({
      message: filled,
      conversation: about(
        v.exactOptional(filledUpTo(256)),
        'Any name; the same name goes on in the same conversation. A new one where not given',
      ),
      priority: v.exactOptional(wholeNumber(-1_000_000, 1_000_000)),
      agent: v.exactOptional(v.nullable(filledUpTo(128))),
      source: v.exactOptional(oneOf(TASK_SOURCES)),
    }),
    result: object({ taskId: v.string(), conversation: v.string() }),
  },
  'task.cancel': {
    summary:
      'Cancels a queued task at once, a running one with its whole process tree. False when it had already ended.',
    params: object({ taskId }),
    result: object({ cancelled: v.boolean() }),
  },
  'task.retry': {
    summary: 'Queues an ended task anew.',
    params: object({ taskId }),
    result: object({ taskId: v.string(), state: oneOf(TASK_STATES) }),
  },
  'task.list': {
    summary:
      'Tasks, newest first, without their output; long prompts and results are cut, `task.get` has them whole.',
    params: object(filter),
    result: v.array(taskSchema),
  },
  'task.page': {
    summary: 'As `task.list`, with the cursor of the next page.',
    params: object(filter),
    result: object({ tasks: v.array(taskSchema), nextCursor: nullableString }),
  },
  'task.get': { summary: 'One task, whole.', params: object({ taskId }), result: taskSchema },
  'task.stats': { summary: 'Number of tasks by state.', params: none, result: taskCounts },
  'task.output': {
    summary: 'A piece of what an attempt wrote, cut at a whole character.',
    params: object({
      taskId,
      attempt: about(v.exactOptional(wholeNumber(1)), 'The newest where not given'),
      stream: v.exactOptional(oneOf(['stdout', 'stderr'])),
      offset: about(v.exactOptional(wholeNumber(0)), 'In bytes'),
      limit: about(v.exactOptional(wholeNumber(1, 1_048_576)), 'Bytes at most; 65,536 where not given'),
    }),
    result: object({
      data: v.string(),
      nextOffset: v.number(),
      eof: about(v.boolean(), 'The attempt has ended and all of it was read'),
    }),
  },
  'spend.report': {
    summary: 'What agents cost, by the end of their attempts; kept for 400 days.',
    params: spendParams,
    result: spendReport,
  },
  'task.diff': {
    summary:
      'What a task did in its worktree since it started: commits, changes and untracked files. NOT_FOUND where it has none.',
    params: object({ taskId }),
    result: taskDiff,
  },
  'task.merge': {
    summary:
      'Commits what the task has not committed itself, and merges its branch into the one that the project has checked out. CONFLICT where that cannot be; then nothing has changed. Agents may not.',
    params: object({ taskId }),
    result: taskMerge,
  },
  'worktree.list': {
    summary: 'The worktrees of tasks, and why those that `worktree.prune` would keep have to stay.',
    params: none,
    result: v.array(worktree),
  },
  'worktree.prune': {
    summary:
      'Removes worktrees, with their branches, that hold nothing which is not elsewhere too. Agents may not.',
    params: object({
      taskIds: about(
        v.exactOptional(v.pipe(v.array(filledUpTo(64)), v.maxLength(1_000))),
        'Only those of these tasks',
      ),
      dryRun: about(v.exactOptional(v.boolean()), 'True: nothing is removed, the answer says what would be'),
    }),
    result: pruneAnswer,
  },
  'event.emit': {
    summary: 'Publishes an event.',
    params: object({
      topic,
      payload: v.exactOptional(jsonObject),
      cause: v.exactOptional(filledUpTo(128)),
    }),
    result: object({ eventId: v.string() }),
  },
  'event.history': {
    summary: 'The newest events that match, oldest first.',
    params: object({
      topic: v.exactOptional(topicGlob),
      limit,
      before: about(v.exactOptional(shortText), 'Id of an event: only what came before it'),
    }),
    result: v.array(eventSchema),
  },
  'event.dead.list': {
    summary: 'Events that a subscriber could not handle.',
    params: none,
    result: v.array(deadLetterSchema),
  },
  'event.dead.retry': {
    summary: 'Delivers a dead letter once more to its subscriber.',
    params: object({ id: filledUpTo(64) }),
    result: object({ delivered: v.boolean() }),
  },
  'event.dead.drop': {
    summary: 'Forgets a dead letter.',
    params: object({ id: filledUpTo(64) }),
    result: object({ dropped: v.boolean() }),
  },
  'automation.status': {
    summary: 'The rules, what they are at, and their newest runs.',
    params: none,
    result: automationStatus,
  },
  'automation.enable': {
    summary: 'Lets a rule go on that was disabled or has paused itself; without a rule, all of automation.',
    params: object({ ruleId }),
    result: object({ enabled: literal(true) }),
  },
  'automation.disable': {
    summary: 'Keeps a rule from firing, also after a restart; without a rule, all of them.',
    params: object({ ruleId }),
    result: object({ enabled: literal(false) }),
  },
  'automation.test': {
    summary:
      'Which rules would fire, and why not the others: on an event, or over the history. Nothing is done, no command is run.',
    params: object({
      event: about(v.exactOptional(eventSketch), 'What is left out but `type` is filled in'),
      since: about(v.exactOptional(shortText), 'ISO time; instead of an event, the history from then on'),
      ruleId,
    }),
    result: verdicts,
  },
  'automation.trace': {
    summary: 'Why rules fired, or did not, the newest first.',
    params: object({ ruleId, limit }),
    result: trace,
  },
  'schedule.list': {
    summary: 'The jobs, with their next and last runs.',
    params: none,
    result: v.array(scheduledJob),
  },
  'schedule.run': {
    summary: 'Runs a job now. `runId` is null where its policy of overlap passed over this run.',
    params: object({ jobId: filledUpTo(128) }),
    result: object({ runId: nullableString }),
  },
  'gate.list': {
    summary: 'Gates that wait for an answer; with `state` those of that state, or `all`.',
    params: object({ state: v.exactOptional(oneOf([...GATE_STATES, 'all'])) }),
    result: v.array(gate),
  },
  'gate.approve': {
    summary:
      'Says yes to exactly what the gate shows; with `always` also to what its field `always` covers, for the rest of the task. CONFLICT where it was answered or has expired.',
    params: object({ gateId, always: v.exactOptional(v.boolean()) }),
    result: gate,
  },
  'gate.reject': {
    summary: 'Says no. CONFLICT where the gate was answered or has expired.',
    params: object({ gateId, reason: v.exactOptional(v.pipe(v.string(), v.maxLength(1_000))) }),
    result: gate,
  },
  subscribe: {
    summary:
      'Events that match any of the globs follow as notifications `event`; with `taskId`, its output as `output`.',
    params: object({
      topics: v.pipe(v.array(topicGlob), v.minLength(1), v.maxLength(64)),
      taskId: v.exactOptional(taskId),
      fromOffset: about(v.exactOptional(wholeNumber(0)), 'Where the stream of stdout begins, in bytes'),
    }),
    result: object({ subscription: v.string() }),
  },
  unsubscribe: {
    summary: 'Ends a subscription.',
    params: object({ subscription: filledUpTo(64) }),
    result: object({ unsubscribed: v.boolean() }),
  },
};
