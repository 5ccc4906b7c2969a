import { existsSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Gate } from '#aiwgd/protocol/automation.js';
import type { StoredTask } from '#aiwgd/tasks/task-store.js';
import { type Rig, type RigOptions, startedRig, until } from './harness.js';
import { QuestionDesk } from './question-desk.js';

const ASKING = fileURLToPath(new URL('asking-agent.mjs', import.meta.url));
const AGENTS = { asker: { provider: 'claude', program: ASKING, approvals: 'gate' } } as const;

const BASH = {
  id: 'q1',
  input: { command: 'npm test', description: 'Run the tests' },
  rule: ['Bash', 'npm test:*'],
};
const ONE_QUESTION = [{ ask: BASH }, { told: 'q1' }, { result: true }];

function openDesk(expireMinutes?: number): QuestionDesk {
  const desk = new QuestionDesk(expireMinutes);
  onTestFinished(() => desk[Symbol.dispose]());
  return desk;
}

function askingRig(desk: QuestionDesk | undefined, options: RigOptions = {}): Promise<Rig> {
  return startedRig({ agents: AGENTS, ...(desk && { questions: desk }), ...options });
}

function submit(rig: Rig, steps: object[], more: object = {}): Promise<string> {
  return rig.submit(JSON.stringify(steps), { agent: 'asker', ...more });
}

async function asked(desk: QuestionDesk, count = 1): Promise<Gate[]> {
  await until(`${count} gates`, () => desk.pending.length === count);
  return desk.pending;
}

/** What the agent was told, by the ids of its questions. */
function toldTo(task: StoredTask): Record<string, { behavior: string; message?: string }[]> {
  return JSON.parse(task.result ?? '{}') as ReturnType<typeof toldTo>;
}

function fifoOf(rig: Rig, taskId: string): string {
  return join(rig.folder(taskId), 'stdin');
}

