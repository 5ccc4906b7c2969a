import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Conditions, type Truth } from '#aiwgd/automation/rules/conditions.js';
import type { Condition } from '#aiwgd/protocol/config/rule-schema.js';
import type { AiwgEvent } from '#aiwgd/protocol/event.js';
import { conditionsOf, eventOf, factsAt, NOON } from './rule-kit.js';

const facts = factsAt(NOON);
const event = eventOf('build.failed', {
  path: 'src/a.ts',
  size: 5,
  text: '7',
  flag: true,
  none: null,
  list: ['x', 'y', 3],
  deep: { a: [{ b: 'c' }] },
});

function truth(condition: object, of: AiwgEvent = event): Truth {
  return new Conditions(conditionsOf(condition)).now(of, facts);
}

const field = (name: string, operator: string, value?: unknown): object => ({
  field: name,
  operator,
  ...(value === undefined ? {} : { value }),
});
const shell = (...command: string[]): object => ({ type: 'shell', command });
const debounce = (ms: number): object => ({ type: 'debounce', interval_ms: ms });
const YES = { type: 'always' };
const NO = { type: 'not', conditions: [YES] };

describe('field', () => {
  const TABLE: [string, string, unknown, Truth][] = [
    ['payload.path', 'equals', 'src/a.ts', 'true'],
    ['type', 'equals', 'build.failed', 'true'],
    ['payload.size', 'equals', '5', 'false'],
    ['payload.none', 'equals', null, 'true'],
    ['payload.none', 'exists', undefined, 'true'],
    ['payload.gone', 'exists', undefined, 'false'],
    ['payload.gone', 'not_exists', undefined, 'true'],
    ['payload.gone', 'not_equals', 1, 'true'],
    ['payload.gone', 'equals', null, 'false'],
    ['payload.gone', 'lt', 5, 'false'],
    ['payload.gone', 'contains', 'x', 'false'],
    ['payload.gone', 'matches', '.*', 'false'],
    ['payload.path', 'contains', '/a', 'true'],
    ['payload.list', 'contains', 'y', 'true'],
    ['payload.list', 'contains', '3', 'false'],
    ['payload.list.2', 'equals', 3, 'true'],
    ['payload.deep.a.0.b', 'equals', 'c', 'true'],
    ['payload.path', 'matches', '^src/.*\\.ts$', 'true'],
    ['payload.size', 'matches', '^5$', 'true'],
    ['payload.deep', 'matches', 'object', 'false'],
    ['payload.text', 'gt', 6.5, 'true'],
    ['payload.text', 'lte', 7, 'true'],
    ['payload.size', 'gte', 6, 'false'],
    ['payload.path', 'lt', 6, 'false'],
    ['payload.path', 'gte', 6, 'false'],
    ['payload.none', 'lte', 0, 'false'],
    ['payload.flag', 'equals', true, 'true'],
    ['payload.constructor', 'exists', undefined, 'false'],
    ['payload.__proto__', 'exists', undefined, 'false'],
    ['payload.path.length', 'exists', undefined, 'false'],
  ];
  it.each(TABLE)('%s %s %j is %s', (name, operator, value, expected) => {
    expect(truth(field(name, operator, value))).toBe(expected);
  });

  it('says what it found', () => {
    const { reports } = new Conditions(
      conditionsOf(field('payload.path', 'matches', '^lib/'), field('payload.gone', 'exists')),
    ).explain(event, facts);
    expect(reports).toEqual([
      { condition: 'payload.path matches "^lib/"', result: 'false', why: 'it is "src/a.ts"' },
      { condition: 'payload.gone exists', result: 'false', why: 'the event has no payload.gone' },
    ]);
  });
});

