import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { until } from '../support/temp.js';
import { Rig } from './engine-rig.js';
import { Killed } from './engine-world.js';

const RULES = [
  {
    id: 'files',
    trigger: { type: 'file_change', pattern: '**' },
    condition: { type: 'debounce', interval_ms: 100 },
    actions: [
      { type: 'submit_task', prompt: 'Look at {{files}}' },
      { type: 'emit', topic: 'looked', payload: { files: '{{files}}' } },
    ],
  },
  {
    id: 'chain',
    trigger: { type: 'event', topic: 'looked' },
    actions: [
      { type: 'notify', message: '{{count}}' },
      { type: 'command', command: ['./count'] },
    ],
  },
  {
    id: 'ask',
    trigger: { type: 'event', topic: 'looked' },
    requires_approval: true,
    action: { type: 'submit_task', prompt: 'Publish' },
  },
];

/** What a daemon does by itself and with people: carried on by the next where one is killed. */
async function live(rig: Rig): Promise<void> {
  for (let turn = 0; turn < 60; turn += 1) {
    await rig.idle(3);
    if (!rig.life.alive) {
      await rig.reopen({ later: 10 });
      continue;
    }
    try {
      const [gate] = rig.engine.gates.list();
      const [task] = rig.tasks.open;
      if (gate !== undefined) rig.engine.gates.approve(gate.id, 'me');
      else if (task !== undefined) await rig.endTask(task);
      else await rig.pass(100);
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
    }
  }
}

/** A source that reports its change until that was taken in. */
async function report(rig: Rig, paths: string[]): Promise<void> {
  for (;;) {
    try {
      rig.batch(() => {
        for (const path of paths) rig.change(path);
      });
      return;
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      const taken = rig.life.steps % 2 === 0;
      await rig.reopen();
      // Killed after the commit: the source knows from its own table that it has reported.
      if (taken) return;
    }
  }
}

async function story(killAt: number): Promise<{ rig: Rig; steps: number }> {
  const rig = await Rig.open({ rules: RULES });
  rig.life.steps = 0;
  rig.life.killAt = killAt;
  await report(rig, ['a.ts', 'b.ts']);
  await live(rig);
  return { rig, steps: rig.life.steps };
}

function expectExact(rig: Rig): void {
  const prompts = rig.tasks.all.map(({ prompt }) => prompt).toSorted();
  expect(prompts).toEqual(['Look at "a.ts", "b.ts"', 'Publish', 'run "./count"']);
  expect(rig.tasks.all.every(({ state }) => state === 'completed')).toBe(true);
  expect(rig.engine.gates.list('all')).toHaveLength(1);
  expect(rig.states().toSorted()).toEqual(['completed', 'completed', 'completed']);
  expect(rig.engine.status().rules.map(({ firedCount }) => firedCount)).toEqual([1, 1, 1]);
  expect(rig.letters()).toEqual([]);
}

test('killed at each single step of its work, the daemon neither forgets nor repeats anything', async () => {
  const { rig: whole, steps } = await story(Number.POSITIVE_INFINITY);
  expectExact(whole);
  expect(steps).toBeGreaterThan(30);
  for (let killAt = 1; killAt <= steps; killAt += 1) {
    const { rig } = await story(killAt);
    try {
      expectExact(rig);
      // What a transaction published that was cut off was never heard of by a rule.
      expect(rig.topics(/^looked$/).length).toBeLessThanOrEqual(2);
    } catch (error) {
      throw new Error(`killed at step ${killAt}`, { cause: error });
    }
    rig.kill();
  }
}, 60_000);

test('property: killed again and again at any steps, the outcome is the same', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 2, maxLength: 6 }),
      async (kills) => {
        const rig = await Rig.open({ rules: RULES });
        rig.life.steps = 0;
        rig.life.killAt = kills[0]!;
        await report(rig, ['a.ts', 'b.ts']);
        for (const killAt of kills.slice(1)) {
          if (!rig.life.alive) await rig.reopen({ later: 1 });
          rig.life.steps = 0;
          rig.life.killAt = killAt;
          for (let turn = 0; turn < 12 && rig.life.alive; turn += 1) {
            try {
              const [gate] = rig.engine.gates.list();
              if (gate !== undefined) rig.engine.gates.approve(gate.id, 'me');
              else if (rig.tasks.open[0] !== undefined) await rig.endTask(rig.tasks.open[0]);
              await rig.pass(100);
            } catch (error) {
              if (!(error instanceof Killed)) throw error;
            }
          }
        }
        await live(rig);
        expectExact(rig);
        rig.kill();
      },
    ),
    { numRuns: 25 },
  );
}, 60_000);

