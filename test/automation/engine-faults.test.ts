import { expect, test } from 'vitest';
import { Rig } from './engine-rig.js';

const ON_GO = { type: 'event', topic: 'go' };
const BIG = 'x'.repeat(20_000);

test('a full disk: what a source reports is refused as a whole, and taken in when there is room', async () => {
  const rig = await Rig.open({
    rules: [{ trigger: ON_GO, action: { type: 'submit_task', prompt: '{{payload.n}}' }, mode: 'parallel' }],
  });
  rig.db.fill();
  const report = () =>
    rig.batch(() => {
      for (const n of [1, 2, 3]) rig.publish('go', { n, BIG });
    });
  for (let attempt = 0; attempt < 3; attempt += 1) expect(report).toThrow(/full/);
  await rig.pass(5_000, 5);
  expect(rig.tasks.all).toEqual([]);
  rig.db.makeRoom();
  report();
  await rig.pass(5_000, 5);
  await rig.endAll();
  expect(rig.tasks.all.map(({ prompt }) => prompt)).toEqual(['1', '2', '3']);
  expect(rig.engine.status().rules[0]).toMatchObject({ firedCount: 3, running: 0 });
});

test('a full disk: events without a transaction wait in their order, and are taken in once', async () => {
  const rig = await Rig.open({
    rules: [
      {
        trigger: { type: 'event', topic: 'go' },
        action: { type: 'submit_task', prompt: '{{payload.n}}' },
        max: 100,
      },
      {
        trigger: { type: 'file_change', pattern: '**' },
        action: { type: 'submit_task', prompt: '{{payload.path}}' },
      },
    ],
  });
  rig.change('first.ts');
  await rig.idle();
  rig.db.refuses = true;
  rig.startTask(rig.tasks.all[0]!);
  for (let n = 1; n <= 19; n += 1) rig.publish('go', { n });
  await rig.pass(10_000, 10);
  expect(rig.tasks.all).toHaveLength(1);
  rig.db.refuses = false;
  rig.publish('go', { n: 20 });
  await rig.endTask(rig.tasks.all[0]);
  await rig.pass(5_000, 5);
  await rig.endAll();
  expect(rig.tasks.all.slice(1).map(({ prompt }) => Number(prompt))).toEqual(
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
  // The task began and ended while nothing could be noted: a person's change long afterwards is a person's.
  await rig.pass(10_000);
  rig.change('later.ts');
  await rig.endAll();
  expect(rig.tasks.all.at(-1)!.prompt).toBe('"later.ts"');
});

test('a disk that fills up in the middle of a run: the run waits, goes on, and does nothing twice', async () => {
  const rig = await Rig.open({
    rules: [
      {
        trigger: ON_GO,
        actions: [
          { type: 'submit_task', prompt: 'one' },
          { type: 'emit', topic: 'said', payload: { all: '{{payload}}' } },
          { type: 'submit_task', prompt: 'two' },
        ],
      },
      {
        trigger: { type: 'event', topic: 'said' },
        action: { type: 'submit_task', prompt: 'three {{payload.all.BIG}}' },
      },
    ],
  });
  rig.publish('go', { BIG });
  await rig.idle();
  rig.db.fill();
  await rig.endTask(rig.tasks.all[0], 'completed', { result: BIG });
  await rig.pass(5_000, 5);
  expect(rig.tasks.all).toHaveLength(1);
  rig.db.makeRoom();
  await rig.pass(5_000, 5);
  await rig.endAll();
  expect(rig.tasks.all.map(({ prompt }) => prompt.slice(0, 5)).toSorted()).toEqual(['one', 'three', 'two']);
  expect(rig.states()).toEqual(['completed', 'completed']);
});

test('a batch whose time comes while the disk is full keeps its turn', async () => {
  const rig = await Rig.open({
    rules: [
      {
        trigger: { type: 'file_change', pattern: '**' },
        condition: { type: 'debounce', interval_ms: 1_000 },
        action: { type: 'submit_task', prompt: '{{files}}' },
      },
    ],
  });
  rig.batch(() => {
    for (let n = 0; n < 50; n += 1) rig.change(`${n}.ts`);
  });
  rig.db.refuses = true;
  await rig.pass(5_000, 5);
  expect(rig.tasks.all).toHaveLength(0);
  rig.db.refuses = false;
  await rig.pass(2_000, 2);
  expect(rig.tasks.all).toHaveLength(1);
  expect(rig.tasks.all[0]!.launch.event['files']).toHaveLength(50);
});

test('a command is asked when its question can be noted, and its answer is not lost', async () => {
  let asked = 0;
  const rig = await Rig.open({
    rules: [
      {
        trigger: ON_GO,
        condition: { type: 'shell', command: ['./ok'] },
        action: { type: 'submit_task', prompt: '{{payload.n}}' },
      },
    ],
    commands: {
      run: async () => {
        asked += 1;
        rig.db.fill();
        return { exitCode: 0, timedOut: false, output: '' };
      },
      endLeft: async () => {},
    },
  });
  rig.publish('go', { n: 1, BIG });
  await rig.pass(5_000, 5);
  expect([asked, rig.tasks.all.length]).toEqual([1, 0]);
  rig.db.makeRoom();
  await rig.pass(2_000, 2);
  expect(rig.tasks.all.map(({ prompt }) => prompt)).toEqual(['1']);
  expect(asked).toBe(1);
});

test('a command whose question cannot be noted is asked later', async () => {
  const rig = await Rig.open({
    rules: [
      {
        trigger: ON_GO,
        conditions: [
          { type: 'debounce', interval_ms: 100 },
          { type: 'shell', command: ['./ok'] },
        ],
        action: { type: 'notify', message: 'yes' },
      },
    ],
    commands: {
      run: () => Promise.resolve({ exitCode: 0, timedOut: false, output: '' }),
      endLeft: () => Promise.resolve(),
    },
  });
  rig.publish('go');
  rig.db.refuses = true;
  await rig.pass(5_000, 5);
  rig.db.refuses = false;
  await rig.pass(2_000, 2);
  expect(rig.topics(/^notify/)).toHaveLength(1);
});

test('a transaction in which the engine could not write is undone, even if nobody says so', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_GO, action: { type: 'notify', message: 'x' } }] });
  const tell = () =>
    rig.batch(() => {
      rig.db.refuses = true;
      rig.publish('task:queued', { taskId: 'task-0007', ruleId: 'r0' }, { source: 'supervisor' });
      rig.db.refuses = false;
    });
  expect(tell).toThrow(/full/);
});

