import type { SpendRow } from '../protocol/spend.js';
import type { Charge, TaskStore } from '../tasks/task-store.js';
import {
  BACK,
  charge,
  claim,
  claimOne,
  codeOf,
  DONE,
  LEASE_MS,
  newTask,
  type TaskStoreEngine,
  type TestTools,
  withStore,
} from './suite-harness.js';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const EVERYTHING = { since: 0, limit: 1000 } as const;

/** Runs a task to its end as one attempt that is charged for. */
async function runOne(store: TaskStore, task: Parameters<typeof newTask>[0], of: Partial<Charge>) {
  await store.submit([newTask(task)]);
  const { token, attemptId } = await claimOne(store);
  await store.finish(token, { ...DONE, charge: charge({ attemptId, ...of }) });
}

const total = async (store: TaskStore): Promise<SpendRow | undefined> =>
  (await store.spend({ ...EVERYTHING, by: 'agent' }))[0];

/** The part of the suite that is about what attempts cost. */
export function taskChargesSuite(name: string, engine: TaskStoreEngine, tools: TestTools): void {
  const { describe, expect } = tools;
  const it = withStore(engine, tools);

  describe(`${name}: charges`, () => {
    it('come with the end of an attempt, once', async (store) => {
      await store.submit([newTask()]);
      const { token, attemptId } = await claimOne(store);
      const done = { ...DONE, costUsd: null, charge: charge({ attemptId }) };
      expect(await store.finish(token, done)).toBe(true);
      // A writer that did not learn of it tries again.
      expect(await store.finish(token, done)).toBe(false);
      expect(await store.release(token, { ...BACK, charge: charge({ attemptId }) })).toBe(false);
      expect(await total(store)).toEqual({
        key: 'claude',
        costUsd: 0.25,
        countedUsd: 0.25,
        attempts: 1,
        unknown: 0,
        tokens: { input: 100, cachedInput: 40, output: 7 },
      });
      expect((await store.get('task-0001'))?.costUsd).toBe(0.25);
    });

    it('are not stored for a token that is fenced', async (store, clock) => {
      await store.submit([newTask()]);
      const old = await claimOne(store);
      clock.advance(LEASE_MS);
      const [taken] = await store.reap({ owner: 'b', leaseMs: LEASE_MS, limit: 1, othersAreDead: false });
      const mine = charge({ attemptId: old.attemptId });
      expect(await store.finish(old.token, { ...DONE, charge: mine })).toBe(false);
      expect(await store.release(old.token, { ...BACK, charge: mine })).toBe(false);
      expect(await total(store)).toBe(undefined);
      expect(await store.finish(taken?.token ?? '', { ...DONE, charge: mine })).toBe(true);
      expect(await total(store)).toMatchObject({ attempts: 1, costUsd: 0.25 });
    });

    it('count an attempt once, whoever hands it in', async (store) => {
      await store.submit([newTask(), newTask()]);
      const [first, second] = await claim(store, 2);
      const same = charge({ attemptId: first?.attemptId ?? '' });
      await store.finish(first?.token ?? '', { ...DONE, costUsd: null, charge: same });
      await store.finish(second?.token ?? '', { ...DONE, costUsd: null, charge: same });
      expect(await total(store)).toMatchObject({ attempts: 1, costUsd: 0.25 });
      expect((await store.get('task-0002'))?.costUsd).toBe(null);
    });

    it('add up over the attempts of a task, until it is queued anew', async (store) => {
      await store.submit([newTask()]);
      const first = await claimOne(store);
      expect(first.spentUsd).toBe(0);
      await store.release(first.token, { ...BACK, charge: charge({ attemptId: 'a', costUsd: null }) });
      expect((await store.get('task-0001'))?.costUsd).toBe(null);
      const second = await claimOne(store);
      expect(second.spentUsd).toBe(0);
      await store.release(second.token, { ...BACK, charge: charge({ attemptId: 'b', costUsd: 0.5 }) });
      const third = await claimOne(store);
      expect(third.spentUsd).toBe(0.5);
      // No agent was at work: nothing more to pay.
      await store.release(third.token, BACK);
      const fourth = await claimOne(store);
      await store.finish(fourth.token, { ...DONE, costUsd: 0.25, charge: charge({ attemptId: 'd' }) });
      expect((await store.get('task-0001'))?.costUsd).toBe(0.75);
      await store.requeue('task-0001');
      expect((await store.get('task-0001'))?.costUsd).toBe(null);
      const anew = await claimOne(store);
      expect(anew.spentUsd).toBe(0);
      await store.finish(anew.token, { ...DONE, charge: charge({ attemptId: 'e', costUsd: 1 }) });
      expect((await store.get('task-0001'))?.costUsd).toBe(1);
      expect(await total(store)).toMatchObject({ attempts: 4, unknown: 1, costUsd: 1.75 });
    });

    it('are kept when what was counted makes no sense', async (store) => {
      const odd = { input: Number.NaN, cachedInput: -1, output: 2.4 };
      await runOne(store, {}, { costUsd: Number.NaN, countedUsd: Number.POSITIVE_INFINITY, tokens: odd });
      await runOne(store, {}, { costUsd: -1, countedUsd: 0.5, agent: 'a\ud800', tokens: null });
      expect(await store.spend({ ...EVERYTHING, by: 'agent' })).toMatchObject([
        { key: 'a\u{fffd}', costUsd: 0, unknown: 1, countedUsd: 0.5 },
        {
          key: 'claude',
          costUsd: 0,
          unknown: 1,
          countedUsd: 0,
          tokens: { input: 0, cachedInput: 0, output: 2 },
        },
      ]);
    });
  });

  describe(`${name}: sessions that count from their beginning`, () => {
    const totals = (costUsd: number | null) => ({ costUsd, tokens: null });
    const counted = async (store: TaskStore) => (await total(store))?.countedUsd;

    it('hold what an attempt cost whose own end told nothing', async (store) => {
      const of = { sessionId: 's-1', countedUsd: 1 };
      await runOne(
        store,
        {},
        { ...of, attemptId: 'a', costUsd: 0.5, countedUsd: 0.5, sessionTotals: totals(0.5) },
      );
      await runOne(store, {}, { ...of, attemptId: 'b', costUsd: null, sessionTotals: null });
      await runOne(
        store,
        {},
        { ...of, attemptId: 'c', costUsd: null, sessionTotals: null, sessionId: 's-2' },
      );
      expect(await counted(store)).toBe(2.5);
      // One that counts by the run says nothing of the others.
      await runOne(
        store,
        {},
        { ...of, attemptId: 'd', costUsd: 0.25, countedUsd: 0.25, sessionTotals: null },
      );
      expect(await counted(store)).toBe(2.75);
      await runOne(store, {}, { ...of, attemptId: 'e', costUsd: null, sessionTotals: totals(null) });
      expect(await counted(store)).toBe(3.75);
      await runOne(store, {}, { ...of, attemptId: 'f', costUsd: 1, countedUsd: 1, sessionTotals: totals(2) });
      expect(await total(store)).toMatchObject({ countedUsd: 2.75, costUsd: 1.75, unknown: 3, attempts: 6 });
    });

    it('are handed on with the claim that goes on in them', async (store) => {
      await store.submit([newTask()]);
      const first = await claimOne(store);
      expect(first.baseline).toBe(null);
      const back = { ...BACK, sessionId: 's-1' };
      const tokens = { input: 5, cachedInput: 1, output: 2 };
      await store.release(first.token, {
        ...back,
        charge: charge({ attemptId: 'a', sessionTotals: { costUsd: 0.5, tokens } }),
      });
      const second = await claimOne(store);
      expect(second.baseline).toEqual({ costUsd: 0.5, tokens });
      // Cut off before it told anything: what was known before still holds.
      await store.release(second.token, { ...back, charge: charge({ attemptId: 'b', costUsd: null }) });
      const third = await claimOne(store);
      expect(third.baseline).toEqual({ costUsd: 0.5, tokens });
      await store.release(third.token, {
        ...back,
        charge: charge({ attemptId: 'c', sessionTotals: totals(0.75) }),
      });
      expect((await claimOne(store)).baseline).toEqual(totals(0.75));
      const [reaped] = await store.reap({ owner: 'b', leaseMs: LEASE_MS, limit: 1, othersAreDead: true });
      expect(reaped?.baseline).toEqual(totals(0.75));
    });

    it('are not those of another session', async (store) => {
      await store.submit([newTask()]);
      const first = await claimOne(store);
      const of = charge({ attemptId: 'a', sessionId: 's-1', sessionTotals: totals(0.5) });
      await store.release(first.token, { ...BACK, sessionId: 's-2', charge: of });
      const second = await claimOne(store);
      expect(second.baseline).toBe(null);
      await store.release(second.token, BACK);
      expect((await claimOne(store)).baseline).toBe(null);
    });
  });

  spendSuite(name, engine, tools);
}

