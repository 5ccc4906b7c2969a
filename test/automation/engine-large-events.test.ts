import { expect, test } from 'vitest';
import { Rig } from './engine-rig.js';

const GO = { type: 'event', topic: 'go' };
const TASK = { type: 'submit_task', prompt: '{{count}} {{payload.n}}' };
const MEGABYTE = 'x'.repeat(1_000_000);

function inbox(rig: Rig): { rows: number; bytes: number } {
  const row = rig.db.get('SELECT count(*) AS rows, total(length(event)) AS bytes FROM rule_inbox');
  return { rows: Number(row!['rows']), bytes: Number(row!['bytes']) };
}

test('events of a megabyte that wait for a command are bounded by size, and the trace says how many went', async () => {
  const rig = await Rig.open({
    rules: [{ trigger: GO, condition: { type: 'shell', command: ['./hangs'] }, action: TASK }],
    commands: { run: () => new Promise(() => {}), endLeft: async () => {} },
  });
  for (let n = 0; n < 100; n += 1) rig.publish('go', { n, MEGABYTE });
  expect(inbox(rig).rows).toBe(67);
  expect(rig.trace()).toMatchObject([{ outcome: 'dropped', count: 33 }]);
});

test('of large events that a debounce gathers the disk keeps the newest and their number, also over a kill', async () => {
  const rig = await Rig.open({
    rules: [{ trigger: GO, condition: { type: 'debounce', interval_ms: 1_000 }, action: TASK }],
  });
  for (let n = 1; n <= 50; n += 1) rig.publish('go', { n, MEGABYTE });
  expect(inbox(rig).bytes).toBeLessThan(1_100_000);
  await rig.reopen();
  await rig.pass(2_000);
  await rig.endAll();
  expect(rig.tasks.all.map(({ prompt }) => prompt)).toEqual(['50 50']);
});

test('the paths of large events that a debounce gathers stay, whichever comes again', async () => {
  const rig = await Rig.open({
    rules: [
      {
        trigger: { type: 'file_change', pattern: '**' },
        condition: { type: 'debounce', interval_ms: 1_000 },
        action: { type: 'submit_task', prompt: '{{files}}' },
      },
    ],
  });
  for (const path of ['a', 'b', 'a', 'c', 'b', 'd']) {
    rig.publish('file.modify', { path, MEGABYTE }, { source: 'file_watcher' });
  }
  await rig.reopen();
  await rig.pass(2_000);
  await rig.endAll();
  expect(rig.tasks.all.map(({ prompt }) => prompt)).toEqual(['"a", "b", "c", "d"']);
});

test('large events that wait for a full disk are bounded by size: the newest stay', async () => {
  const rig = await Rig.open({ rules: [{ trigger: GO, action: TASK, max: 1_000, max_per_hour: 1_000 }] });
  rig.db.refuses = true;
  for (let n = 1; n <= 100; n += 1) rig.publish('go', { n, MEGABYTE });
  rig.db.refuses = false;
  await rig.pass(2_000, 2);
  await rig.endAll();
  expect(rig.tasks.all[0]!.prompt).toBe('1 34');
  expect(rig.tasks.all).toHaveLength(67);
  expect(rig.warnings).toContainEqual(expect.objectContaining({ fields: { count: 33 } }));
});
