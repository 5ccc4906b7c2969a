import { DEFAULT_RESERVATION_USD } from '../../protocol/spend.js';
import { startOfDay, startOfNextDay } from './day.js';
import type { DaySums } from './sums-of-today.js';

/** Bounds in dollars; null for no bound. */
export interface BudgetBounds {
  perTaskUsd: number | null;
  perDayUsd: number | null;
  perRuleDayUsd: number | null;
}

/** Part of a bound at which it is warned of. */
const WARNED_AT = 0.8;
/** Sums of dollars are not exact: so much too little is enough, and so much too much is not. */
const EPSILON = 1e-9;
/** A clock that is set back comes to a day that was there already. */
const DAYS_KEPT = 3;

/** Whose attempt is to be paid for. */
export interface Payer {
  ruleId: string | null;
  /** Known cost of the task's earlier attempts. */
  spentUsd: number;
}

/** `task`: nothing is left of what the task may cost; `day`, `rule`: the bound that it does not fit into now. */
export type Reservation = { usd: number | null } | { refused: 'task' | 'day' | 'rule' };

/** Something that a person should know of, told once a day. */
export interface BudgetNotice {
  kind: 'warning' | 'exhausted';
  scope: 'day' | 'rule';
  /** Null for the bound of the day. */
  ruleId: string | null;
  spentUsd: number;
  reservedUsd: number;
  limitUsd: number;
  /** When the bound begins anew, in milliseconds since 1970. */
  until: number;
}

/** By what one notice is known from another. */
export type ToldNotice = Pick<BudgetNotice, 'kind' | 'ruleId' | 'limitUsd' | 'until'>;

interface Reserved {
  usd: number;
  ruleId: string | null;
}

/** What has been spent in a day, and what was told of that. */
interface Day {
  spentUsd: number;
  byRule: Map<string, number>;
  told: Set<string>;
}

/**
 * Keeps what agents cost within bounds. An attempt reserves the most that it may cost before it starts; its real cost
 * takes the place of that when it has ended. As long as attempts keep to what they reserved, spent and reserved money
 * together never pass a bound. Days are those of the local calendar; a cost counts for the day on which it is told, and
 * what runs past midnight stays reserved. Times are wall times in milliseconds since 1970.
 */
export class Budget {
  #bounds: BudgetBounds;
  readonly #reserved = new Map<string, Reserved>();
  readonly #days = new Map<number, Day>();

  constructor(bounds: BudgetBounds) {
    this.#bounds = bounds;
  }

  /** What was spent today before this daemon, and what is known to have been told of that, whenever it was. */
  load({ spentUsd, byRule }: DaySums, earlier: readonly ToldNotice[], now: number): void {
    const { perDayUsd, perRuleDayUsd } = this.#bounds;
    const until = startOfNextDay(now);
    const told = earlier
      // About another bound, it is as good as not told.
      .filter(
        (one) => one.until === until && one.limitUsd === (one.ruleId === null ? perDayUsd : perRuleDayUsd),
      )
      .map(({ kind, ruleId }) => toldKey(kind, ruleId));
    this.#days.set(startOfDay(now), { spentUsd, byRule: new Map(byRule), told: new Set(told) });
  }

  /** What was spent today, as it stands now. */
  sums(now: number): DaySums {
    const { spentUsd, byRule } = this.#day(now);
    return { spentUsd, byRule: new Map(byRule) };
  }

  /** What stood `before` should have been `right`: what was added meanwhile stays. Both are of the day of `now`. */
  correct(before: DaySums, right: DaySums, now: number): void {
    const day = this.#day(now);
    day.spentUsd = Math.max(0, day.spentUsd + right.spentUsd - before.spentUsd);
    for (const ruleId of new Set([...before.byRule.keys(), ...right.byRule.keys()])) {
      const by = (right.byRule.get(ruleId) ?? 0) - (before.byRule.get(ruleId) ?? 0);
      day.byRule.set(ruleId, Math.max(0, (day.byRule.get(ruleId) ?? 0) + by));
    }
  }

  /** New bounds hold from the next reservation on. Answers whether they are others than before. */
  rebound(bounds: BudgetBounds, now: number): boolean {
    const { perTaskUsd, perDayUsd, perRuleDayUsd } = this.#bounds;
    this.#bounds = bounds;
    const same =
      bounds.perTaskUsd === perTaskUsd &&
      bounds.perDayUsd === perDayUsd &&
      bounds.perRuleDayUsd === perRuleDayUsd;
    // What was told was about other bounds.
    if (!same) this.#day(now).told.clear();
    return !same;
  }

