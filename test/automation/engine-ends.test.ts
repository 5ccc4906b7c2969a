import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FinalState } from '#aiwgd/protocol/task.js';
import { Rig } from './engine-rig.js';

const MINUTE = 60_000;

/** Tells by its prompts on which tasks it has fired. */
const after = (topic: string, more: object = {}): object => ({
  id: 'after',
  trigger: { type: 'event', topic },
  mode: 'parallel',
  max: 1_000,
  max_per_hour: 10_000,
  action: { type: 'submit_task', prompt: 'After {{payload.taskId}}', wait: false },
  ...more,
});

const firedOn = (rig: Rig): string[] =>
  rig.tasks.all.flatMap(({ prompt }) => /^After "(.*)"$/.exec(prompt)?.[1] ?? []);

const notes = (rig: Rig): number => rig.db.all('SELECT * FROM task_ends').length;

describe('the end of a task that a daemon stored and was killed before it told', () => {
  it('is told by the next one, as it always is, and once', async () => {
    const rig = await Rig.open({ rules: [after('task:*')] });
    await rig.pass(10);
    const states: FinalState[] = ['completed', 'failed', 'timeout', 'cancelled'];
    const tasks = states.map((state) => {
      const task = rig.tasks.add();
      rig.storeEnd(task, state, { error: state === 'failed' ? 'no' : null });
      return task;
    });
    await rig.reopen({ later: 5 });
    expect(firedOn(rig)).toEqual(tasks.map(({ id }) => id));
    const told = rig.topics(/^task:(completed|failed|timeout|cancelled)$/);
    expect(told.map(({ type }) => type)).toEqual(states.map((state) => `task:${state}`));
    expect(told[1]).toMatchObject({
      source: 'supervisor',
      payload: { taskId: 'task-0002', state: 'failed', attempt: 1, exitCode: 0, error: 'no' },
    });
    await rig.reopen({ later: 5 });
    await rig.reopen({ later: 2 * MINUTE });
    expect(rig.topics(/^task:(completed|failed|timeout|cancelled)$/)).toHaveLength(4);
  });

  it('is told after a daemon that stopped, too: the rules hear nothing while it ends agents', async () => {
    const rig = await Rig.open({ rules: [after('task:completed')] });
    const [first, second] = [rig.tasks.add(), rig.tasks.add()];
    await rig.pass(10);
    await rig.endTask(first);
    rig.storeEnd(second);
    await rig.stop();
    await rig.reopen({ later: 7 * 24 * 60 * MINUTE });
    expect(firedOn(rig)).toEqual([first.id, second.id]);
  });

  it('is told where the disk was full and the event waited', async () => {
    const rig = await Rig.open({ rules: [after('task:completed')] });
    const [first, second] = [rig.tasks.add(), rig.tasks.add()];
    await rig.pass(10);
    await rig.endTask(first);
    rig.db.refuses = true;
    await rig.endTask(second);
    await rig.pass(5 * MINUTE, 20);
    expect(firedOn(rig)).toEqual([first.id]);
    await rig.reopen({ later: 5 });
    expect(firedOn(rig)).toEqual([first.id, second.id]);
  });

  it('is told where the disk has room again, but the event was yet to be taken in', async () => {
    const rig = await Rig.open({ rules: [after('task:completed')] });
    const [first, second] = [rig.tasks.add(), rig.tasks.add()];
    await rig.pass(10);
    await rig.endTask(first);
    await rig.pass(490);
    rig.db.refuses = true;
    await rig.endTask(second);
    await rig.pass(3 * MINUTE - 500, 20);
    rig.db.refuses = false;
    // What is known is looked at just now, and the event tried again only in half a second.
    await rig.pass(10);
    expect(firedOn(rig)).toEqual([first.id]);
    await rig.reopen({ later: 5 });
    expect(firedOn(rig)).toEqual([first.id, second.id]);
  });

  it('is told of a task that had ended before and was queued anew', async () => {
    const rig = await Rig.open({ rules: [after('task:completed')] });
    const task = rig.tasks.add();
    await rig.pass(10);
    await rig.endTask(task);
    await rig.pass(10);
    rig.storeEnd(task);
    await rig.reopen({ later: 5 });
    await rig.reopen({ later: 5 });
    expect(firedOn(rig)).toEqual([task.id, task.id]);
  });
});

