// All that was asked of the daemon, all that it said, and what was done to it: what the invariants are judged by.

export const FINAL = ['completed', 'failed', 'cancelled', 'timeout'];

export function isFinal(state) {
  return FINAL.includes(state);
}

export class Ledger {
  /** Submits by the name in their prompts: `{submit, taskIds}`, the ids that were answered. */
  submits = new Map();
  /** By task: how often a cancel was asked for, and whether one was acknowledged. */
  cancels = new Map();
  /** By task: how many retries were asked for. */
  retries = new Map();
  retriedInRound = new Set();
  /** By task, by the time of its end: each different outcome that was told, with where. */
  told = new Map();
  /** Kills that hit a process of an attempt: `{what, taskId, attemptId}`. */
  hits = [];
  /** When each event was told, by its id. */
  heard = new Map();
  /** When a daemon was killed. */
  deaths = [];
  /** When the daemon was told to stop: `{from, to}`. */
  stops = [];
  /** When the disk was sick: `{from, to}`. */
  outages = [];
  /** When a daemon was up, in seconds since boot. */
  daemonStarts = [];
  /** What a following client collected: `{taskId, attempts: Map(attempt → text), ended}`. */
  follows = [];
  /** Promises that were seen broken while it went on: `{promise, detail}`. */
  findings = [];
  /** For the report. */
  counts = { kills: {}, commands: {}, starts: 0, slowestStart: 0, readings: 0, looks: 0, events: 0 };

  find(promise, detail) {
    // One broken promise can be seen a hundred times a second.
    if (this.findings.some((one) => one.promise === promise && one.detail === detail)) return;
    this.findings.push({ promise, detail });
  }

  submitted(name, submit) {
    if (!this.submits.has(name)) this.submits.set(name, { submit, taskIds: [] });
  }

  acknowledged(name, taskId) {
    this.submits.get(name).taskIds.push(taskId);
  }

  cancelAsked(taskId) {
    const before = this.cancels.get(taskId);
    this.cancels.set(taskId, { acknowledged: before?.acknowledged ?? false });
  }

  cancelAcknowledged(taskId) {
    this.cancels.set(taskId, { acknowledged: true });
  }

  retryAsked(taskId) {
    this.retries.set(taskId, this.retriesOf(taskId) + 1);
    this.retriedInRound.add(taskId);
  }

  retriesOf(taskId) {
    return this.retries.get(taskId) ?? 0;
  }

  /** A task as somebody was told it, by RPC or file. Tasks that have not ended tell no outcome. */
  tell(task, where) {
    if (!isFinal(task.state)) return;
    const { state, exitCode, signal, attempt, completedAt } = task;
    const outcome = JSON.stringify({ state, exitCode, signal, attempt });
    const byEnd = this.told.get(task.id) ?? new Map();
    this.told.set(task.id, byEnd);
    const outcomes = byEnd.get(completedAt) ?? new Map();
    byEnd.set(completedAt, outcomes);
    if (!outcomes.has(outcome)) outcomes.set(outcome, where);
  }

  /** The states that events told, by task. */
  eventStates = new Map();

  /** An event that tells an outcome; it does not say when that was. */
  tellEvent({ taskId, state }) {
    const states = this.eventStates.get(taskId) ?? new Set();
    this.eventStates.set(taskId, states.add(state));
  }

  killed(what) {
    this.counts.kills[what] = (this.counts.kills[what] ?? 0) + 1;
  }
}
