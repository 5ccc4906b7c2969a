import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Task } from '#aiwgd/protocol/task.js';
import { until } from '../support/temp.js';
import { CLI, isRoot, Project, script } from './support.js';

describe.runIf(isRoot())('a daemon in a container', () => {
  it('keeps its lock, its pid file and its tasks when somebody starts another one outside', async () => {
    const project = new Project({ config: { default_agent: 'sh', agents: { sh: script('sleep 60') } } });
    const child = spawn(
      'unshare',
      ['--pid', '--fork', '--mount-proc', '--kill-child', process.execPath, CLI, 'start', '--foreground'],
      { cwd: project.root, env: project.env, stdio: 'ignore' },
    );
    onTestFinished(() => void child.kill('SIGKILL'));
    await until('it answers', async () => (await project.run(['ping'])).code === 0);
    await project.ok(['task', 'submit', 'x']);
    const task = (): Promise<Task> => project.json<Task>(['task', 'get', 'task-0001']);
    await until('the task runs', async () => (await task()).state === 'running');
    const { startedAt } = await task();
    const lock = readFileSync(project.paths.lock, 'utf8');
    const { code, stderr } = await project.run(['start']);
    expect(code).toBe(1);
    expect(stderr).toContain('A daemon already listens at');
    expect(readFileSync(project.paths.lock, 'utf8')).toBe(lock);
    expect(readFileSync(project.paths.pid, 'utf8')).toBe('1\n');
    expect(await task()).toMatchObject({ state: 'running', attempt: 1, startedAt });
  });
});