test('killed at each single step of the ends of tasks, the daemon tells each end to the rules once', async () => {
  const rules = [
    { id: 'go', trigger: { type: 'event', topic: 'go' }, action: { type: 'submit_task', prompt: 'Go' } },
    {
      id: 'after',
      trigger: { type: 'event', topic: 'task:completed' },
      action: { type: 'submit_task', prompt: 'After {{payload.taskId}}' },
    },
    {
      id: 'last',
      trigger: { type: 'task:completed', source: 'supervisor', pattern: null },
      conditions: [{ field: 'payload.ruleId', operator: 'equals', value: 'after' }],
      action: { type: 'submit_task', prompt: 'Last {{payload.taskId}}' },
    },
  ];
  const tell = async (killAt: number): Promise<{ rig: Rig; steps: number }> => {
    const rig = await Rig.open({ rules });
    rig.publish('go');
    rig.life.steps = 0;
    rig.life.killAt = killAt;
    await live(rig);
    return { rig, steps: rig.life.steps };
  };
  const { steps } = await tell(Number.POSITIVE_INFINITY);
  expect(steps).toBeGreaterThan(20);
  for (let killAt = 1; killAt <= steps; killAt += 1) {
    const { rig } = await tell(killAt);
    const prompts = rig.tasks.all.map(({ prompt }) => prompt);
    expect(prompts, `killed at step ${killAt}`).toEqual(['Go', 'After "task-0001"', 'Last "task-0002"']);
    expect(rig.tasks.open).toEqual([]);
    expect(rig.engine.status().rules.map(({ firedCount }) => firedCount)).toEqual([1, 1, 1]);
    rig.kill();
  }
}, 60_000);

test('a webhook that was on its way when the daemon was killed is sent again, under the same id', async () => {
  const heard: unknown[] = [];
  let hold = true;
  const server = createServer((request, response) => {
    heard.push(request.headers['x-aiwg-delivery']);
    if (!hold) response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  onTestFinished(() => server.closeAllConnections());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`;
  const rig = await Rig.open({
    rules: [
      { trigger: { type: 'event', topic: 'go' }, action: { type: 'webhook', url, allow_private: true } },
    ],
  });
  const { id } = rig.publish('go');
  await until('the webhook is on its way', () => heard.length === 1);
  hold = false;
  await rig.reopen();
  await until('the webhook is sent again', () => rig.states()[0] === 'completed');
  expect(heard).toEqual([`${id}.run-0001.0`, `${id}.run-0001.0`]);
});

test('a run after the database was begun anew is none of those before it', async () => {
  const rig = await Rig.open({
    rules: [{ trigger: { type: 'event', topic: 'go' }, action: { type: 'submit_task', prompt: 'Go' } }],
  });
  rig.publish('go');
  await rig.idle();
  for (const task of rig.tasks.open) await rig.endTask(task);
  rig.kill();
  for (const end of ['', '-wal', '-shm']) rmSync(join(rig.folder, `automation.db${end}`), { force: true });
  await rig.reopen({ later: 10 });
  rig.publish('go');
  await rig.idle();
  expect(rig.tasks.all).toHaveLength(2);
});

test('the webhooks of two projects have different ids for one receiver', async () => {
  const heard: (string | string[] | undefined)[] = [];
  const server = createServer((request, response) => {
    heard.push(request.headers['x-aiwg-delivery']);
    response.end();
  });
  server.listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await until('it listens', () => server.listening);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const rules = [
    { trigger: { type: 'event', topic: 'go' }, action: { type: 'webhook', url, allow_private: true } },
  ];
  for (const rig of [await Rig.open({ rules }), await Rig.open({ rules })]) rig.publish('go');
  await until('both are sent', () => heard.length === 2);
  expect(new Set(heard).size).toBe(2);
});
