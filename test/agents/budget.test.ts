import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Budget, type BudgetBounds } from '#aiwgd/agents/money/budget.js';
import { startOfDay, startOfNextDay } from '#aiwgd/agents/money/day.js';
import { NO_BOUNDS } from './harness.js';

const NOON = new Date(2026, 5, 1, 12).getTime();
const HOUR = 3_600_000;
const NOBODY = { ruleId: null, spentUsd: 0 };

function bounded(bounds: Partial<BudgetBounds>): Budget {
  return new Budget({ ...NO_BOUNDS, ...bounds });
}

describe('a reservation', () => {
  it('is what a task may cost, less what it has cost', () => {
    const budget = bounded({ perTaskUsd: 2 });
    expect(budget.reserve('a', NOBODY, NOON)).toEqual({ usd: 2 });
    expect(budget.reserve('b', { ruleId: null, spentUsd: 1.5 }, NOON)).toEqual({ usd: 0.5 });
    expect(budget.reserve('c', { ruleId: null, spentUsd: 2 }, NOON)).toEqual({ refused: 'task' });
    expect(budget.reservedUsd()).toBe(2.5);
  });

  it('is five dollars where only the day is bounded, and never more than the day has', () => {
    expect(bounded({ perDayUsd: 20 }).reserve('a', NOBODY, NOON)).toEqual({ usd: 5 });
    const small = bounded({ perDayUsd: 1, perTaskUsd: 3 });
    expect(small.reserve('a', NOBODY, NOON)).toEqual({ usd: 1 });
    expect(small.reserve('b', NOBODY, NOON)).toEqual({ refused: 'day' });
    small.settle('a', { usd: 0, ruleId: null }, NOON);
    expect(small.reserve('b', NOBODY, NOON)).toEqual({ usd: 1 });
  });

  it('is none where no bound concerns the task', () => {
    expect(bounded({}).reserve('a', NOBODY, NOON)).toEqual({ usd: null });
    const ofRules = bounded({ perRuleDayUsd: 1 });
    expect(ofRules.reserve('a', NOBODY, NOON)).toEqual({ usd: null });
    expect(ofRules.reserve('b', { ruleId: 'r', spentUsd: 0 }, NOON)).toEqual({ usd: 1 });
    expect(ofRules.reserve('c', { ruleId: 'r', spentUsd: 0 }, NOON)).toEqual({ refused: 'rule' });
    expect(ofRules.reserve('d', { ruleId: 's', spentUsd: 0 }, NOON)).toEqual({ usd: 1 });
    expect([ofRules.fittingRule('r', NOON), ofRules.fittingRule('new', NOON)]).toEqual([0, 1]);
  });

  it('of nothing at all lets nothing start', () => {
    expect(bounded({ perDayUsd: 0 }).fitting(NOON)).toBe(0);
    expect(bounded({ perDayUsd: 0 }).reserve('a', NOBODY, NOON)).toEqual({ refused: 'day' });
    expect(bounded({ perTaskUsd: 0 }).reserve('a', NOBODY, NOON)).toEqual({ refused: 'task' });
  });

  it('fits as often as the arithmetic of people says', () => {
    const budget = bounded({ perTaskUsd: 0.3, perDayUsd: 0.9 });
    expect(budget.fitting(NOON)).toBe(3);
    for (const id of ['a', 'b', 'c']) {
      expect(budget.reserve(id, NOBODY, NOON)).toEqual({ usd: 0.3 });
      budget.settle(id, { usd: 0.3, ruleId: null }, NOON);
    }
    expect(budget.fitting(NOON)).toBe(0);
  });
});

