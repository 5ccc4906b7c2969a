import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Rig } from './engine-rig.js';

const ON_GO = { type: 'event', topic: 'go' };
const TASK = { type: 'submit_task', prompt: '{{payload.n}}' };

function open(mode: string, max = 10): Promise<Rig> {
  const rule = { trigger: ON_GO, action: TASK, mode, max, max_per_hour: 10_000 };
  return Rig.open({ rules: [rule] });
}

function go(rig: Rig, from: number, to: number): void {
  rig.batch(() => {
    for (let n = from; n <= to; n += 1) rig.publish('go', { n });
  });
}

function prompts(rig: Rig): number[] {
  return rig.tasks.all.map(({ prompt }) => Number(prompt));
}

test('single: while a run lasts, others are dropped, and the trace says so', async () => {
  const rig = await open('single');
  go(rig, 1, 1_000);
  await rig.idle();
  go(rig, 1_001, 1_001);
  await rig.endAll();
  go(rig, 1_002, 1_002);
  await rig.endAll();
  expect(prompts(rig)).toEqual([1, 1_002]);
  expect(rig.trace().map(({ outcome, count }) => [outcome, count])).toEqual([
    ['fired', 1],
    ['dropped', 1_000],
    ['fired', 1],
  ]);
  expect(rig.trace()[1]!.why).toMatch(/its mode is single/);
});

test('queued: one after the other, max of them together, the rest is dropped', async () => {
  const rig = await open('queued', 4);
  go(rig, 1, 1_000);
  await rig.idle();
  expect(prompts(rig)).toEqual([1]);
  expect(rig.engine.status().rules[0]).toMatchObject({ running: 1, waiting: 3, firedCount: 4 });
  await rig.pass(1_000);
  await rig.reopen();
  expect(rig.engine.status().rules[0]).toMatchObject({ running: 1, waiting: 3 });
  await rig.endAll();
  expect(prompts(rig)).toEqual([1, 2, 3, 4]);
  expect(rig.states()).toEqual(['completed', 'completed', 'completed', 'completed']);
  expect(rig.trace().find(({ outcome }) => outcome === 'dropped')).toMatchObject({
    count: 996,
    why: '4 runs of it are at work or waiting, and its max is 4',
  });
  expect(rig.trace().filter(({ why }) => why.includes('waits for its turn'))).toHaveLength(3);
});

test('parallel: max of them side by side, the rest is dropped', async () => {
  const rig = await open('parallel', 4);
  go(rig, 1, 1_000);
  await rig.idle();
  expect(prompts(rig)).toEqual([1, 2, 3, 4]);
  await rig.endTask(rig.tasks.all[2]);
  go(rig, 1_001, 1_002);
  await rig.reopen();
  expect(prompts(rig)).toEqual([1, 2, 3, 4, 1_001]);
  expect(rig.engine.status().rules[0]).toMatchObject({ running: 4 });
});

test('restart: the newest takes the place of the others, whose tasks are cancelled', async () => {
  const rig = await open('restart');
  go(rig, 1, 1);
  await rig.idle();
  go(rig, 2, 2);
  await rig.idle();
  expect(rig.tasks.all.map(({ prompt, state }) => [prompt, state])).toEqual([
    ['1', 'cancelled'],
    ['2', 'queued'],
  ]);
  go(rig, 3, 1_000);
  await rig.idle();
  await rig.endAll();
  expect(prompts(rig)).toEqual([1, 2, 1_000]);
  expect(rig.tasks.all.map(({ state }) => state)).toEqual(['cancelled', 'cancelled', 'completed']);
  expect(rig.engine.status().rules[0]).toMatchObject({ running: 0, waiting: 0 });
  expect(rig.letters()).toEqual([]);
});

test('restart, killed before the run before has ended: the next daemon ends it', async () => {
  const rig = await open('restart');
  go(rig, 1, 1);
  await rig.idle();
  rig.publish('go', { n: 2 });
  await rig.reopen();
  await rig.endAll();
  expect(rig.tasks.all.map(({ prompt, state }) => [prompt, state])).toEqual([
    ['1', 'cancelled'],
    ['2', 'completed'],
  ]);
  expect(rig.states()).toEqual(['cancelled', 'completed']);
});

test('restart, killed and switched off: what was replaced ends, the newest waits', async () => {
  const rig = await open('restart');
  go(rig, 1, 1);
  await rig.idle();
  go(rig, 2, 3);
  rig.engine.disable('r0');
  await rig.reopen();
  expect(rig.states()).toEqual(['cancelled', 'cancelled', 'waiting']);
  rig.engine.enable('r0');
  await rig.endAll();
  expect(prompts(rig)).toEqual([1, 3]);
});

test.each(['single', 'queued', 'parallel', 'restart'])(
  'a transaction that fails leaves everything as it was: %s',
  async (mode) => {
    const rig = await Rig.open({
      rules: [
        { trigger: ON_GO, action: TASK, mode, max: 3, max_per_hour: 5 },
        { trigger: ON_GO, condition: { type: 'debounce', interval_ms: 100 }, action: TASK },
        { trigger: ON_GO, condition: { type: 'throttle', interval_ms: 100 }, action: TASK },
      ],
    });
    go(rig, 1, 1);
    await rig.pass(100);
    await rig.endAll();
    await rig.pass(1_000);
    const before = rig.engine.status();
    expect(() =>
      rig.batch(() => {
        for (let n = 2; n <= 9; n += 1) rig.publish('go', { n });
        throw new Error('the source has failed');
      }),
    ).toThrow('the source has failed');
    await rig.pass(1_000);
    expect(rig.engine.status()).toEqual(before);
    expect(rig.topics(/^rule.paused/)).toHaveLength(0);
    await rig.reopen();
    expect(rig.engine.status()).toEqual(before);
    rig.publish('go', { n: 10 });
    await rig.pass(100);
    await rig.endAll();
    expect(prompts(rig).toSorted((a, b) => a - b)).toEqual([1, 1, 1, 10, 10, 10]);
  },
);

