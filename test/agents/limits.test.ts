import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AgentCatalogue } from '#aiwgd/agents/agent-catalogue.js';
import { PauseFile } from '#aiwgd/agents/limits/pause-file.js';
import { ProviderPauses, pauseKey, type SavedPause } from '#aiwgd/agents/limits/provider-pauses.js';
import { RepeatedLimits } from '#aiwgd/agents/limits/repeated-limits.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const UNTOLD = { reason: 'overloaded' as const, retryAt: null };
const LIMITED = { reason: 'rate_limit' as const, retryAt: null };

function pausing() {
  const clock = new FakeClock();
  const told: string[] = [];
  let kept: SavedPause[] = [];
  const pauses = new ProviderPauses(clock, () => 0.5, {
    onPaused: ({ key, until }) => told.push(`${key} pauses ${until - clock.now()}`),
    onAvailable: (key) => told.push(`${key} goes on`),
    onChanged: (all) => {
      kept = all;
    },
  });
  return { clock, told, pauses, kept: () => kept };
}

/** Lets the pause pass and sends an attempt ahead. */
function probing() {
  const made = pausing();
  made.pauses.limited('a', 'first', UNTOLD);
  made.clock.advance(30 * SECOND);
  made.pauses.started('a', 'probe');
  return made;
}

describe('a provider that has met a limit', () => {
  it('pauses until the time that it told, and others go on', () => {
    const { clock, pauses, told } = pausing();
    const retryAt = clock.now() + 2 * HOUR;
    expect(pauses.limited('a', 'x', { reason: 'rate_limit', retryAt })).toBe(retryAt);
    expect([pauses.room('a'), pauses.heldUntil('a'), pauses.room('b')]).toEqual([
      0,
      retryAt,
      Number.POSITIVE_INFINITY,
    ]);
    expect(pauses.heldUntil('b')).toBeUndefined();
    expect(pauses.list()).toEqual([{ key: 'a', reason: 'rate_limit', until: retryAt, strikes: 1 }]);
    clock.advance(2 * HOUR - 1);
    expect([pauses.room('a'), pauses.changesInMs()]).toEqual([0, 1]);
    clock.advance(1);
    expect(pauses.room('a')).toBe(1);
    expect(told).toEqual([`a pauses ${2 * HOUR}`]);
  });

  it.each([
    ['a moment ago', -4 * MINUTE, 30 * SECOND],
    ['in a second', SECOND, 30 * SECOND],
    ['in a week', 7 * DAY, DAY],
    // These are mistakes of a clock.
    ['an hour ago', -HOUR, 30 * SECOND],
    ['next year', 365 * DAY, 30 * SECOND],
    ['never', null, 30 * SECOND],
  ])('that is lifted %s pauses within bounds', (_, inMs, expected) => {
    const { clock, pauses } = pausing();
    const retryAt = inMs === null ? null : clock.now() + inMs;
    expect(pauses.limited('a', 'x', { reason: 'rate_limit', retryAt }) - clock.now()).toBe(expected);
  });

  it('pauses longer from time to time, up to five minutes, until an attempt gets through for good', () => {
    const { clock, pauses } = pausing();
    const lengths: number[] = [];
    for (const attempt of ['1', '2', '3', '4', '5', '6']) {
      pauses.started('a', attempt);
      const length = pauses.limited('a', attempt, LIMITED) - clock.now();
      lengths.push(length / SECOND);
      clock.advance(length);
    }
    expect(lengths).toEqual([30, 60, 120, 240, 300, 300]);
    pauses.started('a', '7');
    pauses.progressed('7');
    // Not yet for good.
    expect((pauses.limited('a', '8', LIMITED) - clock.now()) / SECOND).toBe(300);
    clock.advance(300 * SECOND);
    pauses.started('a', '9');
    pauses.progressed('9');
    clock.advance(10 * SECOND);
    expect((pauses.limited('a', '10', LIMITED) - clock.now()) / SECOND).toBe(30);
  });

  it('takes those that were at work then for one, and the latest end that one of them tells', () => {
    const { clock, pauses, told } = pausing();
    pauses.limited('a', '1', LIMITED);
    clock.advance(SECOND);
    expect(pauses.limited('a', '2', LIMITED) - clock.now()).toBe(29 * SECOND);
    const retryAt = clock.now() + HOUR;
    expect(pauses.limited('a', '3', { reason: 'rate_limit', retryAt })).toBe(retryAt);
    expect(pauses.limited('a', '4', { reason: 'rate_limit', retryAt: retryAt - MINUTE })).toBe(retryAt);
    expect(told).toEqual([`a pauses ${30 * SECOND}`, `a pauses ${HOUR}`]);
    expect(pauses.list()[0]?.strikes).toBe(1);
  });

  it('is not held up by a clock that is set back', () => {
    const { clock, pauses } = pausing();
    pauses.limited('a', '1', LIMITED);
    clock.setWall(clock.now() - 10 * HOUR);
    clock.advance(30 * SECOND);
    expect(pauses.room('a')).toBe(1);
  });
});

