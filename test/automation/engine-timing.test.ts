import { expect, test } from 'vitest';
import { Rig } from './engine-rig.js';

const HOUR = 3_600_000;
const ON_TS = { type: 'file_change', pattern: '**/*.ts' };
const QUIET = { type: 'debounce', interval_ms: 1_000 };
const RUN = { type: 'submit_task', prompt: 'Test {{files}} ({{count}})', wait: false };
const ON_GO = { type: 'event', topic: 'go' };
const NOTE = { type: 'notify', message: 'went' };

function filesOf(rig: Rig): string[][] {
  return rig.tasks.all.map(({ launch }) => launch.event['files'] as string[]);
}

test('a batch has every path once, in the order of the first change, and counts the events', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_TS, condition: QUIET, action: RUN }] });
  for (const path of ['b.ts', 'a.ts', 'b.ts']) rig.change(path);
  await rig.pass(999);
  rig.change('c.ts', 'create');
  await rig.pass(1_000);
  rig.change('d.ts');
  await rig.pass(1_000);
  expect(filesOf(rig)).toEqual([['b.ts', 'a.ts', 'c.ts'], ['d.ts']]);
  expect(rig.tasks.all[0]!.prompt).toBe('Test "b.ts", "a.ts", "c.ts" (4)');
  expect(rig.trace().map(({ outcome, count }) => [outcome, count])).toEqual([
    ['fired', 1],
    ['waiting', 1],
    ['fired', 4],
    ['waiting', 4],
  ]);
});

test('a batch survives a kill, with all of its paths, and what comes afterwards joins it', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_TS, condition: QUIET, action: RUN }] });
  rig.change('a.ts');
  rig.change('b.ts');
  await rig.pass(900);
  await rig.reopen({ later: 5_000 });
  expect(rig.engine.status().rules[0]).toMatchObject({ waiting: 1 });
  rig.change('c.ts');
  await rig.pass(999);
  expect(rig.tasks.all).toHaveLength(0);
  await rig.pass(1);
  expect(filesOf(rig)).toEqual([['a.ts', 'b.ts', 'c.ts']]);
  await rig.reopen({ later: 5_000 });
  await rig.pass(5_000);
  expect(rig.tasks.all).toHaveLength(1);
});

test('a storm without end is acted upon all the same, and loses nothing', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_TS, condition: QUIET, action: RUN }] });
  const paths: string[] = [];
  for (let at = 0; at < 150; at += 1) {
    paths.push(`f${at}.ts`);
    rig.change(`f${at}.ts`);
    await rig.pass(500);
  }
  await rig.pass(1_000);
  expect(rig.tasks.all.length).toBeGreaterThan(1);
  expect(filesOf(rig).flat()).toEqual(paths);
});

test('20,000 files in one transaction are one batch of 20,000 paths, also over a kill', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_TS, condition: QUIET, action: RUN }] });
  rig.batch(() => {
    for (let at = 0; at < 20_000; at += 1) rig.change(`src/f${at}.ts`, 'create');
  });
  await rig.reopen();
  await rig.pass(1_000);
  expect(new Set(filesOf(rig)[0]).size).toBe(20_000);
  expect(rig.tasks.all).toHaveLength(1);
});

test('a batch of a rule that is gone is forgotten; one of a rule that changed is judged as the rule is now', async () => {
  const rule = { trigger: ON_TS, condition: QUIET, action: RUN };
  const rig = await Rig.open({
    rules: [
      { id: 'gone', ...rule },
      { id: 'changed', ...rule },
    ],
  });
  rig.change('a.ts');
  rig.reconfigure({
    id: 'changed',
    trigger: ON_TS,
    conditions: [QUIET, { field: 'payload.path', operator: 'equals', value: 'b.ts' }],
    action: RUN,
  });
  await rig.pass(2_000);
  expect(rig.tasks.all).toHaveLength(0);
  expect(rig.outcomesOf('changed')).toEqual(['conditions', 'waiting']);
  rig.change('b.ts');
  rig.reconfigure({ id: 'changed', trigger: ON_TS, condition: QUIET, action: { ...RUN, prompt: 'New' } });
  await rig.pass(2_000);
  expect(rig.tasks.all.map(({ ruleId, prompt }) => [ruleId, prompt])).toEqual([['changed', 'New']]);
  rig.change('c.ts');
  await rig.reopen({ rules: [] });
  await rig.reopen({ rules: [{ id: 'changed', ...rule }] });
  await rig.pass(2_000);
  expect(rig.tasks.all).toHaveLength(1);
});