test('jobs: what is due while a run lasts is passed over, waits, or runs beside it', async () => {
  const rig = await Rig.open({
    actions: { named: { type: 'command', command: ['./x', 'y'], timeout_ms: 5, env: {} } },
  });
  const job = {
    cron: '* * * * *',
    timezone: null,
    catch_up: 'none',
    enabled: true,
    action: 'named',
  } as const;
  const begin = (id: string, overlap: 'skip' | 'queue' | 'parallel') =>
    rig.batch(() =>
      rig.jobs.begin({ ...job, id, overlap }, rig.publish('cron.fired', {}, { source: 'scheduler' })),
    );
  for (const overlap of ['skip', 'queue', 'parallel'] as const) {
    expect(begin(overlap, overlap)).toMatch(/^run-/);
    const second = begin(overlap, overlap);
    if (overlap === 'skip') expect(second).toBeNull();
    else expect(second).toMatch(/^run-/);
  }
  await rig.idle();
  expect(rig.tasks.all.map(({ metadata }) => metadata['jobId'])).toEqual([
    'skip',
    'queue',
    'parallel',
    'parallel',
  ]);
  expect(rig.tasks.all[0]).toMatchObject({
    source: 'schedule',
    ruleId: null,
    launch: { command: ['./x', 'y'] },
  });
  expect(rig.jobs.last('skip')).toMatchObject({ lastOutcome: 'skipped' });
  await rig.endAll();
  expect(rig.jobs.last('queue')).toMatchObject({ lastOutcome: 'completed' });
  expect(rig.jobs.last('none')).toEqual({ last: null, lastOutcome: null });
});

test('a built-in action reports; one that fails or throws is a failed run without a dead letter', async () => {
  let mood: 'good' | 'bad' | 'awful' = 'good';
  const rig = await Rig.open({
    builtIns: {
      doctor: async () => {
        if (mood === 'awful') throw new Error('the doctor is ill');
        return { ok: mood === 'good', summary: `it is ${mood}`, report: 'a report', data: {} };
      },
    },
  });
  const job = { id: 'j', cron: '* * * * *', timezone: null, catch_up: 'none', enabled: true } as const;
  const begin = () =>
    rig.batch(() =>
      rig.jobs.begin(
        { ...job, action: 'doctor', overlap: 'skip' },
        rig.publish('cron.fired', {}, { source: 'scheduler' }),
      ),
    );
  begin();
  await rig.idle();
  expect(rig.jobs.last('j').lastOutcome).toBe('completed');
  expect(rig.outcomes).toEqual([{ runId: 'run-0001', stdout: 'a report' }]);
  mood = 'bad';
  begin();
  await rig.idle();
  expect(rig.jobs.last('j').lastOutcome).toBe('failed');
  mood = 'awful';
  begin();
  await rig.pass(12_000, 24);
  expect(rig.jobs.last('j').lastOutcome).toBe('failed');
  expect(rig.engine.status().recentExecutions[0]).toMatchObject({ jobId: 'j', error: 'the doctor is ill' });
  expect(rig.letters()).toEqual([]);
});

test('property: however events, ends and kills follow each other, no mode runs more than it may', async () => {
  const step = fc.constantFrom('go', 'burst', 'end', 'kill', 'fail');
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('single', 'queued', 'parallel', 'restart'),
      fc.array(step, { minLength: 1, maxLength: 15 }),
      async (mode, steps) => {
        const rig = await open(mode, 3);
        let n = 0;
        for (const one of steps) {
          if (one === 'go') go(rig, (n += 1), n);
          if (one === 'burst') go(rig, n + 1, (n += 5));
          if (one === 'end' && rig.tasks.open[0]) await rig.endTask(rig.tasks.open[0]);
          if (one === 'fail' && rig.tasks.open[0]) await rig.endTask(rig.tasks.open[0], 'failed');
          if (one === 'kill') await rig.reopen();
          await rig.idle();
          const { running, waiting } = rig.engine.status().rules[0]!;
          expect(rig.tasks.open.length).toBeLessThanOrEqual(mode === 'parallel' ? 3 : 1);
          expect(rig.tasks.open).toHaveLength(running);
          expect(running + waiting).toBeLessThanOrEqual(mode === 'single' || mode === 'restart' ? 1 : 3);
        }
        await rig.endAll();
        const { running, waiting, firedCount } = rig.engine.status().rules[0]!;
        expect([running, waiting]).toEqual([0, 0]);
        expect(new Set(prompts(rig)).size).toBe(rig.tasks.all.length);
        if (mode !== 'restart') expect(rig.tasks.all).toHaveLength(firedCount);
        if (n > 0 && mode === 'restart') expect(prompts(rig).at(-1)).toBe(n);
        rig.kill();
      },
    ),
    { numRuns: 25 },
  );
});
