import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findRunningDaemon } from '#aiwgd/ipc/running-daemon.js';
import { startTimeOf } from '#aiwgd/platform/process-identity.js';
import { FINAL_STATES, type Task } from '#aiwgd/protocol/task.js';
import { mulberry, seedOf } from '../support/random.js';
import { until } from '../support/temp.js';
import { Project, script } from './support.js';

const ROUNDS = Number(process.env['AIWGD_KILL_ROUNDS'] ?? 8);

describe('kill -9 of the daemon', () => {
  it(
    `at ${ROUNDS} random moments under load loses no acknowledged task and no reported outcome`,
    async ({ annotate }) => {
      const seed = seedOf();
      await annotate(`seed ${seed}`);
      const random = mulberry(seed);
      const project = new Project({
        config: {
          daemon: { max_parallel_actions: 4, heartbeat_interval_seconds: 1 },
          default_agent: 'sh',
          agents: { sh: script('cat; sleep 0.0$(($$ % 10))') },
        },
      });
      const acknowledged = new Map<string, string>();
      const outcomes = new Map<string, string>();
      let submitted = 0;
      for (let round = 0; round < ROUNDS; round += 1) {
        await project.start();
        const client = await project.connect();
        const ended = new AbortController();
        const listening = (async () => {
          for await (const event of client.events(['task:*'], { signal: ended.signal })) {
            const { taskId, state } = event.payload as { taskId: string; state: string };
            if ((FINAL_STATES as readonly string[]).includes(state)) outcomes.set(taskId, state);
          }
        })().catch(() => undefined);
        const submitting = Promise.all(
          Array.from({ length: 4 }, async () => {
            try {
              for (;;) {
                const prompt = `task ${(submitted += 1)}`;
                const { taskId } = await client.task.submit({ prompt, maxAttempts: 100 });
                acknowledged.set(taskId, prompt);
              }
            } catch {
              // The daemon was killed.
            }
          }),
        );
        const moment = performance.now() + 20 + random() * 300;
        await until('the moment has come', () => performance.now() > moment);
        await project.kill();
        await submitting;
        ended.abort();
        await listening;
        client.close();
      }
      await project.start();
      const client = await project.connect();
      expect(acknowledged.size).toBeGreaterThan(ROUNDS);
      for (const [taskId, prompt] of acknowledged) {
        const task = await client.task.get({ taskId });
        expect(task.prompt).toBe(prompt);
        const outcome = outcomes.get(taskId);
        if (outcome !== undefined) expect(task.state, taskId).toBe(outcome);
      }
      expect((await client.daemon.status()).health.issues).toEqual([]);
    },
    60_000 + ROUNDS * 3000,
  );

  it('and of the agent with its runner: what is left of the attempt ends, and the task is run again', async () => {
    const project = new Project({
      config: {
        default_agent: 'sh',
        agents: {
          sh: script('setsid sleep 1000 & echo "$$ $PPID" >> runs; test -e go && exit 0; sleep 1000'),
        },
      },
    });
    await project.start();
    await project.ok(['task', 'submit', 'work']);
    const runs = join(project.root, 'runs');
    // There before it has a line; and a pid of nothing is 0, which is all of our own group.
    await until('the agent runs', () => existsSync(runs) && readFileSync(runs, 'utf8').endsWith('\n'));
    const first = readFileSync(runs, 'utf8').trim().split(' ').map(Number);
    await project.kill();
    for (const pid of first.toReversed()) process.kill(pid, 'SIGKILL');
    writeFileSync(join(project.root, 'go'), '');
    await project.start();
    await project.ok(['task', 'wait', 'task-0001']);
    const task = await project.json<Task>(['task', 'get', 'task-0001']);
    expect(task).toMatchObject({ state: 'completed', attempt: 2 });
    expect(readFileSync(runs, 'utf8').trim().split('\n')).toHaveLength(2);
    await until('nothing of either attempt is left', () => project.agents().length === 0);
  });
});

describe('a start beside a living daemon whose lock was removed', () => {
  it('is refused, and touches neither its files nor its agents', async () => {
    const project = new Project({
      config: {
        default_agent: 'sh',
        agents: { sh: script('touch up; until test -e go; do sleep 0.05; done; echo whole') },
      },
    });
    await project.start();
    await project.ok(['task', 'submit', 'work']);
    await until('the agent runs', () => existsSync(join(project.root, 'up')));
    const lock = readFileSync(project.paths.lock);
    rmSync(project.paths.lock);
    const second = await project.run(['start']);
    writeFileSync(project.paths.lock, lock);
    expect(second).toMatchObject({ code: 1, stderr: expect.stringContaining('already listens') });
    expect(existsSync(project.paths.pid)).toBe(true);
    writeFileSync(join(project.root, 'go'), '');
    await project.ok(['task', 'wait', 'task-0001']);
    const task = await project.json<Task>(['task', 'get', 'task-0001']);
    expect(task).toMatchObject({ state: 'completed', attempt: 1, result: 'whole' });
  });
});

