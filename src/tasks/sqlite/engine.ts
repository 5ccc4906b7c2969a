import { randomUUID } from 'node:crypto';
import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { AiwgdError } from '../../protocol/errors.js';
import { isFinal, TASK_STATES, type TaskCounts, type TaskState } from '../../protocol/task.js';
import type { SeqQuery } from '../list-query.js';
import { taskIdOf } from '../task-id.js';
import type {
  ClaimRequest,
  EndedTask,
  Heartbeat,
  Outcome,
  Progress,
  Release,
  Submitted,
} from '../task-store.js';
import { type ClaimRow, type ImportRow, type NewTaskRow, parseToken, type TaskRow } from './rows.js';
import { prepareFinders, prepareStatements } from './statements.js';

/** A page ends before its last row where its texts come to more than this: 1000 prompts of 10 MB fit into no memory. */
const PAGE_CHARACTERS = 4 * 1024 * 1024;

/**
 * The queue's operations as prepared statements, synchronous, without transactions: `runBatch` wraps them. Times come
 * in as `now`, in milliseconds since 1970. Lives in the store's worker thread.
 */
export class Engine {
  readonly #do: ReturnType<typeof prepareStatements>;
  readonly #find: ReturnType<typeof prepareFinders>;

  constructor(db: DatabaseSyncInstance) {
    this.#do = prepareStatements(db);
    this.#find = prepareFinders(db);
  }

  /** Touches both ends of every index, so that a database with torn pages shows itself at once. */
  probe(): void {
    this.counts();
    this.nextRunAt();
    this.#ready(1, []);
    this.#do.byOnce.get('');
    this.#find.expired.all({ now: 0, othersAreDead: 0, owner: '', limit: 1 });
    for (const state of TASK_STATES) this.list({ state, agent: undefined, limit: 1, below: undefined });
    this.list({ state: undefined, agent: undefined, limit: 1, below: undefined });
    this.list({ state: undefined, agent: '', limit: 1, below: undefined });
    this.#find.endedBefore.all(Number.MAX_SAFE_INTEGER, 1);
  }

