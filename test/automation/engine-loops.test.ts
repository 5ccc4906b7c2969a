import { expect, test } from 'vitest';
import { Rig } from './engine-rig.js';

const ON_TS = { type: 'file_change', pattern: '**/*.ts' };
const EDIT = { type: 'submit_task', prompt: 'Edit {{files}}' };

test('the end of its own task does not set a rule off, and the trace says why, over a kill', async () => {
  const rig = await Rig.open({
    rules: [
      {
        trigger: { type: 'event', topic: 'task:*' },
        condition: { field: 'type', operator: 'equals', value: 'task:completed' },
        action: { type: 'submit_task', prompt: 'after {{payload.taskId}}' },
      },
    ],
  });
  rig.publish('task:completed', { taskId: 'task-9999', state: 'completed' }, { source: 'supervisor' });
  await rig.idle();
  await rig.reopen();
  await rig.endAll();
  expect(rig.tasks.all.map(({ prompt }) => prompt)).toEqual(['after "task-9999"']);
  expect(rig.trace()[0]).toMatchObject({
    outcome: 'self',
    why: 'task-0001 was brought about by this rule itself',
  });
});

test('files that change while its task works do not set a rule off; a change afterwards does', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_TS, action: EDIT }] });
  rig.change('a.ts');
  await rig.idle();
  rig.startTask(rig.tasks.all[0]!);
  rig.change('b.ts');
  await rig.pass(1_000);
  await rig.reopen({ later: 60_000 });
  rig.change('c.ts');
  await rig.endTask(rig.tasks.all[0]);
  await rig.pass(40);
  rig.change('removed-just-before-the-end.ts', 'delete');
  await rig.pass(5_000);
  const late = { firstChangeAt: new Date(rig.clock.now() - 5_041).toISOString() };
  rig.publish('file.modify', { path: 'told-late.ts', ...late }, { source: 'file_watcher' });
  await rig.idle();
  expect(rig.tasks.all).toHaveLength(1);
  expect(rig.trace()[0]).toMatchObject({
    outcome: 'self',
    count: 4,
    why: 'the file changed while task-0001 was at work, which this rule brought about: it may be its own edit',
  });
  rig.change('by-a-person.ts');
  await rig.endAll();
  expect(rig.tasks.all.map(({ prompt }) => prompt)).toEqual(['Edit "a.ts"', 'Edit "by-a-person.ts"']);
});

test('files that change while its task works in a worktree of its own set a rule off', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_TS, action: EDIT }] });
  rig.change('a.ts');
  await rig.idle();
  const [task] = rig.tasks.all;
  task!.state = 'running';
  const startedAt = new Date(rig.clock.now()).toISOString();
  const payload = { taskId: task!.id, state: 'running', ruleId: 'r0', startedAt, isolated: true };
  rig.publish('task:started', payload, { source: 'supervisor' });
  rig.change('b.ts');
  await rig.pass(1_000);
  await rig.reopen({ later: 60_000 });
  rig.change('c.ts');
  await rig.endAll();
  expect(rig.tasks.all.map(({ prompt }) => prompt)).toEqual(['Edit "a.ts"', 'Edit "b.ts"', 'Edit "c.ts"']);
  // What it tells, it has brought about itself all the same.
  rig.publish('file.modify', { path: 'd.ts' }, { cause: task!.id });
  await rig.endAll();
  expect(rig.tasks.all).toHaveLength(3);
});

test('an agent that is quicker than the news of its start is known for its edits all the same', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_TS, action: EDIT }] });
  rig.change('a.ts');
  await rig.idle();
  const [task] = rig.tasks.all;
  task!.state = 'running';
  const startedAt = new Date(rig.clock.now()).toISOString();
  // The clock of the file system is a tick behind.
  const wrote = new Date(rig.clock.now() - 4).toISOString();
  await rig.pass(30);
  const payload = { taskId: task!.id, state: 'running', ruleId: 'r0', startedAt };
  rig.publish('task:started', payload, { source: 'supervisor' });
  const change = { path: 'b.ts', firstChangeAt: wrote, lastChangeAt: wrote };
  rig.publish('file.modify', change, { source: 'file_watcher' });
  await rig.endAll();
  expect(rig.tasks.all).toHaveLength(1);
  expect(rig.outcomesOf()).toEqual(['self', 'fired']);
});

