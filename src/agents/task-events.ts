import type { Log } from '../platform/log.js';
import type { NewEvent, TaskTopic } from '../protocol/event.js';
import {
  type FinalState,
  isFinal,
  type TaskProgress,
  type TaskState,
  type WaitReason,
} from '../protocol/task.js';
import type { Outcome, StoredTask } from '../tasks/task-store.js';
import type { StreamSizes } from './attempt-files.js';

export type Publish = (event: NewEvent) => void;

/** The fields of a task that its events tell. */
export type TaskFacts = Pick<
  StoredTask,
  'id' | 'agent' | 'priority' | 'attempt' | 'ruleId' | 'causedBy' | 'outside'
>;

const END_TOPIC: Record<FinalState, TaskTopic> = {
  completed: 'task:completed',
  failed: 'task:failed',
  timeout: 'task:timeout',
  cancelled: 'task:cancelled',
};

/** Waiting tasks whose reason is remembered; of the others it may be told again. */
const MAX_WAITS = 10_000;

/** Tells the world what became of tasks; called only after the store has acknowledged it. Prompts are never told. */
export class TaskEvents {
  readonly #publish: Publish;
  readonly #log: Log;
  /** What was told last of waiting tasks, by id. */
  readonly #waits = new Map<string, WaitReason>();

  constructor(publish: Publish, log: Log) {
    this.#publish = publish;
    this.#log = log;
  }

  /** `wait`: why it does not start at once, and when it will; `runAt` in milliseconds since 1970, null where nobody knows. */
  queued(task: TaskFacts, wait?: { waitReason: WaitReason | null; runAt: number | null }): void {
    const { waitReason = null, runAt = null } = wait ?? {};
    this.#noteWait(task.id, waitReason);
    const details = {
      ...(waitReason === null ? {} : { waitReason }),
      ...(runAt === null ? {} : { runAt: new Date(runAt).toISOString() }),
    };
    const facts = { taskId: task.id, agent: task.agent, priority: task.priority, ...details };
    this.#log.info(facts, waitReason === null ? 'Task queued' : 'Task queued, and waits');
    this.#tell('task:queued', task, 'queued', details);
  }

  /** A task that was claimed goes on waiting: told once for each reason, however often it is looked at. */
  waits(task: TaskFacts, wait: { waitReason: WaitReason; runAt: number | null }): void {
    if (this.#waits.get(task.id) !== wait.waitReason) this.queued(task, wait);
  }

  #noteWait(taskId: string, waitReason: WaitReason | null): void {
    this.#waits.delete(taskId);
    if (waitReason === null) return;
    this.#waits.set(taskId, waitReason);
    const [oldest] = this.#waits.keys();
    if (this.#waits.size > MAX_WAITS && oldest !== undefined) this.#waits.delete(oldest);
  }

  /** `by` is the agent that carries it out; `isolated` where it works outside of the project's own tree. */
  started(
    task: TaskFacts & Pick<StoredTask, 'startedAt'>,
    { by, isolated }: { by: string; isolated: boolean },
  ): void {
    this.#noteWait(task.id, null);
    this.#log.info({ taskId: task.id, agent: task.agent, by, attempt: task.attempt }, 'Task started');
    const details = { startedAt: task.startedAt, by, ...(isolated ? { isolated } : {}) };
    this.#tell('task:started', task, 'running', details);
  }

  /** Logged only: for the world nothing has changed. */
  takenOver(task: TaskFacts): void {
    this.#log.info(
      { taskId: task.id, agent: task.agent, attempt: task.attempt },
      'Running task taken over from an earlier daemon',
    );
  }

  output(task: TaskFacts, sizes: StreamSizes): void {
    this.#publish({
      type: 'task:output',
      source: 'supervisor',
      payload: {
        taskId: task.id,
        state: 'running',
        attempt: task.attempt,
        stdoutBytes: sizes.stdout,
        stderrBytes: sizes.stderr,
      },
      ...causeOf(task),
    });
  }

  progress(task: TaskFacts, progress: TaskProgress): void {
    this.#publish({
      type: 'task:progress',
      source: 'supervisor',
      payload: { taskId: task.id, state: 'running', agent: task.agent, attempt: task.attempt, ...progress },
      ...causeOf(task),
    });
  }

  ended(
    task: TaskFacts,
    outcome: Pick<Outcome, 'state'> & Partial<Outcome>,
    durationMs: number | null,
  ): void {
    this.#noteWait(task.id, null);
    const { state, error, exitCode, signal, costUsd } = outcome;
    const details = {
      ...(error ? { error } : {}),
      ...(exitCode === null || exitCode === undefined ? {} : { exitCode }),
      ...(signal ? { signal } : {}),
      ...(costUsd === null || costUsd === undefined ? {} : { costUsd }),
      ...(durationMs === null ? {} : { durationMs }),
    };
    const { error: _, ...numbers } = details;
    this.#log.info({ taskId: task.id, attempt: task.attempt, state, ...numbers }, `Task ${state}`);
    this.#tell(END_TOPIC[state], task, state, details);
  }

  /** Once more, or for the first time: the daemon that stored the end may have been killed before it told it. */
  endedEarlier(task: StoredTask): void {
    const { id, state, startedAt, completedAt } = task;
    if (!isFinal(state)) return;
    const durationMs =
      startedAt === null || completedAt === null ? null : Date.parse(completedAt) - Date.parse(startedAt);
    this.#log.info({ taskId: id, completedAt }, 'The end of a task is told late: rules have missed it');
    this.ended(task, { ...task, state }, durationMs);
  }

  retrying(task: TaskFacts, error: string | null, runAt: number): void {
    this.#noteWait(task.id, null);
    this.#log.info(
      { taskId: task.id, attempt: task.attempt, runAt: new Date(runAt).toISOString() },
      'Task waits for a retry',
    );
    this.#tell('task:retrying', task, 'queued', {
      ...(error === null ? {} : { error }),
      runAt: new Date(runAt).toISOString(),
    });
  }

  #tell(type: TaskTopic, task: TaskFacts, state: TaskState, details: Record<string, unknown> = {}): void {
    this.#publish({
      type,
      source: 'supervisor',
      payload: {
        taskId: task.id,
        state,
        agent: task.agent,
        priority: task.priority,
        attempt: task.attempt,
        ...(task.ruleId === null ? {} : { ruleId: task.ruleId }),
        ...(task.outside ? { outside: true } : {}),
        ...details,
      },
      ...causeOf(task),
    });
  }
}

function causeOf(task: TaskFacts): { cause?: string } {
  return task.causedBy === null ? {} : { cause: task.causedBy };
}
