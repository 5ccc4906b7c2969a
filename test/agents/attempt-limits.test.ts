import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AttemptLimits } from '#aiwgd/agents/attempt-limits.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { startedRig } from './harness.js';

const DAY = 86_400_000;
const quiet = { hasResult: false, grown: false, waiting: false };

const plain = { staysOpen: false, waitedMs: 0 };

function limits(timeoutMs: number | null, stallMs: number | null = null) {
  const clock = new FakeClock();
  return { clock, limits: new AttemptLimits({ ...plain, timeoutMs, stallMs }, clock, clock.monotonic()) };
}

/** Looks four times a second for so long, and answers the first limit that was exceeded and when. */
function lookOn(
  { clock, limits: one }: ReturnType<typeof limits>,
  ms: number,
  seen = quiet,
): { verb: string; atMs: number } | null {
  const begin = clock.monotonic();
  while (clock.monotonic() - begin < ms) {
    clock.advance(250);
    const verb = one.exceeded(seen);
    if (verb !== null) return { verb, atMs: clock.monotonic() - begin };
  }
  return null;
}

describe('the time limit of an attempt', () => {
  it('is kept', () => {
    expect(lookOn(limits(60_000), 120_000)).toEqual({ verb: 'timeout', atMs: 60_000 });
    expect(lookOn(limits(null), 3_600_000)).toBeNull();
  });

  it('may be longer than any timer of Node takes', () => {
    const one = limits(30 * DAY);
    for (let passed = 0; passed < 30 * DAY - 10_000; passed += 10_000) {
      one.clock.advance(10_000);
      if (one.limits.exceeded(quiet) !== null) expect.fail(`exceeded after ${passed} ms`);
    }
    one.clock.advance(10_000);
    expect(one.limits.exceeded(quiet)).toBe('timeout');
  });

  it('is not used up while nobody looks: a night of sleep counts as ten seconds', () => {
    const one = limits(3_600_000, 600_000);
    expect(lookOn(one, 60_000, { ...quiet, grown: true })).toBeNull();
    one.clock.advance(8 * 3_600_000);
    expect(one.limits.exceeded(quiet)).toBeNull();
    // One minute before the night, ten seconds in it.
    expect(lookOn(one, DAY, { ...quiet, grown: true })).toEqual({
      verb: 'timeout',
      atMs: 3_600_000 - 70_000,
    });
  });

  it('knows no jump of the wall clock', () => {
    const one = limits(60_000);
    one.clock.setWall(Date.UTC(2040, 0, 1));
    expect(lookOn(one, 30_000)).toBeNull();
    one.clock.setWall(Date.UTC(1990, 0, 1));
    expect(lookOn(one, 60_000)).toEqual({ verb: 'timeout', atMs: 30_000 });
  });

  it('counts in full what an adopted attempt has run before', () => {
    const clock = new FakeClock();
    const begun = clock.monotonic();
    clock.advance(45_000);
    const adopted = {
      clock,
      limits: new AttemptLimits({ ...plain, timeoutMs: 60_000, stallMs: null }, clock, begun),
    };
    expect(lookOn(adopted, DAY)).toEqual({ verb: 'timeout', atMs: 15_000 });
  });

  it('is never missed by the pause it asks for, nor turned into a busy loop', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100_000 }),
        fc.option(fc.integer({ min: 1, max: 100_000 })),
        (timeoutMs, stallMs) => {
          const one = limits(timeoutMs, stallMs);
          for (let looks = 0; looks < 1000; looks += 1) {
            const pause = Math.min(one.limits.nextMs(), 250);
            expect(pause).toBeGreaterThanOrEqual(1);
            one.clock.advance(pause);
            if (one.limits.exceeded(quiet) === null) continue;
            expect(one.clock.monotonic()).toBeLessThan(Math.min(timeoutMs, stallMs ?? timeoutMs) + 1);
            return;
          }
        },
      ),
    );
  });
});

describe('an agent that is silent', () => {
  it('has stalled after its time without output, which any output begins anew', () => {
    const one = limits(DAY, 60_000);
    expect(lookOn(one, 59_000)).toBeNull();
    expect(lookOn(one, 600_000, { ...quiet, grown: true })).toBeNull();
    expect(lookOn(one, DAY)).toEqual({ verb: 'stalled', atMs: 60_000 });
  });

  it('is ended where its configuration says so, and tried again', async () => {
    await using rig = await startedRig({
      agents: {
        silent: { provider: 'command', command: ['sh', '-c', 'echo up; sleep 600'], stall_minutes: 0.005 },
      },
    });
    const task = await rig.run('x', { agent: 'silent', maxAttempts: 1 });
    expect(task).toMatchObject({
      state: 'failed',
      signal: 'SIGTERM',
      error: expect.stringMatching(/no progress.*stall_minutes/),
    });
    expect(rig.leftovers()).toEqual([]);
  });
});

describe('an agent that has given its result', () => {
  it('has ten seconds to exit, and all the time again where it goes on', () => {
    const one = limits(DAY);
    expect(lookOn(one, 9_000, { ...quiet, hasResult: true })).toBeNull();
    expect(lookOn(one, 60_000)).toBeNull();
    expect(lookOn(one, 60_000, { ...quiet, hasResult: true })).toEqual({
      verb: 'finished',
      atMs: 10_000,
    });
  });

  it('waits for nothing where its stdin stays open: a second after its result, unless it goes on', () => {
    const clock = new FakeClock();
    const stalls = { timeoutMs: null, stallMs: null, waitedMs: 0, staysOpen: true };
    const one = { clock, limits: new AttemptLimits(stalls, clock, clock.monotonic()) };
    expect(lookOn(one, 750, { ...quiet, hasResult: true })).toBeNull();
    expect(lookOn(one, 250)).toBeNull();
    expect(lookOn(one, 5_000, { ...quiet, hasResult: true })).toEqual({ verb: 'finished', atMs: 1_000 });
  });
});

describe('an agent that waits for a person', () => {
  const waits = { ...quiet, waiting: true };

  it('uses up none of its time, nor of its silence', () => {
    const one = limits(60_000, 10_000);
    expect(lookOn(one, 9_000)).toBeNull();
    expect(lookOn(one, DAY, waits)).toBeNull();
    expect(one.limits.nextMs()).toBe(Number.POSITIVE_INFINITY);
    expect(one.limits.waitedMs).toBe(DAY);
    expect(lookOn(one, DAY)).toEqual({ verb: 'stalled', atMs: 10_000 });
    expect(lookOn(one, DAY, { ...quiet, grown: true })).toEqual({ verb: 'timeout', atMs: 41_000 });
  });

  it('is not held to it by the next daemon either', () => {
    const clock = new FakeClock();
    const begun = clock.monotonic();
    clock.advance(DAY);
    const waited = { ...plain, timeoutMs: 60_000, stallMs: null, waitedMs: DAY / 2 };
    const adopted = { clock, limits: new AttemptLimits(waited, clock, begun) };
    adopted.limits.hadWaited(DAY / 2 - 20_000);
    expect(adopted.limits.waitedMs).toBe(DAY - 20_000);
    expect(lookOn(adopted, DAY)).toEqual({ verb: 'timeout', atMs: 40_000 });
    adopted.limits.hadWaited(2 * DAY);
    expect(adopted.limits.nextMs()).toBe(60_000);
  });
});
