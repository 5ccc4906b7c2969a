import { spawnSync } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isAlive } from '#aiwgd/platform/process-identity.js';
import type { Task } from '#aiwgd/protocol/task.js';
import { until } from '../support/temp.js';
import { Project, script } from './support.js';

const config = {
  daemon: { kill_grace_seconds: 1, stop_grace_seconds: 0 },
  default_agent: 'sh',
  agents: { sh: script('while :; do sleep 1; done') },
};

/** Longer than a socket's path may be. */
const LONG = 'x'.repeat(120);

async function atWork(name = 'first'): Promise<{ first: Project; pid: number }> {
  const first = new Project({ config, name });
  await first.start();
  await first.ok(['task', 'submit', 'work']);
  await until('the agent works', async () => (await task(first)).pid !== null);
  return { first, pid: (await task(first)).pid as number };
}

function task(project: Project): Promise<Task> {
  return project.json<Task>(['task', 'get', 'task-0001']);
}

/** As `cp -a` does it: with lock, socket, database and records. */
function copyOf(first: Project, name = 'copy'): Project {
  const copy = new Project({ name });
  expect(spawnSync('cp', ['-a', `${first.root}/.`, copy.root]).status).toBe(0);
  return copy;
}

/** All that a copy's user can do is done; the first project notices nothing. */
async function liveAndLetLive(first: Project, pid: number, copy: Project): Promise<void> {
  expect((await copy.run(['status'])).code).toBe(3);
  expect(await copy.ok(['stop', '--force'])).toBe('Daemon is not running\n');
  expect(await copy.ok(['start'])).toMatch(/^Daemon started \(PID: \d+\)\n$/);
  await until('it works on its own', async () => ![null, pid].includes((await task(copy)).pid));
  await copy.ok(['task', 'cancel', 'task-0001']);
  await copy.ok(['restart']);
  await copy.ok(['stop']);
  expect(copy.agents()).toEqual([]);
  expect(first.agents()).toContain(pid);
}

describe('a copy of a project', () => {
  it.each([
    ['', 'first', 'copy'],
    [', at paths too long for a socket', LONG, `${LONG}-copy`],
  ])('made while its daemon works leaves daemon and agents of the first alone%s', async (_, name, copied) => {
    const { first, pid } = await atWork(name);
    const daemon = first.daemon();
    await liveAndLetLive(first, pid, copyOf(first, copied));
    expect(isAlive(daemon)).toBe(true);
    expect(await task(first)).toMatchObject({ state: 'running', attempt: 1, pid });
  });

  it('made after a crash leaves the agents of the first to its next daemon', async () => {
    const { first, pid } = await atWork();
    await first.kill();
    await liveAndLetLive(first, pid, copyOf(first));
    expect(await first.ok(['start'])).toContain('1 running task taken over\n');
    expect(await task(first)).toMatchObject({ state: 'running', attempt: 1, pid });
  });
});

it('a project that was moved after a crash finds its agents', async () => {
  const { first, pid } = await atWork();
  await first.kill();
  const moved = new Project({ name: 'moved' });
  rmSync(moved.root, { recursive: true });
  renameSync(first.root, moved.root);
  expect(await moved.ok(['start'])).toContain('1 running task taken over\n');
  expect(await task(moved)).toMatchObject({ state: 'running', attempt: 1, pid });
  await moved.ok(['stop']);
  expect(first.agents()).toEqual([]);
});
