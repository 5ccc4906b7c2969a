import { expect, test } from 'vitest';
import { AiwgdError } from '#aiwgd/protocol/errors.js';
import { Rig } from './engine-rig.js';

const ON_GO = { type: 'event', topic: 'go' };
const COMMAND = { type: 'command', command: ['./check.sh'] };
const TASK = { type: 'submit_task', prompt: 'x' };

/** Fails every task of a command as it comes, through all the pauses. */
async function failAll(rig: Rig, most = 10): Promise<void> {
  for (let round = 0; round < most; round += 1) {
    await rig.idle();
    const [task] = rig.tasks.open;
    if (task !== undefined) await rig.endTask(task, 'failed', { error: 'exit 1' });
    await rig.pass(8_000);
  }
}

test('an action that fails is tried four times, with growing pauses, and becomes a dead letter', async () => {
  const rig = await Rig.open({
    rules: [{ trigger: ON_GO, actions: [COMMAND, { type: 'notify', message: 'x' }] }],
  });
  const event = rig.publish('go');
  const at: number[] = [];
  for (let tenth = 0; tenth < 140; tenth += 1) {
    await rig.idle(3);
    const [task] = rig.tasks.open;
    if (task !== undefined) {
      at.push(rig.clock.now());
      await rig.endTask(task, 'failed', { error: 'exit 1' });
    }
    await rig.pass(100);
  }
  expect(at.map((time) => time - at[0]!)).toEqual([0, 500, 2_500, 10_500]);
  expect(new Set(rig.tasks.all.map(({ once }) => once)).size).toBe(4);
  expect(rig.letters()).toMatchObject([
    { subscriber: 'rule:r0', attempts: 4, error: 'task-0004 failed: exit 1', eventId: event.id },
  ]);
  expect(rig.trace()[0]!.actions).toEqual([
    { type: 'command', state: 'failed', detail: 'task-0004 failed: exit 1' },
    { type: 'notify', state: 'skipped', detail: '' },
  ]);
  await rig.pass(10_000);
  await rig.reopen();
  expect(rig.letters()).toHaveLength(1);
});

test('a kill between two tries neither forgets nor adds one', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_GO, action: COMMAND }] });
  rig.publish('go');
  for (let round = 0; round < 30; round += 1) {
    await rig.reopen({ later: 400 });
    await rig.pass(1);
    const [task] = rig.tasks.open;
    if (task !== undefined) await rig.endTask(task, 'failed', { error: 'exit 1' });
  }
  await rig.pass(10_000);
  expect(rig.tasks.all.map(({ once }) => once.replace(/^.*(?=run-)/, ''))).toEqual([
    'run-0001.0.0',
    'run-0001.0.1',
    'run-0001.0.2',
    'run-0001.0.3',
  ]);
  expect(rig.letters()).toMatchObject([{ attempts: 4 }]);
});

test('a try that succeeds ends the matter', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_GO, actions: [COMMAND, TASK] }] });
  rig.publish('go');
  await rig.idle();
  await rig.endTask(rig.tasks.all[0], 'failed');
  await rig.pass(500);
  await rig.endAll();
  expect(rig.tasks.all).toHaveLength(3);
  expect(rig.states()).toEqual(['completed']);
  expect(rig.letters()).toEqual([]);
});

test.each(['failed', 'timeout'] as const)(
  'an agent that ends as %s is not paid for a second time',
  async (state) => {
    const rig = await Rig.open({ rules: [{ trigger: ON_GO, action: TASK }] });
    rig.publish('go');
    await rig.idle();
    await rig.endTask(rig.tasks.all[0], state, { error: 'why' });
    await rig.pass(60_000, 6);
    expect(rig.tasks.all).toHaveLength(1);
    expect(rig.letters()).toMatchObject([{ attempts: 1, error: `task-0001 ${state}: why` }]);
  },
);

test('a task that a person cancels ends the run, without a letter; one that nobody waits for ends it at once', async () => {
  const rig = await Rig.open({
    rules: [
      { id: 'waits', trigger: ON_GO, actions: [TASK, { type: 'notify', message: 'x' }] },
      {
        id: 'goes-on',
        trigger: ON_GO,
        actions: [
          { ...TASK, wait: false },
          { type: 'notify', message: 'y' },
        ],
      },
    ],
  });
  rig.publish('go');
  await rig.idle();
  expect(rig.topics(/^notify/).map(({ payload }) => payload['message'])).toEqual(['y']);
  const task = rig.tasks.all.find(({ ruleId }) => ruleId === 'waits');
  await rig.endTask(task, 'cancelled');
  expect(rig.engine.status().recentExecutions.map(({ ruleId, state }) => [ruleId, state])).toEqual([
    ['goes-on', 'completed'],
    ['waits', 'cancelled'],
  ]);
  await rig.pass(60_000);
  expect(rig.letters()).toEqual([]);
  expect(rig.topics(/^notify/)).toHaveLength(1);
});

