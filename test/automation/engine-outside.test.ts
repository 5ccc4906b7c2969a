import { expect, test } from 'vitest';
import { Rig } from './engine-rig.js';

const outsideOf = (rig: Rig): (boolean | undefined)[] =>
  rig.tasks.all.map(({ launch }) => (launch as { outside?: boolean }).outside);

test('a task is known to come from outside where a webhook set it off, and only there', async () => {
  const rig = await Rig.open({
    rules: [
      { trigger: { type: 'event', topic: 'webhook.ci' }, action: { type: 'submit_task', prompt: 'mend' } },
      { trigger: { type: 'event', topic: 'build.failed' }, action: { type: 'submit_task', prompt: 'mend' } },
    ],
  });
  rig.publish('webhook.ci', {}, { source: 'webhook' });
  rig.publish('build.failed', {}, { source: 'rpc' });
  // Somebody may call an event of their own so: that brings no rights along.
  rig.publish('webhook.ci', {}, { source: 'rpc' });
  await rig.endAll();
  expect(outsideOf(rig)).toEqual([true, false, false]);
});

test('it stays known over other rules, events and tasks, and over a kill', async () => {
  const rig = await Rig.open({
    rules: [
      { trigger: { type: 'event', topic: 'webhook.ci' }, action: { type: 'emit', topic: 'work.wanted' } },
      { trigger: { type: 'event', topic: 'work.wanted' }, action: { type: 'submit_task', prompt: 'first' } },
      {
        trigger: { type: 'event', topic: 'task:completed' },
        conditions: [{ field: 'payload.taskId', operator: 'equals', value: 'task-0001' }],
        action: { type: 'submit_task', prompt: 'second' },
      },
    ],
  });
  rig.publish('webhook.ci', {}, { source: 'webhook' });
  await rig.idle();
  await rig.reopen();
  await rig.endAll();
  expect(rig.tasks.all.map(({ prompt }) => prompt)).toEqual(['first', 'second']);
  expect(outsideOf(rig)).toEqual([true, true]);
});

test('a task takes along what judges its work', async () => {
  const rig = await Rig.open({
    rules: [
      {
        trigger: { type: 'event', topic: 'build.failed' },
        action: { type: 'submit_task', prompt: 'mend', verify: ['npm', 'test'], verify_rounds: 4 },
      },
    ],
  });
  rig.publish('build.failed', {}, { source: 'rpc' });
  await rig.endAll();
  expect(rig.tasks.all[0]?.launch).toMatchObject({ verify: { command: ['npm', 'test'], rounds: 4 } });
});

test('a command of a rule is from outside as well, and so is what its script brings about', async () => {
  const rig = await Rig.open({
    rules: [
      {
        trigger: { type: 'event', topic: 'webhook.ci' },
        action: { type: 'command', command: ['./triage.sh'] },
      },
    ],
  });
  rig.publish('webhook.ci', {}, { source: 'webhook' });
  await rig.endAll();
  expect(outsideOf(rig)).toEqual([true]);
});

test('a task that a message brought about is known by its events, though no rule submitted it', async () => {
  const rig = await Rig.open({
    rules: [
      { trigger: { type: 'event', topic: 'task:completed' }, action: { type: 'submit_task', prompt: 'x' } },
      { trigger: { type: 'file_change', pattern: 'src/**' }, action: { type: 'submit_task', prompt: 'y' } },
    ],
  });
  const payload = { taskId: 'task-7777', state: 'running', outside: true, isolated: true };
  rig.publish('task:queued', payload, { source: 'supervisor' });
  rig.publish('task:started', payload, { source: 'supervisor' });
  rig.change('src/a.ts');
  rig.publish('task:completed', { taskId: 'task-7777', state: 'completed' }, { source: 'supervisor' });
  await rig.endAll();
  expect(rig.tasks.all.length).toBeGreaterThanOrEqual(2);
  expect(outsideOf(rig).every((outside) => outside === true)).toBe(true);
});
