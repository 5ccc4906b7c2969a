import { readFile, rename, stat } from 'node:fs/promises';
import { keepAsidePath } from '../database/keep-aside.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import {
  isFinal,
  TASK_SOURCES,
  TASK_STATES,
  type TaskState,
  WAIT_REASONS,
  type WaitReason,
} from '../protocol/task.js';
import { seqOf } from './task-id.js';
import type { StoredTask } from './task-store.js';

/** New tasks are counted on from the highest number, and a task id has no more than fifteen digits. */
const HIGHEST_NUMBER = 1e12;

/** A `tasks.json` whose content is not what it should be; the caller keeps it with `keepDamagedTasksFile`. */
export class DamagedTasksFileError extends AiwgdError {
  constructor(path: string, reason: string, cause?: unknown) {
    super('STORAGE_FAILED', `${path} is damaged: ${reason}.`, { cause, data: { path, reason } });
  }
}

/**
 * Reads the `tasks.json` of the original program, or our own export, which has the same form. A running task
 * of our own stays so: its agent may live, and is found by the files of its attempt. One of the original program is
 * queued: nobody runs it any more. Throws DamagedTasksFileError, or STORAGE_FAILED where the file can't be read.
 */
export async function importOriginal(path: string): Promise<StoredTask[]> {
  const { text, time } = await readTasksFile(path);
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new DamagedTasksFileError(path, `it is not JSON (${messageOf(error)})`, error);
  }
  const tasks = isRecord(content) ? content['tasks'] : undefined;
  if (!Array.isArray(tasks)) throw new DamagedTasksFileError(path, 'it has no list "tasks"');
  return tasks.map((task: unknown, index) => {
    const place = `tasks[${index}]`;
    if (!isRecord(task)) throw new DamagedTasksFileError(path, `${place} is no object`);
    const { id, prompt, state } = task;
    const seq = typeof id === 'string' ? seqOf(id) : undefined;
    if (typeof id !== 'string' || seq === undefined) {
      throw new DamagedTasksFileError(path, `${place}.id is no task id such as "task-0001"`);
    }
    if (seq > HIGHEST_NUMBER) {
      throw new DamagedTasksFileError(path, `${place}.id is too high: it leaves no numbers for new tasks`);
    }
    if (typeof prompt !== 'string') throw new DamagedTasksFileError(path, `${place}.prompt is no text`);
    if (!isOneOf(TASK_STATES, state)) {
      throw new DamagedTasksFileError(path, `${place}.state is none of ${TASK_STATES.join(', ')}`);
    }
    return storedTask(task, { id, prompt, state }, time);
  });
}

/** Renames a damaged file to `<path>.damaged-<time>`, over nothing that is there. Answers its new path. */
export async function keepDamagedTasksFile(path: string, time: number): Promise<string> {
  const kept = keepAsidePath(path, time);
  await rename(path, kept);
  return kept;
}

async function readTasksFile(path: string): Promise<{ text: string; time: string }> {
  try {
    const { mtime } = await stat(path);
    return { text: await readFile(path, 'utf8'), time: mtime.toISOString() };
  } catch (error) {
    throw new AiwgdError('STORAGE_FAILED', `${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function storedTask(
  task: Record<string, unknown>,
  core: { id: string; prompt: string; state: TaskState },
  fileTime: string,
): StoredTask {
  const ended = isFinal(core.state);
  const runs = core.state === 'running' && (wholeNumberOf(task['attempt']) ?? 0) > 0;
  const createdAt = timeOf(task['createdAt']) ?? fileTime;
  return {
    id: core.id,
    prompt: core.prompt,
    outside: task['outside'] === true,
    conversation: textOf(task['conversation']),
    agent: textOf(task['agent']),
    priority: wholeNumberOf(task['priority']) ?? 0,
    state: ended || runs ? core.state : 'queued',
    createdAt,
    startedAt: ended || runs ? timeOf(task['startedAt']) : null,
    completedAt: ended ? (timeOf(task['completedAt']) ?? createdAt) : null,
    pid: null,
    result: resultOf(task['result']),
    error: resultOf(task['error']),
    metadata: isRecord(task['metadata']) ? task['metadata'] : {},
    sessionId: textOf(task['sessionId']),
    ...limitsOf(task, ended),
    ...outcomeOf(task, ended),
    ...originOf(task),
  };
}

/** What held a task back for want of money, or by a provider's limit, is decided anew: the file shows only what it seemed. */
const DECIDED_ANEW: readonly WaitReason[] = ['budget', 'rate_limit'];

function limitsOf(task: Record<string, unknown>, ended: boolean) {
  const waits = !ended && isOneOf(WAIT_REASONS, task['waitReason']) ? task['waitReason'] : null;
  const anew = waits !== null && DECIDED_ANEW.includes(waits);
  return {
    attempt: wholeNumberOf(task['attempt']) ?? (ended ? 1 : 0),
    maxAttempts: wholeNumberOf(task['maxAttempts']) ?? 3,
    timeoutMs: wholeNumberOf(task['timeoutMs']),
    runAt: ended || anew ? null : timeOf(task['runAt']),
    waitReason: anew ? null : waits,
  };
}

function outcomeOf(task: Record<string, unknown>, ended: boolean) {
  return {
    outputBytes: ended ? (wholeNumberOf(task['outputBytes']) ?? 0) : 0,
    exitCode: ended ? wholeNumberOf(task['exitCode']) : null,
    signal: ended ? textOf(task['signal']) : null,
    costUsd: typeof task['costUsd'] === 'number' ? task['costUsd'] : null,
    usage: ended && isRecord(task['usage']) ? task['usage'] : null,
  };
}

function originOf(task: Record<string, unknown>) {
  return {
    key: textOf(task['key']),
    cwd: textOf(task['cwd']),
    source: isOneOf(TASK_SOURCES, task['source']) ? task['source'] : 'cli',
    ruleId: textOf(task['ruleId']),
    causedBy: textOf(task['causedBy']),
  } as const;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isOneOf<T>(values: readonly T[], value: unknown): value is T {
  return (values as readonly unknown[]).includes(value);
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** Results and errors of the original may be any JSON. */
function resultOf(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function wholeNumberOf(value: unknown): number | null {
  return Number.isSafeInteger(value) ? (value as number) : null;
}

/** An ISO time in the one form that we write; null for anything else. */
function timeOf(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  const time = Date.parse(value);
  return Number.isNaN(time) ? null : new Date(time).toISOString();
}