test('a letter that is delivered again gets one try; the run goes on where it had failed', async () => {
  const rig = await Rig.open({
    rules: [
      {
        trigger: ON_GO,
        actions: [{ type: 'notify', message: 'first' }, COMMAND, { type: 'notify', message: 'last' }],
      },
    ],
  });
  rig.publish('go');
  await failAll(rig);
  const [letter] = rig.letters();
  const again = rig.router.deadLetters.retry(letter!.id);
  await rig.idle();
  await rig.endTask(rig.tasks.all[4], 'failed', { error: 'still' });
  expect(await again).toBe(false);
  expect(rig.letters()).toMatchObject([{ attempts: 5, error: 'task-0005 failed: still' }]);
  await rig.pass(60_000, 6);
  expect(rig.tasks.all).toHaveLength(5);
  const third = rig.router.deadLetters.retry(letter!.id);
  await rig.idle();
  expect(new Set(rig.tasks.all.map(({ once }) => once)).size).toBe(6);
  await rig.endTask(rig.tasks.all[5]);
  expect(await third).toBe(true);
  await rig.idle();
  expect(rig.letters()).toEqual([]);
  expect(rig.topics(/^notify/).map(({ payload }) => payload['message'])).toEqual(['first', 'last']);
  expect(rig.states()).toEqual(['completed']);
  expect(rig.trace()[0]!.actions.map(({ state }) => state)).toEqual(['done', 'done', 'done']);
});

test('the letter of an agent’s task is delivered with the submission; a new failure is a new letter', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_GO, action: TASK }] });
  rig.publish('go');
  await rig.idle();
  for (let attempts = 1; attempts <= 3; attempts += 1) {
    await rig.endTask(rig.tasks.open[0], 'failed', { error: 'no' });
    expect(rig.letters()).toMatchObject([{ attempts }]);
    expect(await rig.router.deadLetters.retry(rig.letters()[0]!.id)).toBe(true);
    await rig.idle();
    expect(rig.tasks.all).toHaveLength(attempts + 1);
  }
  await rig.endAll();
  // The note that the first letter is kept comes late, and changes nothing.
  await rig.pass(10_000);
  expect(rig.states()).toEqual(['completed']);
  expect(rig.letters()).toEqual([]);
});

test('letters outlive a kill, are not doubled by it, and are delivered by the next daemon', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_GO, action: COMMAND }] });
  rig.publish('go');
  await failAll(rig, 4);
  expect(rig.letters()).toHaveLength(1);
  await rig.reopen();
  await rig.reopen({ later: 60_000 });
  const again = rig.router.deadLetters.retry(rig.letters()[0]!.id);
  await rig.idle();
  await rig.endTask(rig.tasks.open[0]);
  expect(await again).toBe(true);
  await rig.pass(10_000);
  await rig.reopen();
  expect(rig.letters()).toEqual([]);
  expect(rig.tasks.all).toHaveLength(5);
});

test('a letter that had not been written when the daemon was killed is there afterwards', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_GO, action: TASK }] });
  rig.publish('go');
  await rig.idle();
  await rig.endTask(rig.tasks.all[0], 'failed', { error: 'no' });
  await rig.reopen();
  expect(rig.letters()).toMatchObject([{ subscriber: 'rule:r0', attempts: 1 }]);
  // By now it is written, and the run still takes it for pending.
  await rig.pass(2_000);
  await rig.reopen();
  expect(rig.letters()).toHaveLength(1);
  await rig.pass(10_000);
  await rig.reopen();
  expect(rig.letters()).toHaveLength(1);
});

test('a kill in the middle of a delivery: the run goes on, and the letter knows that it was handled', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_GO, action: COMMAND }] });
  rig.publish('go');
  await failAll(rig);
  await rig.pass(10_000);
  void rig.router.deadLetters.retry(rig.letters()[0]!.id).catch(() => undefined);
  await rig.idle();
  await rig.reopen();
  const early = await rig.router.deadLetters.retry(rig.letters()[0]!.id);
  expect(early).toBe(false);
  expect(rig.letters()[0]!.error).toMatch(/is at work on that event already/);
  await rig.endTask(rig.tasks.open[0]);
  expect(await rig.router.deadLetters.retry(rig.letters()[0]!.id)).toBe(true);
  await rig.idle();
  expect(rig.tasks.all).toHaveLength(5);
  expect(rig.states()).toEqual(['completed']);
});

test('a letter of which nothing more is known begins a new run', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_GO, action: TASK }] });
  await rig.engine.redeliver('r0', rig.publish('elsewhere'));
  await rig.idle();
  expect(rig.tasks.all).toHaveLength(1);
  await expect(rig.engine.redeliver('gone', rig.publish('x'))).rejects.toThrow(/There is no rule gone/);
});

test('what is refused is not tried again; what fails otherwise is', async () => {
  const rig = await Rig.open({ rules: [{ trigger: ON_GO, action: TASK }] });
  rig.tasks.refusals.push(new AiwgdError('INVALID_PARAMS', 'There is no agent x'));
  rig.publish('go');
  await rig.pass(60_000, 6);
  expect(rig.letters()).toMatchObject([{ attempts: 1, error: 'There is no agent x' }]);
  rig.tasks.refusals.push(new AiwgdError('OVERLOADED', 'later'), new AiwgdError('STORAGE_FULL', 'full'));
  rig.publish('go');
  await rig.pass(60_000, 60);
  expect(rig.letters()).toHaveLength(1);
  expect(rig.tasks.all).toHaveLength(1);
});

test('a value that is missing is a failure in the trace, and the braces go nowhere', async () => {
  const rig = await Rig.open({
    rules: [
      {
        trigger: ON_GO,
        actions: [
          { type: 'notify', message: 'first' },
          { type: 'submit_task', prompt: 'See {{payload.pth}}' },
        ],
      },
    ],
  });
  rig.publish('go', { path: 'a' });
  await rig.pass(60_000, 6);
  expect(rig.tasks.all).toEqual([]);
  expect(rig.topics(/^notify/)).toHaveLength(1);
  expect(rig.trace()[0]!.actions).toMatchObject([
    { state: 'done' },
    { state: 'failed', detail: expect.stringContaining('{{payload.pth}} has no value in this event') },
  ]);
  expect(rig.letters()).toMatchObject([{ attempts: 1 }]);
});
