import type { StateDatabase } from '../../database/state-database.js';
import type { Clock, Timer } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import { CronTimes } from '../../protocol/config/cron-times.js';
import { hostTimezone } from '../../protocol/config/timezone.js';
import { ScheduleState } from './schedule-state.js';
import type { ScheduleEntry, Slot } from './schedule-types.js';
import { type SlotRecord, SlotTable } from './slot-table.js';

export interface CronSchedulerOptions {
  db: StateDatabase;
  clock: Clock;
  log: Log;
  /** The time zone of entries that name none; the machine's where not given. */
  hostTimezone?: string;
  entries: ScheduleEntry[];
  /**
   * Called within a transaction of `db` in which the slot is noted as used: what it writes there and the note become
   * true together. Where it throws, the slot is tried again later. It must not wait for anything.
   */
  onSlot: (slot: Slot) => void;
  /** Told what hinders slots from firing, and undefined when nothing does any more. */
  onFault: (code: string, error: Error | undefined) => void;
}

/** What `status` answers. Times are ISO 8601 in UTC. */
export interface SchedulerStatus {
  enabled: boolean;
  /** Ids of the jobs that are enabled. */
  jobs: string[];
  last_fires: Record<string, string>;
  /** The job that runs next. */
  next: { id: string; at: string } | null;
}

/** Wall time may jump: no timer waits longer before it looks at the clock again. */
const LONGEST_WAIT_MS = 30_000;
/** So much is fired before other work has its turn. */
const SLOTS_PER_TURN = 50;
const TURN_MS = 10;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;
const FAULT = 'schedule_failed';

/**
 * Fires the slots of all schedules: each at most once, across restarts, sleep and jumps of the clock too. A slot that
 * passed while nothing looked is on time for a minute, then missed: `catchUp` of its entry says what becomes of it.
 */
export class CronScheduler {
  readonly #options: CronSchedulerOptions;
  readonly #table: SlotTable;
  readonly #hostTimezone: string;
  #states = new Map<string, ScheduleState>();
  /** Ids whose rows have to go. */
  #removed = new Set<string>();
  /** Those with a slot to fire, in turn. */
  readonly #queue = new Set<ScheduleState>();
  /** Those whose slot could not fire; they wait for the next try. */
  readonly #held = new Set<ScheduleState>();
  #retryMs = FIRST_RETRY_MS;
  /** By the monotonic clock. */
  #retryAt = 0;
  #faulty = false;
  #running = false;
  #timer: Timer | undefined;

  /** Makes its table; throws what the database throws. */
  constructor(options: CronSchedulerOptions) {
    this.#options = options;
    this.#table = new SlotTable(options.db);
    this.#hostTimezone = options.hostTimezone ?? hostTimezone();
  }

