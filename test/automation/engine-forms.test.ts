import { expect, test } from 'vitest';
import { Rig } from './engine-rig.js';

const TASK = { type: 'submit_task', prompt: 'Look at {{payload.path}}' };

test("the guide's form: files change, quiet comes, a task is submitted with all the paths", async () => {
  const rig = await Rig.open({
    rules: [
      {
        id: 'test-on-change',
        trigger: { type: 'file_change', pattern: 'src/**/*.ts' },
        condition: { type: 'debounce', interval_ms: 5_000 },
        action: { type: 'submit_task', prompt: 'Test {{files}}', agent: 'reviewer', priority: 3 },
      },
    ],
  });
  rig.change('src/a.ts');
  rig.change('docs/a.md');
  await rig.pass(3_000);
  rig.change('src/b/b.ts', 'create');
  await rig.pass(4_999);
  expect(rig.tasks.all).toHaveLength(0);
  await rig.pass(1);
  expect(rig.tasks.all).toMatchObject([
    {
      prompt: 'Test "src/a.ts", "src/b/b.ts"',
      agent: 'reviewer',
      priority: 3,
      source: 'rule',
      ruleId: 'test-on-change',
      launch: { event: { type: 'file.create', files: ['src/a.ts', 'src/b/b.ts'], count: 2 } },
    },
  ]);
  await rig.endAll();
  expect(rig.states()).toEqual(['completed']);
  expect(rig.outcomesOf('test-on-change')).toEqual(['fired', 'waiting']);
});

test("the original's form: an event type, conditions by field, an agent, a cooldown", async () => {
  const rig = await Rig.open({
    rules: [
      {
        id: 'old',
        trigger: { type: 'file.modify', source: 'file_watcher' },
        conditions: [{ field: 'payload.path', operator: 'matches', value: '^src/' }],
        action: { type: 'agent', agent: 'reviewer', prompt: 'Review {{payload.path}}' },
        cooldownMs: 60_000,
      },
    ],
  });
  rig.change('README.md');
  rig.change('src/x.ts');
  await rig.endAll();
  await rig.pass(30_000);
  rig.change('src/y.ts');
  await rig.idle();
  expect(rig.tasks.all.map(({ prompt }) => prompt)).toEqual(['Review "src/x.ts"']);
  await rig.pass(30_000);
  rig.change('src/z.ts');
  await rig.endAll();
  expect(rig.tasks.all.map(({ prompt }) => prompt)).toEqual(['Review "src/x.ts"', 'Review "src/z.ts"']);
  expect(rig.outcomesOf('old')).toEqual(['fired', 'dropped', 'fired', 'conditions']);
  expect(rig.trace('old')[1]!.why).toMatch(/cooldown lasts until \d{4}-/);
});

test('requiresApproval of the original asks before anything is done', async () => {
  const rig = await Rig.open({
    rules: [
      {
        trigger: { type: 'release.wanted' },
        action: { type: 'notify', message: 'released {{payload.v}}' },
        requiresApproval: true,
      },
    ],
  });
  rig.publish('release.wanted', { v: '1.0' });
  await rig.idle();
  const [gate] = rig.engine.gates.list();
  expect(gate).toMatchObject({ kind: 'rule', ruleId: 'r0', action: 'notify (info): released 1.0' });
  expect(rig.topics(/^notify/)).toHaveLength(0);
  rig.engine.gates.approve(gate!.id, 'me');
  await rig.idle();
  expect(rig.topics(/^notify/)).toMatchObject([{ payload: { message: 'released 1.0', ruleId: 'r0' } }]);
});

test('every kind of trigger sets its rule off, and only its own', async () => {
  const rig = await Rig.open({
    rules: [
      { id: 'file', trigger: { type: 'file_change', pattern: '*.md', events: ['delete'] }, action: TASK },
      {
        id: 'time',
        trigger: { type: 'schedule', cron: '0 3 * * *' },
        action: { type: 'submit_task', prompt: 'x' },
      },
      {
        id: 'topic',
        trigger: { type: 'event', topic: 'build.**' },
        action: { type: 'submit_task', prompt: 'x' },
      },
      { id: 'type', trigger: { type: 'build.failed' }, action: { type: 'submit_task', prompt: 'x' } },
      {
        id: 'several',
        triggers: [
          { type: 'event', topic: 'a' },
          { type: 'event', topic: 'b' },
        ],
        action: { type: 'submit_task', prompt: 'x' },
      },
    ],
  });
  rig.change('a.md');
  rig.change('a.md', 'delete');
  rig.publish('file.delete', { path: 'feigned.md' });
  rig.publish('cron.fired', { job_id: 'rule:time:0', slot: 'x' }, { source: 'scheduler' });
  rig.publish('cron.fired', { job_id: 'rule:time:1' }, { source: 'scheduler' });
  rig.publish('build.failed');
  rig.publish('build.step.done');
  rig.publish('b');
  await rig.idle();
  expect(new Set(rig.tasks.all.map(({ ruleId }) => ruleId))).toEqual(
    new Set(['file', 'several', 'time', 'topic', 'type']),
  );
  await rig.endAll();
  expect(rig.tasks.all.filter(({ ruleId }) => ruleId === 'topic')).toHaveLength(2);
  expect(rig.engine.status().rules.map(({ trigger }) => trigger)).toContain('event a, or event b');
});