  /** The most that one attempt reserves; null where nothing bounds it. */
  #standard(ruleId: string | null): number | null {
    const { perTaskUsd, perDayUsd, perRuleDayUsd } = this.#bounds;
    const dayBounds = [perDayUsd, ruleId === null ? null : perRuleDayUsd].filter((usd) => usd !== null);
    if (perTaskUsd === null && dayBounds.length === 0) return null;
    // Never more than a whole day has: one task can start at least.
    return Math.min(perTaskUsd ?? DEFAULT_RESERVATION_USD, ...dayBounds);
  }

  /** How many more attempts fit into the day's bound, whatever task they are of. */
  fitting(now: number): number {
    const { perDayUsd } = this.#bounds;
    const standard = this.#standard(null);
    if (perDayUsd === null || standard === null) return Number.POSITIVE_INFINITY;
    return fits(perDayUsd - this.spentUsd(now) - this.reservedUsd(), standard);
  }

  /** How many more attempts of a rule fit into its bound. */
  fittingRule(ruleId: string, now: number): number {
    const { perRuleDayUsd } = this.#bounds;
    if (perRuleDayUsd === null) return Number.POSITIVE_INFINITY;
    return fits(
      perRuleDayUsd - this.#ruleSpent(ruleId, now) - this.reservedUsd(ruleId),
      this.#standard(ruleId) ?? 0,
    );
  }

  /** Reserves for an attempt the most that it may cost; `usd` null where nothing bounds it. */
  reserve(attemptId: string, { ruleId, spentUsd }: Payer, now: number): Reservation {
    const standard = this.#standard(ruleId);
    if (standard === null) return { usd: null };
    const { perTaskUsd, perDayUsd, perRuleDayUsd } = this.#bounds;
    const left = perTaskUsd === null ? standard : Math.min(standard, perTaskUsd - spentUsd);
    if (perTaskUsd !== null && perTaskUsd - spentUsd <= EPSILON) return { refused: 'task' };
    if (perDayUsd !== null && fits(perDayUsd - this.spentUsd(now) - this.reservedUsd(), left) === 0)
      return { refused: 'day' };
    if (ruleId !== null && perRuleDayUsd !== null) {
      const room = perRuleDayUsd - this.#ruleSpent(ruleId, now) - this.reservedUsd(ruleId);
      if (fits(room, left) === 0) return { refused: 'rule' };
    }
    this.#reserved.set(attemptId, { usd: left, ruleId });
    return { usd: left };
  }

  /** An attempt of an earlier daemon goes on: what it reserved is taken as it is, also beyond a bound. */
  adopt(attemptId: string, reserved: Reserved): void {
    this.#reserved.set(attemptId, reserved);
  }

  /** An attempt is over: what it cost, as `Charge.countedUsd`, takes the place of what it reserved. */
  settle(attemptId: string, cost: { usd: number; ruleId: string | null }, now: number): void {
    this.#reserved.delete(attemptId);
    if (!(cost.usd > 0)) return;
    const day = this.#day(now);
    day.spentUsd += cost.usd;
    if (cost.ruleId !== null) day.byRule.set(cost.ruleId, this.#ruleSpent(cost.ruleId, now) + cost.usd);
  }

  spentUsd(now: number): number {
    return this.#day(now).spentUsd;
  }

  /** What is reserved, by all or by attempts of one rule. */
  reservedUsd(ruleId?: string): number {
    let sum = 0;
    for (const one of this.#reserved.values())
      if (ruleId === undefined || one.ruleId === ruleId) sum += one.usd;
    return sum;
  }

  get bounds(): BudgetBounds {
    return this.#bounds;
  }

  /** What there is to tell that was not told today. */
  notices(now: number): BudgetNotice[] {
    const { perDayUsd, perRuleDayUsd } = this.#bounds;
    const day = this.#day(now);
    const found: BudgetNotice[] = [];
    if (perDayUsd !== null)
      found.push(...this.#noticesOf(null, { spentUsd: day.spentUsd, limitUsd: perDayUsd }, now));
    if (perRuleDayUsd !== null) {
      for (const [ruleId, spentUsd] of day.byRule)
        found.push(...this.#noticesOf(ruleId, { spentUsd, limitUsd: perRuleDayUsd }, now));
    }
    return found;
  }

  #noticesOf(
    ruleId: string | null,
    { spentUsd, limitUsd }: { spentUsd: number; limitUsd: number },
    now: number,
  ): BudgetNotice[] {
    const { told } = this.#day(now);
    const kinds: BudgetNotice['kind'][] = [];
    if (spentUsd >= limitUsd * WARNED_AT - EPSILON) kinds.push('warning');
    // What is only reserved may come back: it is used up where no attempt fits beside what is spent.
    if (fits(limitUsd - spentUsd, this.#standard(ruleId) ?? 0) === 0) kinds.push('exhausted');
    const fresh = kinds.filter((kind) => !told.has(toldKey(kind, ruleId)));
    for (const kind of fresh) told.add(toldKey(kind, ruleId));
    const reservedUsd = dollars(ruleId === null ? this.reservedUsd() : this.reservedUsd(ruleId));
    const scope = ruleId === null ? 'day' : 'rule';
    const until = startOfNextDay(now);
    return fresh.map((kind) => ({
      kind,
      scope,
      ruleId,
      spentUsd: dollars(spentUsd),
      reservedUsd,
      limitUsd,
      until,
    }));
  }

  #ruleSpent(ruleId: string, now: number): number {
    return this.#day(now).byRule.get(ruleId) ?? 0;
  }

  #day(now: number): Day {
    const start = startOfDay(now);
    const known = this.#days.get(start);
    if (known !== undefined) return known;
    const day: Day = { spentUsd: 0, byRule: new Map(), told: new Set() };
    this.#days.set(start, day);
    const oldest = Math.min(...this.#days.keys());
    if (this.#days.size > DAYS_KEPT) this.#days.delete(oldest);
    return day;
  }
}

function toldKey(kind: BudgetNotice['kind'], ruleId: string | null): string {
  return `${kind} ${ruleId ?? ''}`;
}

/** A sum to be shown, without the noise of its last digits. */
export function dollars(usd: number): number {
  return Math.round(usd * 1e6) / 1e6;
}

/** How often `each` fits into `room`: nothing does where there is none, and what costs nothing as often as you like. */
function fits(room: number, each: number): number {
  if (room <= EPSILON) return 0;
  return each <= EPSILON ? Number.POSITIVE_INFINITY : Math.floor((room + EPSILON) / each);
}
