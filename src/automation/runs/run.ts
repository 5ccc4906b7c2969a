import { isStorageFault } from '../../database/storage-error.js';
import { sleep } from '../../platform/clock.js';
import type { RunState } from '../../protocol/automation.js';
import { messageOf } from '../../protocol/errors.js';
import { type ActionFailure, failureOf, RunEnded } from './action-failure.js';
import { type Done, perform, wordsBehind } from './perform.js';
import { renderBehindGate, renderStep, scopeOf } from './render-step.js';
import type { RunContext } from './run-context.js';
import { type RunRecord, type Step, splitOwner } from './run-records.js';
import { stepWords } from './step-words.js';

/** Pauses before the second, third and fourth try of an action, each ± 20 %. */
const PAUSES_MS = [500, 2_000, 8_000] as const;
const JITTER = 0.2;
/** A receiver that asks for more patience than this gets the next try all the same. */
const LONGEST_PAUSE_MS = 300_000;
/** While the disk takes nothing, a run waits where it is. */
const DISK_RETRY_MS = 1_000;

/** One run at work: its steps in order, each noted on disk before the next, so that the next daemon goes on from there. */
export class Run {
  readonly record: RunRecord;
  readonly #context: RunContext;
  readonly #onEnd: (run: Run) => void;
  /** Aborted when the step at work is to give up. */
  readonly #over = new AbortController();
  /** Aborted when the daemon stops: then nothing is written any more. */
  readonly #left = new AbortController();
  #gateAnswered: (() => void) | undefined;
  #redelivery: { resolve: () => void; reject: (error: Error) => void } | undefined;

  constructor(record: RunRecord, context: RunContext, onEnd: (run: Run) => void) {
    this.record = record;
    this.#context = context;
    this.#onEnd = onEnd;
    if (record.cancelReason !== null) this.#over.abort();
  }