function spendSuite(name: string, engine: TaskStoreEngine, tools: TestTools): void {
  const { describe, expect } = tools;
  const it = withStore(engine, tools);
  const keys = async (store: TaskStore, query: Partial<Parameters<TaskStore['spend']>[0]>) =>
    (await store.spend({ ...EVERYTHING, by: 'rule', ...query })).map(({ key, costUsd }) => [key, costUsd]);

  describe(`${name}: spend`, () => {
    it('adds up by rule, agent and task, the most expensive first', async (store) => {
      await runOne(store, { ruleId: 'nightly' }, { costUsd: 0.5 });
      await runOne(store, {}, { costUsd: 4, agent: 'codex' });
      await runOne(store, { ruleId: 'on-push' }, { costUsd: 2 });
      await runOne(store, { ruleId: 'nightly' }, { costUsd: 1, agent: 'codex' });
      expect(await keys(store, {})).toEqual([
        [null, 4],
        ['on-push', 2],
        ['nightly', 1.5],
      ]);
      expect(await keys(store, { by: 'agent' })).toEqual([
        ['codex', 5],
        ['claude', 2.5],
      ]);
      expect(await keys(store, { by: 'task', limit: 3 })).toEqual([
        ['task-0002', 4],
        ['task-0003', 2],
        ['task-0004', 1],
      ]);
      expect(await keys(store, { limit: 1 })).toEqual([[null, 4]]);
      expect(await codeOf(store.spend({ ...EVERYTHING, by: 'day', limit: 0 }))).toBe('INVALID_PARAMS');
    });

    it('adds up by day of the local time zone, the newest first', async (store, clock) => {
      // The day's last millisecond, whatever the zone, and its first.
      clock.advance(new Date(clock.now()).setHours(24, 0, 0, 0) - 1 - clock.now());
      const last = clock.now();
      await runOne(store, {}, { costUsd: 1 });
      await runOne(store, {}, { costUsd: 2 });
      clock.advance(1);
      await runOne(store, {}, { costUsd: 4 });
      clock.advance(40 * DAY_MS);
      await runOne(store, {}, { costUsd: 8 });
      const day = (time: number) => {
        const date = new Date(time);
        const two = (value: number) => String(value).padStart(2, '0');
        return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
      };
      const days = [
        [day(clock.now()), 8],
        [day(last + 1), 4],
        [day(last), 3],
      ];
      expect(await keys(store, { by: 'day' })).toEqual(days);
      expect(await keys(store, { by: 'day', limit: 2 })).toEqual(days.slice(0, 2));
      expect(await keys(store, { by: 'day', since: last, until: last + 1 })).toEqual(days.slice(2));
      expect(await keys(store, { by: 'day', since: last + 1 })).toEqual(days.slice(0, 2));
      expect(await keys(store, { by: 'rule', since: last + 1, until: clock.now() })).toEqual([[null, 4]]);
      expect(await keys(store, { by: 'task', until: last })).toEqual([]);
    });

    it('remembers 400 days, also of tasks that are forgotten', async (store, clock) => {
      await runOne(store, {}, { costUsd: 1 });
      clock.advance(399 * DAY_MS);
      await runOne(store, {}, { costUsd: 2 });
      expect(await store.forget(['task-0001', 'task-0002'])).toBe(2);
      expect(await keys(store, { by: 'task' })).toEqual([
        ['task-0002', 2],
        ['task-0001', 1],
      ]);
      clock.advance(DAY_MS + HOUR_MS);
      expect(await store.forget([])).toBe(0);
      expect(await keys(store, { by: 'task' })).toEqual([['task-0002', 2]]);
    });
  });
}
