import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cronNeverFires, cronProblem } from '#aiwgd/protocol/config/cron-expression.js';
import { CronTimes, normalizedCron } from '#aiwgd/protocol/config/cron-times.js';
import { CRON_CASES, WRONG_CRON } from './cron-cases.js';
import { debianSlots } from './debian-cron.js';

const ms = (time: string): number => Date.parse(time);
const iso = (time: number): string => new Date(time).toISOString().replace(':00.000Z', 'Z');

function slots(times: CronTimes, after: number, count: number): number[] {
  const found: number[] = [];
  for (let slot = times.next(after); slot !== null && found.length < count; slot = times.next(slot)) {
    found.push(slot);
  }
  return found;
}

describe('the times of a cron expression', () => {
  it.each(CRON_CASES)('$cron: $why', ({ cron, timezone, from, next }) => {
    expect(cronProblem(cron)).toBeUndefined();
    expect(cronNeverFires(cron)).toBe(next.length === 0);
    const times = new CronTimes(cron, timezone);
    expect(slots(times, ms(from), Math.max(1, next.length)).map(iso)).toEqual(next);
    const again = new CronTimes(normalizedCron(cron), timezone);
    expect(slots(again, ms(from), Math.max(1, next.length)).map(iso)).toEqual(next);
  });

  it.each(WRONG_CRON)('%j is wrong: %s', (cron) => {
    expect(cronProblem(cron)).toMatch(/./);
  });

  it('are those of Debian around every change of the clocks', () => {
    const minute = fc.constantFrom(
      '*',
      '*/7',
      '*/30',
      '0',
      '30',
      '15,45',
      '0-59/20',
      '5-10',
      '5,*/30',
      '*,3',
    );
    const hour = fc.constantFrom(
      '*',
      '*/2',
      '*/3',
      '0',
      '1',
      '2',
      '3',
      '1-3',
      '0-23',
      '2,14',
      '0-23/2',
      '*,2',
    );
    const date = fc.constantFrom('*', '*', '*/2', '1', '8', '25', '29', '1-31', '5,*');
    const day = fc.constantFrom('*', '*', '*/2', '0', '7', '1-5', 'sun,mon', '6-7');
    const change = fc.constantFrom(
      ['Europe/Berlin', '2026-03-29T01:00Z'],
      ['Europe/Berlin', '2026-10-25T01:00Z'],
      ['America/New_York', '2026-03-08T07:00Z'],
      ['America/New_York', '2026-11-01T06:00Z'],
      ['Australia/Lord_Howe', '2026-10-03T15:30Z'],
      ['Australia/Lord_Howe', '2026-04-04T15:00Z'],
      ['America/Havana', '2026-03-08T05:00Z'],
      ['America/Havana', '2026-11-01T05:00Z'],
      ['Asia/Tokyo', '2026-05-05T15:00Z'],
    );
    fc.assert(
      fc.property(minute, hour, date, day, change, fc.nat({ max: 400 }), (m, h, d, w, [zone, at], lead) => {
        const cron = `${m} ${h} ${d} * ${w}`;
        const from = ms(at) - 4 * 3_600_000;
        const until = from + 7 * 3_600_000;
        const expected = debianSlots(cron, zone, from, until);
        const times = new CronTimes(cron, zone);
        const found = slots(times, from, expected.length);
        expect(found.map(iso), `${cron} ${zone}`).toEqual(expected.map(iso));
        expect(times.next(found.at(-1) ?? from) ?? Infinity).toBeGreaterThan(until);
        // Asked from any moment in between, it answers the same.
        const middle = from + lead * 60_000;
        expect(times.next(middle) ?? Infinity).toBe(
          expected.find((slot) => slot > middle) ?? times.next(until),
        );
        const newest = times.newest(from, until, 5);
        expect(newest.slots).toEqual(expected.slice(-5));
        expect(newest.all).toBe(expected.length <= 5);
      }),
      { numRuns: 150 },
    );
  });

  it('finds the newest of a great many without going through all of them', () => {
    const times = new CronTimes('* * * * *', 'Europe/Berlin');
    const until = ms('2026-11-22T12:00Z');
    const begun = performance.now();
    const { slots: found, all } = times.newest(ms('2006-11-22T12:00Z'), until, 1_000);
    expect(performance.now() - begun).toBeLessThan(1_500);
    expect(all).toBe(false);
    expect(found).toHaveLength(1_000);
    expect([found[0], found.at(-1)]).toEqual([until - 999 * 60_000, until]);
  });

  it('gives nothing where nothing is, however far back', () => {
    const times = new CronTimes('0 0 31 2 *', 'UTC');
    expect(times.newest(0, ms('2026-01-01T00:00Z'), 10)).toEqual({ slots: [], all: true });
    expect(new CronTimes('0 0 29 2 *', 'UTC').newest(0, ms('2026-01-01T00:00Z'), 1)).toEqual({
      slots: [ms('2024-02-29T00:00Z')],
      all: false,
    });
  });

  it.each([
    ['@Daily', '0 0 * * *'],
    [' 05  00,12 * JAN-mar Mon,7 ', '5 0,12 * 1-3 1,7'],
    ['0 0 * * SUN', '0 0 * * 0'],
    ['0 0 * * 7', '0 0 * * 0'],
    ['0 0 * * fri-sun', '0 0 * * 5-7'],
    ['0 0 L * fri#2', '0 0 l * 5#2'],
  ])('%j is %j', (cron, normalized) => {
    expect(normalizedCron(cron)).toBe(normalized);
  });
});
