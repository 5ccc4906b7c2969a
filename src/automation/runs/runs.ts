import type { Timer } from '../../platform/clock.js';
import type { ActionReport } from '../../protocol/automation.js';
import { AiwgdError, messageOf } from '../../protocol/errors.js';
import type { AiwgEvent } from '../../protocol/event.js';
import { Run } from './run.js';
import type { RunContext } from './run-context.js';
import { type NewRun, type RunRecord, splitOwner } from './run-records.js';

export type Mode = 'single' | 'restart' | 'queued' | 'parallel';

export interface RunRequest extends Omit<NewRun, 'state' | 'createdAt'> {
  mode: Mode;
  /** Runs that may be at work and wait, together. */
  max: number;
}

/** What became of a request: a run, or a reason why not. */
export type Offer = { run: RunRecord; why: string } | { run: null; why: string };

/** The runs of one rule or job that have not ended. */
interface Lane {
  running: Set<Run>;
  waiting: Run[];
  /** The newest, which in mode restart has taken the place of all others. */
  newest: Run | undefined;
}

/** After so long a dead letter is on disk. */
const LETTER_KEPT_MS = 5_000;

/** All runs, and who may be at work at the same time. */
export class Runs {
  readonly #context: RunContext;
  readonly #onEnded: (record: RunRecord) => void;
  readonly #mayBegin: (owner: string) => boolean;
  readonly #lanes = new Map<string, Lane>();
  readonly #byId = new Map<string, Run>();
  readonly #letterTimers = new Set<Timer>();
  #closed = false;

  /** Runs of an owner that may not begin just now go on waiting; whoever lets it again calls `proceed`. */
  constructor(
    context: RunContext,
    onEnded: (record: RunRecord) => void,
    mayBegin: (owner: string) => boolean,
  ) {
    this.#context = context;
    this.#onEnded = onEnded;
    this.#mayBegin = mayBegin;
  }

