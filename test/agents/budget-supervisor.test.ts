import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BudgetBounds } from '#aiwgd/agents/money/budget.js';
import type { NewEvent } from '#aiwgd/protocol/event.js';
import { FakeClock, MemoryTaskStore } from '#aiwgd/testing/index.js';
import { NO_BOUNDS, Rig, type RigOptions, until } from './harness.js';

/** Speaks as claude does. Waits for the file `go`, where its prompt is not `quick`, then tells what it cost. */
const CLAUDE = `#!/bin/sh
prompt=$(cat)
echo "$@" >> args
if [ "$prompt" != quick ]; then while [ ! -f go ]; do sleep 0.02; done; fi
echo '{"type":"system","subtype":"init","session_id":"5f2aa44a-db6e-48ec-982c-6ad150c517af"}'
case "$prompt" in
  killed) kill -KILL $$ ;;
  stumble) if [ ! -f stumbled ]; then touch stumbled; kill -TERM $$; fi ;;
  fall) if [ ! -f fallen ]; then touch fallen; kill -KILL $$; fi ;;
esac
cost=$(cat cost 2>/dev/null || echo 0.30)
echo '{"type":"result","subtype":"success","is_error":false,"result":"done","total_cost_usd":'$cost'}'
`;

const NOON = new Date(2026, 5, 1, 12).getTime();
const HOUR = 3_600_000;
const MIDNIGHT = new Date(2026, 5, 2).toISOString();

type BudgetRig = Rig & { clock: FakeClock };

async function spending(budget: Partial<BudgetBounds>, more: RigOptions = {}): Promise<BudgetRig> {
  const clock = new FakeClock(NOON);
  const rig = new Rig({
    agents: { claude: { provider: 'claude', program: './claude' } },
    clock,
    settings: { maxParallel: 3, actionTimeoutMs: 1e9, budget: { ...NO_BOUNDS, ...budget } },
    ...more,
  });
  rig.program('claude', CLAUDE);
  await rig.supervisor.start();
  return Object.assign(rig, { clock });
}

function go(rig: Rig): void {
  writeFileSync(join(rig.root, 'go'), '');
}

function count(rig: Rig, type: string): number {
  return rig.events.filter((event) => event.type === type).length;
}

/** Real time: agents are real processes. */
const PATIENCE_MS = 30_000;

/** Lets a little time pass again and again until something holds. */
async function passing(rig: BudgetRig, what: string, condition: () => unknown): Promise<void> {
  await until(
    what,
    () => {
      rig.clock.advance(300);
      return condition();
    },
    PATIENCE_MS,
  );
}

async function over(rig: BudgetRig, what: string, work: Promise<void>): Promise<void> {
  const finished = new AbortController();
  void work.finally(() => finished.abort());
  await passing(rig, what, () => finished.signal.aborted);
  await work;
}

/** Lets time pass, with pauses in which the supervisor does whatever it wants to do. */
async function hours(rig: BudgetRig, n: number): Promise<void> {
  for (let step = 0; step < n * 4; step += 1) {
    rig.clock.advance(HOUR / 4);
    await rig.supervisor.status();
  }
}

function submitted(rig: Rig, n: number, more: object = {}): Promise<string[]> {
  return Promise.all(Array.from({ length: n }, () => rig.submit('work', { agent: 'claude', ...more })));
}