describe('after the pause', () => {
  it('one attempt is sent ahead, and the others follow, few at first', () => {
    const { clock, pauses, told } = probing();
    expect([pauses.room('a'), pauses.heldUntil('a') === undefined]).toEqual([0, false]);
    expect(pauses.progressed('other')).toBe(false);
    expect(pauses.room('a')).toBe(0);
    expect(pauses.progressed('probe')).toBe(true);
    expect(told.at(-1)).toBe('a goes on');
    expect([pauses.heldUntil('a'), pauses.list()]).toEqual([undefined, []]);
    const followed: number[] = [];
    for (let second = 0; second < 8; second += 1) {
      followed.push(pauses.room('a'));
      for (let n = pauses.room('a'); n > 0; n -= 1) pauses.started('a', `${second}-${n}`);
      expect([pauses.room('a'), pauses.changesInMs()]).toEqual([0, SECOND]);
      clock.advance(SECOND);
    }
    expect(followed).toEqual([1, 2, 4, 8, 16, 32, 64, 128]);
    expect([pauses.room('a'), pauses.changesInMs()]).toEqual([Number.POSITIVE_INFINITY, null]);
  });

  it('an end of it without a limit is as good as progress, but not one that never began', () => {
    const first = probing();
    expect(first.pauses.ended('probe', true)).toBe(true);
    expect(first.pauses.room('a')).toBe(1);
    expect(first.told.at(-1)).toBe('a goes on');
    const second = probing();
    expect(second.pauses.ended('probe', false)).toBe(true);
    expect([second.pauses.room('a'), second.pauses.heldUntil('a') === undefined]).toEqual([1, false]);
    second.pauses.started('a', 'again');
    expect(second.pauses.room('a')).toBe(0);
  });

  it('it meets the limit alone, and the next pause follows', () => {
    const { clock, pauses, told } = probing();
    expect(pauses.limited('a', 'probe', UNTOLD) - clock.now()).toBe(MINUTE);
    expect(pauses.room('a')).toBe(0);
    expect(pauses.progressed('probe')).toBe(false);
    expect(told).toEqual(['a pauses 30000', 'a pauses 60000']);
  });

  it('it is taken to have got through where nothing bad is heard of it for five minutes', () => {
    const { clock, pauses, told } = probing();
    expect(pauses.changesInMs()).toBe(5 * MINUTE);
    clock.advance(5 * MINUTE - 1);
    expect(pauses.room('a')).toBe(0);
    clock.advance(1);
    expect(pauses.room('a')).toBe(1);
    expect(told.at(-1)).toBe('a goes on');
  });
});