  submit(tasks: readonly NewTaskRow[], now: number): Submitted[] {
    return tasks.map((task) => this.#submitOne(task, now));
  }

  #submitOne(task: NewTaskRow, now: number): Submitted {
    const held = this.#heldFor(task);
    if (held !== undefined) return { id: taskIdOf(held.seq), state: held.state, deduped: true };
    const { lastInsertRowid } = this.#do.insert.run(
      task.agent,
      task.priority,
      task.runAt,
      task.waitReason,
      now,
      task.maxAttempts,
      task.retries,
      task.timeoutMs,
      task.source,
      task.ruleId,
      task.causedBy,
      task.key,
      task.cwd,
      task.once,
    );
    this.#do.insertInput.run(lastInsertRowid, task.metadata, task.prompt, task.launch);
    return { id: taskIdOf(Number(lastInsertRowid)), state: 'queued', deduped: false };
  }

  /** The task that the new one would be once more. */
  #heldFor({ once, key }: NewTaskRow): { seq: number; state: TaskState } | undefined {
    const held = (once === null ? undefined : this.#do.byOnce.get(once)) ?? this.#heldByKey(key);
    return held as { seq: number; state: TaskState } | undefined;
  }

  #heldByKey(key: string | null): unknown {
    return key === null ? undefined : this.#do.activeByKey.get(key);
  }

  claim({ owner, limit, leaseMs, exceptAgents = [], apart }: ClaimRequest, now: number): ClaimRow[] {
    this.#do.promote.run(now);
    const seqs = this.#ready(limit, apart === undefined ? exceptAgents : [...exceptAgents, apart.agent]);
    if (apart !== undefined) seqs.push(...seqsOf(this.#find.readyOfAgent.all(apart.agent, apart.limit)));
    return seqs.map((seq) => {
      this.#do.begin.run({ seq, owner, leaseUntil: now + leaseMs, attemptId: randomUUID(), now });
      return this.#readClaim(seq);
    });
  }

  /** The best of each agent that takes work, merged: no task of a busy agent is looked at. */
  #ready(limit: number, exceptAgents: readonly (string | null)[]): number[] {
    return this.#readyAgents()
      .filter((agent) => !exceptAgents.includes(agent))
      .flatMap((agent) => this.#find.readyOfAgent.all(agent, limit) as { seq: number; priority: number }[])
      .toSorted((a, b) => b.priority - a.priority || a.seq - b.seq)
      .slice(0, limit)
      .map(({ seq }) => seq);
  }

  /** Agents that have ready tasks, found in one step each, and two that cost next to nothing to try. */
  #readyAgents(): (string | null)[] {
    const agents: (string | null)[] = [null, ''];
    for (let last = ''; ; ) {
      const next = this.#find.nextReadyAgent.get(last) as { agent: string } | undefined;
      if (next === undefined) return agents;
      agents.push(next.agent);
      last = next.agent;
    }
  }

  heartbeat(updates: readonly Progress[], leaseMs: number, now: number): Heartbeat[] {
    return updates.map((update) => {
      const lost = { token: update.token, held: false, cancelRequested: false };
      const lease = parseToken(update.token);
      if (lease === undefined) return lost;
      const row = this.#do.heartbeat.get({
        ...lease,
        leaseUntil: now + leaseMs,
        setsPid: update.pid === undefined ? 0 : 1,
        pid: update.pid ?? null,
        setsSession: update.sessionId === undefined ? 0 : 1,
        sessionId: update.sessionId ?? null,
        outputBytes: update.outputBytes ?? null,
        steady: update.steady === true ? 1 : 0,
      }) as { cancel_requested: number } | undefined;
      return row === undefined
        ? lost
        : { token: update.token, held: true, cancelRequested: row.cancel_requested === 1 };
    });
  }

  finish(token: string, outcome: Omit<Outcome, 'usage'> & { usage: string | null }, now: number): boolean {
    const lease = parseToken(token);
    if (lease === undefined) return false;
    const { charge: _charge, ...row } = outcome;
    return this.#do.finish.run({ ...lease, ...row, now }).changes === 1;
  }

  release(token: string, release: Release, now: number): boolean {
    const lease = parseToken(token);
    if (lease === undefined) return false;
    const held = this.#do.heldCancel.get(lease.seq, lease.fence) as { cancel_requested: number } | undefined;
    if (held === undefined) return false;
    const cancelled = held.cancel_requested === 1;
    this.#do.release.run({
      seq: lease.seq,
      state: cancelled ? 'cancelled' : 'queued',
      completedAt: cancelled ? now : null,
      runAt: cancelled ? null : release.runAt,
      waitReason: cancelled ? null : release.waitReason,
      error: release.error,
      sessionId: release.sessionId,
      outputBytes: release.outputBytes,
      retriesUsed: release.usesRetry ? 1 : 0,
      attemptsUndone: release.countsAsAttempt ? 0 : 1,
    });
    return true;
  }

  reap(
    request: { owner: string; leaseMs: number; limit: number; othersAreDead: boolean },
    now: number,
  ): ClaimRow[] {
    const { owner, leaseMs, limit } = request;
    const rows = this.#find.expired.all({ now, othersAreDead: request.othersAreDead ? 1 : 0, owner, limit });
    return seqsOf(rows).map((seq) => {
      this.#do.takeOver.run({ seq, owner, leaseUntil: now + leaseMs });
      return this.#readClaim(seq);
    });
  }

  requestCancel(seq: number, now: number): TaskState | undefined {
    const row = this.#stateOf(seq);
    if (row?.state === 'queued') {
      this.#do.cancelQueued.run(seq, now);
      return 'cancelled';
    }
    if (row?.state === 'running') this.#do.cancelRunning.run(seq);
    return row?.state;
  }

  requeue(seq: number): boolean | undefined {
    const row = this.#stateOf(seq);
    if (row === undefined) return undefined;
    if (!isFinal(row.state)) return false;
    const holder = this.#heldByKey(row.key) as { seq: number } | undefined;
    if (holder !== undefined) throw keyTaken(taskIdOf(seq), taskIdOf(holder.seq));
    this.#do.requeue.run(seq);
    return true;
  }

  get(seq: number): TaskRow | undefined {
    return this.#do.read.get(seq) as TaskRow | undefined;
  }

  list(query: SeqQuery): { rows: TaskRow[]; more: boolean } {
    // One more than asked for, to know whether another page follows.
    const seqs = this.#newest({ ...query, limit: query.limit + 1 });
    const rows: TaskRow[] = [];
    let characters = 0;
    for (const seq of seqs.slice(0, query.limit)) {
      const row = this.#readExisting(seq);
      characters += row.prompt.length + row.metadata.length + (row.result?.length ?? 0);
      if (rows.length > 0 && characters > PAGE_CHARACTERS) return { rows, more: true };
      rows.push(row);
    }
    return { rows, more: seqs.length > query.limit };
  }

  #newest({ state, agent, limit, below = Number.MAX_SAFE_INTEGER }: SeqQuery): number[] {
    if (agent === undefined) {
      return seqsOf(
        state === undefined
          ? this.#find.newest.all(below, limit)
          : this.#find.newestOfState.all(state, below, limit),
      );
    }
    const states = state === undefined ? TASK_STATES : [state];
    return states
      .flatMap((each) => seqsOf(this.#find.newestOfAgent.all(agent, each, below, limit)))
      .toSorted((a, b) => b - a)
      .slice(0, limit);
  }

  counts(): TaskCounts {
    const counts: TaskCounts = {
      total: 0,
      queued: 0,
      running: 0,
      completed: 0,
      failed: 0,
      cancelled: 0,
      timeout: 0,
    };
    for (const row of this.#find.counts.all() as { state: TaskState; count: number }[]) {
      counts[row.state] = row.count;
      counts.total += row.count;
    }
    return counts;
  }

  nextRunAt(): number | null {
    return (this.#find.nextRunAt.get() as { at: number | null }).at;
  }

  /** Writes and changes nothing: shows whether the disk takes what is written. */
  touch(): void {
    this.#do.touch.run();
    this.#do.untouch.run();
  }

  endedBefore(before: number, limit: number): string[] {
    return seqsOf(this.#find.endedBefore.all(before, limit)).map(taskIdOf);
  }

  /** @param past The number of the task whose end comes before; -1 where there is none. */
  endedSince(at: number, past: number, limit: number): EndedTask[] {
    const rows = this.#find.endedSince.all({ at, past, limit }) as (Omit<EndedTask, 'id'> & {
      seq: number;
    })[];
    return rows.map(({ seq, ...end }) => ({ id: taskIdOf(seq), ...end }));
  }

  forget(seqs: readonly number[]): number {
    return seqs.filter((seq) => {
      const row = this.#stateOf(seq);
      if (row === undefined || !isFinal(row.state)) return false;
      this.#do.forget.run(seq);
      this.#do.forgetInput.run(seq);
      return true;
    }).length;
  }

  import(rows: readonly ImportRow[]): number {
    return rows.filter((row) => this.#importOne(row)).length;
  }

  #importOne({ seq, values, metadata, prompt }: ImportRow): boolean {
    if (this.#stateOf(seq) !== undefined) return false;
    const active = values.state === 'queued' || values.state === 'running';
    const key = active && values.key !== null && this.#do.activeByKey.get(values.key) ? null : values.key;
    this.#do.insertImported.run({ ...values, seq, key });
    this.#do.insertInput.run(seq, metadata, prompt, null);
    return true;
  }

  #stateOf(seq: number): { state: TaskState; key: string | null } | undefined {
    return this.#do.stateOf.get(seq) as { state: TaskState; key: string | null } | undefined;
  }

  #readExisting(seq: number): TaskRow {
    return existing(seq, this.get(seq));
  }

  #readClaim(seq: number): ClaimRow {
    return existing(seq, this.#do.readClaim.get(seq) as ClaimRow | undefined);
  }
}

function existing<R extends TaskRow>(seq: number, row: R | undefined): R {
  if (row === undefined)
    throw new AiwgdError('STORAGE_FAILED', `${taskIdOf(seq)} lacks its prompt: the store is damaged.`);
  return row;
}

function seqsOf(rows: unknown[]): number[] {
  return (rows as { seq: number }[]).map((row) => row.seq);
}

/** The error of a `requeue` whose key belongs to another task by now. */
function keyTaken(id: string, holder: string): AiwgdError {
  return new AiwgdError(
    'CONFLICT',
    `${id} cannot be queued again: ${holder} has the same key and is not done. Wait for it, or cancel it.`,
    { data: { taskId: id, holder } },
  );
}