describe('a budget for the day', () => {
  it('of a dollar lets three tasks of 30 cents run, and the rest on the next days', async () => {
    await using rig = await spending({ perTaskUsd: 0.3, perDayUsd: 1 });
    const ids = await submitted(rig, 7);
    ids.push(...(await submitted(rig, 1)));
    expect(count(rig, 'task:started')).toBe(3);
    expect(await rig.supervisor.status()).toMatchObject({
      running: 3,
      spentTodayUsd: 0,
      reservedUsd: 0.9,
      dayLimitUsd: 1,
    });
    const waiting = await rig.get(ids[5] ?? '');
    expect(rig.supervisor.holdOf(waiting)).toEqual({ waitReason: 'budget', runAt: Date.parse(MIDNIGHT) });
    expect(waiting).toMatchObject({ waitReason: null, attempt: 0 });
    const told = rig.events.find(({ payload }) => payload['taskId'] === ids[7]);
    expect(told?.payload).toMatchObject({ waitReason: 'budget', runAt: MIDNIGHT });

    go(rig);
    await passing(rig, 'three are done', () => count(rig, 'task:completed') === 3);
    await hours(rig, 11);
    expect([count(rig, 'task:started'), count(rig, 'task:completed')]).toEqual([3, 3]);
    expect(await rig.supervisor.status()).toMatchObject({ running: 0, spentTodayUsd: 0.9, reservedUsd: 0 });
    const of = (type: string): unknown[] =>
      rig.events.filter((event) => event.type === type).map(({ payload }) => payload);
    expect(of('budget.warning')).toEqual([
      { scope: 'day', spentUsd: 0.9, reservedUsd: 0, limitUsd: 1, until: MIDNIGHT },
    ]);
    expect(of('budget.exhausted')).toHaveLength(1);

    for (const [day, done] of [
      [1, 6],
      [2, 8],
    ] as const) {
      const midnight = new Date(2026, 5, 1 + day).getTime();
      rig.clock.advance(midnight - rig.clock.now() - 1);
      await rig.supervisor.status();
      expect(count(rig, 'task:started')).toBe(done === 6 ? 3 : 6);
      await passing(rig, `day ${day} is done`, () => count(rig, 'task:completed') === done);
      expect(rig.clock.now() - midnight).toBeLessThan(HOUR);
      expect((await rig.supervisor.status()).spentTodayUsd).toBeCloseTo(day === 1 ? 0.9 : 0.6);
    }
    expect(rig.supervisor.holdOf({ agent: 'claude', runAt: null })).toBeUndefined();
  });

  it('is never overshot by what runs at a time, and the record of an attempt knows its bound', async () => {
    await using rig = await spending({ perTaskUsd: 0.3, perDayUsd: 0.7 });
    await submitted(rig, 5);
    expect(count(rig, 'task:started')).toBe(2);
    expect(JSON.parse(rig.read('task-0001', 'runner').split('\n')[0] ?? '')).toMatchObject({
      reservedUsd: 0.3,
    });
    go(rig);
    await passing(rig, 'two are done', () => count(rig, 'task:completed') === 2);
    await hours(rig, 2);
    expect(count(rig, 'task:started')).toBe(2);
  });

  it('lets the next ones start at once where an attempt cost less than it might have', async () => {
    await using rig = await spending({ perTaskUsd: 0.3, perDayUsd: 0.7 });
    writeFileSync(join(rig.root, 'cost'), '0.05');
    await submitted(rig, 6);
    expect(count(rig, 'task:started')).toBe(2);
    go(rig);
    await passing(rig, 'all are done', () => count(rig, 'task:completed') === 6);
    expect(rig.clock.now()).toBeLessThan(NOON + HOUR);
    expect((await rig.supervisor.status()).spentTodayUsd).toBeCloseTo(0.3);
    expect(count(rig, 'budget.exhausted')).toBe(0);
  });

  it('that is raised lets waiting tasks start at once', async () => {
    await using rig = await spending({ perTaskUsd: 0.3, perDayUsd: 0.3 });
    go(rig);
    await submitted(rig, 2);
    await passing(rig, 'one is done', () => count(rig, 'task:completed') === 1);
    await hours(rig, 1);
    expect(count(rig, 'task:started')).toBe(1);
    const budget = { perTaskUsd: 0.3, perDayUsd: 1, perRuleDayUsd: null };
    rig.supervisor.reconfigure(
      { ...rig.settings, budget },
      rig.agents({ claude: { provider: 'claude', program: './claude' } }),
    );
    await passing(rig, 'the other is done', () => count(rig, 'task:completed') === 2);
  });

  it('holds up neither commands nor agents whose cost nobody counts', async () => {
    await using rig = await spending({ perDayUsd: 0 });
    const [held = ''] = await submitted(rig, 1);
    expect((await rig.supervisor.status()).queued).toBe(1);
    const free = await rig.submit('echo free', { agent: 'sh' });
    const command = await rig.submit('shown', { launch: { command: ['echo', 'run'] } });
    const topics = (id: string): boolean => rig.topics(id).includes('task:completed');
    await passing(rig, 'they are done', () => topics(free) && topics(command));
    expect(rig.topics(held)).toEqual(['task:queued']);
    expect(await rig.supervisor.status()).toMatchObject({ spentTodayUsd: 0, reservedUsd: 0 });
  });

  it('gives back what it counted for a killed attempt when the session tells the cost later', async () => {
    await using rig = await spending({ perTaskUsd: 2, perDayUsd: 10 });
    go(rig);
    writeFileSync(join(rig.root, 'cost'), '0.1');
    const id = await rig.submit('stumble', { agent: 'claude', ruleId: 'r' });
    await passing(rig, 'the task is done', () => count(rig, 'task:completed') === 1);
    expect(await rig.get(id)).toMatchObject({ attempt: 2, costUsd: 0.1 });
    await passing(rig, 'the money is given back', async () => {
      const { spentTodayUsd } = await rig.supervisor.status();
      return Math.abs(spentTodayUsd - 0.1) < 1e-9;
    });
  });

  it('keeps what it counted for one that was killed by SIGKILL: its program has forgotten the cost', async () => {
    await using rig = await spending({ perTaskUsd: 2, perDayUsd: 10 });
    go(rig);
    writeFileSync(join(rig.root, 'cost'), '0.1');
    const id = await rig.submit('fall', { agent: 'claude' });
    await passing(rig, 'the task is done', () => count(rig, 'task:completed') === 1);
    expect(await rig.get(id)).toMatchObject({ attempt: 2, costUsd: 0.1 });
    const [day] = await rig.store.spend({ by: 'day', since: 0, limit: 1 });
    expect(day).toMatchObject({ attempts: 2, unknown: 1 });
    expect(day?.countedUsd).toBeCloseTo(2.1);
  });

  it('counts what was reserved for an attempt that was killed before it told its cost', async () => {
    await using rig = await spending({ perTaskUsd: 0.3, perDayUsd: 1 });
    go(rig);
    const id = await rig.submit('killed', { agent: 'claude', maxAttempts: 1 });
    await passing(rig, 'it has failed', () => rig.topics(id).includes('task:failed'));
    expect(await rig.supervisor.status()).toMatchObject({ spentTodayUsd: 0.3, reservedUsd: 0 });
  });
});

