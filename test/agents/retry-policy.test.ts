import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FailureClass } from '#aiwgd/agents/agent-provider.js';
import type { AttemptEnd } from '#aiwgd/agents/attempt.js';
import { failedVerdict } from '#aiwgd/agents/failed-verdict.js';
import {
  MAX_TAKEOVERS,
  quarantine,
  type Settlement,
  settle,
  settleInterrupted,
  untouched,
} from '#aiwgd/agents/retry-policy.js';
import type { Claim, Release } from '#aiwgd/tasks/task-store.js';
import { FakeClock, MemoryTaskStore, newTask } from '#aiwgd/testing/index.js';

const NOW = Date.parse('2026-06-01T12:00:00Z');
const SECOND = 1000;
const HOUR = 3_600_000;

const CLASSES = [
  'agent_missing',
  'bad_arguments',
  'auth',
  'run_limit',
  'agent_error',
  'rate_limit',
  'overloaded',
  'connection',
  'signal',
  'no_result',
  'stalled',
  'vanished',
  'session_gone',
] as const satisfies readonly FailureClass[];

/** A claim of a store's own making. */
async function claimed(
  fields: Parameters<typeof newTask>[0] = {},
  more: Partial<Claim> = {},
): Promise<Claim> {
  await using store = new MemoryTaskStore(new FakeClock());
  await store.submit([newTask(fields)]);
  const [claim] = await store.claim({ owner: 'me', limit: 1, leaseMs: 1000 });
  if (claim === undefined) throw new Error('nothing to claim');
  return { ...claim, ...more, task: { ...claim.task, ...more.task } };
}

function atAttempt(claim: Claim, attempt: number, sessionId: string | null = 'before'): Claim {
  return { ...claim, task: { ...claim.task, attempt, sessionId } };
}

function ending(failureClass: FailureClass, more: Partial<AttemptEnd> = {}): AttemptEnd {
  return {
    verb: null,
    verdict: { ...failedVerdict('It broke', failureClass), sessionId: 'now' },
    exitCode: 1,
    signal: null,
    exitKnown: true,
    launched: true,
    outputBytes: 7,
    stderrBytes: 0,
    startedAt: NOW - 1000,
    durationMs: 1000,
    ...more,
  };
}

const WELL: Partial<AttemptEnd> = {
  verdict: { ...failedVerdict('', null), ok: true, error: null, result: 'done' },
};

const NOTHING_MORE = { charge: null, feedback: null, goneSession: null };

const half = (): number => 0.5;

function released(settlement: Settlement): Release {
  if (settlement.kind !== 'release') throw new Error(`ended: ${settlement.outcome.error}`);
  return settlement.release;
}

describe('a failure', () => {
  it.each(['agent_missing', 'bad_arguments', 'auth'] as const)('of class %s ends the task', async (which) => {
    const claim = await claimed({ retries: 5 });
    expect(settle(claim, ending(which), NOW, half)).toMatchObject({
      kind: 'finish',
      outcome: { state: 'failed', error: 'It broke', sessionId: 'now' },
    });
  });

  it.each(['run_limit', 'agent_error'] as const)(
    'of class %s is retried only on demand, anew',
    async (which) => {
      const claim = await claimed({ retries: 1 });
      expect(released(settle(claim, ending(which), NOW, half))).toEqual({
        runAt: NOW + 5 * SECOND,
        waitReason: 'retry',
        error: 'It broke',
        sessionId: null,
        outputBytes: 7,
        usesRetry: true,
        countsAsAttempt: true,
        ...NOTHING_MORE,
      });
      expect(settle({ ...claim, retriesLeft: 0 }, ending(which), NOW, half)).toMatchObject({
        kind: 'finish',
        outcome: { state: 'failed', error: 'It broke' },
      });
      expect(settle(atAttempt(claim, 3), ending(which), NOW, half)).toMatchObject({
        outcome: { state: 'failed', error: 'It broke (attempt 3 of 3)' },
      });
    },
  );

  it.each([
    ['signal', 5, 'now'],
    ['no_result', 5, 'now'],
    ['stalled', 5, 'now'],
    ['overloaded', 30, 'now'],
    ['connection', 30, 'now'],
    ['rate_limit', 30, 'now'],
    ['vanished', null, 'now'],
    ['session_gone', null, null],
  ] as const)('of class %s is followed by another attempt by itself', async (which, seconds, sessionId) => {
    const claim = await claimed();
    expect(released(settle(claim, ending(which), NOW, half))).toEqual({
      runAt: seconds === null ? null : NOW + seconds * SECOND,
      waitReason: seconds === null ? null : 'retry',
      error: 'It broke',
      sessionId,
      outputBytes: 7,
      usesRetry: false,
      countsAsAttempt: true,
      ...NOTHING_MORE,
    });
    const second = settle(atAttempt(claim, 2), ending(which), NOW, half);
    expect(released(second).runAt).toBe(seconds === null ? null : NOW + 2 * seconds * SECOND);
    expect(settle(atAttempt(claim, 3), ending(which), NOW, half)).toMatchObject({
      kind: 'finish',
      outcome: { state: 'failed', error: 'It broke (attempt 3 of 3)' },
    });
  });

  it('keeps the session of the attempt before where this one has not named its own', async () => {
    const claim = atAttempt(await claimed(), 2);
    const end = ending('signal', { verdict: failedVerdict('x', 'signal') });
    expect(released(settle(claim, end, NOW, half)).sessionId).toBe('before');
    expect(released(settle(claim, { ...end, verb: 'stop' }, NOW, half)).sessionId).toBe('before');
    expect(untouched(claim, 'no memory')).toMatchObject({ sessionId: 'before', countsAsAttempt: false });
  });
});