describe('an agent that asks for permission', () => {
  it('goes on after a yes, with exactly what was shown', async () => {
    const desk = openDesk();
    await using rig = await askingRig(desk);
    const id = await submit(rig, ONE_QUESTION);
    const [gate] = await asked(desk);
    expect(gate).toMatchObject({
      kind: 'permission',
      summary: `${id} (asker) wants to use Bash: npm test`,
      always: 'Bash(npm test:*)',
      taskId: id,
      ruleId: null,
    });
    expect(JSON.parse(gate?.action ?? '')).toEqual({ tool: 'Bash', cwd: rig.root, input: BASH.input });
    expect(statSync(fifoOf(rig, id)).isFIFO()).toBe(true);
    expect(statSync(fifoOf(rig, id)).mode & 0o777).toBe(0o600);
    desk.gates.approve('gate-0001', 'me');
    const task = await rig.ended(id);
    expect(task.state).toBe('completed');
    expect(toldTo(task)).toEqual({ q1: [{ behavior: 'allow', updatedInput: BASH.input }] });
    expect(rig.leftovers()).toEqual([]);
    expect(existsSync(fifoOf(rig, id))).toBe(false);
    expect(await desk.allowed(id)).toEqual([]);
  });

  it('is told no, and why', async () => {
    const desk = openDesk();
    await using rig = await askingRig(desk);
    const id = await submit(rig, ONE_QUESTION);
    await asked(desk);
    desk.gates.reject('gate-0001', 'me', 'use pnpm');
    const task = await rig.ended(id);
    expect(task.state).toBe('completed');
    expect(toldTo(task)['q1']).toEqual([{ behavior: 'deny', message: 'A person said no: use pnpm' }]);
  });

  it('is told no where nobody answers in time', async () => {
    const desk = openDesk(0.01);
    await using rig = await askingRig(desk);
    const task = await rig.ended(await submit(rig, ONE_QUESTION));
    expect(toldTo(task)['q1']).toEqual([
      { behavior: 'deny', message: expect.stringMatching(/^Nobody answered within/) },
    ]);
    expect(desk.gates.list('expired')).toHaveLength(1);
  });

  it('is told no where nobody can be asked', async () => {
    await using rig = await askingRig(undefined);
    const task = await rig.ended(await submit(rig, ONE_QUESTION));
    expect(toldTo(task)['q1']).toMatchObject([
      { behavior: 'deny', message: expect.stringContaining('Nobody can') },
    ]);
  });

  it('gets a yes for good for its session, and for the next attempt at its task', async () => {
    const desk = openDesk();
    await using rig = await askingRig(desk);
    const id = await submit(rig, ONE_QUESTION);
    await asked(desk);
    const gate = desk.gates.approve('gate-0001', 'me', { always: true });
    expect(gate.reason).toBe('always: Bash(npm test:*)');
    const rules = [{ toolName: 'Bash', ruleContent: 'npm test:*' }];
    expect(toldTo(await rig.ended(id))['q1']).toMatchObject([
      { behavior: 'allow', updatedPermissions: [{ type: 'addRules', rules, destination: 'session' }] },
    ]);
    expect(rig.read(id, 'stdout.log')).not.toContain('--allowedTools');
    await rig.supervisor.retry(id);
    await asked(desk);
    expect(rig.read(id, 'stdout.log')).toContain('--allowedTools=Bash(npm test:*)');
    expect(await desk.allowed('task-9999')).toEqual([]);
  });

  it('asks many things at once, and each is answered for itself', async () => {
    const desk = openDesk();
    await using rig = await askingRig(desk);
    const ids = Array.from({ length: 20 }, (_, at) => `q${at}`);
    const id = await submit(rig, [
      ...ids.map((one) => ({ ask: { id: one, input: { command: `echo ${one}` } } })),
      ...ids.map((one) => ({ told: one })),
      { result: true },
    ]);
    const gates = await asked(desk, 20);
    for (const [at, gate] of gates.entries()) {
      if (at % 2 === 0) desk.gates.approve(gate.id, 'me');
      else desk.gates.reject(gate.id, 'me');
    }
    const told = toldTo(await rig.ended(id));
    expect(ids.map((one) => told[one]?.map(({ behavior }) => behavior))).toEqual(
      ids.map((_, at) => [at % 2 === 0 ? 'allow' : 'deny']),
    );
  });

  it('is told no for more than 32 questions at once', async () => {
    const desk = openDesk();
    await using rig = await askingRig(desk);
    const ids = Array.from({ length: 40 }, (_, at) => `q${at}`);
    const id = await submit(rig, [
      ...ids.map((one) => ({ ask: { id: one, input: { command: one } } })),
      ...ids.slice(32).map((one) => ({ told: one })),
      { result: true },
    ]);
    await asked(desk, 32);
    await until('the others are told no', () => rig.read(id, 'stdout.log').includes('"type":"result"'));
    for (const gate of desk.pending) desk.gates.reject(gate.id, 'me');
    const told = toldTo(await rig.ended(id));
    const refused = ids.filter((one) => told[one]?.[0]?.message?.startsWith('Too many questions'));
    expect(refused).toEqual(ids.slice(32));
  });

  it('cannot have another thing allowed by an answer to a question of the same name', async () => {
    const desk = openDesk();
    await using rig = await askingRig(desk);
    const steps = [{ ask: BASH }, { ask: BASH }, { told: 'q1' }];
    const other = { id: 'q1', input: { command: 'rm -rf .' } };
    const id = await submit(rig, [...steps, { ask: other }, { sleep: 500 }, { forever: true }]);
    await asked(desk);
    desk.gates.approve('gate-0001', 'me');
    await until('it asks for the other thing', () => desk.pending[0]?.id === 'gate-0002');
    expect(desk.pending[0]?.summary).toContain('rm -rf .');
    await rig.supervisor.cancel(id);
    expect(desk.gates.get('gate-0002')).toMatchObject({ state: 'rejected', answeredBy: null });
  });

  it('is asked for no longer when it takes its question back', async () => {
    const desk = openDesk();
    await using rig = await askingRig(desk);
    const id = await submit(rig, [
      { ask: BASH },
      { sleep: 500 },
      { cancel: 'q1' },
      { sleep: 500 },
      { result: true },
    ]);
    await asked(desk);
    await until('the gate is closed', () => desk.pending.length === 0);
    expect(desk.gates.get('gate-0001')).toMatchObject({ state: 'rejected', answeredBy: null });
    expect((await rig.ended(id)).state).toBe('completed');
  });

  it('may print whatever it likes beside its question', async () => {
    const desk = openDesk();
    await using rig = await askingRig(desk);
    const garbage = [
      '{"type":"control_request"}\n',
      '{"type":"control_request","request_id":7,"request":{"subtype":"can_use_tool"}}\n',
      '{"type":"control_request","request_id":"x","request":{"subtype":"can_use_tool","tool_name":"Bash","input":[]}}\n',
      '{"type":"control_request","request_id":"y","request":{"subtype":"initialize"}}\n',
      'no json at all "can_use_tool"\n\u0000\n[]\n',
    ];
    const id = await submit(rig, [...garbage.map((print) => ({ print })), ...ONE_QUESTION]);
    expect(await asked(desk)).toHaveLength(1);
    desk.gates.approve('gate-0001', 'me');
    expect((await rig.ended(id)).state).toBe('completed');
  });

  it('is told no at once for what is too long to be judged', async () => {
    const desk = openDesk();
    await using rig = await askingRig(desk);
    const huge = { id: 'q1', tool: 'Write', input: { file_path: 'x', content: 'y'.repeat(300_000) } };
    const task = await rig.ended(await submit(rig, [{ ask: huge }, { told: 'q1' }, { result: true }]));
    expect(toldTo(task)['q1']).toMatchObject([
      { behavior: 'deny', message: expect.stringMatching(/nobody can judge more than 128 KiB/) },
    ]);
    expect(desk.gates.list('all')).toEqual([]);
  });

  it('gets long answers as a whole, however slowly it reads', async () => {
    const desk = openDesk();
    await using rig = await askingRig(desk);
    const ids = Array.from({ length: 10 }, (_, at) => `q${at}`);
    const id = await submit(rig, [
      { deaf: true },
      ...ids.map((one) => ({ ask: { id: one, tool: 'Write', fill: 100_000, input: { file_path: one } } })),
      { sleep: 1_500 },
      { hear: true },
      ...ids.map((one) => ({ told: one })),
      { result: true },
    ]);
    for (const gate of await asked(desk, 10)) desk.gates.approve(gate.id, 'me');
    const task = await rig.ended(id, 20_000);
    expect(task.error).toBeNull();
    expect(task.state).toBe('completed');
    expect(Object.keys(toldTo(task)).toSorted()).toEqual(ids.toSorted());
  });
});