describe('time', () => {
  const at = (iso: string, condition: object): Truth =>
    new Conditions(conditionsOf({ type: 'time', ...condition })).now(event, factsAt(Date.parse(iso)));
  const night = { after: '22:00', before: '06:00', weekdays: ['fri'], timezone: 'UTC' };

  it.each([
    ['2026-07-03T22:00:00Z', 'true'],
    ['2026-07-03T21:59:59Z', 'false'],
    ['2026-07-04T05:59:59Z', 'true'],
    ['2026-07-04T06:00:00Z', 'false'],
    ['2026-07-03T05:00:00Z', 'false'],
    ['2026-07-04T23:00:00Z', 'false'],
  ])('counts a window over midnight to the day on which it began: %s', (iso, expected) => {
    expect(at(iso, night)).toBe(expected);
  });

  it('takes each bound alone', () => {
    expect(at('2026-07-01T12:00:00Z', { after: '12:00' })).toBe('true');
    expect(at('2026-07-01T12:00:00Z', { before: '12:00' })).toBe('false');
    expect(at('2026-07-01T12:00:00Z', { weekdays: ['wed'] })).toBe('true');
    expect(at('2026-07-01T12:00:00Z', { weekdays: ['thu'] })).toBe('false');
  });

  it('goes by the wall clock, in summer as in winter', () => {
    const morning = { after: '08:00', before: '09:00', timezone: 'Europe/Berlin' };
    expect(at('2026-07-01T06:30:00Z', morning)).toBe('true');
    expect(at('2026-01-01T06:30:00Z', morning)).toBe('false');
    expect(at('2026-01-01T07:30:00Z', morning)).toBe('true');
    // Clocks go from 02:00 to 03:00: the window that is left out is never open.
    const lost = { after: '02:00', before: '03:00', timezone: 'Europe/Berlin' };
    expect(at('2026-03-29T00:59:00Z', lost)).toBe('false');
    expect(at('2026-03-29T01:00:00Z', lost)).toBe('false');
  });

  it("takes the host's time zone where none is named", () => {
    const conditions = new Conditions(conditionsOf({ type: 'time', after: '20:00' }));
    expect(conditions.now(event, factsAt(NOON, { hostTimezone: 'Asia/Tokyo' }))).toBe('true');
    expect(conditions.now(event, factsAt(NOON, { hostTimezone: 'UTC' }))).toBe('false');
  });

  it('says no with the reason where the zone is unknown', () => {
    const conditions = new Conditions([
      { type: 'time', after: '20:00', before: null, weekdays: null, timezone: 'No/Where' },
    ]);
    expect(conditions.now(event, facts)).toBe('false');
    expect(conditions.explain(event, facts).reports[0]?.why).toMatch(/cannot be told.*No\/Where/);
  });
});

describe('throttle', () => {
  it('lets through when its time is over, under a key of its own', () => {
    const throttles = new Conditions(
      conditionsOf(
        { type: 'throttle', interval_ms: 9 },
        { type: 'any', conditions: [{ type: 'throttle', interval_ms: 9 }] },
      ),
    );
    const keys = throttles.throttles.map(({ key }) => key);
    expect(new Set(keys).size).toBe(2);
    const until = (time: number | null) =>
      factsAt(NOON, { throttledUntil: (key) => (key === keys[1] ? time : null) });
    expect(throttles.now(event, until(null))).toBe('true');
    expect(throttles.now(event, until(NOON))).toBe('true');
    expect(throttles.now(event, until(NOON + 1))).toBe('false');
  });
});

describe('what is open', () => {
  const never = () => Promise.reject(new Error('nobody must be asked'));

  it('waits for the longest debounce that matters', () => {
    const wait = (...conditions: object[]): number =>
      new Conditions(conditionsOf(...conditions)).waitMs(event, facts);
    expect(wait(debounce(5), debounce(9))).toBe(9);
    expect(wait({ type: 'any', conditions: [YES, debounce(5)] })).toBe(0);
    expect(wait(NO, debounce(5))).toBe(0);
    expect(wait(shell('x'))).toBe(0);
    expect(wait({ type: 'any', conditions: [NO, debounce(5)] })).toBe(5);
  });

  it('asks commands in order, only where it matters', async () => {
    const asked: string[] = [];
    const ask = ({ command }: { command: string[] }) => {
      asked.push(command[0]!);
      return Promise.resolve({ yes: command[0] === 'yes', why: `it said ${command[0]}` });
    };
    const any = { type: 'any', conditions: [shell('no'), shell('yes'), shell('idle')] };
    const { truth: outcome, reports } = await new Conditions(
      conditionsOf(debounce(5), any, shell('yes')),
    ).settled(event, facts, ask);
    expect(outcome).toBe('true');
    expect(asked).toEqual(['no', 'yes', 'yes']);
    expect(reports.map(({ condition, result }) => [condition, result])).toEqual([
      ['debounce 5 ms', 'true'],
      ['any of 3', 'true'],
      ['any: command "no"', 'false'],
      ['any: command "yes"', 'true'],
      ['any: command "idle"', 'skipped'],
      ['command "yes"', 'true'],
    ]);
  });

  it('asks nobody where the rest has decided, and stops at the first no', async () => {
    const decided = new Conditions(conditionsOf(shell('x'), NO));
    expect((await decided.settled(event, facts, never)).truth).toBe('false');
    const asked: string[] = [];
    const twice = new Conditions(conditionsOf(shell('a'), shell('b')));
    const ask = ({ command }: { command: string[] }) => {
      asked.push(command[0]!);
      return Promise.resolve({ yes: false, why: 'no' });
    };
    expect((await twice.settled(event, facts, ask)).truth).toBe('false');
    expect(asked).toEqual(['a']);
  });

  it('takes a command that cannot be asked for a no, with the reason', async () => {
    const { truth: outcome, reports } = await new Conditions(conditionsOf(shell('x'))).settled(
      event,
      facts,
      never,
    );
    expect(outcome).toBe('false');
    expect(reports[0]?.why).toMatch(/nobody must be asked/);
  });
});

