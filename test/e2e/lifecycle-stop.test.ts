import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isAlive } from '#aiwgd/platform/process-identity.js';
import { until } from '../support/temp.js';
import { Project, script } from './support.js';

/** Ignores SIGTERM, and so does its child in a session of its own. */
const stubborn = script(
  'trap "" TERM; setsid sh -c \'trap "" TERM; echo child; sleep 300\' & echo up; while :; do sleep 0.1; done',
);
/** Graces that nothing may wait for, unless it is told to. */
const daemon = { stop_grace_seconds: 30, kill_grace_seconds: 30 };
/** Graces for what is to wait for them. */
const brief = { stop_grace_seconds: 1, kill_grace_seconds: 1 };
const config = { daemon, default_agent: 'sh', agents: { sh: stubborn } };
const harmless = { default_agent: 'sh', agents: { sh: script('cat; echo again') } };

/** A project with a daemon and one running agent, whose child runs too. */
async function atWork(graces = daemon, env: Record<string, string> = {}): Promise<Project> {
  const project = new Project({ config: { ...config, daemon: graces } });
  await project.start({ env });
  await project.ok(['task', 'submit', 'work']);
  await agentIsUp(project);
  return project;
}

async function agentIsUp(project: Project): Promise<void> {
  await until('the agent and its child run', async () => {
    const { output } = await project.json<{ output: string | null }>(['task', 'get', 'task-0001']);
    return output?.includes('up') === true && output.includes('child');
  });
}

interface Exported {
  tasks: { id: string; state: string }[];
}

function exportedState(project: Project): string | undefined {
  const { tasks } = JSON.parse(readFileSync(project.paths.tasksExport, 'utf8')) as Exported;
  return tasks.find(({ id }) => id === 'task-0001')?.state;
}

/** Nothing of the attempt runs, no lock is left, and the task goes on at the next start. */
async function endedInOrder(project: Project): Promise<void> {
  expect(project.agents()).toEqual([]);
  for (const gone of [project.paths.pid, project.paths.lock, project.paths.socket])
    expect(existsSync(gone), gone).toBe(false);
  expect(exportedState(project)).toBe('queued');
  expect(await project.run(['stop'])).toMatchObject({ code: 0, stdout: 'Daemon is not running\n' });
  project.configure(harmless);
  expect(await project.ok(['start'])).not.toContain('taken over');
  expect(await project.ok(['task', 'wait', 'task-0001'])).toContain('again');
}

describe('stop leaves no process of agents that heed no SIGTERM', () => {
  it('after the configured grace', async () => {
    const project = await atWork(brief);
    const { pid } = project.daemon();
    expect(await project.ok(['stop'])).toBe(`Daemon stopped (PID: ${pid})\n`);
    await endedInOrder(project);
  });

  it('though the daemon is killed meanwhile', async () => {
    const project = await atWork({ ...daemon, kill_grace_seconds: 1 });
    const { pid } = project.daemon();
    const stopping = project.ok(['stop', '--timeout', '2']);
    await until('it stops', () => readFileSync(project.paths.log, 'utf8').includes('"msg":"stopping"'));
    await project.kill();
    expect(await stopping).toBe(`Daemon stopped (PID: ${pid}); ended 1 agent that it had left\n`);
    await endedInOrder(project);
  });

  it.each([[['--timeout', '1']], [['--timeout', '0']], [['--force']]])('with %s', async (options) => {
    const project = await atWork();
    const { pid } = project.daemon();
    const begun = performance.now();
    expect(await project.ok(['stop', ...options])).toBe(`Daemon stopped (PID: ${pid})\n`);
    expect(performance.now() - begun).toBeLessThan(10_000);
    await endedInOrder(project);
  });

  it('with a later stop that has less patience than the first', async () => {
    const project = await atWork();
    const first = project.run(['stop']);
    await until('the first is under way', () => project.logTail().includes('stopping'));
    const begun = performance.now();
    await project.ok(['stop', '--timeout', '1']);
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect((await first).code).toBe(0);
    await endedInOrder(project);
  });

  it('with a longer --timeout than the configured grace, which an agent uses', async () => {
    const slow = script(
      'trap "sleep 1; echo saved; exit 0" TERM; echo up; echo child; while :; do sleep 0.1; done',
    );
    const project = new Project({
      config: { ...config, daemon: { ...daemon, stop_grace_seconds: 0 }, agents: { sh: slow } },
    });
    await project.start();
    await project.ok(['task', 'submit', 'work']);
    await agentIsUp(project);
    await project.ok(['stop', '--timeout', '20']);
    expect(exportedState(project)).toBe('completed');
  });
});

