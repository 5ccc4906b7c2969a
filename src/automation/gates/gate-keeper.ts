import type { StateDatabase } from '../../database/state-database.js';
import type { Clock, Timer } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import type { Gate, GateState } from '../../protocol/automation.js';
import { AiwgdError } from '../../protocol/errors.js';
import type { AiwgEvent, NewEvent } from '../../protocol/event.js';
import { visibleLine } from '../../protocol/visible-text.js';
import { fingerprintOf, type GateQuestion, gateFor } from './gate-question.js';
import { type GateEnd, GateTable, type StoredGate, shownGate } from './gate-table.js';

export interface GateKeeperOptions {
  db: StateDatabase;
  clock: Clock;
  log: Log;
  publish: (event: NewEvent) => AiwgEvent;
  /**
   * Called inside the transaction in which the answer (or that there was none in time) is stored; what it throws undoes
   * the answer. Not called by `withdraw`. `always`: the yes was given for good.
   */
  onAnswered: (gate: Gate, runId: string, always: boolean) => void;
}

/** The wall clock decides when a gate has expired, and it may jump: so it is looked at this often. */
const LONGEST_WAIT_MS = 30_000;
const KEEP_MS = 30 * 24 * 3_600_000;
const KEEP_ENDED = 1_000;
const MOST_PENDING = 1_000;
/** A list has to fit into one answer of the daemon, which may have 16 MiB; the rest of a gate takes less than 1 KiB. */
const MOST_PENDING_BYTES = 8 * 1024 * 1024;
const LIST_BYTES = 10 * 1024 * 1024;

const TOPICS = {
  pending: 'gate.pending',
  approved: 'gate.approved',
  rejected: 'gate.rejected',
  expired: 'gate.timeout',
} as const satisfies Record<GateState, string>;

/**
 * Questions that wait for a person's yes or no. They are kept on disk, are each answered once, for exactly the action that
 * was shown, and expire by the wall clock, also while no daemon runs.
 */
export class GateKeeper {
  readonly #options: GateKeeperOptions;
  readonly #table: GateTable;
  #timer: Timer | undefined;
  #open = false;

  constructor(options: GateKeeperOptions) {
    this.#options = options;
    this.#table = new GateTable(options.db);
  }

  /** Ends what ran out while no daemon ran, and from then on what runs out. */
  start(): void {
    this.#open = true;
    this.#look();
  }

  /**
   * Asks, as part of the caller's transaction. Throws INVALID_PARAMS for an action too long to be judged, OVERLOADED where
   * too many gates wait already; the transaction can go on after both.
   */
  ask(question: GateQuestion): Gate {
    const { db, clock, log } = this.#options;
    const asked = gateFor(question, clock.now());
    const { count, size } = this.#table.pending();
    if (count >= MOST_PENDING || size + asked.size > MOST_PENDING_BYTES) {
      throw new AiwgdError(
        'OVERLOADED',
        `${count} gates wait for an answer already, no more fit: answer some (aiwgd gate list).`,
      );
    }
    return db.transaction(() => {
      const stored = this.#table.insert(asked);
      this.#publish(stored);
      const gate = shownGate(stored);
      db.afterCommit(() => {
        log.info({ gateId: gate.id, ruleId: gate.ruleId, runId: stored.runId }, `${gate.id} asks`);
        this.#wait();
      });
      return gate;
    });
  }

  /** The run was cancelled: its pending gate is closed as rejected, for `reason`. Does nothing where it has none. */
  withdraw(runId: string, reason: string): void {
    for (const gate of this.#table.pendingOf(runId)) this.#withdraw(gate, reason);
  }

  /** As `withdraw`, for every run that `concerns` answers yes to. Answers the gates that it has ended. */
  withdrawAll(concerns: (runId: string) => boolean, reason: string): Gate[] {
    return this.#table
      .list('pending', 0)
      .filter(({ runId }) => concerns(runId))
      .map((gate) => shownGate(this.#withdraw(gate, reason)));
  }

  #withdraw(gate: StoredGate, reason: string): StoredGate {
    const { db, clock } = this.#options;
    const end: GateEnd = { state: 'rejected', at: clock.now(), by: null, reason: visibleLine(reason) };
    return db.transaction(() => this.#end(gate, end));
  }

  /** The newest gate of a run that asked for exactly this action. */
  find(runId: string, action: string): Gate | undefined {
    const gate = this.#table.find(runId, fingerprintOf(action, runId));
    return gate && shownGate(gate);
  }

  /** The newest first; of those that have ended, as many as fit into one answer. */
  list(state: GateState | 'all' = 'pending'): Gate[] {
    return this.#table.list(state, LIST_BYTES).map(shownGate);
  }

  get(id: string): Gate | undefined {
    const gate = this.#table.get(id);
    return gate && shownGate(gate);
  }

  /** Whether there was a yes to exactly this action of the run that asked. */
  covers(id: string, action: string): boolean {
    const gate = this.#table.get(id);
    return gate?.state === 'approved' && gate.fingerprint === fingerprintOf(action, gate.runId);
  }

  /**
   * Stores the yes, so that it survives a power cut, and hands it on. `by` says who, and from where.
   * Throws NOT_FOUND, CONFLICT where the gate was answered or has expired, or INVALID_PARAMS for `always` where it offers
   * nothing for that.
   */
  approve(id: string, by: string, { always = false }: { always?: boolean } = {}): Gate {
    if (!always) return this.#answer(id, { state: 'approved', by, reason: null });
    const gate = this.#table.get(id);
    if (gate?.state === 'pending' && gate.always === null) {
      throw new AiwgdError(
        'INVALID_PARAMS',
        `${id} offers nothing to allow for good: approve it for this once.`,
      );
    }
    return this.#answer(id, { state: 'approved', by, reason: `always: ${gate?.always ?? ''}` }, true);
  }

  /** As `approve`, with a no. */
  reject(id: string, by: string, reason?: string): Gate {
    const why = visibleLine(reason ?? '');
    return this.#answer(id, { state: 'rejected', by, reason: why === '' ? null : why });
  }

  get pendingCount(): number {
    return this.#table.pending().count;
  }

  close(): void {
    this.#open = false;
    this.#timer?.cancel();
  }

  #answer(
    id: string,
    answer: { state: 'approved' | 'rejected'; by: string; reason: string | null },
    always = false,
  ): Gate {
    const { db, clock } = this.#options;
    const gate = this.#table.get(id);
    if (gate === undefined) throw new AiwgdError('NOT_FOUND', `There is no gate ${visibleLine(id)}.`);
    const at = clock.now();
    if (gate.state === 'pending' && gate.expiresAt <= at) throw alreadyEnded(this.#expire(gate, at));
    if (gate.state !== 'pending') throw alreadyEnded(gate);
    if (gate.fingerprint !== fingerprintOf(gate.action, gate.runId)) {
      throw new AiwgdError(
        'CONFLICT',
        `What ${id} shows is not what was asked: its entry in the database was changed. Let it expire.`,
      );
    }
    const end = { ...answer, at, by: visibleLine(answer.by) };
    return shownGate(
      db.transaction(
        () => {
          const ended = this.#end(gate, end);
          this.#options.onAnswered(shownGate(ended), ended.runId, always);
          return ended;
        },
        { durable: true },
      ),
    );
  }

  #expire(gate: StoredGate, at: number): StoredGate {
    return this.#options.db.transaction(() => {
      const ended = this.#end(gate, { state: 'expired', at, by: null, reason: null });
      this.#options.onAnswered(shownGate(ended), ended.runId, false);
      return ended;
    });
  }

