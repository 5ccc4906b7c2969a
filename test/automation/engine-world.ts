import type { ActionTask, TaskPort } from '#aiwgd/automation/ports.js';
import { StateDatabase } from '#aiwgd/database/state-database.js';
import type { Log } from '#aiwgd/platform/log.js';
import { AiwgdError } from '#aiwgd/protocol/errors.js';
import type { NewEvent } from '#aiwgd/protocol/event.js';
import { isFinal, type TaskState } from '#aiwgd/protocol/task.js';
import type { StoredTask } from '#aiwgd/tasks/task-store.js';
import type { FakeClock } from '#aiwgd/testing/fake-clock.js';

/** The daemon was killed: nothing that it would have done afterwards happens. */
export class Killed extends Error {}

/** Whether a daemon lives, and at which of its steps it is to be killed. */
export class Life {
  alive = true;
  steps = 0;
  killAt = Number.POSITIVE_INFINITY;

  /** A moment at which a kill makes a difference. */
  step(): void {
    this.steps += 1;
    if (this.steps === this.killAt) this.alive = false;
    if (!this.alive) throw new Killed(`killed at step ${this.killAt}`);
  }
}

/** A database that can be killed before and after each write, and whose disk can be full. */
export class MortalDatabase extends StateDatabase {
  readonly life: Life;
  /** Nothing at all is written: a full disk may still take what makes room for itself. */
  refuses = false;
  /** The disk is noticed to be full when a transaction is to be written, which is at its end. */
  refusesCommits = false;

  constructor(path: string, life: Life, clock: FakeClock, log: Log) {
    super({ path, clock, log });
    this.life = life;
  }

  override run(...args: Parameters<StateDatabase['run']>): ReturnType<StateDatabase['run']> {
    if (this.refuses) throw new AiwgdError('STORAGE_FULL', 'The disk is full');
    return this.#mortal(() => super.run(...args));
  }

  override exec(sql: string): void {
    if (this.refusesCommits && sql === 'COMMIT') throw new AiwgdError('STORAGE_FULL', 'The disk is full');
    super.exec(sql);
  }

  override check(): boolean {
    return !this.refusesCommits && super.check();
  }

  override transaction<T>(work: () => T, options?: { durable?: boolean }): T {
    return this.#mortal(() => super.transaction(work, options));
  }

  #mortal<T>(write: () => T): T {
    // Undefined while the base class makes its tables.
    if (this.inTransaction || this.life === undefined) return write();
    this.life.step();
    const result = write();
    this.life.step();
    return result;
  }

  /** Lets no page be added any more, as a full disk does. */
  fill(): void {
    this.exec('CREATE TABLE IF NOT EXISTS ballast (data TEXT)');
    this.exec('PRAGMA max_page_count = 1');
    try {
      for (;;) this.run('INSERT INTO ballast VALUES (hex(randomblob(40)))');
    } catch {
      // Full.
    }
  }

  makeRoom(): void {
    this.exec('PRAGMA max_page_count = 1073741823');
    this.get('PRAGMA max_page_count');
    this.transaction(() => this.exec('DELETE FROM ballast'));
  }
}

export interface FakeTask extends ActionTask {
  id: string;
  state: TaskState;
  result: string | null;
  error: string | null;
  endedAt: number | null;
}

/** The queue of tasks, which outlives every daemon; a test ends its tasks. */
export class Tasks {
  /** How often the queue was asked for ends. */
  asked = 0;
  readonly all: FakeTask[] = [];
  /** What the next submissions throw. */
  readonly refusals: Error[] = [];

  /** What a daemon reads of the queue at its start. */
  readonly store = {
    endedSince: async ({ at: from, id: past = '' }: { at: number; id?: string }, limit: number) => {
      this.asked += 1;
      return this.all
        .flatMap(({ id, state, endedAt: at }) => (isFinal(state) && at !== null ? [{ id, state, at }] : []))
        .filter(({ id, at }) => at > from || (at === from && id > past))
        .toSorted((a, b) => a.at - b.at || a.id.localeCompare(b.id))
        .slice(0, limit);
    },
    get: async (taskId: string) => {
      const task = this.all.find(({ id }) => id === taskId);
      return task === undefined ? undefined : storedTask(task);
    },
  };

  /** A task that somebody submits. */
  add(): FakeTask {
    const id = `task-${String(this.all.length + 1).padStart(4, '0')}`;
    const task: FakeTask = {
      id,
      prompt: '',
      agent: null,
      priority: 0,
      state: 'running',
      source: 'rule',
      ruleId: null,
      causedBy: null,
      metadata: {},
      once: id,
      launch: { event: {}, env: {}, literals: {} },
      result: null,
      error: null,
      endedAt: null,
    };
    this.all.push(task);
    return task;
  }

  port(life: Life, clock: FakeClock, publish: (event: NewEvent) => void): TaskPort {
    return {
      submit: async (task) => {
        await Promise.resolve();
        life.step();
        const refusal = this.refusals.shift();
        if (refusal !== undefined) throw refusal;
        const known = this.all.find(({ once }) => once === task.once);
        if (known !== undefined) return { taskId: known.id };
        const id = `task-${String(this.all.length + 1).padStart(4, '0')}`;
        const made: FakeTask = { ...task, id, state: 'queued', result: null, error: null, endedAt: null };
        this.all.push(made);
        life.step();
        publish(taskEvent(made, 'task:queued'));
        return { taskId: id };
      },
      get: async (taskId) => {
        await Promise.resolve();
        if (!life.alive) throw new Killed();
        return this.all.find(({ id }) => id === taskId);
      },
      cancel: async (taskId) => {
        await Promise.resolve();
        if (!life.alive) throw new Killed();
        const task = this.all.find(({ id }) => id === taskId);
        if (task === undefined || isFinal(task.state)) return false;
        Object.assign(task, { state: 'cancelled', endedAt: clock.now() });
        publish(taskEvent(task, 'task:cancelled'));
        return true;
      },
    };
  }

  get open(): FakeTask[] {
    return this.all.filter(({ state }) => state === 'queued' || state === 'running');
  }
}

/** As the supervisor tells it. */
export function taskEvent(task: FakeTask, type: string): NewEvent {
  const { id, state, agent, priority, ruleId, causedBy } = task;
  return {
    type,
    source: 'supervisor',
    payload: { taskId: id, state, agent, priority, attempt: 1, ...(ruleId === null ? {} : { ruleId }) },
    ...(causedBy === null ? {} : { cause: causedBy }),
  };
}

/** As the store holds it. */
function storedTask({ launch, once, endedAt, ...task }: FakeTask): StoredTask {
  const ended = endedAt === null ? null : new Date(endedAt).toISOString();
  return {
    ...task,
    createdAt: ended ?? '',
    startedAt: ended,
    completedAt: ended,
    key: once,
    timeoutMs: null,
    metadata: { launch },
    pid: null,
    outputBytes: 0,
    attempt: 1,
    maxAttempts: 1,
    runAt: null,
    waitReason: null,
    cwd: null,
    exitCode: 0,
    signal: null,
    sessionId: null,
    costUsd: null,
    usage: null,
    outside: false,
    conversation: null,
  };
}