it('stop with a --timeout of more than a day is refused, and nothing is stopped', async () => {
  const project = new Project({ config });
  const running = await project.start();
  expect(await project.run(['stop', '--timeout', '100000'])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/--timeout.*at most 86400/),
  });
  expect(isAlive(running)).toBe(true);
});

describe('a daemon that does not answer', () => {
  it.each([[['stop', '--timeout', '0']], [['stop', '--force']]])(
    'and is frozen is woken by %s, and ends its agents itself',
    async (command) => {
      const project = await atWork();
      const { pid } = project.daemon();
      process.kill(pid, 'SIGSTOP');
      expect(await project.ok(command)).toBe(`Daemon stopped (PID: ${pid})\n`);
      await endedInOrder(project);
    },
  );

  it('and hangs is killed by stop --force, which ends its agents in its place', async () => {
    const hang = 'process.on("SIGWINCH", () => { for (;;); });';
    const project = await atWork(brief, {
      NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(hang)}`,
    });
    const { pid } = project.daemon();
    process.kill(pid, 'SIGWINCH');
    expect(await project.ok(['stop', '--force'])).toBe(
      `Daemon killed (PID: ${pid}); ended 1 agent that it had left\n`,
    );
    await endedInOrder(project);
  });
});

describe('after a crash', () => {
  it('status names what the daemon left at work, and stop ends it', async () => {
    const project = await atWork(brief);
    await until('tasks.json has it', () => exportedState(project) === 'running');
    await project.kill();
    expect(await project.run(['status'])).toMatchObject({
      code: 3,
      stdout: expect.stringMatching(/not running.* 1 task \(task-0001\)\n.*aiwgd start .*aiwgd stop /s),
    });
    const { code, stdout } = await project.run(['status', '--json']);
    expect({ code, ...(JSON.parse(stdout) as object) }).toEqual({
      code: 3,
      running: false,
      tasksLeft: ['task-0001'],
    });
    expect(await project.run(['stop'])).toMatchObject({
      code: 0,
      stdout: 'Daemon is not running; ended 1 agent that it had left\n',
    });
    expect(await project.run(['status'])).toMatchObject({ code: 3, stdout: 'Daemon is not running\n' });
    await endedInOrder(project);
  });

  it('stop ends it with a configuration that has errors too, and takes nothing from the queue', async () => {
    const project = await atWork(brief);
    await project.ok(['task', 'submit', 'waits', '--delay', '1h']);
    await project.ok(['task', 'submit', 'next', '--delay', '1']);
    await project.kill();
    project.configure({ mistyped: true });
    expect(await project.json(['stop', '--timeout', '1'])).toEqual({
      stopped: false,
      pid: null,
      agentsEnded: 1,
    });
    await endedInOrder(project);
  });

  it('a start that fails forgets nothing of it', async () => {
    const project = await atWork(brief);
    await project.kill();
    project.configure({ mistyped: true });
    expect((await project.run(['start'])).code).toBe(1);
    expect((await project.run(['status'])).stdout).toContain('task-0001');
    expect(await project.ok(['stop', '--force'])).toContain('ended 1 agent');
    await endedInOrder(project);
  });

  it('start says how many tasks it takes over', async () => {
    const project = await atWork(brief);
    await project.kill();
    project.configure(harmless);
    expect(await project.ok(['start'])).toMatch(/^Daemon started \(PID: \d+\)\n1 running task taken over\n$/);
  });
});

describe('SIGUSR2', () => {
  it('ends the daemon and leaves its agents, of which status and stop know', async () => {
    const project = await atWork(brief);
    const { pid } = await project.json<{ pid: number }>(['task', 'get', 'task-0001']);
    const running = project.daemon();
    process.kill(running.pid, 'SIGUSR2');
    await until('the daemon is gone', () => !isAlive(running));
    expect(existsSync(project.paths.socket)).toBe(false);
    expect(project.agents()).toContain(pid);
    expect(await project.run(['status'])).toMatchObject({
      code: 3,
      stdout: expect.stringContaining('task-0001'),
    });
    expect(await project.ok(['stop'])).toContain('ended 1 agent');
    await endedInOrder(project);
  });

  it('leaves nothing behind where nothing runs', async () => {
    const project = new Project({ config });
    const running = await project.start();
    process.kill(running.pid, 'SIGUSR2');
    await until('the daemon is gone', () => !isAlive(running));
    expect(existsSync(project.paths.lock)).toBe(false);
  });
});