describe('laws', () => {
  const leaf = fc.constantFrom<Condition>(
    ...conditionsOf(
      YES,
      NO,
      debounce(5),
      shell('a'),
      field('payload.x', 'gt', 3),
      field('a.b', 'not_exists'),
    ),
  );
  const { condition } = fc.letrec<{ condition: Condition }>((tie) => ({
    condition: fc.oneof(
      { maxDepth: 3, depthSize: 'small' },
      leaf,
      fc.record({
        type: fc.constantFrom('all' as const, 'any' as const, 'not' as const),
        conditions: fc.array(tie('condition'), { minLength: 1, maxLength: 3 }),
      }) as fc.Arbitrary<Condition>,
    ),
  }));
  const anyEvent = fc
    .dictionary(fc.oneof(fc.constantFrom('x', 'path'), fc.string()), fc.jsonValue())
    .map((payload) => eventOf('a.b', payload as Record<string, unknown>));
  const now = (...conditions: Condition[]): Truth => new Conditions(conditions).now(event, facts);
  const not = (...conditions: Condition[]): Condition => ({ type: 'not', conditions });

  it("hold as in Kleene's logic", () => {
    fc.assert(
      fc.property(condition, condition, (a, b) => {
        expect(now(not(not(a)))).toBe(now(a));
        expect(now(not({ type: 'all', conditions: [a, b] }))).toBe(
          now({ type: 'any', conditions: [not(a), not(b)] }),
        );
        expect(now(not(a, b))).toBe(now(not({ type: 'any', conditions: [a, b] })));
        expect(now(a, b)).toBe(now(b, a));
        expect(now(a, a)).toBe(now(a));
      }),
    );
  });

  it('never throws; what is decided at once stays so, and reports agree with the outcome', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(condition, { maxLength: 4 }),
        anyEvent,
        fc.boolean(),
        async (all, one, yes) => {
          const conditions = new Conditions(all);
          const first = conditions.now(one, facts);
          expect(conditions.explain(one, facts).truth).toBe(first);
          if (first !== 'open') expect(conditions.waitMs(one, facts)).toBe(0);
          const after = await conditions.settled(one, facts, () => Promise.resolve({ yes, why: 'so' }));
          if (first !== 'open') expect(after.truth).toBe(first);
          const quiet = conditions.afterQuiet(one, facts);
          if (quiet !== 'open') expect(after.truth).toBe(quiet);
          expect(quiet === 'open').toBe(conditions.commandsToAsk(one, facts).length > 0);
          expect(conditions.refusal(one, facts) !== undefined).toBe(quiet === 'false');
          expect(after.reports.every(({ result }) => result !== 'open')).toBe(true);
        },
      ),
    );
  });

  it('never throws for any field and any value', () => {
    const operator = fc.constantFrom('equals', 'not_equals', 'contains', 'gt', 'lte', 'exists', 'not_exists');
    const path = fc.oneof(
      fc.string(),
      fc.constantFrom('payload', 'payload.x', 'payload.x.0', 'payload.x.length'),
    );
    const value = fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.constant(null));
    fc.assert(
      fc.property(path, operator, value, anyEvent, (name, how, what, one) => {
        const only = { type: 'field', field: name, operator: how, value: what } as Condition;
        const conditions = new Conditions([only]);
        expect(['true', 'false']).toContain(conditions.now(one, facts));
        expect(conditions.explain(one, facts).reports[0]?.why).not.toMatch(/cannot be told/);
      }),
    );
  });
});
