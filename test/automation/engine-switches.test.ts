import { expect, test } from 'vitest';
import { Rig } from './engine-rig.js';

const RULE = {
  id: 'r0',
  trigger: { type: 'event', topic: 'go' },
  action: { type: 'submit_task', prompt: 'x' },
};

/** A rule with one run at work and three that wait. */
async function busy(): Promise<Rig> {
  const rig = await Rig.open({ rules: [RULE] });
  for (let n = 0; n < 4; n += 1) rig.publish('go');
  await rig.idle();
  expect(rig.engine.status().rules[0]).toMatchObject({ running: 1, waiting: 3 });
  return rig;
}

test.each([
  ['a rule', 'r0'],
  ['all of automation', undefined],
])('disabling %s keeps the runs that wait from beginning, until it is enabled', async (_, ruleId) => {
  const rig = await busy();
  rig.engine.disable(ruleId);
  await rig.endAll();
  expect(rig.tasks.all).toHaveLength(1);
  expect(rig.engine.status().rules[0]).toMatchObject({ running: 0, waiting: 3 });
  rig.publish('go');
  await rig.idle();
  expect(rig.outcomesOf()[0]).toBe('held');

  await rig.reopen();
  await rig.idle();
  expect(rig.tasks.all, 'also after a restart').toHaveLength(1);

  rig.engine.enable(ruleId);
  await rig.endAll();
  expect(rig.tasks.all).toHaveLength(4);
});

test('so does the configuration', async () => {
  const rig = await busy();
  rig.reconfigure({ ...RULE, enabled: false });
  await rig.endAll();
  expect(rig.tasks.all).toHaveLength(1);
  rig.reconfigure(RULE);
  await rig.endAll();
  expect(rig.tasks.all).toHaveLength(4);
});

test('a rule that has paused itself still does what was within its bounds', async () => {
  const rig = await Rig.open({ rules: [{ ...RULE, max_per_hour: 3 }] });
  for (let n = 0; n < 4; n += 1) rig.publish('go');
  await rig.idle();
  expect(rig.engine.status().rules[0]).toMatchObject({ paused: true, running: 1, waiting: 2 });
  await rig.endAll();
  expect(rig.tasks.all).toHaveLength(3);
});