  /** Goes on where the last daemon ended. Slots that are due fire before it returns, as far as one turn goes. */
  start(): void {
    const known = new Map(this.#table.all().map((record) => [record.id, record]));
    this.#running = true;
    this.#adopt(this.#options.entries, known);
  }

  /** Takes other entries: new and changed ones begin from now, the others go on. */
  reconfigure(entries: ScheduleEntry[]): void {
    const known = new Map([...this.#states].map(([id, { record }]) => [id, record]));
    this.#adopt(entries, known);
  }

  /** The next slot of an entry, in milliseconds since 1970; null where it has none, is disabled or unknown. */
  next(id: string): number | null {
    return this.#states.get(id)?.next(this.#options.clock.now()) ?? null;
  }

  /** The newest slot that fired. */
  last(id: string): number | null {
    return this.#states.get(id)?.record.lastSlot ?? null;
  }

  status(): SchedulerStatus {
    const now = this.#options.clock.now();
    const enabled = [...this.#states.values()].filter(({ entry }) => entry.enabled);
    let next: { id: string; at: number } | null = null;
    for (const state of enabled.filter(({ entry }) => entry.kind === 'job')) {
      const at = state.next(now);
      if (at !== null && (next === null || at < next.at)) next = { id: state.entry.id, at };
    }
    const last: [string, string][] = [];
    for (const { entry, record } of this.#states.values()) {
      if (entry.kind === 'job' && record.lastSlot !== null) last.push([entry.id, isoTime(record.lastSlot)]);
    }
    return {
      enabled: this.#running && enabled.length > 0,
      jobs: enabled.filter(({ entry }) => entry.kind === 'job').map(({ entry }) => entry.id),
      last_fires: Object.fromEntries(last),
      next: next && { id: next.id, at: isoTime(next.at) },
    };
  }

  /** Nothing fires any more. */
  close(): void {
    this.#running = false;
    this.#timer?.cancel();
    this.#queue.clear();
    this.#held.clear();
  }

  #adopt(entries: readonly ScheduleEntry[], known: ReadonlyMap<string, SlotRecord>): void {
    const states = this.#statesOf(entries, known);
    for (const waiting of [this.#queue, this.#held]) {
      for (const state of waiting) if (states.get(state.entry.id) !== state) waiting.delete(state);
    }
    for (const id of known.keys()) if (!states.has(id)) this.#removed.add(id);
    for (const id of states.keys()) this.#removed.delete(id);
    this.#states = states;
    if (this.#running) this.#tick();
  }

  /** Those whose schedule is the same go on as they are. Many entries of one schedule share what reckons its times. */
  #statesOf(
    entries: readonly ScheduleEntry[],
    known: ReadonlyMap<string, SlotRecord>,
  ): Map<string, ScheduleState> {
    const now = this.#options.clock.now();
    const states = new Map<string, ScheduleState>();
    const shared = new Map<string, CronTimes>();
    for (const entry of entries) {
      const timezone = entry.timezone ?? this.#hostTimezone;
      let state = this.#states.get(entry.id);
      if (state !== undefined && isSameSchedule(state, entry, timezone)) {
        state.entry = entry;
      } else {
        const times = entry.enabled ? timesOf(entry.cron, timezone, shared) : undefined;
        state = new ScheduleState(entry, timezone, times, known.get(entry.id), now);
      }
      states.set(entry.id, state);
    }
    return states;
  }

  /** Looks what is due, fires a part of it, and sets the timer for the rest or for what comes next. */
  #tick(): void {
    const { clock } = this.#options;
    this.#timer?.cancel();
    this.#look(clock.now());
    const saved = this.#save();
    this.#releaseHeld();
    this.#turn();
    if (!this.#running) return;
    if (this.#faulty && saved && this.#held.size === 0 && this.#queue.size === 0) {
      this.#faulty = false;
      this.#retryMs = FIRST_RETRY_MS;
      this.#options.onFault(FAULT, undefined);
    }
    const idle = saved && [...this.#states.values()].every(({ upcoming }) => upcoming === null);
    if (!idle) this.#timer = clock.setTimer(this.#wait(), () => this.#tick());
  }

  #look(now: number): void {
    const { log } = this.#options;
    for (const state of this.#states.values()) {
      const { id } = state.entry;
      if (state.beginAnewIfFarAhead(now)) {
        log.warn({ schedule: id }, `The clock was put back by more than a day: ${id} begins anew from now`);
      }
      const missed = state.look(now);
      if (missed !== undefined) {
        const { first, caughtUp, leftOut } = missed;
        log.info(
          { schedule: id, first: isoTime(first), caughtUp, leftOut },
          `${id} missed slots: ${caughtUp === 0 ? 'none' : caughtUp} made up for${leftOut && caughtUp > 0 ? ', older ones are left out' : ''}`,
        );
      }
      if (state.due() !== undefined && !this.#held.has(state)) this.#queue.add(state);
    }
  }

  /** Writes what has changed without a slot. Answers whether all is on disk. */
  #save(): boolean {
    const dirty = [...this.#states.values()].filter((state) => state.dirty);
    if (dirty.length === 0 && this.#removed.size === 0) return true;
    try {
      this.#options.db.transaction(() => {
        for (const id of this.#removed) this.#table.remove(id);
        for (const { record } of dirty) this.#table.put(record);
      });
    } catch (error) {
      this.#fault(error);
      return false;
    }
    this.#removed.clear();
    for (const state of dirty) state.dirty = false;
    return true;
  }

  #releaseHeld(): void {
    if (this.#held.size === 0 || this.#options.clock.monotonic() < this.#retryAt) return;
    for (const state of this.#held) this.#queue.add(state);
    this.#held.clear();
  }

  #turn(): void {
    const { clock } = this.#options;
    const end = clock.monotonic() + TURN_MS;
    for (let count = 0; count < SLOTS_PER_TURN && clock.monotonic() <= end; count += 1) {
      const [state] = this.#queue;
      if (state === undefined) return;
      this.#queue.delete(state);
      if (this.#fire(state)) {
        // Behind the others: one with many slots to make up for must not keep them waiting.
        if (this.#running && state.due() !== undefined) this.#queue.add(state);
      } else if (this.#running) {
        this.#held.add(state);
      }
    }
  }

  #fire(state: ScheduleState): boolean {
    const due = state.due();
    if (due === undefined) return true;
    const { db, onSlot } = this.#options;
    try {
      db.transaction(() => {
        this.#table.put(state.recordAfter(due.slot));
        // First of all that follows the commit: should another of these throw, the slot is used all the same.
        db.afterCommit(() => state.fired(due.slot));
        onSlot({ entry: state.entry, ...due });
      });
    } catch (error) {
      this.#fault(error);
      return false;
    }
    return true;
  }

  #fault(error: unknown): void {
    const { clock, log, onFault } = this.#options;
    const now = clock.monotonic();
    if (now >= this.#retryAt) {
      this.#retryAt = now + this.#retryMs;
      this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
    }
    if (this.#faulty) return;
    this.#faulty = true;
    const cause = error instanceof Error ? error : new Error(String(error));
    log.error({ err: cause }, `A scheduled slot could not be taken in: ${cause.message}`);
    onFault(FAULT, cause);
  }

  #wait(): number {
    if (this.#queue.size > 0) return 0;
    const { clock } = this.#options;
    let wait = LONGEST_WAIT_MS;
    if (this.#faulty) wait = Math.min(wait, this.#retryAt - clock.monotonic());
    const now = clock.now();
    for (const state of this.#states.values()) {
      if (state.upcoming !== null && !this.#held.has(state)) wait = Math.min(wait, state.upcoming - now);
    }
    return Math.max(0, wait);
  }
}

function timesOf(cron: string, timezone: string, shared: Map<string, CronTimes>): CronTimes {
  const schedule = `${timezone} ${cron}`;
  const times = shared.get(schedule) ?? new CronTimes(cron, timezone);
  shared.set(schedule, times);
  return times;
}

function isSameSchedule({ entry, record }: ScheduleState, other: ScheduleEntry, timezone: string): boolean {
  return entry.enabled === other.enabled && entry.cron === other.cron && record.timezone === timezone;
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
