import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Task } from '#aiwgd/protocol/task.js';
import type { Project } from '../e2e/support.js';
import { until } from '../support/temp.js';
import { agentPid, daemonWith, messagesOf, sessionIn } from './project.js';
import { FakeAnthropic } from './support.js';

const PERMITTED = { args: ['--permission-mode', 'bypassPermissions'] };
const LONG_TOOL = 'tool_bash:echo up > up; sleep 1000';

/** A claude that is in the middle of its tool's work. */
async function inItsTool(api: FakeAnthropic): Promise<Project> {
  const project = await daemonWith(api, PERMITTED);
  await project.ok(['task', 'submit', 'mend the parser']);
  await until('its tool runs', () => existsSync(join(project.root, 'up')), 30_000);
  return project;
}

async function ended(project: Project): Promise<Task> {
  await project.run(['task', 'wait', 'task-0001']);
  return project.json<Task>(['task', 'get', 'task-0001']);
}

/** The second attempt went on in the session of the first, with all that was said there, and nothing else ran. */
async function wentOn(project: Project, api: FakeAnthropic): Promise<void> {
  const session = sessionIn(project, 1);
  expect(session).toMatch(/^[0-9a-f-]{36}$/);
  expect(await ended(project)).toMatchObject({
    state: 'completed',
    result: 'Went on.',
    attempt: 2,
    sessionId: session,
  });
  expect(sessionIn(project, 2)).toBe(session);
  expect(await api.played()).toEqual([LONG_TOOL, 'ok:Went on.']);
  const asked = (await api.requests()).find(({ behaviour }) => behaviour === 'ok:Went on.');
  expect(JSON.stringify(asked?.firstUser)).toContain('mend the parser');
  expect(JSON.stringify(asked?.lastUser)).toContain('You were interrupted');
  expect(asked?.nmsg).toBeGreaterThanOrEqual(3);
  expect(project.agents()).toEqual([]);
}

describe('claude in the middle of a tool', () => {
  it.each([
    ['and claude', false],
    ['and claude and its runner', true],
  ])('goes on in its session after a kill -9 of the daemon %s', async (_, runnerToo) => {
    await using api = await FakeAnthropic.start([LONG_TOOL, 'ok:Went on.']);
    const project = await inItsTool(api);
    const agent = await agentPid(project);
    const runner = parentOf(agent);
    await project.kill();
    if (runnerToo) process.kill(runner, 'SIGKILL');
    process.kill(agent, 'SIGKILL');
    await until('claude is gone', () => !project.agents().includes(agent));
    await project.start();
    await wentOn(project, api);
  });

  it('goes on in its session after a stop and a start', async () => {
    await using api = await FakeAnthropic.start([LONG_TOOL, 'ok:Went on.']);
    const project = await inItsTool(api);
    await project.ok(['stop']);
    expect(project.agents()).toEqual([]);
    await project.start();
    await wentOn(project, api);
  });

  it.each([
    ['a kill -9 of the daemon', async (project: Project) => project.kill().then(() => project.start())],
    ['a restart', (project: Project) => project.ok(['restart'])],
  ])('notices nothing of %s', async (_, replace) => {
    const tool = 'tool_bash:echo up > up; until test -e go; do sleep 0.05; done; echo went';
    await using api = await FakeAnthropic.start([tool, 'tokens:5000/700:All done.']);
    const project = await inItsTool(api);
    const before = await agentPid(project);
    await replace(project);
    expect(await agentPid(project)).toBe(before);
    writeFileSync(join(project.root, 'go'), '');
    const task = await ended(project);
    const told = messagesOf(project, 1).findLast(({ type }) => type === 'result');
    expect(task).toMatchObject({
      state: 'completed',
      attempt: 1,
      exitCode: 0,
      result: 'All done.',
      sessionId: sessionIn(project, 1),
      costUsd: told?.total_cost_usd,
      usage: { output_tokens: 730 },
    });
    expect(task.costUsd).toBeGreaterThan(0);
    expect(await api.played()).toEqual([tool, 'tokens:5000/700:All done.']);
    expect(project.agents()).toEqual([]);
  });
});

function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}