describe('what was spent', () => {
  it('counts for the day on which it is told, and what runs past midnight stays reserved', () => {
    const budget = bounded({ perTaskUsd: 1, perDayUsd: 2 });
    budget.reserve('a', NOBODY, NOON);
    budget.reserve('b', NOBODY, NOON);
    budget.settle('a', { usd: 1, ruleId: null }, NOON);
    expect([budget.spentUsd(NOON), budget.fitting(NOON)]).toEqual([1, 0]);
    const next = startOfNextDay(NOON);
    expect([budget.spentUsd(next), budget.reservedUsd(), budget.fitting(next)]).toEqual([0, 1, 1]);
    budget.settle('b', { usd: 0.5, ruleId: null }, next);
    expect([budget.spentUsd(next), budget.fitting(next)]).toEqual([0.5, 1]);
    // A clock that is set back comes to the day as it was.
    expect(budget.spentUsd(NOON)).toBe(1);
  });

  it('of an earlier daemon counts too, and what is known to have been told of it is not told again', () => {
    const budget = bounded({ perTaskUsd: 1, perDayUsd: 10, perRuleDayUsd: 2 });
    const sums = { spentUsd: 8, byRule: new Map([['r', 2]]) };
    const until = startOfNextDay(NOON);
    const day = { kind: 'warning' as const, ruleId: null, limitUsd: 10, until };
    const rule = { ruleId: 'r', limitUsd: 2, until };
    const kinds = (): string[] => budget.notices(NOON).map(({ kind, scope }) => `${kind} ${scope}`);
    budget.load(sums, [], NOON);
    expect(kinds()).toEqual(['warning day', 'warning rule', 'exhausted rule']);
    const others = [
      { ...day, limitUsd: 5 },
      { ...day, until: startOfNextDay(until) },
    ];
    budget.load(sums, [...others, { ...rule, kind: 'warning' }], NOON);
    expect(kinds()).toEqual(['warning day', 'exhausted rule']);
    const all = [day, { ...rule, kind: 'warning' as const }, { ...rule, kind: 'exhausted' as const }];
    budget.load(sums, all, NOON);
    expect([budget.spentUsd(NOON), budget.fitting(NOON), budget.fittingRule('r', NOON)]).toEqual([8, 2, 0]);
    expect(budget.notices(NOON)).toEqual([]);
    budget.adopt('late', { usd: 4, ruleId: 'r' });
    expect(budget.fitting(NOON)).toBe(0);
  });
});

describe('a notice', () => {
  it('comes once a day at four fifths, and once where no task fits any more', () => {
    const budget = bounded({ perTaskUsd: 0.3, perDayUsd: 1, perRuleDayUsd: 0.5 });
    const spend = (id: string, now: number): unknown => {
      budget.reserve(id, { ruleId: 'r', spentUsd: 0 }, now);
      budget.settle(id, { usd: 0.3, ruleId: 'r' }, now);
      return budget.notices(now).map(({ kind, scope, ruleId }) => `${kind} ${scope} ${ruleId}`);
    };
    expect(spend('a', NOON)).toEqual(['exhausted rule r']);
    expect(spend('b', NOON)).toEqual(['warning rule r']);
    expect(spend('c', NOON)).toEqual(['warning day null', 'exhausted day null']);
    expect(spend('d', NOON)).toEqual([]);
    expect(spend('e', NOON + 24 * HOUR)).toEqual(['exhausted rule r']);
  });

  it('says how things are', () => {
    const budget = bounded({ perTaskUsd: 0.1, perDayUsd: 1 });
    budget.reserve('a', NOBODY, NOON);
    budget.settle('b', { usd: 0.85, ruleId: null }, NOON);
    expect(budget.notices(NOON)).toEqual([
      {
        kind: 'warning',
        scope: 'day',
        ruleId: null,
        spentUsd: 0.85,
        reservedUsd: 0.1,
        limitUsd: 1,
        until: startOfNextDay(NOON),
      },
    ]);
    // Another bound is another matter.
    expect(budget.rebound({ perTaskUsd: 0.1, perDayUsd: 1, perRuleDayUsd: null }, NOON)).toBe(false);
    expect(budget.notices(NOON)).toEqual([]);
    expect(budget.rebound({ perTaskUsd: 0.1, perDayUsd: 0.9, perRuleDayUsd: null }, NOON)).toBe(true);
    expect(budget.notices(NOON).map(({ kind }) => kind)).toEqual(['warning', 'exhausted']);
  });
});

