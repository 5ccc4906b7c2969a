import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Task } from '#aiwgd/protocol/task.js';
import { until } from '../support/temp.js';
import { agentPid, daemonWith, sessionIn } from './project.js';
import { FakeAnthropic } from './support.js';

describe('a task carried out by the real claude', () => {
  it('ends completed with the result text, the session id and the cost', async () => {
    await using api = await FakeAnthropic.start(['ok:The answer is forty-two.']);
    const project = await daemonWith(api);
    const waited = await project.run([
      'task',
      'submit',
      '--priority',
      '5',
      '--wait',
      '--',
      '--weird "prompt" $(id)',
    ]);
    expect(waited).toMatchObject({ code: 0, stdout: expect.stringContaining('The answer is forty-two.') });
    const task = await project.json<Task>(['task', 'get', 'task-0001']);
    expect(task).toMatchObject({
      state: 'completed',
      priority: 5,
      result: 'The answer is forty-two.',
      error: null,
      exitCode: 0,
      sessionId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      attempt: 1,
    });
    expect(task.costUsd).toBeGreaterThan(0);
    expect(task.usage).toMatchObject({ input_tokens: expect.any(Number), output_tokens: expect.any(Number) });
    expect(JSON.stringify(await api.requests())).toContain('--weird');
    expect(project.agents()).toEqual([]);
  });

  it('ends failed with a message a person understands where the key is refused', async () => {
    await using api = await FakeAnthropic.start(['401!']);
    const project = await daemonWith(api);
    const ran = await project.run(['task', 'submit', 'hello', '--wait']);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/401/);
    expect(ran.stderr).toMatch(/ANTHROPIC_API_KEY|log in/);
    expect(await project.json<Task>(['task', 'get', 'task-0001'])).toMatchObject({
      state: 'failed',
      attempt: 1,
    });
    expect(project.logTail()).not.toContain('dummy');
  });

  it('leaves nothing behind when it is cancelled in the middle of a tool', async () => {
    await using api = await FakeAnthropic.start(['tool_bash:echo up > up; sleep 1000']);
    const project = await daemonWith(api, { args: ['--permission-mode', 'bypassPermissions'] });
    await project.ok(['task', 'submit', 'work']);
    await until('its tool runs', () => project.agents().length >= 3, 30_000);
    await project.ok(['task', 'cancel', 'task-0001']);
    expect(project.agents()).toEqual([]);
    expect((await project.json<Task>(['task', 'get', 'task-0001'])).state).toBe('cancelled');
  });

  it('goes on in its session after it was killed, with its conversation', async () => {
    await using api = await FakeAnthropic.start(['tool_bash:echo up > up; sleep 1000', 'ok:Went on.']);
    const project = await daemonWith(api, { args: ['--permission-mode', 'bypassPermissions'] });
    await project.ok(['task', 'submit', 'mend the parser']);
    await until('its tool runs', () => existsSync(join(project.root, 'up')), 30_000);
    process.kill(await agentPid(project), 'SIGKILL');
    await project.ok(['task', 'wait', 'task-0001']);
    const task = await project.json<Task>(['task', 'get', 'task-0001']);
    expect(task).toMatchObject({ state: 'completed', result: 'Went on.', attempt: 2 });
    const asked = JSON.stringify((await api.requests()).at(-1));
    expect(asked).toContain('You were interrupted');
    expect(project.agents()).toEqual([]);
    const [first, second] = [1, 2].map((attempt) => sessionIn(project, attempt));
    expect(first).toMatch(/^[0-9a-f-]{36}$/);
    expect(second).toBe(first);
    expect(task.sessionId).toBe(first);
  });

  it('begins anew where its session is gone', async () => {
    await using api = await FakeAnthropic.start(['tool_bash:echo up > up; sleep 1000', 'ok:Done anew.']);
    const project = await daemonWith(api, { args: ['--permission-mode', 'bypassPermissions'] });
    await project.ok(['task', 'submit', 'mend the parser']);
    await until('its tool runs', () => existsSync(join(project.root, 'up')), 30_000);
    process.kill(await agentPid(project), 'SIGKILL');
    rmSync(join(project.env['HOME'] ?? '', '.claude', 'projects'), { recursive: true });
    await project.ok(['task', 'wait', 'task-0001']);
    expect(await project.json<Task>(['task', 'get', 'task-0001'])).toMatchObject({
      state: 'completed',
      result: 'Done anew.',
      attempt: 3,
    });
    expect(JSON.stringify((await api.requests()).at(-1)?.lastUser)).toContain('mend the parser');
  });
});