test('stopped on a full disk: no timer is left, nothing is thrown, and the next daemon goes on', async () => {
  const faults: unknown[] = [];
  const heard = (error: unknown): void => void faults.push(error);
  process.on('unhandledRejection', heard);
  try {
    const rig = await Rig.open({
      rules: [
        {
          trigger: ON_GO,
          actions: [
            { type: 'submit_task', prompt: 'one' },
            { type: 'submit_task', prompt: 'two' },
          ],
          mode: 'restart',
        },
      ],
    });
    rig.publish('go', { n: 1 });
    await rig.idle();
    rig.db.fill();
    await rig.endTask(rig.tasks.all[0], 'completed', { result: BIG });
    rig.publish('go', { n: 2, BIG });
    await rig.pass(1_500);
    await rig.stop();
    expect(rig.clock.pending).toBe(0);
    await rig.reopen();
    await rig.endAll();
    expect(rig.tasks.all.map(({ prompt }) => prompt)).toEqual(['one', 'two']);
    expect(faults).toEqual([]);
  } finally {
    process.off('unhandledRejection', heard);
  }
});

test('close leaves no timer and no fault behind, whatever is at work', async () => {
  const faults: unknown[] = [];
  const heard = (error: unknown): void => void faults.push(error);
  process.on('unhandledRejection', heard);
  try {
    const rig = await Rig.open({
      rules: [
        { trigger: ON_GO, action: { type: 'submit_task', prompt: 'x' } },
        { trigger: ON_GO, action: { type: 'command', command: ['x'] } },
        {
          trigger: ON_GO,
          condition: { type: 'debounce', interval_ms: 60_000 },
          action: { type: 'notify', message: 'x' },
        },
        {
          trigger: ON_GO,
          condition: { type: 'shell', command: ['x'] },
          action: { type: 'notify', message: 'x' },
        },
        { trigger: ON_GO, actions: [{ type: 'gate' }, { type: 'notify', message: 'x' }] },
        { trigger: ON_GO, action: { type: 'notify', message: '{{payload.none}}' } },
        { trigger: ON_GO, action: { type: 'webhook', url: 'http://127.0.0.1:9/x', allow_private: true } },
      ],
      commands: {
        run: ({ signal }) =>
          new Promise((resolve) => {
            const end = { exitCode: null, timedOut: true, output: '' };
            signal.addEventListener('abort', () => resolve(end), { once: true });
          }),
        endLeft: async () => {},
      },
    });
    for (let n = 0; n < 12; n += 1) rig.publish('go');
    await rig.idle();
    await rig.endTask(
      rig.tasks.all.find(({ ruleId }) => ruleId === 'r1'),
      'failed',
    );
    void rig.router.deadLetters.retry(rig.letters()[0]!.id).catch(heard);
    await rig.idle();
    await rig.stop();
    await rig.idle();
    expect(rig.clock.pending).toBe(0);
    expect(faults).toEqual([]);
    await rig.reopen();
    expect(rig.engine.status().rules[3]).toMatchObject({ waiting: 1, firedCount: 0 });
  } finally {
    process.off('unhandledRejection', heard);
  }
});

test('a fault of one rule is no fault of another, nor of the event', async () => {
  const rig = await Rig.open({
    rules: [
      {
        id: 'bad',
        trigger: ON_GO,
        action: { type: 'webhook', url: 'http://127.0.0.1:9/x', secret_env: 'UNSET' },
      },
      { id: 'good', trigger: ON_GO, action: { type: 'notify', message: 'x' } },
    ],
  });
  rig.publish('go');
  await rig.idle();
  expect(rig.topics(/^notify/)).toHaveLength(1);
  expect(rig.letters()).toMatchObject([
    {
      subscriber: 'rule:bad',
      attempts: 1,
      error: "The variable UNSET with the secret is not set in the daemon's environment",
    },
  ]);
});