describe('a session that is gone', () => {
  it('is named, so that its conversation forgets it', async () => {
    const claim = atAttempt(await claimed(), 2);
    expect(released(settle(claim, ending('session_gone'), NOW, half))).toMatchObject({
      sessionId: null,
      goneSession: 'before',
    });
    const past = { root: 'task-0001', sessionId: 'earlier', history: [] };
    const begun = { ...atAttempt(claim, 1, null), past };
    expect(released(settle(begun, ending('session_gone'), NOW, half)).goneSession).toBe('earlier');
  });

  it('is what that of another kind of agent is to the task’s own one', async () => {
    const foreign = { limit: null, foreignSession: true };
    const claim = await claimed();
    expect(released(settle(claim, ending('signal'), NOW, half, foreign)).sessionId).toBeNull();
    expect(settle(claim, ending('auth'), NOW, half, foreign)).toMatchObject({ outcome: { sessionId: null } });
  });
});

describe.each(['rate_limit', 'overloaded'] as const)('a limit of the provider (%s)', (which) => {
  const met = { until: NOW + 2 * HOUR, movesOn: false, counts: false };

  it('is waited for, uncounted', async () => {
    const claim = atAttempt(await claimed(), 3);
    const circumstances = { limit: met, foreignSession: false };
    expect(released(settle(claim, ending(which), NOW, half, circumstances))).toEqual({
      runAt: NOW + 2 * HOUR,
      waitReason: 'rate_limit',
      error: 'It broke; the task goes on by itself when the provider does',
      sessionId: 'now',
      outputBytes: 7,
      usesRetry: false,
      countsAsAttempt: false,
      ...NOTHING_MORE,
    });
  });

  it('lets another agent begin anew at once', async () => {
    const claim = atAttempt(await claimed(), 3);
    const circumstances = { limit: { ...met, movesOn: true }, foreignSession: false };
    expect(released(settle(claim, ending(which), NOW, half, circumstances))).toMatchObject({
      runAt: null,
      waitReason: null,
      error: 'It broke; another agent takes over',
      sessionId: null,
      countsAsAttempt: false,
    });
  });

  it('that one task met too often is a failure like others', async () => {
    const circumstances = { limit: { ...met, counts: true }, foreignSession: false };
    expect(released(settle(await claimed(), ending(which), NOW, half, circumstances))).toMatchObject({
      runAt: NOW + 30 * SECOND,
      waitReason: 'retry',
      countsAsAttempt: true,
    });
  });
});

