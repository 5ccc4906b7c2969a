import { isDeepStrictEqual } from 'node:util';
import type { CronTimes } from '../../protocol/config/cron-times.js';
import type { ScheduleEntry } from './schedule-types.js';
import type { SlotRecord } from './slot-table.js';

const MINUTE_MS = 60_000;

/** A slot that passed less than this long ago is on time, not missed: so a quick restart across a slot misses nothing. */
const GRACE_MS = MINUTE_MS;
/** So many missed slots of one schedule are made up for, the newest. */
const MOST_CAUGHT_UP = 1_000;
/** A slot that could not fire for so long (the disk is full) counts as missed. */
const LONG_HELD_MS = 10 * MINUTE_MS;
/** A schedule that is further ahead than this came there while the clock was wrong: it begins anew. */
const CLOCK_WAS_WRONG_MS = 24 * 60 * MINUTE_MS;

/** What a schedule missed. */
export interface Missed {
  /** The first slot that was. */
  first: number;
  /** How many will be made up for. */
  caughtUp: number;
  /** Whether there are others, that will not. */
  leftOut: boolean;
}

/**
 * One schedule and how far it has come. It only reckons: the scheduler fires the slots that `due` names, and keeps
 * `record` on disk.
 */
export class ScheduleState {
  entry: ScheduleEntry;
  readonly record: SlotRecord;
  /** Whether `record` differs from what is on disk. */
  dirty: boolean;
  /** None while the entry is disabled. */
  readonly #times: CronTimes | undefined;
  /** Slots up to here have fired or are passed over. It may be ahead of `record.settled` while slots are made up for. */
  #cursor: number;
  /** The first slot after the cursor. */
  #upcoming: number | null;
  /** Slots up to here were missed, later ones are on time. */
  #missedUntil = Number.NEGATIVE_INFINITY;
  /** Slots up to here fire now. */
  #horizon = Number.NEGATIVE_INFINITY;
  /** When the slots that fire now were found. */
  #foundAt = Number.NEGATIVE_INFINITY;

  /**
   * `times` are those of the entry, none where it is disabled. `known` is what was kept of its id: another expression or
   * time zone begins from `now`, and so does a schedule that was disabled.
   */
  constructor(
    entry: ScheduleEntry,
    timezone: string,
    times: CronTimes | undefined,
    known: SlotRecord | undefined,
    now: number,
  ) {
    this.entry = entry;
    this.#times = times;
    this.#cursor = beginOf(entry, timezone, known, now);
    this.#upcoming = times?.next(this.#cursor) ?? null;
    const { firstSeen = now, lastSlot = null } = known ?? {};
    const settled = times === undefined ? null : this.#cursor;
    this.record = { id: entry.id, cron: entry.cron, timezone, firstSeen, lastSlot, settled };
    this.dirty = !isDeepStrictEqual(known, this.record);
  }

  /** The first slot that has not fired; it may have passed. */
  get upcoming(): number | null {
    return this.#upcoming;
  }

  /** The first slot after `now` that will fire; null where none will. */
  next(now: number): number | null {
    if (this.#upcoming === null || this.#upcoming > now) return this.#upcoming;
    return this.#times?.next(now) ?? null;
  }

  /** Begins anew from `now` where the schedule is further ahead than with a right clock it can be; answers whether it did. */
  beginAnewIfFarAhead(now: number): boolean {
    if (this.#times === undefined || this.#cursor - now <= CLOCK_WAS_WRONG_MS) return false;
    this.#settle(now);
    this.#horizon = now;
    return true;
  }

  /** Lets the slots up to `now` fire, and passes over missed ones as the policy has it. Answers what it found missed. */
  look(now: number): Missed | undefined {
    const first = this.#upcoming;
    if (first === null || first > now) return undefined;
    // A slot that was due before and has not had its turn is not missed for that.
    const held = first <= this.#horizon;
    this.#horizon = Math.max(this.#horizon, now);
    if (held && (this.entry.catchUp === 'all' || now - this.#foundAt < LONG_HELD_MS)) return undefined;
    this.#foundAt = now;
    this.#missedUntil = now - GRACE_MS;
    if (first > this.#missedUntil) return undefined;
    const missed = this.#passOver(first, this.#missedUntil);
    return held ? undefined : missed;
  }

  /** The slot to fire now. */
  due(): { slot: number; caughtUp: boolean } | undefined {
    const slot = this.#upcoming;
    if (slot === null || slot > this.#horizon) return undefined;
    return { slot, caughtUp: slot <= this.#missedUntil };
  }

  /** What has to be on disk when `slot` has fired. */
  recordAfter(slot: number): SlotRecord {
    return { ...this.record, lastSlot: slot, settled: slot };
  }

  /** Notes that `slot` has fired, and that `recordAfter(slot)` is on disk. */
  fired(slot: number): void {
    this.record.lastSlot = slot;
    this.record.settled = slot;
    this.dirty = false;
    this.#moveTo(slot);
  }

  #passOver(first: number, until: number): Missed {
    const { catchUp } = this.entry;
    if (catchUp === 'none' || this.#times === undefined) {
      this.#settle(until);
      return { first, caughtUp: 0, leftOut: true };
    }
    const { slots, all } = this.#times.newest(this.#cursor, until, catchUp === 'last' ? 1 : MOST_CAUGHT_UP);
    this.#moveTo((slots[0] ?? first) - 1);
    return { first, caughtUp: slots.length, leftOut: !all };
  }

  #settle(time: number): void {
    this.record.settled = time;
    this.dirty = true;
    this.#moveTo(time);
  }

  #moveTo(time: number): void {
    this.#cursor = time;
    this.#upcoming = this.#times?.next(time) ?? null;
  }
}

/** From when on slots fire: from where the same schedule had come, else from now, and never a slot that has fired. */
function beginOf(
  { cron }: ScheduleEntry,
  timezone: string,
  known: SlotRecord | undefined,
  now: number,
): number {
  if (known === undefined) return now;
  const same = known.cron === cron && known.timezone === timezone;
  return (same ? known.settled : null) ?? Math.max(now, known.lastSlot ?? now);
}