describe('an end is not told again', () => {
  it('that was taken in, whatever the rules made of it', async () => {
    const never = { conditions: [{ field: 'payload.taskId', operator: 'equals', value: 'none' }] };
    const rig = await Rig.open({
      rules: [
        after('task:completed', never),
        after('task:completed', { id: 'off', enabled: false }),
        after('task:completed', { id: 'waits', condition: { type: 'debounce', interval_ms: 10 * MINUTE } }),
      ],
    });
    await rig.endTask(rig.tasks.add());
    await rig.reopen({ later: 5, rules: [after('task:completed')] });
    expect(rig.topics(/^task:completed$/)).toHaveLength(1);
    expect(firedOn(rig)).toEqual([]);
  });

  it('of which there was no rule then', async () => {
    const rig = await Rig.open({ rules: [after('task:failed')] });
    const end = async (state: FinalState): Promise<void> => {
      await rig.pass(10);
      rig.storeEnd(rig.tasks.add(), state);
      await rig.pass(10);
    };
    await end('completed');
    await rig.reopen({ later: 5, rules: [after('task:completed')] });
    expect(firedOn(rig)).toEqual([]);
    await end('failed');
    rig.reconfigure();
    await end('completed');
    rig.reconfigure(after('task:*'));
    await end('completed');
    await rig.reopen({ later: 5 });
    expect(firedOn(rig)).toEqual(['task-0004']);
  });

  it('of which there was no rule then, while there was one for other ends', async () => {
    const rig = await Rig.open({ rules: [after('task:failed')] });
    await rig.pass(10);
    await rig.endTask(rig.tasks.add(), 'completed');
    await rig.pass(10);
    rig.reconfigure(after('task:*'));
    await rig.pass(10);
    await rig.reopen({ later: 5 });
    expect(firedOn(rig)).toEqual([]);
  });

  it('nor is the queue asked where no rule listens to ends', async () => {
    const rig = await Rig.open({ rules: [after('task:queued'), after('go', { id: 'go' })] });
    await rig.endTask(rig.tasks.add());
    await rig.reopen({ later: 5 });
    expect(rig.tasks.asked).toBe(0);
    expect(notes(rig)).toBe(0);
  });

  it('that somebody else has made up', async () => {
    const rig = await Rig.open({ rules: [after('task:completed')] });
    const task = rig.tasks.add();
    await rig.pass(10);
    rig.publish('task:completed', { taskId: task.id });
    rig.storeEnd(task);
    await rig.reopen({ later: 5 });
    expect(rig.topics(/^task:completed$/).map(({ source }) => source)).toEqual(['rpc', 'supervisor']);
  });
});

describe('what is noted of ends', () => {
  it('is forgotten after two minutes, and is known all the same', async () => {
    const rig = await Rig.open({ rules: [after('task:completed')] });
    for (let turn = 0; turn < 20; turn += 1) {
      await rig.endTask(rig.tasks.add());
      await rig.pass(30_000);
    }
    expect(firedOn(rig)).toHaveLength(20);
    expect(notes(rig)).toBeLessThan(7);
    await rig.reopen({ later: 5 });
    await rig.reopen({ later: 10 * MINUTE });
    expect(firedOn(rig)).toHaveLength(20);
  });

  it('does not have a start ask for all that has ever ended, where rules listen to other ends', async () => {
    const rig = await Rig.open({ rules: [after('task:failed')] });
    const opened = rig.clock.now();
    for (let turn = 0; turn < 10; turn += 1) {
      await rig.endTask(rig.tasks.add());
      await rig.pass(30_000);
    }
    expect(notes(rig)).toBe(0);
    expect(rig.engine.ends.knownUntil).toBeGreaterThan(opened + 2 * MINUTE);
  });

  it('costs nothing while nothing ends', async () => {
    const rig = await Rig.open({ rules: [after('task:completed')] });
    await rig.endTask(rig.tasks.add());
    await rig.pass(5 * MINUTE, 5);
    const { steps } = rig.life;
    await rig.pass(60 * MINUTE, 60);
    expect(rig.life.steps).toBe(steps);
  });

  it('outlives a full disk at the moment when it is to be forgotten', async () => {
    const rig = await Rig.open({ rules: [after('task:completed')] });
    await rig.endTask(rig.tasks.add());
    rig.db.refuses = true;
    await rig.pass(3 * MINUTE, 3);
    expect(notes(rig)).toBe(1);
    rig.db.refuses = false;
    await rig.pass(2 * MINUTE, 2);
    expect(notes(rig)).toBe(0);
  });
});