test('a throttle lets one through in its time, also within one transaction, over a kill and a wrong clock', async () => {
  const throttle = { type: 'throttle', interval_ms: 60_000 };
  const rig = await Rig.open({ rules: [{ trigger: ON_GO, condition: throttle, action: NOTE }] });
  rig.batch(() => {
    for (let at = 0; at < 5; at += 1) rig.publish('go');
  });
  await rig.idle();
  await rig.reopen({ later: 59_000 });
  rig.publish('go');
  await rig.idle();
  expect(rig.topics(/^notify/)).toHaveLength(1);
  await rig.pass(1_000);
  rig.publish('go');
  await rig.idle();
  expect(rig.topics(/^notify/)).toHaveLength(2);
  rig.clock.setWall(rig.clock.now() - 24 * HOUR);
  rig.publish('go');
  await rig.idle();
  expect(rig.topics(/^notify/)).toHaveLength(3);
});

test('a cooldown counts from the end of the run, and survives a kill', async () => {
  const rig = await Rig.open({
    rules: [{ trigger: ON_GO, action: { type: 'submit_task', prompt: 'x' }, cooldown: '10s' }],
  });
  rig.publish('go');
  await rig.idle();
  await rig.pass(9_000);
  await rig.endTask(rig.tasks.all[0]);
  await rig.reopen({ later: 9_000 });
  rig.publish('go');
  await rig.idle();
  expect(rig.tasks.all).toHaveLength(1);
  await rig.pass(1_000);
  rig.publish('go');
  await rig.idle();
  expect(rig.tasks.all).toHaveLength(2);
});

test('a rule that fires too often pauses itself once, says so, and goes on when it is told to', async () => {
  const rig = await Rig.open({
    rules: [{ trigger: ON_GO, action: NOTE, mode: 'parallel', max: 1_000, max_per_hour: 3 }],
  });
  rig.batch(() => {
    for (let at = 0; at < 1_000; at += 1) rig.publish('go');
  });
  await rig.idle();
  expect(rig.topics(/^notify/)).toHaveLength(3);
  expect(rig.topics(/^rule.paused/)).toMatchObject([{ payload: { ruleId: 'r0', maxPerHour: 3 } }]);
  expect(rig.trace().find(({ outcome }) => outcome === 'held')).toMatchObject({ count: 996 });
  await rig.reopen({ later: 2 * HOUR });
  rig.publish('go');
  await rig.idle();
  expect(rig.engine.status().rules[0]).toMatchObject({ paused: true, firedCount: 3 });
  rig.engine.enable('r0');
  await rig.reopen();
  rig.publish('go');
  await rig.idle();
  expect(rig.topics(/^notify/)).toHaveLength(4);
  expect(rig.engine.status().rules[0]).toMatchObject({ paused: false, firedCount: 4 });
});

test('an hour later there is room again', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_GO, action: NOTE, max_per_hour: 2 }] });
  for (const wait of [0, 30 * 60_000, 31 * 60_000]) {
    await rig.pass(wait);
    rig.publish('go');
    await rig.idle();
  }
  expect(rig.topics(/^notify/)).toHaveLength(3);
  expect(rig.topics(/^rule.paused/)).toHaveLength(0);
});

test('what is disabled does nothing, over a kill and a reload, and says so', async () => {
  const rules = [
    { id: 'a', trigger: ON_GO, action: NOTE },
    { id: 'b', trigger: ON_GO, action: NOTE },
    { id: 'off', trigger: ON_GO, action: NOTE, enabled: false },
  ];
  const rig = await Rig.open({ rules });
  rig.engine.disable('a');
  rig.publish('go');
  await rig.reopen();
  rig.reconfigure(...rules);
  rig.publish('go');
  await rig.idle();
  expect(rig.topics(/^notify/).map(({ payload }) => payload['ruleId'])).toEqual(['b', 'b']);
  expect(rig.trace('a')).toMatchObject([{ outcome: 'held', why: expect.stringContaining('disabled') }]);
  expect(rig.trace('off')).toMatchObject([
    { outcome: 'held', why: expect.stringContaining('configuration') },
  ]);
  rig.engine.disable();
  await rig.reopen();
  rig.publish('go');
  await rig.idle();
  expect(rig.engine.status().enabled).toBe(false);
  expect(rig.topics(/^notify/)).toHaveLength(2);
  rig.engine.enable();
  rig.engine.enable('a');
  rig.publish('go');
  await rig.idle();
  expect(rig.topics(/^notify/)).toHaveLength(4);
  expect(() => rig.engine.enable('off')).toThrow(/switched off in the configuration/);
  expect(() => rig.engine.disable('none')).toThrow(/There is no rule none/);
});

test('a batch whose rule is disabled before its time says so, and is gone', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_TS, condition: QUIET, action: RUN }] });
  rig.change('a.ts');
  rig.engine.disable('r0');
  await rig.pass(1_000);
  rig.engine.enable('r0');
  await rig.pass(1_000);
  await rig.reopen();
  await rig.pass(5_000);
  expect(rig.tasks.all).toHaveLength(0);
  expect(rig.outcomesOf()).toEqual(['held', 'waiting']);
});
