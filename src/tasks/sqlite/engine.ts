import { randomUUID } from 'node:crypto';
import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import type { SpendKey, SpendRow } from '../../protocol/spend.js';
import { isFinal, TASK_STATES, type TaskCounts, type TaskState } from '../../protocol/task.js';
import { conversationOfTask } from '../conversation-texts.js';
import type { SeqQuery } from '../list-query.js';
import { seqOf, taskIdOf } from '../task-id.js';
import type {
  Charge,
  ClaimRequest,
  EndedTask,
  Heartbeat,
  Outcome,
  Progress,
  Release,
  Submitted,
  WakeRequest,
} from '../task-store.js';
import { Conversations } from './conversations.js';
import { type ChargedAttempt, Ledger } from './ledger.js';
import { keyTaken, nothingToResume, promptMissing } from './refusals.js';
import {
  type ClaimAnswer,
  type ClaimRow,
  type ImportRow,
  type NewTaskRow,
  parseToken,
  type TaskRow,
} from './rows.js';
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
  readonly #conversations: Conversations;
  readonly #ledger: Ledger;

  constructor(db: DatabaseSyncInstance) {
    this.#do = prepareStatements(db);
    this.#find = prepareFinders(db);
    this.#conversations = new Conversations(db);
    this.#ledger = new Ledger(db);
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
    this.#conversations.probe();
    this.#ledger.probe();
  }

  submit(tasks: readonly NewTaskRow[], now: number): Submitted[] {
    return tasks.map((task) => this.#submitOne(task, now));
  }

  #submitOne(task: NewTaskRow, now: number): Submitted {
    const held = this.#heldFor(task);
    if (held !== undefined) return { id: taskIdOf(held.seq), state: held.state, deduped: true };
    const original = task.resumes === null ? undefined : this.#resumed(task.resumes);
    const { lastInsertRowid } = this.#do.insert.run(
      task.agent ?? original?.agent ?? null,
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
      task.outside ? 1 : 0,
    );
    const seq = Number(lastInsertRowid);
    this.#do.insertInput.run(seq, task.metadata, task.prompt, task.launch);
    const conversation = original?.conversation ?? task.conversation;
    if (conversation !== null) this.#conversations.enter(seq, conversation);
    return { id: taskIdOf(seq), state: 'queued', deduped: false };
  }

  /** The task whose conversation is to go on; it has one afterwards. */
  #resumed(id: string): { agent: string | null; conversation: string } {
    const seq = seqOf(id) ?? -1;
    const row = this.#do.original.get(seq) as
      | { agent: string | null; conversation: string | null }
      | undefined;
    if (row === undefined) throw nothingToResume(id);
    const conversation = row.conversation ?? conversationOfTask(id);
    if (row.conversation === null) this.#conversations.enter(seq, conversation);
    return { agent: row.agent, conversation };
  }

  /** The task that the new one would be once more. */
  #heldFor({ once, key }: NewTaskRow): { seq: number; state: TaskState } | undefined {
    const held = (once === null ? undefined : this.#do.byOnce.get(once)) ?? this.#heldByKey(key);
    return held as { seq: number; state: TaskState } | undefined;
  }

  #heldByKey(key: string | null): unknown {
    return key === null ? undefined : this.#do.activeByKey.get(key);
  }

  claim({ owner, limit, leaseMs, exceptAgents = [], apart }: ClaimRequest, now: number): ClaimAnswer[] {
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
    const held = this.#heldBy(token);
    if (held === undefined) return false;
    const { charge, ...end } = outcome;
    this.#charge(held, charge, now);
    this.#do.finish.run({ ...end, seq: held.seq, now });
    if (held.conversation !== null) this.#conversations.passTurn(held.conversation);
    return true;
  }

  #heldBy(token: string): HeldTask | undefined {
    const lease = parseToken(token);
    return lease && (this.#do.held.get(lease.seq, lease.fence) as HeldTask | undefined);
  }

  /** Before the end of the attempt is stored, which takes up the sum. */
  #charge(held: HeldTask, charge: Charge | null, now: number): void {
    if (charge === null || !this.#ledger.add(held, charge, now)) return;
    if (charge.costUsd !== null) this.#do.addCost.run(charge.costUsd, held.seq);
  }

  release(token: string, release: Release, now: number): boolean {
    const held = this.#heldBy(token);
    if (held === undefined) return false;
    const cancelled = held.cancel_requested === 1;
    const { conversation } = held;
    this.#charge(held, release.charge, now);
    this.#do.release.run({
      seq: held.seq,
      state: cancelled ? 'cancelled' : 'queued',
      completedAt: cancelled ? now : null,
      runAt: cancelled ? null : release.runAt,
      waitReason: cancelled ? null : release.waitReason,
      error: release.error,
      sessionId: release.sessionId === release.goneSession ? null : release.sessionId,
      outputBytes: release.outputBytes,
      retriesUsed: release.usesRetry ? 1 : 0,
      attemptsUndone: release.countsAsAttempt ? 0 : 1,
      feedback: release.feedback,
    });
    if (conversation !== null) {
      if (release.goneSession !== null) this.#conversations.forgetSession(conversation, release.goneSession);
      this.#conversations.passTurn(conversation);
    }
    return true;
  }

  reap(
    request: { owner: string; leaseMs: number; limit: number; othersAreDead: boolean },
    now: number,
  ): ClaimAnswer[] {
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
      if (row.conversation !== null) this.#conversations.passTurn(row.conversation);
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
    if (row.conversation !== null) this.#conversations.takeTurnBack(row.conversation);
    this.#do.requeue.run(seq);
    if (row.conversation !== null) this.#conversations.passTurn(row.conversation);
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

  wake({ waitReason, ruleId, limit = -1 }: WakeRequest): number {
    return this.#do.wake.run({ waitReason, ruleId: ruleId ?? null, limit }).changes;
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

  spendIn(by: SpendKey, since: number, until: number, limit: number): SpendRow[] {
    return this.#ledger.sums(by, since, until, limit);
  }

  newestCharge(since: number, until: number): number | null {
    return this.#ledger.newest(since, until);
  }

  forget(seqs: readonly number[], now: number): number {
    this.#ledger.prune(now);
    return seqs.filter((seq) => {
      const row = this.#stateOf(seq);
      if (row === undefined || !isFinal(row.state)) return false;
      this.#do.forget.run(seq);
      this.#do.forgetInput.run(seq);
      return true;
    }).length;
  }

  import(rows: readonly ImportRow[]): number {
    // The first task of a conversation is its root.
    return rows.toSorted((a, b) => a.seq - b.seq).filter((row) => this.#importOne(row)).length;
  }

  #importOne({ seq, conversation, values, metadata, prompt }: ImportRow): boolean {
    if (this.#stateOf(seq) !== undefined) return false;
    const active = values.state === 'queued' || values.state === 'running';
    const key = active && values.key !== null && this.#do.activeByKey.get(values.key) ? null : values.key;
    this.#do.insertImported.run({ ...values, seq, key });
    this.#do.insertInput.run(seq, metadata, prompt, null);
    if (conversation !== null) this.#conversations.enter(seq, conversation);
    return true;
  }

  #stateOf(seq: number): StateRow | undefined {
    return this.#do.stateOf.get(seq) as StateRow | undefined;
  }

  #readExisting(seq: number): TaskRow {
    return existing(seq, this.get(seq));
  }

  #readClaim(seq: number): ClaimAnswer {
    const row = existing(seq, this.#do.readClaim.get(seq) as ClaimRow | undefined);
    const { conversation, root, session_id } = row;
    const past = conversation === null ? null : this.#conversations.past(conversation, root ?? seq);
    return { row, past, baseline: this.#ledger.baseline(session_id ?? past?.sessionId ?? null) };
  }
}

interface StateRow {
  state: TaskState;
  key: string | null;
  conversation: string | null;
}

/** What an end of an attempt has to know of its task. */
interface HeldTask extends ChargedAttempt {
  conversation: string | null;
  cancel_requested: number;
}

function existing<R extends TaskRow>(seq: number, row: R | undefined): R {
  if (row === undefined) throw promptMissing(seq);
  return row;
}

function seqsOf(rows: unknown[]): number[] {
  return (rows as { seq: number }[]).map((row) => row.seq);
}