describe('the limits of an attempt', () => {
  it('do not count the time in which it waits for a person', async () => {
    const desk = openDesk();
    const asker = { ...AGENTS.asker, stall_minutes: 0.02 };
    await using rig = await askingRig(desk, { agents: { asker }, settings: { actionTimeoutMs: 1_500 } });
    const id = await submit(rig, ONE_QUESTION);
    await asked(desk);
    // Longer than both limits: that it counts for neither is what is tested.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    desk.gates.approve('gate-0001', 'me');
    expect((await rig.ended(id)).state).toBe('completed');
  });

  it('hold again once it has its answer', async () => {
    const desk = openDesk();
    await using rig = await askingRig(desk, { settings: { actionTimeoutMs: 2_000 } });
    const id = await submit(rig, [{ ask: BASH }, { forever: true }]);
    await asked(desk);
    desk.gates.approve('gate-0001', 'me');
    expect((await rig.ended(id)).state).toBe('timeout');
    expect(rig.leftovers()).toEqual([]);
  });

  it('end it soon after its result, unless more comes', async () => {
    await using rig = await askingRig(openDesk());
    const init = `${JSON.stringify({ type: 'system', subtype: 'init' })}\n`;
    const steps = [{ result: true }, { sleep: 300 }, { print: init }, { sleep: 1_500 }, { result: true }];
    const begun = Date.now();
    const task = await rig.ended(await submit(rig, steps));
    const took = Date.now() - begun;
    expect(task).toMatchObject({ state: 'completed', attempt: 1 });
    expect(took).toBeGreaterThan(2_500);
    expect(took).toBeLessThan(9_000);
  });
});