describe('a budget for the task', () => {
  it('that is used up ends it, and names the key', async () => {
    const clock = new FakeClock(NOON);
    const store = new MemoryTaskStore(clock);
    const claim = store.claim.bind(store);
    store.claim = async (request) =>
      (await claim(request)).map((one) => ({ ...one, spentUsd: one.task.attempt === 1 ? 2 : 0 }));
    await using rig = await spending({ perTaskUsd: 2 }, { clock, store });
    const [id = ''] = await submitted(rig, 1);
    await passing(rig, 'it has failed', () => rig.topics(id).includes('task:failed'));
    expect((await rig.get(id)).error).toMatch(
      /have cost \$2\.00, and budget\.per_task_usd allows \$2; raise it/,
    );
    expect(existsSync(join(rig.root, 'args'))).toBe(false);
  });
});

describe('a budget for the rules', () => {
  it('lets the tasks of one rule wait, and no others', async () => {
    await using rig = await spending({ perTaskUsd: 0.3, perRuleDayUsd: 0.5 });
    const ids = await submitted(rig, 2, { ruleId: 'r' });
    await passing(rig, 'one waits', async () => (await rig.get(ids[1] ?? '')).waitReason === 'budget');
    expect(await rig.get(ids[1] ?? '')).toMatchObject({ state: 'queued', runAt: MIDNIGHT, attempt: 0 });
    const last = rig.events.findLast(({ payload }) => payload['taskId'] === ids[1]);
    expect(last).toMatchObject({ type: 'task:queued', payload: { waitReason: 'budget', runAt: MIDNIGHT } });
    const [other = ''] = await submitted(rig, 1, { ruleId: 's' });
    const [free = ''] = await submitted(rig, 1);
    await passing(rig, 'the others run', () => count(rig, 'task:started') === 3);
    go(rig);
    const done = (id = ''): boolean => rig.topics(id).includes('task:completed');
    await passing(rig, 'three are done', () => [ids[0], other, free].every(done));
    await hours(rig, 3);
    expect(done(ids[1])).toBe(false);
    await hours(rig, 9);
    await passing(rig, 'the next day it is done', () => done(ids[1]));
  });

  it('lets them go on as soon as there is room, or the bound is raised', async () => {
    await using rig = await spending({ perTaskUsd: 0.3, perRuleDayUsd: 0.5 });
    writeFileSync(join(rig.root, 'cost'), '0.1');
    const ids = await submitted(rig, 5, { ruleId: 'r' });
    await passing(rig, 'four wait', async () => {
      const tasks = await Promise.all(ids.map((id) => rig.get(id)));
      return tasks.filter(({ waitReason }) => waitReason === 'budget').length === 4;
    });
    go(rig);
    await passing(rig, 'three are done', () => count(rig, 'task:completed') === 3);
    await hours(rig, 1);
    expect(count(rig, 'task:started')).toBe(3);
    const budget = { perTaskUsd: 0.3, perDayUsd: null, perRuleDayUsd: 5 };
    rig.supervisor.reconfigure(
      { ...rig.settings, budget },
      rig.agents({ claude: { provider: 'claude', program: './claude' } }),
    );
    await passing(rig, 'all are done', () => count(rig, 'task:completed') === 5);
    expect(rig.clock.now()).toBeLessThan(Date.parse(MIDNIGHT));
  });
});

