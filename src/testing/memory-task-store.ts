import { randomUUID } from 'node:crypto';
import type { Clock } from '../platform/clock.js';
import { AiwgdError } from '../protocol/errors.js';
import { isFinal, TASK_STATES, type TaskCounts, type TaskState } from '../protocol/task.js';
import { parseListQuery, requireWholeNumber } from '../tasks/list-query.js';
import { refuseNul, storedText, toJson } from '../tasks/stored-text.js';
import { seqOf, taskIdOf } from '../tasks/task-id.js';
import type {
  Claim,
  ClaimRequest,
  EndedTask,
  Heartbeat,
  ListQuery,
  NewTask,
  Outcome,
  Progress,
  Release,
  SpendQuery,
  SpendRow,
  StoredTask,
  Submitted,
  TaskLaunch,
  TaskPage,
  TaskStore,
  WakeRequest,
} from '../tasks/task-store.js';

interface Entry {
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
}

/** A `TaskStore` without a disk: every promise of the interface but durability. */
export class MemoryTaskStore implements TaskStore {
  readonly #clock: Clock;
  readonly #entries = new Map<number, Entry>();
  #lastSeq = 0;
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async submit(tasks: readonly NewTask[]): Promise<Submitted[]> {
    this.#checkOpen();
    tasks.forEach(refuseNul);
    const jsons = tasks.map((task) => toJson(task.metadata, 'metadata'));
    const launches = tasks.map(({ launch }) => (launch === null ? null : toJson(launch, 'launch')));
    return tasks.map((task, index) => {
      const held = this.#heldFor(task);
      if (held !== undefined) return { id: held.task.id, state: held.task.state, deduped: true };
      this.#lastSeq += 1;
      const stored = newStoredTask(this.#lastSeq, task, jsons[index] ?? '{}', this.#iso());
      this.#entries.set(this.#lastSeq, {
        ...NO_HOLDER,
        seq: this.#lastSeq,
        task: stored,
        once: storedText(task.once),
        launch: launches[index] ?? null,
        retries: task.retries,
        retriesLeft: task.retries,
      });
      return { id: stored.id, state: 'queued', deduped: false };
    });
  }

  async claim({ owner, limit, leaseMs, exceptAgents = [], apart }: ClaimRequest): Promise<Claim[]> {
    this.#checkOpen();
    requireWholeNumber('limit', limit, 0, 1000);
    requireWholeNumber('apart.limit', apart?.limit ?? 0, 0, 1000);
    const now = this.#clock.now();
    for (const { task } of this.#inState('queued')) {
      if (task.runAt !== null && Date.parse(task.runAt) <= now)
        Object.assign(task, { runAt: null, waitReason: null });
    }
    const ready = this.#inState('queued')
      .filter(({ task }) => task.runAt === null)
      .toSorted(byTurn);
    const isApart = ({ task }: Entry): boolean => apart !== undefined && task.agent === apart.agent;
    const shared = ready.filter((entry) => !isApart(entry) && !exceptAgents.includes(entry.task.agent));
    const taken = [...shared.slice(0, limit), ...ready.filter(isApart).slice(0, apart?.limit)];
    return taken.map((entry) => {
      Object.assign(entry, {
        fence: entry.fence + 1,
        owner,
        leaseUntil: now + leaseMs,
        attemptId: randomUUID(),
      });
      entry.cancelRequested = false;
      Object.assign(entry.task, NO_TRACE, { state: 'running', startedAt: this.#iso(), waitReason: null });
      entry.task.attempt += 1;
      return claimOf(entry);
    });
  }

  async heartbeat(updates: readonly Progress[], leaseMs: number): Promise<Heartbeat[]> {
    this.#checkOpen();
    return updates.map(({ token, pid, sessionId, outputBytes, steady }) => {
      const entry = this.#held(token);
      if (entry === undefined) return { token, held: false, cancelRequested: false };
      entry.leaseUntil = this.#clock.now() + leaseMs;
      if (pid !== undefined) entry.task.pid = pid;
      if (sessionId !== undefined) entry.task.sessionId = storedText(sessionId);
      if (outputBytes !== undefined) entry.task.outputBytes = outputBytes;
      if (steady === true) entry.takeovers = 0;
      return { token, held: true, cancelRequested: entry.cancelRequested };
    });
  }

  async finish(token: string, outcome: Outcome): Promise<boolean> {
    this.#checkOpen();
    const usage = outcome.usage === null ? null : toJson(outcome.usage, 'usage');
    const entry = this.#held(token);
    if (entry === undefined) return false;
    Object.assign(entry, { owner: null, cancelRequested: false });
    Object.assign(entry.task, outcome, {
      pid: null,
      completedAt: this.#iso(),
      usage: usage === null ? null : (JSON.parse(usage) as Record<string, unknown>),
      result: storedText(outcome.result),
      error: storedText(outcome.error),
      sessionId: storedText(outcome.sessionId),
    });
    return true;
  }

  async release(token: string, release: Release): Promise<boolean> {
    this.#checkOpen();
    const entry = this.#held(token);
    if (entry === undefined) return false;
    const cancelled = entry.cancelRequested;
    if (release.usesRetry) entry.retriesLeft = Math.max(0, entry.retriesLeft - 1);
    Object.assign(entry, { owner: null, cancelRequested: false });
    const { task } = entry;
    if (release.countsAsAttempt) entry.takeovers = 0;
    else task.attempt = Math.max(0, task.attempt - 1);
    task.pid = null;
    task.state = cancelled ? 'cancelled' : 'queued';
    task.completedAt = cancelled ? this.#iso() : null;
    task.runAt = cancelled || release.runAt === null ? null : new Date(release.runAt).toISOString();
    task.waitReason = cancelled ? null : release.waitReason;
    task.error = storedText(release.error);
    task.sessionId = storedText(release.sessionId);
    task.outputBytes = release.outputBytes;
    return true;
  }

  async reap(request: Parameters<TaskStore['reap']>[0]): Promise<Claim[]> {
    this.#checkOpen();
    const { owner, leaseMs, limit, othersAreDead } = request;
    requireWholeNumber('limit', limit, 0, 1000);
    const now = this.#clock.now();
    return this.#inState('running')
      .filter((entry) => entry.leaseUntil <= now || (othersAreDead && entry.owner !== owner))
      .toSorted((a, b) => a.seq - b.seq)
      .slice(0, limit)
      .map((entry) => {
        Object.assign(entry, { fence: entry.fence + 1, owner, leaseUntil: now + leaseMs });
        entry.takeovers += 1;
        return claimOf(entry);
      });
  }

  async requestCancel(id: string): Promise<TaskState | undefined> {
    this.#checkOpen();
    const entry = this.#find(id);
    if (entry?.task.state === 'running') entry.cancelRequested = true;
    if (entry?.task.state === 'queued') {
      Object.assign(entry.task, {
        state: 'cancelled',
        completedAt: this.#iso(),
        runAt: null,
        waitReason: null,
      });
    }
    return entry?.task.state;
  }

  async requeue(id: string): Promise<boolean | undefined> {
    this.#checkOpen();
    const entry = this.#find(id);
    if (entry === undefined) return undefined;
    if (!isFinal(entry.task.state)) return false;
    const holder = entry.task.key === null ? undefined : this.#activeByKey(entry.task.key);
    if (holder !== undefined) {
      throw new AiwgdError('CONFLICT', `${id} cannot be queued again: ${holder.task.id} has the same key.`);
    }
    Object.assign(entry, { retriesLeft: entry.retries, takeovers: 0 });
    Object.assign(entry.task, NO_TRACE, { state: 'queued', startedAt: null, completedAt: null, attempt: 0 });
    Object.assign(entry.task, { sessionId: null, runAt: null, waitReason: null });
    return true;
  }

  async get(id: string): Promise<StoredTask | undefined> {
    this.#checkOpen();
    const entry = this.#find(id);
    return entry === undefined ? undefined : structuredClone(entry.task);
  }

  async list(query: ListQuery): Promise<TaskPage> {
    this.#checkOpen();
    const { state, agent, limit, below = Number.POSITIVE_INFINITY } = parseListQuery(query);
    const matches = [...this.#entries.values()]
      .filter(({ seq, task }) => seq < below && (state ?? task.state) === task.state)
      .filter(({ task }) => agent === undefined || agent === task.agent)
      .toSorted((a, b) => b.seq - a.seq);
    const page = matches.slice(0, limit);
    return {
      tasks: page.map(({ task }) => structuredClone(task)),
      nextCursor: matches.length > limit ? String(page.at(-1)?.seq) : null,
    };
  }

  async counts(): Promise<TaskCounts> {
    this.#checkOpen();
    const counts = { total: this.#entries.size } as TaskCounts;
    for (const state of TASK_STATES) counts[state] = this.#inState(state).length;
    return counts;
  }

  async wake({ waitReason, ruleId, limit }: WakeRequest): Promise<number> {
    this.#checkOpen();
    const waiting = this.#inState('queued')
      .filter(({ task }) => task.runAt !== null && task.waitReason === waitReason)
      .filter(({ task }) => ruleId === undefined || task.ruleId === ruleId)
      .toSorted(byTurn)
      .slice(0, limit);
    for (const { task } of waiting) Object.assign(task, { runAt: null, waitReason: null });
    return waiting.length;
  }

  async nextRunAt(): Promise<number | null> {
    this.#checkOpen();
    const times = this.#inState('queued').flatMap(({ task }) =>
      task.runAt === null ? [] : [Date.parse(task.runAt)],
    );
    return times.length === 0 ? null : Math.min(...times);
  }

  async endedBefore(before: number, limit: number): Promise<string[]> {
    this.#checkOpen();
    requireWholeNumber('limit', limit, 0, 1000);
    return [...this.#entries.values()]
      .filter(({ task }) => task.completedAt !== null && Date.parse(task.completedAt) < before)
      .toSorted((a, b) => endOf(a) - endOf(b) || a.seq - b.seq)
      .slice(0, limit)
      .map(({ task }) => task.id);
  }

  async endedSince({ at, id }: { at: number; id?: string }, limit: number): Promise<EndedTask[]> {
    this.#checkOpen();
    requireWholeNumber('limit', limit, 0, 1000);
    const past = id === undefined ? -1 : (seqOf(id) ?? -1);
    return [...this.#entries.values()]
      .flatMap(({ seq, task: { state, completedAt } }) =>
        isFinal(state) && completedAt !== null ? [{ seq, state, at: Date.parse(completedAt) }] : [],
      )
      .filter((end) => end.at > at || (end.at === at && end.seq > past))
      .toSorted((a, b) => a.at - b.at || a.seq - b.seq)
      .slice(0, limit)
      .map(({ seq, state, at: endedAt }) => ({ id: taskIdOf(seq), state, at: endedAt }));
  }

  async spend(_query: SpendQuery): Promise<SpendRow[]> {
    return [];
  }

  async forget(ids: readonly string[]): Promise<number> {
    this.#checkOpen();
    const seqs = ids.map((id) => seqOf(id) ?? -1);
    return seqs.filter((seq) => {
      const entry = this.#entries.get(seq);
      return entry !== undefined && isFinal(entry.task.state) && this.#entries.delete(seq);
    }).length;
  }

  async import(tasks: readonly StoredTask[]): Promise<number> {
    this.#checkOpen();
    const entries = tasks.map(importedEntry);
    return entries.filter((entry) => {
      if (this.#entries.has(entry.seq)) return false;
      const { task } = entry;
      if (!isFinal(task.state) && task.key !== null && this.#activeByKey(task.key)) task.key = null;
      this.#entries.set(entry.seq, entry);
      this.#lastSeq = Math.max(this.#lastSeq, entry.seq);
      return true;
    }).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
  }

  #checkOpen(): void {
    if (this.#closed) throw new AiwgdError('STORAGE_FAILED', 'The task store is closed.');
  }

  #iso(): string {
    return new Date(this.#clock.now()).toISOString();
  }

  #find(id: string): Entry | undefined {
    const seq = seqOf(id);
    return seq === undefined ? undefined : this.#entries.get(seq);
  }

  #inState(state: TaskState): Entry[] {
    return [...this.#entries.values()].filter(({ task }) => task.state === state);
  }

  #heldFor({ once, key }: NewTask): Entry | undefined {
    const name = storedText(once);
    const same = name === null ? undefined : [...this.#entries.values()].find((entry) => entry.once === name);
    return same ?? (key === null ? undefined : this.#activeByKey(storedText(key)));
  }

  #activeByKey(key: string): Entry | undefined {
    return [...this.#entries.values()].find(({ task }) => task.key === key && !isFinal(task.state));
  }

  #held(token: string): Entry | undefined {
    const [seq, fence] = token.split('.');
    const entry = this.#entries.get(Number(seq));
    return entry?.task.state === 'running' && String(entry.fence) === fence ? entry : undefined;
  }
}

function byTurn(a: Entry, b: Entry): number {
  return b.task.priority - a.task.priority || a.seq - b.seq;
}

const NO_HOLDER = {
  fence: 0,
  owner: null,
  leaseUntil: 0,
  attemptId: '',
  cancelRequested: false,
  takeovers: 0,
};

/** What an attempt leaves on a task, taken away. */
const NO_TRACE = {
  pid: null,
  result: null,
  error: null,
  outputBytes: 0,
  exitCode: null,
  signal: null,
  costUsd: null,
  usage: null,
};

function newStoredTask(seq: number, task: NewTask, metadata: string, createdAt: string): StoredTask {
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
    source: task.source,
    ruleId: storedText(task.ruleId),
    causedBy: storedText(task.causedBy),
    conversation: storedText(task.conversation),
  };
}

function importedEntry(task: StoredTask): Entry {
  const seq = seqOf(task.id);
  if (seq === undefined) throw new AiwgdError('INVALID_PARAMS', `"${task.id}" is no task id.`);
  const ended = isFinal(task.state) ? (task.completedAt ?? task.createdAt) : null;
  const runAt = task.state === 'queued' ? task.runAt : null;
  const copy = structuredClone({ ...task, completedAt: ended, runAt });
  return { ...NO_HOLDER, seq, task: copy, once: null, launch: null, retries: 0, retriesLeft: 0 };
}

function claimOf(entry: Entry): Claim {
  return {
    task: structuredClone(entry.task),
    token: `${entry.seq}.${entry.fence}`,
    attemptId: entry.attemptId,
    launch: entry.launch === null ? null : (JSON.parse(entry.launch) as TaskLaunch),
    retriesLeft: entry.retriesLeft,
    takeovers: entry.takeovers,
    past: null,
    baseline: null,
    feedback: null,
    spentUsd: 0,
  };
}

function endOf({ task }: Entry): number {
  return Date.parse(task.completedAt ?? task.createdAt);
}
