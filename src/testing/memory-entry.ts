import { AiwgdError } from '../protocol/errors.js';
import { isFinal } from '../protocol/task.js';
import { storedText } from '../tasks/stored-text.js';
import { seqOf, taskIdOf } from '../tasks/task-id.js';
import type { NewTask, StoredTask } from '../tasks/task-store.js';

/** A task of a `MemoryTaskStore`, with what nobody is shown of it. */
export interface Entry {
  seq: number;
  task: StoredTask;
  fence: number;
  owner: string | null;
  leaseUntil: number;
  attemptId: string;
  cancelRequested: boolean;
  once: string | null;
  /** As JSON. */
  launch: string | null;
  retries: number;
  retriesLeft: number;
  takeovers: number;
  feedback: string | null;
  /** Number of the first task of its conversation. */
  root: number | null;
}

export const NO_HOLDER = {
  fence: 0,
  owner: null,
  leaseUntil: 0,
  attemptId: '',
  cancelRequested: false,
  takeovers: 0,
  feedback: null,
  root: null,
};

/** What an attempt leaves on a task, taken away. */
export const NO_TRACE = {
  pid: null,
  result: null,
  error: null,
  outputBytes: 0,
  exitCode: null,
  signal: null,
  usage: null,
};

export function newStoredTask(seq: number, task: NewTask, metadata: string, createdAt: string): StoredTask {
  return {
    ...NO_TRACE,
    id: taskIdOf(seq),
    prompt: storedText(task.prompt),
    agent: storedText(task.agent),
    priority: task.priority,
    state: 'queued',
    createdAt,
    startedAt: null,
    completedAt: null,
    metadata: JSON.parse(metadata) as Record<string, unknown>,
    attempt: 0,
    maxAttempts: task.maxAttempts,
    timeoutMs: task.timeoutMs,
    runAt: task.runAt === null ? null : new Date(task.runAt).toISOString(),
    waitReason: task.waitReason,
    key: storedText(task.key),
    cwd: storedText(task.cwd),
    sessionId: null,
    costUsd: null,
    source: task.source,
    ruleId: storedText(task.ruleId),
    causedBy: storedText(task.causedBy),
    outside: task.launch?.outside === true,
    conversation: storedText(task.conversation),
  };
}

export function importedEntry(task: StoredTask): Entry {
  const seq = seqOf(task.id);
  if (seq === undefined) throw new AiwgdError('INVALID_PARAMS', `"${task.id}" is no task id.`);
  const ended = isFinal(task.state) ? (task.completedAt ?? task.createdAt) : null;
  const runAt = task.state === 'queued' ? task.runAt : null;
  const copy = structuredClone({ ...task, completedAt: ended, runAt });
  return { ...NO_HOLDER, seq, task: copy, once: null, launch: null, retries: 0, retriesLeft: 0 };
}

/** When an ended task ended, in milliseconds since 1970. */
export function endOf({ task }: Entry): number {
  return Date.parse(task.completedAt ?? task.createdAt);
}

/** Higher priority first, then first submitted first. */
export function byTurn(a: Entry, b: Entry): number {
  return b.task.priority - a.task.priority || a.seq - b.seq;
}