describe('what is said of pauses', () => {
  it('is none of one that is over, until an attempt is sent ahead', () => {
    const { clock, pauses } = pausing();
    pauses.limited('a', 'first', UNTOLD);
    expect(pauses.list()).toMatchObject([{ key: 'a' }]);
    clock.advance(30 * SECOND);
    expect(pauses.list()).toEqual([]);
    pauses.started('a', 'probe');
    expect(pauses.list()).toMatchObject([{ key: 'a' }]);
  });

  it('and what is kept of them, is none of a provider that no agent has any more', () => {
    const { pauses, kept } = pausing();
    pauses.limited('a', 'first', UNTOLD);
    pauses.limited('b', 'second', UNTOLD);
    pauses.keepOnly(new Set(['b', 'c']));
    expect([pauses.list(), kept()]).toMatchObject([[{ key: 'b' }], [{ key: 'b' }]]);
    expect(pauses.room('a')).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('pauses over a restart', () => {
  function file(text?: string): { path: string; file: PauseFile; logged: string[] } {
    const folder = mkdtempSync(join(tmpdir(), 'aiwgd-pauses-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, 'pauses.json');
    if (text !== undefined) writeFileSync(path, text);
    const logged: string[] = [];
    const note = (_: object, message: string): void => {
      logged.push(message);
    };
    return { path, logged, file: new PauseFile(path, { debug: note, info: note, warn: note, error: note }) };
  }

  it('are kept, for a day at most', () => {
    const before = pausing();
    before.pauses.limited('a', 'x', { reason: 'rate_limit', retryAt: before.clock.now() + HOUR });
    const { file: kept, path } = file();
    kept.write(before.kept());
    const after = pausing();
    after.pauses.load(kept.read());
    expect([after.pauses.room('a'), after.pauses.list()]).toEqual([0, before.pauses.list()]);
    expect(after.told).toEqual([]);
    after.clock.advance(HOUR);
    expect(after.pauses.room('a')).toBe(1);
    after.pauses.started('a', 'probe');
    after.pauses.progressed('probe');
    kept.write(after.kept());
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual([]);
    const far = pausing();
    far.pauses.load([{ key: 'a', reason: 'overloaded', until: far.clock.now() + 400 * DAY, strikes: 1 }]);
    far.clock.advance(DAY);
    expect(far.pauses.room('a')).toBe(1);
  });

  it.each([
    ['no file', undefined, 0],
    ['half a file', '[{"key": "a"', 1],
    ['another file', '{"key": "a"}', 0],
    [
      'entries of others',
      '[1, null, {"key": "a", "reason": "whim", "until": 1, "strikes": 1}, {"key": 1}]',
      0,
    ],
    ['times that no calendar has', '[{"key": "a", "reason": "overloaded", "until": -1e20, "strikes": 1}]', 0],
  ])('are none with %s', (_, text, warnings) => {
    const { file: kept, logged } = file(text);
    expect(kept.read()).toEqual([]);
    expect(logged).toHaveLength(warnings);
  });

  it('that cannot be written are no reason to stop', () => {
    const { path, logged, file: kept } = file();
    rmSync(join(path, '..'), { recursive: true });
    kept.write([]);
    expect(existsSync(path)).toBe(false);
    expect(logged).toEqual(['The pauses of providers cannot be written']);
  });
});

describe('agents that share limits', () => {
  it('are those of one program', () => {
    expect(pauseKey({ provider: 'claude' })).toBe(
      pauseKey({ provider: 'claude', program: 'claude', model: 'x' }),
    );
    const keys = [
      pauseKey({ provider: 'claude' }),
      pauseKey({ provider: 'claude', program: './claude' }),
      pauseKey({ provider: 'codex' }),
      pauseKey({ provider: 'command', command: ['claude'] }),
    ];
    expect(new Set(keys).size).toBe(4);
  });

  it('take over for one another in a chain that never comes back', () => {
    const of = (fallback?: string) => ({ provider: 'claude' as const, fallback: fallback ?? null });
    const catalogue = new AgentCatalogue({
      default_agent: 'a',
      agents: { a: of('b'), b: of('c'), c: of('a'), d: of('d'), e: of('nobody'), f: of() },
    });
    const chainOf = (name: string): string[] => {
      const agent = catalogue.resolve(name)?.agent;
      return agent === undefined ? [] : catalogue.chain(agent).map((one) => one.name);
    };
    expect(['a', 'b', 'd', 'e', 'f'].map(chainOf)).toEqual([
      ['a', 'b', 'c'],
      ['b', 'c', 'a'],
      ['d'],
      ['e'],
      ['f'],
    ]);
  });
});

describe('a task that meets limits again and again', () => {
  it('lets others go first, and counts its overloads in the end', () => {
    const repeated = new RepeatedLimits();
    expect(repeated.note('t', 'overloaded')).toEqual({ delayMs: 0, counts: false });
    for (let n = 2; n <= 20; n += 1)
      expect(repeated.note('t', 'overloaded')).toEqual({ delayMs: 2000, counts: false });
    expect(repeated.note('t', 'overloaded').counts).toBe(true);
    expect(repeated.note('t', 'rate_limit').counts).toBe(false);
    repeated.forget('t');
    expect(repeated.note('t', 'overloaded')).toEqual({ delayMs: 0, counts: false });
  });
});