describe('a clock that was set', () => {
  const HOUR = 60 * MINUTE;

  it('back for a while brings no end twice', async () => {
    const rig = await Rig.open({ rules: [after('task:completed')] });
    await rig.pass(10);
    await rig.endTask(rig.tasks.add());
    await rig.pass(5 * MINUTE, 5);
    await rig.reopen({ later: -HOUR });
    await rig.endTask(rig.tasks.add());
    await rig.pass(5 * MINUTE, 5);
    await rig.reopen({ later: 2 * HOUR });
    // The second one is the rule's own.
    expect(firedOn(rig)).toEqual(['task-0001', 'task-0003']);
  });

  it('back while an end is to be told has it told when its time has come', async () => {
    const rig = await Rig.open({ rules: [after('task:completed')] });
    await rig.pass(10);
    rig.storeEnd(rig.tasks.add());
    await rig.reopen({ later: -HOUR });
    expect(firedOn(rig)).toEqual([]);
    await rig.reopen({ later: 2 * HOUR });
    await rig.reopen({ later: 10 });
    expect(firedOn(rig)).toEqual(['task-0001']);
  });

  it('ahead by years, and back, is got over', async () => {
    const rig = await Rig.open({ rules: [after('task:completed')] });
    await rig.pass(10);
    await rig.reopen({ later: 70 * 365 * 24 * HOUR });
    await rig.endTask(rig.tasks.add());
    await rig.pass(5 * MINUTE, 5);
    await rig.reopen({ later: -70 * 365 * 24 * HOUR });
    await rig.pass(10);
    rig.storeEnd(rig.tasks.add());
    await rig.reopen({ later: 10 });
    // The second one is the rule's own.
    expect(firedOn(rig)).toEqual(['task-0001', 'task-0003']);
  });
});

type Step =
  | { do: 'end'; told: boolean }
  | { do: 'pass'; ms: number }
  | { do: 'kill'; later: number }
  | { do: 'stop'; later: number };

const step = (earliest: number): fc.Arbitrary<Step> => {
  const later = fc.oneof(
    fc.integer({ min: 1, max: 1_000 }),
    fc.integer({ min: earliest, max: 200 * MINUTE }),
  );
  return fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('end' as const), told: fc.boolean() }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 90_000 }) }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('kill' as const), later }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('stop' as const), later }) },
  );
};

/** An end that is not told is the last thing that its daemon does. */
async function carryOut(rig: Rig, steps: Step[]): Promise<string[]> {
  const ended: string[] = [];
  for (const one of steps) {
    if (one.do === 'pass') await rig.pass(one.ms, 2);
    if (one.do === 'stop') await rig.stop();
    if (one.do === 'stop' || one.do === 'kill') await rig.reopen({ later: one.later });
    if (one.do !== 'end') continue;
    await rig.pass(1);
    const task = rig.tasks.add();
    ended.push(task.id);
    if (one.told) {
      await rig.endTask(task);
    } else {
      rig.storeEnd(task);
      await rig.reopen({ later: 1 });
    }
  }
  await rig.reopen({ later: 1 });
  return ended;
}

it('property: whenever daemons are killed, each end is told to the rules exactly once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step(1), { minLength: 3, maxLength: 15 }), async (steps) => {
      const rig = await Rig.open({ rules: [after('task:completed')] });
      const ended = await carryOut(rig, steps);
      expect(firedOn(rig)).toEqual(ended);
      rig.kill();
    }),
    { numRuns: 40 },
  );
}, 60_000);

it('property: whatever the clock of the machine does, no end is told to the rules twice', async () => {
  const back = -3 * 24 * 60 * MINUTE;
  await fc.assert(
    fc.asyncProperty(fc.array(step(back), { minLength: 3, maxLength: 15 }), async (steps) => {
      const rig = await Rig.open({ rules: [after('task:completed')] });
      await carryOut(rig, steps);
      const fired = firedOn(rig);
      expect(fired).toEqual([...new Set(fired)]);
      rig.kill();
    }),
    { numRuns: 40 },
  );
}, 60_000);