describe('what ended the attempt', () => {
  it.each(['finished', 'stalled', 'stop', 'lost', null] as const)(
    '(%s) does not matter where the result is there',
    async (verb) => {
      const end = ending('no_result', { ...WELL, verb, exitCode: null, exitKnown: false });
      expect(settle(await claimed(), end, NOW, half)).toMatchObject({
        kind: 'finish',
        outcome: { state: 'completed', result: 'done', error: null },
      });
    },
  );

  it('a stall is one whatever the agent said last', async () => {
    const end = ending('agent_error', { verb: 'stalled' });
    expect(released(settle(await claimed(), end, NOW, half))).toMatchObject({
      error: expect.stringContaining('stall_minutes'),
      sessionId: 'now',
      runAt: NOW + 5 * SECOND,
    });
  });

  it('an end that nobody saw is no fault of the agent, unless it had said so itself', async () => {
    const claim = await claimed();
    const unseen = { exitCode: null, exitKnown: false };
    for (const which of ['no_result', 'signal'] as const) {
      expect(released(settle(claim, ending(which, unseen), NOW, half))).toMatchObject({
        error: expect.stringMatching(/^Interrupted/),
        runAt: null,
        sessionId: 'now',
      });
    }
    expect(settle(claim, ending('auth', unseen), NOW, half)).toMatchObject({ kind: 'finish' });
  });

  it.each(['stop', 'lost'] as const)('a %s is followed by another attempt at once', async (verb) => {
    const claim = await claimed();
    const end = ending('no_result', { verb });
    expect(released(settle(claim, end, NOW, half))).toMatchObject({
      runAt: null,
      sessionId: 'now',
      countsAsAttempt: true,
    });
    expect(settle(atAttempt(claim, 3), end, NOW, half)).toMatchObject({
      outcome: { state: 'failed', error: expect.stringMatching(/attempt 3 of 3/) },
    });
  });
});

describe('a task that takes the daemon down again and again', () => {
  it('is quarantined, and says what to do', async () => {
    const claim = await claimed({}, { takeovers: MAX_TAKEOVERS });
    const error = expect.stringMatching(/^Quarantined: .*10 times.*aiwgd task retry task-0001/);
    expect(quarantine(claim)).toMatchObject({ kind: 'finish', outcome: { state: 'failed', error } });
    expect(settleInterrupted(claim, false)).toEqual(quarantine(claim));
    expect(settleInterrupted(claim, true)).toMatchObject({ outcome: { state: 'cancelled' } });
    const before = { ...claim, takeovers: MAX_TAKEOVERS - 1 };
    expect(settleInterrupted(before, false).kind).toBe('release');
  });
});

const endings = fc
  .record({
    failureClass: fc.constantFrom(...CLASSES),
    ok: fc.boolean(),
    verb: fc.constantFrom(null, 'finished' as const, 'stalled' as const, 'stop' as const, 'lost' as const),
    exitKnown: fc.boolean(),
    /** How long the provider pauses; null where the limit is not waited for. */
    pauseMs: fc.option(fc.integer({ min: 30 * SECOND, max: 24 * HOUR })),
  })
  .map(({ failureClass, ok, verb, exitKnown, pauseMs }) => {
    const broken = ending(failureClass, { verb, exitKnown, ...(exitKnown ? {} : { exitCode: null }) });
    const isLimit = failureClass === 'rate_limit' || failureClass === 'overloaded';
    const limited = isLimit && !ok && (verb === null || verb === 'finished') && pauseMs !== null;
    return { end: ok ? { ...broken, ...WELL } : broken, pauseMs: limited ? pauseMs : null };
  });
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('whatever happens to a task', () => {
  it('its attempts are bounded, and what is not counted is waited for', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(endings, chance), { minLength: 1, maxLength: 60, size: 'max' }),
        fc.integer({ min: 1, max: 6 }),
        fc.nat(6),
        async (story, maxAttempts, retries) => {
          const clock = new FakeClock(NOW);
          await using store = new MemoryTaskStore(clock);
          await store.submit([newTask({ maxAttempts, retries })]);
          let [counted, asked] = [0, 0];
          for (const [{ end, pauseMs }, luck] of story) {
            const [claim] = await store.claim({ owner: 'me', limit: 1, leaseMs: 1000 });
            if (claim === undefined) throw new Error('the task is not ready');
            expect(claim.task.attempt).toBe(counted + 1);
            const now = clock.now();
            const limit = pauseMs === null ? null : { until: now + pauseMs, movesOn: false, counts: false };
            const settlement = settle(claim, end, now, () => luck, { limit, foreignSession: false });
            if (settlement.kind === 'finish') {
              expect(settlement.outcome.error === null).toBe(settlement.outcome.state === 'completed');
              return;
            }
            const { release } = settlement;
            const wait = (release.runAt ?? now) - now;
            expect(Number.isSafeInteger(wait)).toBe(true);
            expect(wait).toBeGreaterThanOrEqual(release.countsAsAttempt ? 0 : 30 * SECOND);
            expect(wait).toBeLessThanOrEqual(24 * HOUR + 60 * SECOND);
            expect(release.waitReason === null).toBe(release.runAt === null);
            counted += release.countsAsAttempt ? 1 : 0;
            asked += release.usesRetry ? 1 : 0;
            expect(counted).toBeLessThan(maxAttempts);
            expect(asked).toBeLessThanOrEqual(retries);
            await store.release(claim.token, release);
            clock.advance(wait);
          }
        },
      ),
    );
  });
});