const usd = fc.integer({ min: 1, max: 1000 }).map((cents) => cents / 100);
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('start' as const),
      rule: fc.constantFrom(null, 'r', 's'),
      spentUsd: usd,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('end' as const),
      which: fc.nat(9),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  fc.record({ do: fc.constant('wait' as const), hours: fc.nat(30) }),
);

describe('as long as attempts keep to what they reserved', () => {
  it('what is spent and reserved never passes a bound, and what fits can start', () => {
    const bounds = fc.record({
      perTaskUsd: fc.option(usd),
      perDayUsd: fc.option(usd),
      perRuleDayUsd: fc.option(usd),
    });
    fc.assert(
      fc.property(bounds, fc.array(step, { maxLength: 60 }), (limits, steps) => {
        const budget = new Budget(limits);
        const running: { id: string; usd: number; ruleId: string | null }[] = [];
        const rules = new Map<string, number>();
        let now = NOON;
        for (const [index, one] of steps.entries()) {
          if (one.do === 'wait') {
            if (startOfDay(now + one.hours * HOUR) !== startOfDay(now)) rules.clear();
            now += one.hours * HOUR;
          } else if (one.do === 'start') {
            const fitting = budget.fitting(now);
            const made = budget.reserve(`${index}`, { ruleId: one.rule, spentUsd: one.spentUsd % 3 }, now);
            if ('refused' in made) expect(made.refused === 'day' && fitting >= 1).toBe(false);
            else if (made.usd !== null) running.push({ id: `${index}`, usd: made.usd, ruleId: one.rule });
          } else if (running.length > 0) {
            const [ended] = running.splice(one.which % running.length, 1);
            const cost = (ended?.usd ?? 0) * one.part;
            budget.settle(ended?.id ?? '', { usd: cost, ruleId: ended?.ruleId ?? null }, now);
            if (ended?.ruleId) rules.set(ended.ruleId, (rules.get(ended.ruleId) ?? 0) + cost);
          }
          const { perDayUsd, perRuleDayUsd } = limits;
          if (perDayUsd !== null)
            expect(budget.spentUsd(now) + budget.reservedUsd()).toBeLessThanOrEqual(perDayUsd + 1e-6);
          if (perRuleDayUsd !== null)
            for (const rule of ['r', 's'])
              expect((rules.get(rule) ?? 0) + budget.reservedUsd(rule)).toBeLessThanOrEqual(
                perRuleDayUsd + 1e-6,
              );
        }
        for (const { id, ruleId } of running) budget.settle(id, { usd: 0, ruleId }, now);
        expect(budget.reservedUsd()).toBe(0);
      }),
      { numRuns: 500 },
    );
  });
});

describe('a local day', () => {
  const module = join(import.meta.dirname, '../../dist/agents/money/day.js');

  /** Hours of the day that holds `at`, in a time zone. */
  function hours(zone: string, at: string): number {
    const script = `
      const { startOfDay, startOfNextDay } = await import(${JSON.stringify(module)});
      const at = Date.parse(${JSON.stringify(at)});
      const [start, end] = [startOfDay(at), startOfNextDay(at)];
      if (!(start <= at && at < end) || startOfDay(end) !== end || startOfDay(end - 1) !== start) throw new Error('gap');
      console.log((end - start) / 3600000);`;
    const env = { ...process.env, TZ: zone };
    return Number(
      execFileSync(process.execPath, ['--input-type=module', '-e', script], { env, encoding: 'utf8' }),
    );
  }

  it.each([
    ['UTC', '2026-03-29T12:00:00Z', 24],
    ['Europe/Berlin', '2026-03-29T12:00:00Z', 23],
    ['Europe/Berlin', '2026-10-25T12:00:00Z', 25],
    // Midnight itself is left out there.
    ['America/Santiago', '2026-09-06T12:00:00Z', 23],
    ['Asia/Kathmandu', '2026-06-01T20:00:00Z', 24],
  ])('in %s has its own length: %s', (zone, at, expected) => {
    expect(hours(zone, at)).toBe(expected);
  });
});