  /** Within a transaction. */
  #end(gate: StoredGate, end: GateEnd): StoredGate {
    const { db, log } = this.#options;
    const ended = this.#table.end(gate, end);
    this.#table.prune(end.at - KEEP_MS, KEEP_ENDED);
    this.#publish(ended);
    db.afterCommit(() => {
      const { id, ruleId, answeredBy, reason } = shownGate(ended);
      log.info({ gateId: id, ruleId, runId: gate.runId, answeredBy, reason }, `${id} ${end.state}`);
    });
    return ended;
  }

  #publish(gate: StoredGate): void {
    const { id, kind, summary, action, always, ruleId, taskId, expiresAt, answeredBy, reason } =
      shownGate(gate);
    this.#options.publish({
      type: TOPICS[gate.state],
      source: 'gates',
      payload: {
        gateId: id,
        kind,
        summary,
        action,
        ruleId,
        runId: gate.runId,
        expiresAt,
        ...(taskId === null ? {} : { taskId }),
        ...(always === null ? {} : { always }),
        ...(answeredBy === null ? {} : { answeredBy }),
        ...(reason === null ? {} : { reason }),
      },
      ...(gate.causeEventId === null ? {} : { cause: gate.causeEventId }),
    });
  }

  /** Ends what has run out. What cannot be stored now is tried again with the next look. */
  #look(): void {
    const { db, clock, log } = this.#options;
    // An end is published along with its storing: while nothing can be stored, nobody may hear of it again and again.
    if (!db.check()) {
      this.#wait(true);
      return;
    }
    const now = clock.now();
    let failed = 0;
    try {
      for (const gate of this.#table.due(now)) {
        try {
          this.#expire(gate, now);
        } catch (error) {
          if (failed === 0) log.warn({ err: error, gateId: shownGate(gate).id }, 'A gate could not expire');
          failed += 1;
        }
      }
    } catch (error) {
      log.warn({ err: error }, 'The gates could not be read');
      failed += 1;
    }
    this.#wait(failed > 0);
  }

  /** Sets the timer for the next gate that ends; none where none is pending. */
  #wait(afterFault = false): void {
    const { clock } = this.#options;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (!this.#open) return;
    const nextExpiry = afterFault ? Number.POSITIVE_INFINITY : this.#nextExpiry();
    if (nextExpiry === null) return;
    const wait = Math.max(0, Math.min(LONGEST_WAIT_MS, nextExpiry - clock.now()));
    this.#timer = clock.setTimer(wait, () => this.#look());
  }

  /** Milliseconds since 1970; unknown is as good as far away: the next look comes anyway. */
  #nextExpiry(): number | null {
    try {
      return this.#table.pending().nextExpiry;
    } catch (error) {
      this.#options.log.warn({ err: error }, 'The gates could not be read');
      return Number.POSITIVE_INFINITY;
    }
  }
}

function alreadyEnded(gate: StoredGate): AiwgdError {
  const { id, state, answeredBy, reason, expiresAt } = shownGate(gate);
  const at = gate.endedAt === null ? expiresAt : new Date(gate.endedAt).toISOString();
  const by = answeredBy === null ? '' : ` by ${answeredBy}`;
  const why = reason === null ? '' : `: ${reason}`;
  const text =
    state === 'expired'
      ? `${id} expired at ${expiresAt} without an answer.`
      : `${id} was ${state}${by} at ${at}${why}`;
  return new AiwgdError('CONFLICT', text, { data: { gateId: id, state, answeredBy, at } });
}