  /** Begins, or goes on where an earlier daemon stopped: with the next turn, when whoever brought it about is done. */
  start(): void {
    queueMicrotask(() => void this.#carryOutSafely());
  }

  /** Goes on at the step that failed, which gets one try; resolves when that has succeeded. */
  startAgain(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#redelivery = { resolve, reject };
      this.start();
    });
  }

  /** Ends the run with its task and its gate; `onEnd` follows. */
  cancel(reason: string): void {
    this.record.cancelReason ??= reason;
    this.#over.abort();
  }

  /** The daemon stops: the run stays as it is on disk. */
  abandon(): void {
    this.#left.abort();
    this.#over.abort();
    this.#redelivery?.reject(new Error('The daemon stops before the action is done'));
    this.#redelivery = undefined;
  }

  gateAnswered(): void {
    this.#gateAnswered?.();
  }

  /** Never rejects. */
  async #carryOutSafely(): Promise<void> {
    const { record } = this;
    const told = (error: unknown): void => {
      // What was cut off by the end of the daemon is on disk as it was before.
      if (this.#left.signal.aborted) return;
      this.#context.log.error({ err: error, run: record.id }, `A run met a fault: ${messageOf(error)}`);
    };
    try {
      await this.#carryOut();
    } catch (error) {
      told(error);
      if (!this.#left.signal.aborted)
        await this.#end('failed', messageOf(error), record.tries + 1).catch(told);
    }
  }

  async #carryOut(): Promise<void> {
    const { record } = this;
    while (this.#hasMore()) await this.#step();
    if (record.endedAt !== null || this.#left.signal.aborted) return;
    if (record.cancelReason === null) await this.#end('completed', null);
    else await this.#endCancelled(record.cancelReason);
  }

  #hasMore(): boolean {
    const { endedAt, step, steps } = this.record;
    return endedAt === null && step < steps.length && !this.#over.signal.aborted;
  }

  async #step(): Promise<void> {
    const { record } = this;
    const { clock } = this.#context;
    if (record.retryAt !== null) {
      const wait = Math.min(record.retryAt - clock.now(), LONGEST_PAUSE_MS);
      await sleep(clock, Math.max(0, wait), this.#over.signal);
      if (this.#over.signal.aborted) return;
    }
    this.#report('running', '');
    try {
      const done = await this.#perform();
      if (!this.#over.signal.aborted) await this.#advance(done);
    } catch (error) {
      if (this.#over.signal.aborted) return;
      if (error instanceof RunEnded) await this.#end(error.state, error.message);
      else await this.#failed(failureOf(error));
    }
  }

  async #perform(): Promise<Done> {
    const { record } = this;
    const template = record.steps[record.step] as Step;
    if (template.type === 'gate' && record.waitsFor === null) await this.#ask();
    const step = renderStep(record.steps[record.step] as Step, scopeOf(record));
    return perform({
      run: record,
      step,
      context: this.#context,
      signal: this.#over.signal,
      keepWaitingFor: (taskId) => this.#keepTask(taskId, step),
      gateAnswer: (gateId) => this.#answerOf(gateId),
    });
  }

  async #keepTask(taskId: string, { type }: Step): Promise<void> {
    const { record } = this;
    await this.#store(() => {
      record.waitsFor = taskId;
      record.taskIds = [...record.taskIds, taskId];
      this.#report('running', taskId);
    });
    if (type !== 'submit_task') return;
    // Nobody waits for hours at a dead letter: an agent's task is delivered with its submission.
    this.#redelivery?.resolve();
    this.#redelivery = undefined;
  }

  /** Asks for what follows exactly as it will be done. */
  #ask(): Promise<void> {
    const { record } = this;
    const { records, gates, gateMinutes } = this.#context;
    const steps = renderBehindGate(record);
    const step = steps[record.step] as Extract<Step, { type: 'gate' }>;
    const action = wordsBehind(steps, record.step);
    const [kind, id] = splitOwner(record.owner);
    return this.#store(() => {
      const gate = gates.ask({
        kind: step.whole === true ? 'rule' : 'action',
        summary: step.summary ?? summaryOf(steps.slice(record.step + 1)),
        action,
        ruleId: kind === 'rule' ? id : null,
        runId: record.id,
        expireMinutes: step.expire_minutes ?? gateMinutes(),
        causeEventId: record.event.id,
      });
      record.steps = steps;
      record.waitsFor = gate.id;
      this.#report('running', `${gate.id} waits for an answer`);
      records.saveSteps(record);
    });
  }

  async #answerOf(gateId: string): Promise<void> {
    const { signal } = this.#over;
    const answered = new Promise<void>((resolve) => {
      this.#gateAnswered = resolve;
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    if (this.#context.gates.get(gateId)?.state === 'pending' && !signal.aborted) await answered;
    this.#gateAnswered = undefined;
  }

  async #advance({ detail, previous, commit }: Done): Promise<void> {
    const { record } = this;
    await this.#store(() => {
      commit?.();
      this.#report('done', detail);
      Object.assign(record, { step: record.step + 1, tries: 0, retryAt: null, waitsFor: null });
      record.previous = previous ?? record.previous;
    });
    this.#redelivery?.resolve();
    this.#redelivery = undefined;
  }

  async #failed(failure: ActionFailure): Promise<void> {
    const { record } = this;
    const { clock, random, log } = this.#context;
    const tries = record.tries + 1;
    const pause = PAUSES_MS[record.tries];
    log.warn({ run: record.id, owner: record.owner, tries }, `An action failed: ${failure.message}`);
    if (!failure.retryable || pause === undefined || this.#redelivery !== undefined) {
      await this.#end('failed', failure.message, tries);
      return;
    }
    const jittered = pause * (1 - JITTER + 2 * JITTER * random());
    await this.#store(() => {
      this.#report('waiting', `try ${tries} failed: ${failure.message}`);
      Object.assign(record, { tries, waitsFor: null });
      record.retryAt = Math.round(
        clock.now() + Math.max(jittered, Math.min(failure.afterMs, LONGEST_PAUSE_MS)),
      );
    });
  }

  async #endCancelled(reason: string): Promise<void> {
    const { record } = this;
    const { gates } = this.#context;
    if (record.waitsFor?.startsWith('task-')) await this.#cancelTask(record.waitsFor);
    if (this.#left.signal.aborted) return;
    await this.#end('cancelled', reason, undefined, () => gates.withdraw(record.id, reason));
  }

  async #cancelTask(taskId: string): Promise<void> {
    const { tasks, clock, log } = this.#context;
    while (!this.#left.signal.aborted) {
      try {
        await tasks.cancel(taskId);
        return;
      } catch (error) {
        const run = this.record.id;
        log.warn({ run, taskId }, `The task of a run cannot be cancelled: ${messageOf(error)}`);
        await sleep(clock, DISK_RETRY_MS, this.#left.signal);
      }
    }
  }

  async #end(
    state: Exclude<RunState, 'waiting' | 'running'>,
    error: string | null,
    tries = 1,
    along: () => void = () => undefined,
  ): Promise<void> {
    const { record } = this;
    const { clock, log } = this.#context;
    const redelivery = this.#redelivery;
    const [kind] = splitOwner(record.owner);
    // A letter that is being delivered again is kept by whoever delivers it.
    const letter = state === 'failed' && kind === 'rule' && redelivery === undefined ? 'pending' : null;
    await this.#store(() => {
      along();
      if (state !== 'completed') this.#reportEnd(error ?? state);
      Object.assign(record, {
        state,
        error,
        endedAt: clock.now(),
        letter,
        tries,
        waitsFor: null,
        retryAt: null,
      });
    });
    log.info(
      { run: record.id, owner: record.owner, state, ...(error === null ? {} : { error }) },
      `Run ${state}`,
    );
    redelivery?.reject(new Error(error ?? state));
    this.#redelivery = undefined;
    this.#onEnd(this);
  }

  #report(state: 'waiting' | 'running' | 'done' | 'failed', detail: string): void {
    const { record } = this;
    record.reports = record.reports.map((report, index) =>
      index === record.step ? { ...report, state, detail: detail.slice(0, 1_000) } : report,
    );
  }

  /** What follows the step at which the run ends is not done. */
  #reportEnd(detail: string): void {
    const { record } = this;
    this.#report('failed', detail);
    record.reports = record.reports.map((report, index) =>
      index > record.step ? { ...report, state: 'skipped' } : report,
    );
  }

  /** Changes the record and writes it, all or nothing; while the disk takes nothing it tries again and again. */
  async #store(change: () => void): Promise<void> {
    const { db, clock, records } = this.#context;
    for (;;) {
      const before = { ...this.record };
      try {
        db.transaction(() => {
          change();
          records.save(this.record);
        });
        return;
      } catch (error) {
        Object.assign(this.record, before);
        if (!isStorageFault(error)) throw error;
        // What the change publishes is heard at every try: so it is tried only where something can be written again.
        do {
          await sleep(clock, DISK_RETRY_MS, this.#left.signal);
          if (this.#left.signal.aborted) throw error;
        } while (!db.check());
      }
    }
  }
}

/** The question that a gate asks where nobody has worded it. */
function summaryOf([first, ...more]: readonly Step[]): string {
  if (first === undefined) return 'Go on?';
  return more.length === 0 ? stepWords(first) : `${stepWords(first)} – and ${more.length} more`;
}