describe('a daemon that takes over', () => {
  it('tells of a bound what its predecessor was killed before telling, and nothing twice', async () => {
    const clock = new FakeClock(NOON);
    const store = new MemoryTaskStore(clock);
    const budget = { perTaskUsd: 0.3, perDayUsd: 0.3 };
    await using rig = await spending(budget, { clock, store });
    go(rig);
    await submitted(rig, 1);
    await passing(rig, 'it is done', () => count(rig, 'budget.exhausted') === 1);
    await over(rig, 'it is handed over', rig.supervisor.handOver());
    const told = rig.events.filter(({ type }) => type.startsWith('budget.'));
    expect(told.map(({ type }) => type)).toEqual(['budget.warning', 'budget.exhausted']);
    const next = async (earlier: readonly NewEvent[], owner: string): Promise<NewEvent[]> => {
      const { root, settings } = rig;
      const one = new Rig({ clock, store, root, settings, owner, earlierEvents: () => earlier });
      await one.supervisor.start();
      await over(rig, 'it is handed over', one.supervisor.handOver());
      return one.events;
    };
    expect(await next(told.slice(0, 1), 'second')).toEqual(told.slice(1));
    expect(await next(told, 'third')).toEqual([]);
  });

  it('knows what was spent today, and what the attempts that go on may cost', async () => {
    const clock = new FakeClock(NOON);
    const store = new MemoryTaskStore(clock);
    const budget = { perTaskUsd: 0.3, perDayUsd: 1, perRuleDayUsd: 0.5 };
    await using rig = await spending(budget, { clock, store });
    await submitted(rig, 1, { ruleId: 'r' });
    await passing(rig, 'it runs', () => existsSync(join(rig.root, 'args')));
    await over(rig, 'it is handed over', rig.supervisor.handOver());
    const asked: unknown[] = [];
    store.spend = async (query) => {
      asked.push(query);
      const row = { costUsd: 0.4, countedUsd: 0.4, attempts: 2, unknown: 0 };
      return [
        {
          key: query.by === 'day' ? '2026-06-01' : 's',
          ...row,
          tokens: { input: 0, cachedInput: 0, output: 0 },
        },
      ];
    };
    const next = new Rig({
      agents: { claude: { provider: 'claude', program: './claude' } },
      clock,
      store,
      root: rig.root,
      owner: 'next',
      settings: { ...rig.settings },
    });
    expect(await next.supervisor.start()).toBe(1);
    expect(asked).toEqual([
      { by: 'day', since: new Date(2026, 5, 1).getTime(), until: Date.parse(MIDNIGHT), limit: 2 },
      { by: 'rule', since: new Date(2026, 5, 1).getTime(), until: Date.parse(MIDNIGHT), limit: 1000 },
    ]);
    expect(await next.supervisor.status()).toMatchObject({ spentTodayUsd: 0.4, reservedUsd: 0.3 });
    const one = await next.submit('quick', { agent: 'claude' });
    const two = await next.submit('quick', { agent: 'claude' });
    await until('one more is done', () => {
      clock.advance(300);
      return next.topics(one).includes('task:completed');
    });
    expect(next.topics(two)).toEqual(['task:queued']);
    go(rig);
    await until('the one taken over is done', () => {
      clock.advance(300);
      return next.events.some(
        ({ type, payload }) => type === 'task:completed' && payload['taskId'] === 'task-0001',
      );
    });
    expect((await next.supervisor.status()).spentTodayUsd).toBeCloseTo(1);
    await over(rig, 'it has stopped', next.supervisor.stop({ graceMs: 0 }));
  });
});
