import { randomUUID } from 'node:crypto';
import type { Clock } from '../platform/clock.js';
import { AiwgdError } from '../protocol/errors.js';
import type { SpendRow } from '../protocol/spend.js';
import { isFinal, TASK_STATES, type TaskCounts, type TaskState } from '../protocol/task.js';
import { conversationOfTask, storedFeedback } from '../tasks/conversation-texts.js';
import { parseListQuery, requireWholeNumber } from '../tasks/list-query.js';
import { checkNewTask, storedText, toJson } from '../tasks/stored-text.js';
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
  StoredTask,
  Submitted,
  TaskLaunch,
  TaskPage,
  TaskStore,
  WakeRequest,
} from '../tasks/task-store.js';
import { enter, forgetSession, hasTurn, pastOf } from './memory-conversations.js';
import {
  byTurn,
  type Entry,
  endOf,
  importedEntry,
  NO_HOLDER,
  NO_TRACE,
  newStoredTask,
} from './memory-entry.js';
import { MemoryLedger } from './memory-ledger.js';

/** A `TaskStore` without a disk: every promise of the interface but durability. */
export class MemoryTaskStore implements TaskStore {
  readonly #clock: Clock;
  readonly #ledger = new MemoryLedger();
  #entries = new Map<number, Entry>();
  #lastSeq = 0;
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async submit(tasks: readonly NewTask[]): Promise<Submitted[]> {
    this.#checkOpen();
    tasks.forEach(checkNewTask);
    const jsons = tasks.map((task) => toJson(task.metadata, 'metadata'));
    const launches = tasks.map(({ launch }) => (launch === null ? null : toJson(launch, 'launch')));
    const before = { entries: this.#entries, lastSeq: this.#lastSeq };
    // Only a task that is to go on from another can be refused from here on; then none of them is stored.
    if (tasks.some(({ resumes }) => resumes !== null)) this.#entries = structuredClone(this.#entries);
    try {
      return tasks.map((task, index) => this.#submitOne(task, jsons[index] ?? '{}', launches[index] ?? null));
    } catch (error) {
      this.#entries = before.entries;
      this.#lastSeq = before.lastSeq;
      throw error;
    }
  }

  #submitOne(task: NewTask, metadata: string, launch: string | null): Submitted {
    const held = this.#heldFor(task);
    if (held !== undefined) return { id: held.task.id, state: held.task.state, deduped: true };
    const original = task.resumes === null ? undefined : this.#resumed(task.resumes);
    this.#lastSeq += 1;
    const stored = newStoredTask(this.#lastSeq, task, metadata, this.#iso());
    const entry = {
      ...NO_HOLDER,
      seq: this.#lastSeq,
      task: stored,
      once: storedText(task.once),
      launch,
      retries: task.retries,
      retriesLeft: task.retries,
    };
    this.#entries.set(entry.seq, entry);
    stored.agent ??= original?.agent ?? null;
    enter(this.#all(), entry, original?.conversation ?? stored.conversation);
    return { id: stored.id, state: 'queued', deduped: false };
  }

  /** The task whose conversation is to go on; it has one afterwards. */
  #resumed(id: string): StoredTask {
    const entry = this.#find(id);
    if (entry === undefined) throw new AiwgdError('NOT_FOUND', `There is no task ${id} to go on from.`);
    if (entry.task.conversation === null) enter(this.#all(), entry, conversationOfTask(id));
    return entry.task;
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
    const all = this.#all();
    const ready = this.#inState('queued')
      .filter((entry) => entry.task.runAt === null && hasTurn(all, entry))
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
      return this.#claimOf(entry);
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
    const { charge, ...end } = outcome;
    this.#ledger.charge(entry, charge, this.#clock.now());
    Object.assign(entry, { owner: null, cancelRequested: false });
    Object.assign(entry.task, end, {
      pid: null,
      costUsd: entry.task.costUsd ?? end.costUsd,
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
    this.#ledger.charge(entry, release.charge, this.#clock.now());
    entry.feedback = storedFeedback(release.feedback) ?? entry.feedback;
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
    if (release.goneSession !== null) forgetSession(this.#all(), entry, storedText(release.goneSession));
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
        return this.#claimOf(entry);
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
    Object.assign(entry, { retriesLeft: entry.retries, takeovers: 0, feedback: null });
    Object.assign(entry.task, NO_TRACE, { state: 'queued', startedAt: null, completedAt: null, attempt: 0 });
    Object.assign(entry.task, { sessionId: null, runAt: null, waitReason: null, costUsd: null });
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
    const matches = this.#all()
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
    return this.#all()
      .filter(({ task }) => task.completedAt !== null && Date.parse(task.completedAt) < before)
      .toSorted((a, b) => endOf(a) - endOf(b) || a.seq - b.seq)
      .slice(0, limit)
      .map(({ task }) => task.id);
  }

  async endedSince({ at, id }: { at: number; id?: string }, limit: number): Promise<EndedTask[]> {
    this.#checkOpen();
    requireWholeNumber('limit', limit, 0, 1000);
    const past = id === undefined ? -1 : (seqOf(id) ?? -1);
    return this.#all()
      .flatMap(({ seq, task: { state, completedAt } }) =>
        isFinal(state) && completedAt !== null ? [{ seq, state, at: Date.parse(completedAt) }] : [],
      )
      .filter((end) => end.at > at || (end.at === at && end.seq > past))
      .toSorted((a, b) => a.at - b.at || a.seq - b.seq)
      .slice(0, limit)
      .map(({ seq, state, at: endedAt }) => ({ id: taskIdOf(seq), state, at: endedAt }));
  }

  async spend(query: SpendQuery): Promise<SpendRow[]> {
    this.#checkOpen();
    return this.#ledger.spend(query);
  }

  async forget(ids: readonly string[]): Promise<number> {
    this.#checkOpen();
    this.#ledger.prune(this.#clock.now());
    const seqs = ids.map((id) => seqOf(id) ?? -1);
    return seqs.filter((seq) => {
      const entry = this.#entries.get(seq);
      return entry !== undefined && isFinal(entry.task.state) && this.#entries.delete(seq);
    }).length;
  }

  async import(tasks: readonly StoredTask[]): Promise<number> {
    this.#checkOpen();
    const entries = tasks.map(importedEntry).toSorted((a, b) => a.seq - b.seq);
    return entries.filter((entry) => {
      if (this.#entries.has(entry.seq)) return false;
      const { task } = entry;
      if (!isFinal(task.state) && task.key !== null && this.#activeByKey(task.key)) task.key = null;
      this.#entries.set(entry.seq, entry);
      enter(this.#all(), entry, task.conversation);
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

  #all(): Entry[] {
    return [...this.#entries.values()];
  }

  #inState(state: TaskState): Entry[] {
    return this.#all().filter(({ task }) => task.state === state);
  }

  #heldFor({ once, key }: NewTask): Entry | undefined {
    const name = storedText(once);
    const same = name === null ? undefined : this.#all().find((entry) => entry.once === name);
    return same ?? (key === null ? undefined : this.#activeByKey(storedText(key)));
  }

  #activeByKey(key: string): Entry | undefined {
    return this.#all().find(({ task }) => task.key === key && !isFinal(task.state));
  }

  #held(token: string): Entry | undefined {
    const [seq, fence] = token.split('.');
    const entry = this.#entries.get(Number(seq));
    return entry?.task.state === 'running' && String(entry.fence) === fence ? entry : undefined;
  }

  #claimOf(entry: Entry): Claim {
    const task = structuredClone(entry.task);
    const past = pastOf(this.#all(), entry);
    return {
      task,
      token: `${entry.seq}.${entry.fence}`,
      attemptId: entry.attemptId,
      launch: entry.launch === null ? null : (JSON.parse(entry.launch) as TaskLaunch),
      retriesLeft: entry.retriesLeft,
      takeovers: entry.takeovers,
      past,
      baseline: this.#ledger.baseline(task.sessionId ?? past?.sessionId ?? null),
      feedback: entry.feedback,
      spentUsd: task.costUsd ?? 0,
    };
  }
}
