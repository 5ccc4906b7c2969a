import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Gate } from '#aiwgd/protocol/automation.js';
import type { AiwgEvent } from '#aiwgd/protocol/event.js';
import type { Task } from '#aiwgd/protocol/task.js';
import { until } from '../support/temp.js';
import { Project } from './support.js';

const ASKING = fileURLToPath(new URL('../agents/asking-agent.mjs', import.meta.url));
const QUESTION = { id: 'q1', input: { command: 'npm test' }, rule: ['Bash', 'npm test:*'] };
const STEPS = JSON.stringify([{ ask: QUESTION }, { told: 'q1' }, { result: true }]);

async function asking(more: object = {}, steps = STEPS): Promise<Project> {
  const project = new Project({
    config: { agents: { claude: { program: ASKING, approvals: 'gate' } }, ...more },
  });
  await project.start();
  await project.ok(['task', 'submit', '--', steps]);
  return project;
}

function gates(project: Project, ...words: string[]): Promise<Gate[]> {
  return project.json<Gate[]>(['gate', 'list', ...words]);
}

async function theGate(project: Project): Promise<Gate> {
  await until('the agent asks', async () => (await gates(project)).length === 1);
  const [gate] = await gates(project);
  if (gate === undefined) throw new Error('no gate');
  return gate;
}

async function theTask(project: Project): Promise<Task> {
  await project.run(['task', 'wait', 'task-0001']);
  return project.json<Task>(['task', 'get', 'task-0001']);
}

function told(task: Task): { behavior: string; message?: string }[] {
  return (
    (JSON.parse(task.result ?? '{}') as Record<string, { behavior: string; message?: string }[]>)['q1'] ?? []
  );
}

describe('an agent of a daemon that asks for permission', () => {
  it('is shown, said yes to, and goes on', async () => {
    const project = await asking();
    const gate = await theGate(project);
    expect(gate).toMatchObject({ id: 'gate-0001', kind: 'permission', taskId: 'task-0001' });
    const shown = await project.ok(['gate', 'list']);
    expect(shown).toContain('task-0001 (claude) wants to use Bash: npm test');
    expect(shown).toContain(`│ Bash in ${project.root}`);
    expect(shown).toContain('│ command: "npm test"');
    expect(shown).toContain('always: Bash(npm test:*)');
    expect(shown).toContain('aiwgd gate approve ID [--always]');
    await project.ok(['gate', 'approve', 'gate-0001']);
    const task = await theTask(project);
    expect(task).toMatchObject({ state: 'completed', attempt: 1 });
    expect(told(task)).toEqual([{ behavior: 'allow', updatedInput: QUESTION.input }]);
    expect(project.agents()).toEqual([]);
    const events = await project.json<AiwgEvent[]>(['events', 'tail', '--topic', 'gate.*']);
    expect(events.map(({ type, payload }) => [type, payload['taskId'], payload['always']])).toEqual([
      ['gate.pending', 'task-0001', 'Bash(npm test:*)'],
      ['gate.approved', 'task-0001', 'Bash(npm test:*)'],
    ]);
  });

  it('is allowed for good, which the next attempt at the task knows', async () => {
    const project = await asking();
    await theGate(project);
    expect(await project.ok(['gate', 'approve', 'gate-0001', '--always'])).toContain(
      'always: Bash(npm test:*)',
    );
    expect(told(await theTask(project))[0]).toMatchObject({ behavior: 'allow', updatedPermissions: [{}] });
    await project.ok(['restart']);
    await project.ok(['task', 'retry', 'task-0001']);
    await theGate(project);
    const output = join(project.root, '.aiwg/daemon/actions/task-0001/attempt-1/stdout.log');
    expect(readFileSync(output, 'utf8')).toContain('--allowedTools=Bash(npm test:*)');
    await project.ok(['gate', 'reject', 'gate-0002', 'use', 'pnpm']);
    expect(told(await theTask(project))).toEqual([
      { behavior: 'deny', message: 'A person said no: use pnpm' },
    ]);
  });

  it('cannot be allowed for good what it does not offer', async () => {
    const ask = { id: 'q1', input: { command: 'npm test' } };
    const project = await asking({}, JSON.stringify([{ ask }, { told: 'q1' }, { result: true }]));
    expect((await theGate(project)).always).toBeNull();
    const ran = await project.run(['gate', 'approve', 'gate-0001', '--always']);
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toContain('gate-0001 offers nothing to allow for good');
    expect((await gates(project)).map(({ state }) => state)).toEqual(['pending']);
  });

  it('keeps its question over a kill of the daemon, and gets the answer of the next', async () => {
    const project = await asking();
    await theGate(project);
    await project.kill();
    expect(project.agents().length).toBeGreaterThan(0);
    await project.start();
    expect((await gates(project)).map(({ id }) => id)).toEqual(['gate-0001']);
    await project.ok(['gate', 'approve', 'gate-0001']);
    const task = await theTask(project);
    expect(task).toMatchObject({ state: 'completed', attempt: 1 });
    expect(told(task)).toEqual([{ behavior: 'allow', updatedInput: QUESTION.input }]);
    expect(await gates(project, '--all')).toHaveLength(1);
    expect(project.agents()).toEqual([]);
  });

  it('gets an answer that was stored when the daemon was killed before it could hand it on', async () => {
    const project = await asking();
    await theGate(project);
    const agent = (await project.json<Task>(['task', 'get', 'task-0001'])).pid ?? 0;
    // It takes nothing, so that the answer cannot have reached it.
    process.kill(agent, 'SIGSTOP');
    await project.ok(['gate', 'approve', 'gate-0001']);
    await project.kill();
    await project.start();
    process.kill(agent, 'SIGCONT');
    const task = await theTask(project);
    expect(task).toMatchObject({ state: 'completed', attempt: 1 });
    expect(told(task)[0]).toMatchObject({ behavior: 'allow' });
    expect(project.agents()).toEqual([]);
  });

  it('asks no more once it is gone, also where nobody saw it go', async () => {
    const project = await asking();
    await theGate(project);
    await project.kill();
    for (const pid of project.agents()) process.kill(pid, 'SIGKILL');
    await until('they are gone', () => project.agents().length === 0);
    await project.start();
    await until('the gate is closed', async () =>
      (await gates(project, '--all')).some(({ id, state }) => id === 'gate-0001' && state === 'rejected'),
    );
    await project.ok(['task', 'cancel', 'task-0001']);
    expect(await gates(project)).toEqual([]);
    expect(project.agents()).toEqual([]);
  });

  it('is not answered by an agent of the project', async () => {
    const project = await asking();
    await theGate(project);
    const marked = { AIWG_PROJECT: project.root, AIWG_TASK_ID: 'task-0001', AIWG_ATTEMPT_ID: 'made-up' };
    const ran = await project.run(['gate', 'approve', 'gate-0001', '--always'], { env: marked });
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toContain('Gates are answered by people');
    expect(await gates(project)).toHaveLength(1);
  });

  it('costs a project nothing that asks nobody', async () => {
    const project = await asking({}, JSON.stringify([{ result: true }]));
    expect((await theTask(project)).state).toBe('completed');
    expect(existsSync(project.paths.automation)).toBe(false);
  });
});
