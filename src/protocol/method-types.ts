import type {
  AutomationStatus,
  EventSketch,
  Gate,
  GateState,
  RuleVerdict,
  ScheduledJob,
  TraceAnswer,
} from './automation.js';
import type { DoctorReport } from './doctor-report.js';
import type { AiwgEvent, DeadLetter } from './event.js';
import type { SpendParams, SpendReport } from './spend.js';
import type { DaemonStatus } from './status.js';
import type { Task, TaskCounts, TaskSource, TaskState } from './task.js';
import type { PruneAnswer, TaskDiff, TaskMerge, Worktree } from './worktrees.js';

export interface SubmitParams {
  prompt: string;
  agent?: string | null;
  priority?: number;
  timeoutMs?: number | null;
  key?: string | null;
  delayMs?: number;
  maxAttempts?: number;
  retries?: number;
  cwd?: string | null;
  metadata?: Record<string, unknown>;
  source?: TaskSource;
  cause?: string;
  /** Id of a task whose conversation is to go on. */
  resume?: string;
  /** Program and arguments that judge the work. */
  verify?: string[];
  verifyRounds?: number;
}

export interface ChatParams {
  message: string;
  /** A name of the caller's choice; absent for a conversation of its own. */
  conversation?: string;
  priority?: number;
  agent?: string | null;
  source?: TaskSource;
}

export interface TaskFilter {
  state?: TaskState;
  agent?: string;
  limit?: number;
  cursor?: string;
}

export type OutputStream = 'stdout' | 'stderr';

export interface OutputParams {
  taskId: string;
  attempt?: number;
  stream?: OutputStream;
  offset?: number;
  limit?: number;
}

export interface OutputSlice {
  data: string;
  nextOffset: number;
  eof: boolean;
}

export interface SubscribeParams {
  topics: string[];
  taskId?: string;
  fromOffset?: number;
}

export interface AutomationTestParams {
  event?: EventSketch;
  /** ISO time: instead of an event, the history from then on. */
  since?: string;
  ruleId?: string;
}

type NoParams = Record<string, never>;

/** Parameters and answer of every RPC method, as plain types; `methods.ts` holds the schemas, checked against these. */
export interface MethodTypes {
  ping: { params: NoParams; result: { pong: true; pid: number; version: string } };
  'rpc.discover': { params: NoParams; result: Record<string, unknown> };
  'daemon.status': { params: NoParams; result: DaemonStatus };
  'daemon.doctor': { params: NoParams; result: DoctorReport };
  'daemon.reload': { params: NoParams; result: { changed: string[] } };
  'daemon.stop': {
    params: { graceMs?: number; keepAgents?: boolean; pid?: number };
    result: { stopping: true };
  };
  'task.submit': { params: SubmitParams; result: { taskId: string; state: TaskState; deduped: boolean } };
  'chat.send': { params: ChatParams; result: { taskId: string; conversation: string } };
  'task.cancel': { params: { taskId: string }; result: { cancelled: boolean } };
  'task.retry': { params: { taskId: string }; result: { taskId: string; state: TaskState } };
  'task.list': { params: TaskFilter; result: Task[] };
  'task.page': { params: TaskFilter; result: { tasks: Task[]; nextCursor: string | null } };
  'task.get': { params: { taskId: string }; result: Task };
  'task.stats': { params: NoParams; result: TaskCounts };
  'task.output': { params: OutputParams; result: OutputSlice };
  'spend.report': { params: SpendParams; result: SpendReport };
  'task.diff': { params: { taskId: string }; result: TaskDiff };
  'task.merge': { params: { taskId: string }; result: TaskMerge };
  'worktree.list': { params: NoParams; result: Worktree[] };
  'worktree.prune': { params: { taskIds?: string[]; dryRun?: boolean }; result: PruneAnswer };
  'event.emit': {
    params: { topic: string; payload?: Record<string, unknown>; cause?: string };
    result: { eventId: string };
  };
  'event.history': { params: { topic?: string; limit?: number; before?: string }; result: AiwgEvent[] };
  'event.dead.list': { params: NoParams; result: DeadLetter[] };
  'event.dead.retry': { params: { id: string }; result: { delivered: boolean } };
  'event.dead.drop': { params: { id: string }; result: { dropped: boolean } };
  'automation.status': { params: NoParams; result: AutomationStatus };
  'automation.enable': { params: { ruleId?: string }; result: { enabled: true } };
  'automation.disable': { params: { ruleId?: string }; result: { enabled: false } };
  'automation.test': { params: AutomationTestParams; result: RuleVerdict[] };
  'automation.trace': { params: { ruleId?: string; limit?: number }; result: TraceAnswer };
  'schedule.list': { params: NoParams; result: ScheduledJob[] };
  'schedule.run': { params: { jobId: string }; result: { runId: string | null } };
  'gate.list': { params: { state?: GateState | 'all' }; result: Gate[] };
  'gate.approve': { params: { gateId: string; always?: boolean }; result: Gate };
  'gate.reject': { params: { gateId: string; reason?: string }; result: Gate };
  subscribe: { params: SubscribeParams; result: { subscription: string } };
  unsubscribe: { params: { subscription: string }; result: { unsubscribed: boolean } };
}

export type MethodName = keyof MethodTypes;
export type ParamsOf<M extends MethodName> = MethodTypes[M]['params'];
export type ResultOf<M extends MethodName> = MethodTypes[M]['result'];

/** Notifications that the daemon sends to a subscriber. */
export interface NotificationTypes {
  event: { subscription: string; event: AiwgEvent };
  output: {
    subscription: string;
    taskId: string;
    attempt: number;
    stream: OutputStream;
    /** Of the first byte of `data` in the stream. */
    offset: number;
    data: string;
  };
  'subscription.dropped': { subscription: string; reason: string };
}