  /** Takes up what the daemon before has not ended, and the dead letters that it may not have kept. */
  start(): void {
    const { records } = this.#context;
    for (const record of records.withPendingLetter()) this.#keepLetter(record);
    for (const record of records.active()) {
      if (this.#byId.has(record.id)) continue;
      const run = this.#hold(record);
      // One that is to end needs no turn for that.
      if (record.state === 'running' || record.cancelReason !== null) {
        this.#lane(record.owner).running.add(run);
        run.start();
      } else {
        this.#lane(record.owner).waiting.push(run);
      }
    }
    this.proceed();
  }

  /** Begins what waits and may begin by now. */
  proceed(): void {
    for (const owner of this.#lanes.keys()) this.#pump(owner);
  }

  /** Begins a run, lets it wait, or says why there is none. Within the caller's transaction. */
  offer({ mode, max, ...request }: RunRequest): Offer {
    const { db, records, clock, recordLineage } = this.#context;
    const lane = this.#lane(request.owner);
    const active = lane.running.size + lane.waiting.length;
    const refused = whyNot(mode, max, active);
    if (refused !== undefined) return { run: null, why: refused };
    const waits = mode !== 'parallel' && active > 0;
    const record = records.insert({
      ...request,
      state: waits ? 'waiting' : 'running',
      createdAt: clock.now(),
    });
    const [kind, id] = splitOwner(request.owner);
    recordLineage(
      request.event.id,
      request.rules.filter((rule) => kind !== 'rule' || rule !== id),
    );
    const run = this.#hold(record);
    const replaced = mode === 'restart' ? this.#replacedBy(lane) : [];
    const reason = `${record.id} took its place`;
    for (const other of replaced) records.save({ ...other.record, cancelReason: reason });
    if (waits) lane.waiting.push(run);
    else lane.running.add(run);
    const { newest } = lane;
    lane.newest = mode === 'restart' ? run : undefined;
    db.onRollback(() => {
      lane.newest = newest;
      this.#forget(run);
    });
    db.afterCommit(() => {
      for (const other of replaced) this.#cancel(other, lane, reason);
      if (!waits) run.start();
    });
    return { run: record, why: waits ? `${record.id} waits for its turn` : `${record.id} began` };
  }

  /**
   * Tries the failed action of a dead letter once more, and goes on with the run when that succeeded. Undefined where no
   * run of `owner` for that event is known any more; rejects with the new error, or CONFLICT while the run is at work.
   */
  tryAgain(owner: string, eventId: string): Promise<void> | undefined {
    const record = this.#context.records.newestOn(owner, eventId);
    if (record === undefined) return undefined;
    if (record.endedAt === null) {
      return Promise.reject(new AiwgdError('CONFLICT', `${record.id} is at work on that event already.`));
    }
    // A daemon that ended in the middle of a delivery could not say that it was one: the run went on by itself.
    if (record.state !== 'failed') return Promise.resolve();
    const reports = record.reports.map((report) =>
      report.state === 'skipped' ? { ...report, state: 'waiting' as const } : report,
    );
    Object.assign(record, { state: 'running', endedAt: null, error: null, letter: null, reports });
    this.#context.records.save(record);
    const run = this.#hold(record);
    this.#lane(owner).running.add(run);
    return run.startAgain();
  }

  note(event: AiwgEvent): void {
    this.#context.waits.note(event);
  }

  gateAnswered(runId: string): void {
    this.#byId.get(runId)?.gateAnswered();
  }

  /** Why an offer would be refused now; undefined where it would not. */
  whyFull(owner: string, mode: Mode, max: number): string | undefined {
    const { running, waiting } = this.counts(owner);
    return whyNot(mode, max, running + waiting);
  }

  counts(owner: string): { running: number; waiting: number } {
    const lane = this.#lanes.get(owner);
    return { running: lane?.running.size ?? 0, waiting: lane?.waiting.length ?? 0 };
  }

  reportsOf(runId: string): ActionReport[] {
    return (this.#byId.get(runId)?.record ?? this.#context.records.get(runId))?.reports ?? [];
  }

  /** Leaves every run as it is on disk, for the next daemon. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#letterTimers) timer.cancel();
    for (const run of this.#byId.values()) run.abandon();
  }

  #lane(owner: string): Lane {
    let lane = this.#lanes.get(owner);
    if (lane === undefined) {
      lane = { running: new Set(), waiting: [], newest: undefined };
      this.#lanes.set(owner, lane);
    }
    return lane;
  }

  #hold(record: RunRecord): Run {
    const run = new Run(record, this.#context, (ended) => this.#ended(ended));
    this.#byId.set(record.id, run);
    return run;
  }

  #forget(run: Run): void {
    const { id, owner } = run.record;
    this.#byId.delete(id);
    const lane = this.#lane(owner);
    lane.running.delete(run);
    lane.waiting = lane.waiting.filter((other) => other !== run);
    if (lane.running.size + lane.waiting.length === 0) this.#lanes.delete(owner);
  }

  #ended(run: Run): void {
    const { record } = run;
    this.#forget(run);
    if (record.letter === 'pending') this.#keepLetter(record);
    if (this.#closed) return;
    this.#onEnded(record);
    this.#pump(record.owner);
  }

  /** The next one begins when nobody is at work. */
  #pump(owner: string): void {
    const lane = this.#lanes.get(owner);
    if (lane === undefined || lane.running.size > 0 || !this.#mayBegin(owner)) return;
    const next = lane.waiting.shift();
    if (next === undefined) return;
    lane.running.add(next);
    next.record.state = 'running';
    try {
      this.#context.records.save(next.record);
    } catch (error) {
      // Its first step writes it again.
      this.#context.log.warn({ run: next.record.id }, `A run begins unnoted: ${messageOf(error)}`);
    }
    next.start();
  }

  /** Those before the newest were replaced by that already. */
  #replacedBy({ running, waiting, newest }: Lane): Run[] {
    const isActive = newest !== undefined && (running.has(newest) || waiting.at(-1) === newest);
    return isActive ? [newest] : [...running, ...waiting];
  }

  #cancel(run: Run, lane: Lane, reason: string): void {
    run.cancel(reason);
    if (!lane.waiting.includes(run)) return;
    // One that was not begun has nothing to end: it ends as soon as it is started.
    lane.waiting = lane.waiting.filter((other) => other !== run);
    lane.running.add(run);
    run.start();
  }

  /** A letter is written within a second; until it surely is, the run remembers it for the next daemon. */
  #keepLetter(record: RunRecord): void {
    const { deadLetters, clock, records, log } = this.#context;
    const { event, owner, error, tries } = record;
    if (!deadLetters.has(owner, event.id)) {
      deadLetters.add({ event, subscriber: owner, error: error ?? 'failed', attempts: tries });
    }
    const timer = clock.setTimer(LETTER_KEPT_MS, () => {
      this.#letterTimers.delete(timer);
      try {
        records.letterKept(record.id);
      } catch (fault) {
        log.debug({ err: fault, run: record.id }, 'A dead letter stays noted as pending');
      }
    });
    this.#letterTimers.add(timer);
  }
}

function whyNot(mode: Mode, max: number, active: number): string | undefined {
  if (mode === 'single' && active > 0) return 'a run of it is at work, and its mode is single';
  if (mode === 'queued' && active >= max)
    return `${active} runs of it are at work or waiting, and its max is ${max}`;
  if (mode === 'parallel' && active >= max) return `${active} runs of it are at work, and its max is ${max}`;
  return undefined;
}