it('a lock that was removed is back at the next heartbeat, and stop finds the daemon', async () => {
  const project = new Project({ config: { daemon: { heartbeat_interval_seconds: 1 } } });
  const { pid } = await project.start();
  rmSync(project.paths.lock);
  await until('the lock is back', () => findRunningDaemon(project.paths)?.pid === pid);
  await project.ok(['stop']);
  expect(startTimeOf(pid)).toBeUndefined();
  expect(existsSync(project.paths.lock)).toBe(false);
});

describe('what lies damaged in the folder', () => {
  const config = { default_agent: 'sh', agents: { sh: script('cat'), slow: script('sleep 1000') } };

  it('a database of garbage is kept aside, told in health, and the queue comes from tasks.json', async () => {
    const project = new Project({ config });
    await project.start();
    await project.ok(['task', 'submit', 'for later', '--delay', '1h']);
    await project.ok(['task', 'submit', 'done', '--wait']);
    await project.ok(['stop']);
    writeFileSync(project.paths.database, 'garbage '.repeat(2000));
    await project.start();
    const status = await project.json<{
      health: { status: string; issues: { code: string; message: string }[] };
    }>(['status']);
    expect(status.health.status).toBe('degraded');
    expect(status.health.issues[0]).toMatchObject({ code: 'database_damaged' });
    const kept = readdirSync(project.paths.daemon).filter((name) => name.startsWith('tasks.db.damaged-'));
    expect(kept.length).toBeGreaterThan(0);
    expect(readFileSync(join(project.paths.daemon, kept[0] as string), 'utf8')).toContain('garbage');
    const tasks = await project.json<Task[]>(['task', 'list']);
    expect(tasks.map(({ id, prompt, state }) => [id, prompt, state])).toEqual([
      ['task-0002', 'done', 'completed'],
      ['task-0001', 'for later', 'queued'],
    ]);
    expect(await project.ok(['task', 'submit', 'next', '--wait'])).toContain('next');
  });

  it('an emptied database is told in health, the queue comes from tasks.json, and no agent runs twice', async () => {
    const project = new Project({
      config: {
        default_agent: 'sh',
        agents: { sh: script('echo "$$" >> runs; until test -e go; do sleep 0.05; done; echo whole') },
      },
    });
    await project.start();
    await project.ok(['task', 'submit', 'for later', '--delay', '1h']);
    await project.ok(['task', 'submit', 'work']);
    const exported = () =>
      existsSync(project.paths.tasksExport) ? readFileSync(project.paths.tasksExport, 'utf8') : '';
    await until('the agent runs', () => existsSync(join(project.root, 'runs')));
    await until('both are exported', () => /"state":"running"/.test(exported()));
    await project.kill();
    for (const suffix of ['', '-wal']) writeFileSync(project.paths.database + suffix, '');
    // The agent is found by the files of its attempt, and followed on.
    await project.start();
    writeFileSync(join(project.root, 'go'), '');
    await project.ok(['task', 'wait', 'task-0002']);
    expect(await project.json<Task>(['task', 'get', 'task-0002'])).toMatchObject({
      state: 'completed',
      attempt: 1,
      result: 'whole',
    });
    expect(readFileSync(join(project.root, 'runs'), 'utf8').trim().split('\n')).toHaveLength(1);
    expect((await project.json<Task>(['task', 'get', 'task-0001'])).prompt).toBe('for later');
    const { health } = await project.json<{ health: { issues: { code: string }[] } }>(['status']);
    expect(health.issues).toMatchObject([{ code: 'database_empty' }]);
  });

  it('a database that has lost its newest commits gets the tasks from tasks.json that it lacks', async () => {
    const project = new Project({ config });
    await project.start();
    await project.ok(['task', 'submit', 'old', '--delay', '1h']);
    await project.ok(['stop']);
    await project.start();
    await project.ok(['task', 'submit', 'new', '--delay', '1h']);
    await project.ok(['task', 'submit', 'done', '--wait']);
    const done = /"id":"task-0003"[^\n]*"state":"completed"/;
    await until('all are exported', () => done.test(readFileSync(project.paths.tasksExport, 'utf8')));
    await project.kill();
    rm(project, 'tasks.db-wal');
    await project.start();
    expect(await issuesOf(project)).toEqual(['database_behind']);
    const tasks = await project.json<Task[]>(['task', 'list']);
    expect(tasks.map(({ id, prompt, state }) => [id, prompt, state])).toEqual([
      ['task-0003', 'done', 'completed'],
      ['task-0002', 'new', 'queued'],
      ['task-0001', 'old', 'queued'],
    ]);
    expect(await project.ok(['task', 'submit', 'next', '--delay', '1h'])).toContain('task-0004');
    await project.ok(['restart']);
    expect(await issuesOf(project)).toEqual([]);
  });

  it('a database that is removed under a running daemon is written anew, told in health, and survives a kill', async () => {
    const project = new Project({ config: { ...config, daemon: { heartbeat_interval_seconds: 0.2 } } });
    await project.start();
    await project.ok(['task', 'submit', 'for later', '--delay', '1h']);
    for (const file of readdirSync(project.paths.daemon)) if (file.startsWith('tasks.db')) rm(project, file);
    await until('health tells', async () => (await issuesOf(project)).includes('database_gone'));
    rmSync(project.paths.tasksExport, { force: true });
    await project.ok(['task', 'submit', 'another', '--delay', '1h']);
    await project.kill();
    await project.start();
    expect((await project.json<Task[]>(['task', 'list'])).map(({ prompt }) => prompt)).toEqual([
      'another',
      'for later',
    ]);
    expect(await issuesOf(project)).toEqual([]);
  });

  it('a folder that is removed under a running daemon is made again with all that the daemon holds', async () => {
    const project = new Project({ config: { ...config, daemon: { heartbeat_interval_seconds: 0.2 } } });
    const { pid } = await project.start();
    const client = await project.connect();
    await client.task.submit({ prompt: 'for later', delayMs: 3_600_000 });
    remove(project.paths.aiwg);
    const { socket, lock, pid: pidFile, database } = project.paths;
    await until('its files are back', () =>
      [socket, lock, pidFile, database].every((file) => existsSync(file)),
    );
    expect(project.daemon().pid).toBe(pid);
    expect(await issuesOf(project)).toEqual(expect.arrayContaining(['database_gone', 'folder_gone']));
    expect((await project.json<Task>(['task', 'get', 'task-0001'])).prompt).toBe('for later');
    expect(await client.task.get({ taskId: 'task-0001' })).toMatchObject({ state: 'queued' });
    expect(await project.ok(['task', 'submit', 'next', '--agent', 'sh', '--wait'])).toContain('next');
    expect(readFileSync(project.paths.log, 'utf8')).toContain('was removed or replaced');
    await project.ok(['stop']);
    expect(startTimeOf(pid)).toBeUndefined();
    expect(existsSync(pidFile)).toBe(false);
  });

  it('a project that is removed under its daemon ends it, and is not made again', async () => {
    const project = new Project({ config: { ...config, daemon: { heartbeat_interval_seconds: 0.2 } } });
    const { pid } = await project.start();
    await project.ok(['task', 'submit', 'for later', '--delay', '1h']);
    await project.ok(['task', 'submit', 'now', '--agent', 'slow']);
    await until('an agent works', () => project.agents().length > 0);
    remove(project.root);
    await until('the daemon is gone', () => startTimeOf(pid) === undefined);
    expect(existsSync(project.root)).toBe(false);
    expect(project.agents()).toEqual([]);
  });

  it("the original program's tasks.json is taken in, a damaged one kept aside", async () => {
    const project = new Project({ config });
    await project.start();
    await project.ok(['stop']);
    for (const file of readdirSync(project.paths.daemon)) if (file.startsWith('tasks.db')) rm(project, file);
    writeFileSync(
      project.paths.tasksExport,
      JSON.stringify({
        version: 1,
        updatedAt: '2025-01-01T00:00:00.000Z',
        tasks: [
          original('task-0000', 'completed'),
          original('task-0001', 'queued'),
          original('task-0002', 'running'),
        ],
      }),
    );
    await project.start();
    await project.ok(['task', 'wait', 'task-0001']);
    await project.ok(['task', 'wait', 'task-0002']);
    expect(await project.json<Task>(['task', 'get', 'task-0000'])).toMatchObject({
      state: 'completed',
      prompt: 'p',
    });
    expect(await project.ok(['task', 'submit', 'new'])).toContain('task-0003');
    await project.ok(['stop']);
    for (const file of readdirSync(project.paths.daemon)) if (file.startsWith('tasks.db')) rm(project, file);
    writeFileSync(project.paths.tasksExport, '{"version": 1, "tas');
    await project.start();
    const kept = readdirSync(project.paths.daemon).filter((name) => name.startsWith('tasks.json.damaged-'));
    expect(kept).toHaveLength(1);
    expect(readFileSync(join(project.paths.daemon, kept[0] as string), 'utf8')).toBe('{"version": 1, "tas');
  });
});

/** In one step: the daemon makes anew what it misses while we remove file after file. */
function remove(folder: string): void {
  renameSync(folder, `${folder}.gone`);
  rmSync(`${folder}.gone`, { recursive: true });
}

async function issuesOf(project: Project): Promise<string[]> {
  const { health } = await project.json<{ health: { issues: { code: string }[] } }>(['status']);
  return health.issues.map(({ code }) => code);
}

function rm(project: Project, file: string): void {
  rmSync(join(project.paths.daemon, file));
}

function original(id: string, state: string): object {
  const ended = state === 'completed' ? yesterday(2) : null;
  return {
    id,
    prompt: 'p',
    agent: null,
    priority: 0,
    state,
    createdAt: yesterday(0),
    startedAt: state === 'queued' ? null : yesterday(1),
    completedAt: ended,
    pid: state === 'running' ? 1 : null,
    result: ended && { exitCode: 0 },
    error: null,
    output: ended && 'out',
    metadata: {},
  };
}

/** Within what retention keeps. */
function yesterday(second: number): string {
  return new Date(Date.now() - 86_400_000 + second * 1000).toISOString();
}