describe('an attempt that ends while it waits', () => {
  for (const [how, last] of [
    ['by itself', { end: 1 }],
    ['killed', { print: '' }],
  ] as const) {
    it(`needs no answer any more: ${how}`, async () => {
      const desk = openDesk();
      await using rig = await askingRig(desk);
      const id = await submit(rig, [{ ask: BASH }, { sleep: 500 }, last, { forever: true }], {
        maxAttempts: 1,
      });
      await asked(desk);
      if (how === 'killed') {
        await until('its pid is known', () => rig.supervisor.live(id)?.pid);
        process.kill(rig.supervisor.live(id)?.pid ?? 0, 'SIGKILL');
      }
      expect((await rig.ended(id)).state).toBe('failed');
      expect(desk.pending).toEqual([]);
      expect(desk.gates.get('gate-0001')?.reason).toBe('The agent that asked has ended');
      expect(existsSync(fifoOf(rig, id))).toBe(false);
    });
  }

  it('is cancelled, and nothing is left', async () => {
    const desk = openDesk();
    await using rig = await askingRig(desk);
    const id = await submit(rig, ONE_QUESTION);
    await asked(desk);
    expect(await rig.supervisor.cancel(id)).toBe(true);
    expect(desk.pending).toEqual([]);
    expect(rig.leftovers()).toEqual([]);
  });

  it('is stopped with the daemon, and goes back to the queue', async () => {
    const desk = openDesk();
    await using rig = await askingRig(desk);
    const id = await submit(rig, ONE_QUESTION);
    await asked(desk);
    await rig.supervisor.stop({ graceMs: 300 });
    expect((await rig.get(id)).state).toBe('queued');
    expect(desk.pending).toEqual([]);
  });
});

describe('a question that outlives its daemon', () => {
  it('is answered by way of the next one, which asks nobody twice', async () => {
    const desk = openDesk();
    await using first = await askingRig(desk, { owner: 'first' });
    const id = await submit(first, ONE_QUESTION);
    await asked(desk);
    await first.supervisor.handOver();
    expect(desk.pending).toHaveLength(1);
    const { root, store } = first;
    const second = await askingRig(desk, { root, store, owner: 'second' });
    onTestFinished(() => second.supervisor.stop({ graceMs: 0 }));
    desk.gates.approve('gate-0001', 'me');
    const task = await second.ended(id);
    expect(toldTo(task)['q1']).toHaveLength(1);
    expect(desk.gates.list('all')).toHaveLength(1);
  });

  it('may be answered while no daemon runs; what was waited does not count against its time limit', async () => {
    const desk = openDesk();
    const settings = { actionTimeoutMs: 2_000 };
    await using first = await askingRig(desk, { owner: 'first', settings });
    const id = await submit(first, ONE_QUESTION);
    await asked(desk);
    await first.supervisor.handOver();
    desk.gates.reject('gate-0001', 'me', 'no');
    // Longer than the limit: that it does not count is what is tested.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    const { root, store } = first;
    const second = await askingRig(desk, { root, store, owner: 'second', settings });
    onTestFinished(() => second.supervisor.stop({ graceMs: 0 }));
    const task = await second.ended(id);
    expect(task.state).toBe('completed');
    expect(toldTo(task)['q1']).toEqual([{ behavior: 'deny', message: 'A person said no: no' }]);
  });
});

describe('the FIFO of an attempt', () => {
  it('takes a long prompt before the agent is there', async () => {
    await using rig = await askingRig(openDesk());
    const fits = await submit(rig, [{ print: `${'x'.repeat(700_000)}\n` }, { result: true }]);
    expect((await rig.ended(fits)).state).toBe('completed');
  });

  it('is not followed to where the agent may have led it', async () => {
    const desk = openDesk();
    await using first = await askingRig(desk, { owner: 'first', settings: { actionTimeoutMs: 4_000 } });
    const victim = join(first.root, 'victim');
    writeFileSync(victim, 'mine');
    const ids: string[] = [];
    for (const put of [(path: string) => symlinkSync(victim, path), (path: string) => mkdirSync(path)]) {
      const id = await submit(first, ONE_QUESTION);
      await until('it asks', () => desk.gates.list('all').some(({ taskId }) => taskId === id));
      rmSync(fifoOf(first, id));
      put(fifoOf(first, id));
      ids.push(id);
    }
    await first.supervisor.handOver();
    for (const { id } of desk.pending) desk.gates.approve(id, 'me');
    const { root, store } = first;
    const second = await askingRig(desk, {
      root,
      store,
      owner: 'second',
      settings: { actionTimeoutMs: 4_000 },
    });
    onTestFinished(() => second.supervisor.stop({ graceMs: 0 }));
    for (const id of ids) expect((await second.ended(id)).state).toBe('timeout');
    expect(statSync(victim).size).toBe(4);
    expect(readdirSync(root)).toContain('victim');
  });
});
