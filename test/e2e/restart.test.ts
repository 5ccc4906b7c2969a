import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isAlive } from '#aiwgd/platform/process-identity.js';
import type { Task } from '#aiwgd/protocol/task.js';
import { until } from '../support/temp.js';
import { CLI, Project, script } from './support.js';

/** Says who it is, works until there is a file `go`, and ends with what stands in it. A SIGTERM leaves a trace. */
const patient = script(
  'trap "touch signalled" TERM; echo "pid $$"; until test -e go; do sleep 0.02; done; echo done; exit $(cat go)',
);
const config = { daemon: { kill_grace_seconds: 1 }, default_agent: 'sh', agents: { sh: patient } };

async function atWork(): Promise<Project> {
  const project = new Project({ config });
  await project.start();
  await project.ok(['task', 'submit', 'work']);
  await until('the agent works', async () => /pid \d+/.test((await task(project)).output ?? ''));
  return project;
}

function task(project: Project): Promise<Task> {
  return project.json<Task>(['task', 'get', 'task-0001']);
}

/** Lets the agent end with `code`, and resolves with its task when that has ended. */
async function finish(project: Project, code = 0): Promise<Task> {
  writeFileSync(join(project.root, 'go'), String(code));
  const ran = await project.run(['task', 'wait', 'task-0001', '--json']);
  return JSON.parse(ran.stdout) as Task;
}

/** The agent was neither told nor ended nor begun again, and all that it wrote is there. */
function wentOn(project: Project, { pid }: Task, ended: Task): void {
  expect(ended).toMatchObject({ state: 'completed', attempt: 1, exitCode: 0, result: `pid ${pid}\ndone` });
  expect(existsSync(join(project.root, 'signalled'))).toBe(false);
  expect(project.agents()).toEqual([]);
}

describe('restart', () => {
  it('leaves a running agent alone and reports its end', async () => {
    const project = await atWork();
    const before = await task(project);
    const first = project.daemon();
    const told = await project.ok(['restart']);
    const second = project.daemon();
    expect(told).toBe(`Daemon restarted (PID: ${second.pid})\n1 running task taken over\n`);
    expect(isAlive(first)).toBe(false);
    expect(await task(project)).toMatchObject({ state: 'running', attempt: 1, pid: before.pid });
    wentOn(project, before, await finish(project));
  });

  it('of several at once, each says what became of it', async () => {
    const project = await atWork();
    const { pid } = await task(project);
    for (let round = 0; round < 3; round += 1) {
      const restarts = await Promise.all(Array.from({ length: 4 }, () => project.run(['restart'])));
      expect(restarts.map(({ code }) => code)).toContain(0);
      for (const { code, stderr } of restarts)
        expect(stderr).toMatch(code === 0 ? /^$/ : /^aiwgd: Daemon is already running \(PID: \d+\)\n$/);
      expect(await task(project)).toMatchObject({ state: 'running', attempt: 1, pid });
    }
  });

  it('is never of the daemon that has taken the place of the one that was meant', async () => {
    const project = await atWork();
    const { pid } = project.daemon();
    const client = await project.connect();
    await expect(client.daemon.stop({ keepAgents: true, pid: pid + 1 })).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    expect(project.daemon().pid).toBe(pid);
    await project.ok(['ping']);
  });

  it('again and again, also with an agent that ends in between', async () => {
    const project = await atWork();
    const before = await task(project);
    for (let round = 0; round < 3; round += 1) {
      const previous = project.daemon().pid;
      const document = await project.json(['restart']);
      expect(document).toMatchObject({ pid: project.daemon().pid, previousPid: previous, takenOver: 1 });
    }
    writeFileSync(join(project.root, 'go'), '0');
    await project.ok(['restart']);
    wentOn(project, before, await finish(project));
    expect(await project.json(['restart'])).toMatchObject({ takenOver: 0 });
  });

  it.each([
    ['is frozen', (project: Project) => process.kill(project.daemon().pid, 'SIGSTOP')],
    ['has lost its socket', (project: Project) => rmSync(project.paths.socket)],
  ])('is the same of a daemon that %s', async (_, harm) => {
    const project = await atWork();
    const before = await task(project);
    harm(project);
    expect(await project.ok(['restart'])).toContain('1 running task taken over');
    wentOn(project, before, await finish(project));
  });

  it('can be asked for by the agent itself', async () => {
    const restarter = script(`${process.execPath} ${CLI} restart && echo still here`);
    const project = new Project({ config: { default_agent: 'sh', agents: { sh: restarter } } });
    await project.start();
    await project.ok(['task', 'submit', 'x']);
    await until('it has ended', async () => {
      const { code, stdout } = await project.run(['task', 'get', 'task-0001', '--json']);
      return code === 0 && (JSON.parse(stdout) as Task).state === 'completed';
    });
    expect(await task(project)).toMatchObject({
      attempt: 1,
      result: expect.stringContaining('still here'),
    });
  });

  it('still lets the agent be cancelled afterwards', async () => {
    const project = await atWork();
    await project.ok(['restart']);
    await project.ok(['task', 'cancel', 'task-0001']);
    expect((await task(project)).state).toBe('cancelled');
    expect(project.agents()).toEqual([]);
  });
});

describe('a daemon that hands over', () => {
  it('ends no agent at a second signal', async () => {
    const project = await atWork();
    const before = await task(project);
    const first = project.daemon();
    process.kill(first.pid, 'SIGUSR2');
    await until('the hand-over has begun', () => project.logTail().includes('stopping'));
    await until('the daemon is gone, whatever else it is told', () => {
      if (isAlive(first)) process.kill(first.pid, 'SIGTERM');
      return !isAlive(first);
    });
    await project.start();
    wentOn(project, before, await finish(project));
  });

  it('leaves an agent whose outcome the next daemon finds, though none ran when it ended', async () => {
    const project = await atWork();
    const before = await task(project);
    const first = project.daemon();
    process.kill(first.pid, 'SIGUSR2');
    await until('the daemon is gone', () => !isAlive(first));
    writeFileSync(join(project.root, 'go'), '0');
    await until('the agent has ended', () => project.agents().length === 0);
    await project.start();
    wentOn(project, before, await finish(project));
  });
});

describe('two restarts at once', () => {
  it('leave one daemon with the agents, and who comes second is told so', async () => {
    const project = await atWork();
    const before = await task(project);
    for (let round = 0; round < 3; round += 1) {
      const ran = await Promise.all([project.run(['restart']), project.run(['restart'])]);
      const { pid } = project.daemon();
      const late = ran.filter(({ code }) => code !== 0);
      expect(late.length).toBeLessThan(2);
      for (const { stderr } of late) expect(stderr).toBe(`aiwgd: Daemon is already running (PID: ${pid})\n`);
    }
    wentOn(project, before, await finish(project));
  });
});

describe('kill -9 of the daemon', () => {
  it('leaves its agents at work, and the next daemon reports their real exit', async () => {
    const project = await atWork();
    await project.kill();
    expect(await project.ok(['start'])).toContain('1 running task taken over');
    expect(await finish(project, 3)).toMatchObject({ state: 'failed', attempt: 1, exitCode: 3 });
  });

  it('and stop --force then ends what it left, at once', async () => {
    const project = await atWork();
    await project.kill();
    expect(await project.ok(['stop', '--force'])).toContain('ended 1 agent');
    expect(project.agents()).toEqual([]);
  });
});
