import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Gate } from '#aiwgd/protocol/automation.js';
import type { Task } from '#aiwgd/protocol/task.js';
import type { Project } from '../e2e/support.js';
import { until } from '../support/temp.js';
import { daemonWith } from './project.js';
import { FakeAnthropic } from './support.js';

const ASKING = { approvals: 'gate', permission_mode: 'default' };

async function theGate(project: Project): Promise<Gate> {
  const pending = (): Promise<Gate[]> => project.json<Gate[]>(['gate', 'list']);
  await until('claude asks', async () => (await pending()).length === 1, 30_000);
  const [gate] = await pending();
  if (gate === undefined) throw new Error('no gate');
  return gate;
}

async function theTask(project: Project): Promise<Task> {
  await project.run(['task', 'wait', 'task-0001']);
  return project.json<Task>(['task', 'get', 'task-0001']);
}

function isThere(project: Project, name: string): boolean {
  return existsSync(join(project.root, name));
}

/** What the model was told of its tool. */
async function toldToModel(api: FakeAnthropic): Promise<string> {
  return JSON.stringify((await api.requests()).at(-1)?.lastUser);
}

describe('the real claude, which asks for permission', () => {
  it('does exactly what a person allowed', async () => {
    await using api = await FakeAnthropic.start(['tool_bash:touch made', 'ok:It is made.']);
    const project = await daemonWith(api, ASKING);
    await project.ok(['task', 'submit', 'make it']);
    const gate = await theGate(project);
    expect(gate.summary).toBe('task-0001 (claude) wants to use Bash: touch made');
    expect(JSON.parse(gate.action)).toMatchObject({
      tool: 'Bash',
      cwd: project.root,
      input: { command: 'touch made' },
    });
    expect(isThere(project, 'made')).toBe(false);
    await project.ok(['gate', 'approve', gate.id]);
    expect(await theTask(project)).toMatchObject({
      state: 'completed',
      result: 'It is made.',
      attempt: 1,
      error: null,
    });
    expect((await theTask(project)).costUsd).toBeGreaterThan(0);
    expect(isThere(project, 'made')).toBe(true);
    expect(project.agents()).toEqual([]);
  });

  it('does not do what a person refused, and knows why', async () => {
    await using api = await FakeAnthropic.start(['tool_bash:touch made', 'ok:I leave it.']);
    const project = await daemonWith(api, ASKING);
    await project.ok(['task', 'submit', 'make it']);
    await project.ok(['gate', 'reject', (await theGate(project)).id, 'not', 'on', 'a', 'Friday']);
    expect(await theTask(project)).toMatchObject({ state: 'completed', result: 'I leave it.', attempt: 1 });
    expect(await toldToModel(api)).toContain('not on a Friday');
    expect(isThere(project, 'made')).toBe(false);
    expect(project.agents()).toEqual([]);
  });

  it('asks no more for what was allowed for good, nor does the next attempt', async () => {
    const again = ['tool_bash:mkdir -p one', 'tool_bash:mkdir -p one', 'ok:Both are made.'];
    await using api = await FakeAnthropic.start([...again, ...again]);
    const project = await daemonWith(api, ASKING);
    await project.ok(['task', 'submit', 'make them']);
    const gate = await theGate(project);
    expect(gate.always).toMatch(/^Bash\(mkdir/);
    await project.ok(['gate', 'approve', gate.id, '--always']);
    expect(await theTask(project)).toMatchObject({ state: 'completed', result: 'Both are made.' });
    await project.ok(['task', 'retry', 'task-0001']);
    expect(await theTask(project)).toMatchObject({ state: 'completed', result: 'Both are made.' });
    expect(await project.json<Gate[]>(['gate', 'list', '--all'])).toHaveLength(1);
    expect(isThere(project, '.claude'), 'the rule is not written into the project').toBe(false);
    expect(project.agents()).toEqual([]);
  });

  it('gets no where nobody answers in time', async () => {
    await using api = await FakeAnthropic.start(['tool_bash:touch made', 'ok:Nobody answered.']);
    const project = await daemonWith(api, ASKING, { gates: { expire_minutes: 1 } });
    await project.ok(['task', 'submit', 'make it']);
    await theGate(project);
    await until('it ends', async () => (await project.json<Gate[]>(['gate', 'list'])).length === 0, 90_000);
    expect(await theTask(project)).toMatchObject({ state: 'completed', result: 'Nobody answered.' });
    expect(await toldToModel(api)).toContain('Nobody answered within 1 minute.');
    expect(isThere(project, 'made')).toBe(false);
    expect(project.agents()).toEqual([]);
  });

  it('gets its answer by way of another daemon than the one that launched it', async () => {
    await using api = await FakeAnthropic.start(['tool_bash:touch made', 'ok:It is made.']);
    const project = await daemonWith(api, ASKING);
    await project.ok(['task', 'submit', 'make it']);
    const gate = await theGate(project);
    await project.kill();
    await project.start();
    await project.ok(['gate', 'approve', gate.id]);
    expect(await theTask(project)).toMatchObject({ state: 'completed', result: 'It is made.', attempt: 1 });
    expect(isThere(project, 'made')).toBe(true);
    expect(await api.played()).toEqual(['tool_bash:touch made', 'ok:It is made.']);
    expect(project.agents()).toEqual([]);
  });

  it('takes an answer that it gets twice for one', async () => {
    await using api = await FakeAnthropic.start(['tool_bash:sleep 4; echo x >> made', 'ok:It is made.']);
    const project = await daemonWith(api, ASKING);
    await project.ok(['task', 'submit', 'make it']);
    await project.ok(['gate', 'approve', (await theGate(project)).id]);
    await until('its tool runs', () => project.agents().length >= 3, 30_000);
    // The next daemon cannot know that the answer has arrived.
    await project.kill();
    await project.start();
    expect(await theTask(project)).toMatchObject({ state: 'completed', result: 'It is made.', attempt: 1 });
    expect(readFileSync(join(project.root, 'made'), 'utf8')).toBe('x\n');
    expect(await project.ok(['gate', 'list'])).toContain('Nothing waits');
    expect(project.agents()).toEqual([]);
  });
});
