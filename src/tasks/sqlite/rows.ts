import type { TaskSource, TaskState, WaitReason } from '../../protocol/task.js';
import { storedText } from '../stored-text.js';
import { taskIdOf } from '../task-id.js';
import type {
  Claim,
  ConversationPast,
  NewTask,
  SessionTotals,
  StoredTask,
  TaskLaunch,
} from '../task-store.js';

/** A task as the database holds it: times in milliseconds, JSON as text. */
export interface TaskRow {
  seq: number;
  state: TaskState;
  agent: string | null;
  priority: number;
  run_at: number | null;
  wait_reason: WaitReason | null;
  fence: number;
  attempt_id: string | null;
  created_at: number;
  started_at: number | null;
  completed_at: number | null;
  attempt: number;
  max_attempts: number;
  retries_left: number;
  takeovers: number;
  timeout_ms: number | null;
  pid: number | null;
  exit_code: number | null;
  signal: string | null;
  session_id: string | null;
  output_bytes: number;
  cost_usd: number | null;
  source: TaskSource;
  rule_id: string | null;
  caused_by: string | null;
  key: string | null;
  cwd: string | null;
  error: string | null;
  usage: string | null;
  result: string | null;
  metadata: string;
  prompt: string;
  conversation: string | null;
  outside: number;
}

/** A task as a claim reads it. */
export interface ClaimRow extends TaskRow {
  launch: string | null;
  root: number | null;
  feedback: string | null;
}

/** A claim on its way to the thread that asked for it. */
export interface ClaimAnswer {
  row: ClaimRow;
  past: ConversationPast | null;
  /** As JSON. */
  baseline: string | null;
}

const COLUMNS = `seq, state, agent, priority, run_at, wait_reason, fence, attempt_id, created_at, started_at, completed_at,
    attempt, max_attempts, retries_left, takeovers, timeout_ms, pid, exit_code, signal, session_id, output_bytes, cost_usd,
    source, rule_id, caused_by, key, cwd, error, usage, result, metadata, prompt, conversation, outside`;

const FROM = 'FROM tasks JOIN task_inputs USING (seq) WHERE seq = ?';

/** Reads one whole task; the parameter is its `seq`. */
export const SELECT_TASK = `SELECT ${COLUMNS} ${FROM}`;

/** The same with what goes along to its agent. */
export const SELECT_CLAIM = `SELECT ${COLUMNS}, launch, root, feedback ${FROM}`;

/** A new task with its objects as JSON: turned into text by the thread that submits, whose fault it is if it can't be. */
export type NewTaskRow = Omit<NewTask, 'metadata' | 'launch'> & {
  metadata: string;
  launch: string | null;
  outside: boolean;
};

/** A task of another store, ready to be inserted. */
export interface ImportRow {
  seq: number;
  conversation: string | null;
  values: Record<string, string | number | null>;
  metadata: string;
  prompt: string;
}

function iso(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}

function ms(time: string | null): number | null {
  return time === null ? null : Date.parse(time);
}

export function taskOfRow(row: TaskRow): StoredTask {
  return {
    id: taskIdOf(row.seq),
    prompt: row.prompt,
    agent: row.agent,
    priority: row.priority,
    state: row.state,
    createdAt: new Date(row.created_at).toISOString(),
    startedAt: iso(row.started_at),
    completedAt: iso(row.completed_at),
    pid: row.pid,
    result: row.result,
    error: row.error,
    outputBytes: row.output_bytes,
    metadata: JSON.parse(row.metadata) as Record<string, unknown>,
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    timeoutMs: row.timeout_ms,
    runAt: iso(row.run_at),
    waitReason: row.wait_reason,
    key: row.key,
    cwd: row.cwd,
    exitCode: row.exit_code,
    signal: row.signal,
    sessionId: row.session_id,
    costUsd: row.cost_usd,
    usage: row.usage === null ? null : (JSON.parse(row.usage) as Record<string, unknown>),
    source: row.source,
    ruleId: row.rule_id,
    causedBy: row.caused_by,
    outside: row.outside === 1,
    conversation: row.conversation,
  };
}

export function claimOf({ row, past, baseline }: ClaimAnswer): Claim {
  return {
    task: taskOfRow(row),
    token: `${row.seq}.${row.fence}`,
    // Set by every claim; an imported task does not know its own.
    attemptId: row.attempt_id ?? '',
    launch: row.launch === null ? null : (JSON.parse(row.launch) as TaskLaunch),
    retriesLeft: row.retries_left,
    takeovers: row.takeovers,
    past,
    baseline: baseline === null ? null : (JSON.parse(baseline) as SessionTotals),
    feedback: row.feedback,
    spentUsd: row.cost_usd ?? 0,
  };
}

/** What a token names; undefined for text that no store ever gave out, which owns nothing. */
export function parseToken(token: string): { seq: number; fence: number } | undefined {
  const match = /^(\d{1,15})\.(\d{1,15})$/.exec(token);
  return match === null ? undefined : { seq: Number(match[1]), fence: Number(match[2]) };
}

/** Columns of a task that comes from another store. */
export function importRowOf(seq: number, task: StoredTask, json: (value: unknown) => string): ImportRow {
  const ended = task.state !== 'queued' && task.state !== 'running';
  return {
    seq,
    conversation: storedText(task.conversation),
    values: {
      state: task.state,
      agent: storedText(task.agent),
      priority: task.priority,
      run_at: task.state === 'queued' ? ms(task.runAt) : null,
      wait_reason: task.waitReason,
      created_at: ms(task.createdAt),
      started_at: ms(task.startedAt),
      // Retention goes by the end, so every ended task needs one.
      completed_at: ended ? ms(task.completedAt ?? task.createdAt) : null,
      // A running task has no holder here: its lease has run out, and `reap` finds it.
      lease_until: task.state === 'running' ? 0 : null,
      attempt: task.attempt,
      max_attempts: task.maxAttempts,
      timeout_ms: task.timeoutMs,
      pid: task.pid,
      exit_code: task.exitCode,
      signal: storedText(task.signal),
      session_id: storedText(task.sessionId),
      output_bytes: task.outputBytes,
      cost_usd: task.costUsd,
      source: task.source,
      rule_id: storedText(task.ruleId),
      caused_by: storedText(task.causedBy),
      key: storedText(task.key),
      cwd: storedText(task.cwd),
      error: storedText(task.error),
      usage: task.usage === null ? null : json(task.usage),
      result: storedText(task.result),
      outside: task.outside ? 1 : 0,
    },
    metadata: json(task.metadata),
    prompt: storedText(task.prompt),
  };
}
