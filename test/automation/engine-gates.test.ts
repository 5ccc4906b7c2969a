import { expect, test } from 'vitest';
import { Rig } from './engine-rig.js';

const ON_GO = { type: 'event', topic: 'go' };
const GATE = { type: 'gate', summary: 'Publish {{payload.v}}?', expire_minutes: 5 };
const NOTE = { type: 'notify', message: 'published {{payload.v}}' };

function notes(rig: Rig): unknown[] {
  return rig.topics(/^notify/).map(({ payload }) => payload['message']);
}

test('a yes is for exactly what was shown, whatever changed meanwhile, also over a kill', async () => {
  const rule = {
    trigger: ON_GO,
    actions: [GATE, NOTE, { type: 'submit_task', prompt: 'Ship {{payload.v}}' }],
  };
  const rig = await Rig.open({ rules: [rule] });
  const event = rig.publish('go', { v: '1.0' });
  await rig.idle();
  const gate = rig.engine.gates.list()[0]!;
  expect(gate).toMatchObject({ kind: 'action', summary: 'Publish 1.0?' });
  expect(gate.action).toBe(
    '1. notify (info): published 1.0\n2. submit a task to the default agent: Ship "1.0"',
  );
  event.payload['v'] = '6.66';
  rig.reconfigure({ trigger: ON_GO, actions: [GATE, { type: 'notify', message: 'other' }] });
  await rig.reopen();
  expect(rig.engine.gates.list()).toHaveLength(1);
  expect(notes(rig)).toEqual([]);
  rig.engine.gates.approve(gate.id, 'me');
  await rig.endAll();
  expect(notes(rig)).toEqual(['published 1.0']);
  expect(rig.tasks.all.map(({ prompt }) => prompt)).toEqual(['Ship "1.0"']);
  expect(rig.states()).toEqual(['completed']);
});

test('an answer is not lost when the daemon is killed right after it', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_GO, actions: [GATE, NOTE] }] });
  rig.publish('go', { v: 1 });
  rig.publish('go', { v: 2 });
  await rig.idle();
  rig.engine.gates.approve('gate-0001', 'me');
  await rig.reopen();
  expect(rig.engine.gates.list().map(({ id, summary }) => [id, summary])).toEqual([
    ['gate-0002', 'Publish 2?'],
  ]);
  rig.engine.gates.reject('gate-0002', 'me', 'not now');
  await rig.reopen();
  expect(notes(rig)).toEqual(['published 1']);
  expect(rig.states()).toEqual(['completed', 'rejected']);
  expect(rig.letters()).toEqual([]);
});

test('a gate that nobody answers ends the run as rejected, also while no daemon runs', async () => {
  const rig = await Rig.open({
    rules: [{ trigger: ON_GO, actions: [GATE, NOTE], mode: 'parallel' }],
  });
  rig.publish('go', { v: 1 });
  await rig.idle();
  await rig.pass(4 * 60_000);
  rig.publish('go', { v: 2 });
  await rig.idle();
  await rig.pass(60_000, 4);
  expect(rig.states()).toEqual(['rejected', 'running']);
  await rig.reopen({ later: 3_600_000 });
  expect(rig.states()).toEqual(['rejected', 'rejected']);
  expect(rig.engine.status().recentExecutions[0]!.error).toBe('gate-0002: nobody answered in time');
  expect(rig.topics(/^gate.timeout/)).toHaveLength(2);
  expect(notes(rig)).toEqual([]);
});

test('an action that is too long to be judged fails at once, and asks nobody', async () => {
  const rig = await Rig.open({
    rules: [{ trigger: ON_GO, actions: [GATE, { type: 'submit_task', prompt: '{{payload.text}}' }] }],
  });
  rig.publish('go', { v: 1, text: 'x'.repeat(200_000) });
  await rig.pass(60_000, 6);
  expect(rig.engine.gates.list('all')).toEqual([]);
  expect(rig.letters()).toMatchObject([
    { attempts: 1, error: expect.stringContaining('nobody can judge more') },
  ]);
  rig.publish('go', { v: 2, text: 'short' });
  await rig.idle();
  expect(rig.engine.gates.list()).toHaveLength(1);
});

test('in mode restart the gate of the run before is withdrawn', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_GO, actions: [GATE, NOTE], mode: 'restart' }] });
  rig.publish('go', { v: 1 });
  await rig.idle();
  rig.publish('go', { v: 2 });
  await rig.idle();
  expect(rig.engine.gates.list().map(({ summary }) => summary)).toEqual(['Publish 2?']);
  expect(rig.engine.gates.get('gate-0001')).toMatchObject({
    state: 'rejected',
    reason: 'run-0002 took its place',
  });
  expect(() => rig.engine.gates.approve('gate-0001', 'me')).toThrow(/was rejected/);
  rig.engine.gates.approve('gate-0002', 'me');
  await rig.idle();
  expect(notes(rig)).toEqual(['published 2']);
});

test('what depends on a result that is still to come is filled in when it is known', async () => {
  const rig = await Rig.open({
    rules: [
      {
        trigger: ON_GO,
        actions: [
          GATE,
          { type: 'submit_task', prompt: 'Sum up' },
          { type: 'notify', message: 'It said {{ previous.result }}' },
        ],
      },
    ],
  });
  rig.publish('go', { v: 1 });
  await rig.idle();
  rig.engine.gates.approve('gate-0001', 'me');
  await rig.idle();
  await rig.endTask(rig.tasks.all[0], 'completed', { result: 'all is well' });
  expect(notes(rig)).toEqual(['It said all is well']);
});

test('a missing value behind a gate fails before anybody is asked', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_GO, actions: [NOTE], requires_approval: true }] });
  rig.publish('go', {});
  await rig.idle();
  expect(rig.engine.gates.list('all')).toEqual([]);
  expect(rig.letters()).toMatchObject([{ attempts: 1 }]);
});

test('the full disk of an answer keeps the question open', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_GO, actions: [GATE, NOTE] }] });
  rig.publish('go', { v: 1 });
  await rig.idle();
  rig.db.fill();
  expect(() => rig.engine.gates.reject('gate-0001', 'me', 'r'.repeat(20_000))).toThrow(/full/);
  rig.db.makeRoom();
  rig.engine.gates.approve('gate-0001', 'me');
  await rig.pass(2_000, 2);
  expect(notes(rig)).toEqual(['published 1']);
});

test('a question that cannot be stored is not asked aloud again and again', async () => {
  const rig = await Rig.open({
    rules: [
      {
        trigger: { type: 'event', topic: 'go' },
        actions: [{ type: 'gate' }, { type: 'notify', message: 'x' }],
      },
    ],
  });
  const questions = () => rig.events.filter(({ type }) => type === 'gate.pending').length;
  rig.publish('go');
  rig.db.refusesCommits = true;
  await rig.pass(20_000, 20);
  expect(questions()).toBe(1);
  expect(rig.engine.gates.list()).toEqual([]);
  rig.db.refusesCommits = false;
  await rig.pass(2_000, 2);
  expect(questions()).toBe(2);
  expect(rig.engine.gates.list()).toHaveLength(1);
});
