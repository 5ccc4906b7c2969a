import { expect, test } from 'vitest';
import { Rig } from './engine-rig.js';

const GO = { type: 'event', topic: 'go' };
const NOTE = { type: 'notify', message: 'x' };

test('of events that wait for a command it says so, not that there were none', async () => {
  const rig = await Rig.open({
    rules: [{ id: 'asks', trigger: GO, condition: { type: 'shell', command: ['./hangs'] }, action: NOTE }],
    commands: { run: () => new Promise(() => {}), endLeft: async () => {} },
  });
  rig.publish('go');
  rig.publish('go');
  expect(rig.engine.trace('asks', 10).unseen).toEqual([
    { ruleId: 'asks', why: 'Events that have triggered it wait for the command of a condition: 2.' },
  ]);
});

test('of a rule that came after its event it does not say that the event does not match', async () => {
  const rig = await Rig.open({ rules: [] });
  rig.publish('go');
  rig.reconfigure({ id: 'new', trigger: GO, action: NOTE });
  expect(rig.engine.trace('new', 10).unseen[0]?.why).toMatch(/^The newest event, go, came before the rule/);
});

test('what other rules do does not push out the newest entries of a quiet one', async () => {
  const busy = {
    id: 'busy',
    trigger: { type: 'event', topic: 'busy' },
    action: NOTE,
    mode: 'parallel',
    max: 1_000,
  };
  const rig = await Rig.open({
    rules: [
      { ...busy, max_per_hour: 100_000 },
      {
        id: 'quiet',
        trigger: GO,
        condition: { field: 'payload.n', operator: 'equals', value: 1 },
        action: NOTE,
      },
    ],
  });
  rig.publish('go', { n: 2 });
  await rig.pass(2_000);
  for (let second = 0; second < 30; second += 1) {
    for (let n = 0; n < 200; n += 1) rig.publish('busy');
    await rig.pass(1_000);
  }
  expect(rig.trace('quiet')).toMatchObject([
    { outcome: 'conditions', why: expect.stringContaining('it is 2') },
  ]);
  expect(rig.engine.trace('busy', 10_000).entries.length).toBeLessThan(5_300);
});

test('a path of a megabyte does not make answers of gigabytes', async () => {
  const rig = await Rig.open({ rules: [{ id: 'r', trigger: GO, action: NOTE }] });
  rig.publish('go', { path: 'x'.repeat(1_000_000) });
  await rig.pass(2_000);
  expect(JSON.stringify(rig.engine.trace('r', 10)).length).toBeLessThan(10_000);
});

test('a dry run knows of cooldowns, of max_per_hour and of runs that are at work', async () => {
  const task = { type: 'submit_task', prompt: 'x' };
  const rig = await Rig.open({
    rules: [
      { id: 'rests', trigger: GO, cooldown: '1h', action: NOTE },
      { id: 'often', trigger: GO, max_per_hour: 1, action: NOTE },
      { id: 'busy', trigger: GO, mode: 'single', action: task },
      { id: 'free', trigger: GO, action: NOTE },
    ],
  });
  const event = rig.publish('go');
  await rig.idle();
  expect(rig.engine.test(event)).toMatchObject([
    { fires: false, why: expect.stringContaining('its cooldown lasts until') },
    { fires: false, why: expect.stringContaining('would pause itself') },
    { fires: false, why: expect.stringContaining('its mode is single') },
    { fires: true },
  ]);
  expect(rig.engine.status().rules.map(({ paused }) => paused)).toEqual([false, false, false, false]);
});