test('two rules that feed each other over events come to rest, within one turn and over kills', async () => {
  const emit = (topic: string) => ({ type: 'emit', topic, payload: { n: '{{payload.n}}' } });
  const rig = await Rig.open({
    rules: [
      { id: 'ping', trigger: { type: 'event', topic: 'ping' }, action: emit('pong') },
      { id: 'pong', trigger: { type: 'event', topic: 'pong' }, action: emit('ping') },
    ],
  });
  rig.publish('ping', { n: 1 });
  await rig.pass(10_000, 10);
  rig.publish('ping', { n: 2 });
  for (let kill = 0; kill < 5; kill += 1) await rig.reopen();
  expect(rig.topics(/^p[io]ng$/).map(({ type, payload }) => [type, payload['n']])).toEqual([
    ['ping', 1],
    ['pong', 1],
    ['ping', 1],
    ['ping', 2],
    ['pong', 2],
    ['ping', 2],
  ]);
  expect(rig.outcomesOf('ping')).toContain('self');
  expect(rig.trace('ping').find(({ outcome }) => outcome === 'self')?.why).toBe(
    'the event was brought about by this rule itself',
  );
});

test('two rules that feed each other over the ends of their tasks come to rest', async () => {
  const rule = (id: string) => ({
    id,
    trigger: { type: 'event', topic: 'task:completed' },
    action: { type: 'submit_task', prompt: id },
  });
  const rig = await Rig.open({ rules: [rule('a'), rule('b')] });
  rig.publish('task:completed', { taskId: 'task-9999' }, { source: 'supervisor' });
  for (let round = 0; round < 10; round += 1) {
    await rig.idle();
    const [task] = rig.tasks.open;
    if (task === undefined) break;
    rig.startTask(task);
    await rig.reopen();
    await rig.endTask(task);
  }
  expect(rig.tasks.open).toEqual([]);
  // Each after the first end, and each once after the other's.
  expect(rig.tasks.all.map(({ prompt }) => prompt).toSorted()).toEqual(['a', 'a', 'b', 'b']);
});

test('rules whose tasks edit each other’s files come to rest', async () => {
  const rule = (id: string, pattern: string) => ({
    id,
    trigger: { type: 'file_change', pattern },
    condition: { type: 'debounce', interval_ms: 1_000 },
    action: EDIT,
  });
  const rig = await Rig.open({ rules: [rule('code', 'src/**'), rule('docs', 'docs/**')] });
  rig.change('src/a.ts');
  for (let round = 0; round < 10; round += 1) {
    await rig.pass(1_000);
    const [task] = rig.tasks.open;
    if (task === undefined) break;
    rig.startTask(task);
    rig.change('src/a.ts');
    rig.change('docs/a.md');
    await rig.pass(2_000);
    await rig.endTask(task);
    if (round === 0) await rig.reopen();
  }
  await rig.pass(60_000, 10);
  expect(rig.tasks.all.map(({ ruleId }) => ruleId)).toEqual(['code', 'docs']);
});

test('events that an agent names itself the cause of belong to its rule', async () => {
  const rig = await Rig.open({
    rules: [{ trigger: { type: 'event', topic: 'go' }, action: { type: 'submit_task', prompt: 'x' } }],
  });
  rig.publish('go');
  await rig.idle();
  rig.publish('go', {}, { cause: rig.tasks.all[0]!.id });
  await rig.endAll();
  expect(rig.tasks.all).toHaveLength(1);
  expect(rig.outcomesOf()).toEqual(['self', 'fired']);
});

test('its own gate does not set a rule off', async () => {
  const rig = await Rig.open({
    rules: [
      {
        triggers: [
          { type: 'event', topic: 'go' },
          { type: 'event', topic: 'gate.*' },
        ],
        actions: [{ type: 'gate' }, { type: 'notify', message: 'x' }],
        mode: 'parallel',
      },
    ],
  });
  rig.publish('go');
  await rig.pass(10_000, 5);
  expect(rig.engine.gates.list('all')).toHaveLength(1);
});

test('a rule that allows itself is bounded by max_per_hour', async () => {
  const rig = await Rig.open({
    rules: [
      {
        trigger: { type: 'event', topic: 'go' },
        action: { type: 'emit', topic: 'go' },
        allow_self: true,
        max_per_hour: 20,
      },
    ],
  });
  rig.publish('go');
  for (let turn = 0; turn < 50; turn += 1) await rig.idle();
  expect(rig.topics(/^go$/)).toHaveLength(21);
  expect(rig.topics(/^rule.paused$/)).toHaveLength(1);
});
