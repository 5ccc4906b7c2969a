import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { DaemonStatus } from '#aiwgd/protocol/status.js';
import type { Task } from '#aiwgd/protocol/task.js';
import { until } from '../support/temp.js';
import { Project, script } from './support.js';

const WAITING = 20;
const BIG = 'x'.repeat(100_000);
/** Prints all the time, whatever becomes of it, and ends well. */
const printer = script(
  'cat; touch "$TMPDIR/up-$AIWG_TASK_ID"; until test -e "$TMPDIR/go"; do echo tick; sleep 0.02; done 2>/dev/null; exit 0',
);
const config = {
  daemon: { max_parallel_actions: 3, heartbeat_interval_seconds: 0.2 },
  default_agent: 'sh',
  agents: { sh: printer },
};

/** A disk of our own under the project; where this machine does not let us mount, `skip` is told so. */
function smallDisk(p: Project, skip: (note: string) => void): void {
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', p.root]);
  if (status !== 0) {
    skip('mounting a small file system needs root');
    return;
  }
  onTestFinished(() => void execFileSync('umount', ['-l', p.root]));
  mkdirSync(p.paths.aiwg);
}

/** Fills the disk to the last byte. Answers how to make room again. */
function fill(p: Project): () => void {
  const ballast = join(p.root, 'ballast');
  const file = openSync(ballast, 'w');
  const block = Buffer.alloc(4096);
  try {
    for (;;) writeSync(file, block);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
  return () => rmSync(ballast);
}

async function healthOf(p: Project): Promise<Map<string, string>> {
  const { health } = await p.json<DaemonStatus>(['status']);
  return new Map(health.issues.map(({ code, message }) => [code, message]));
}

/** A daemon with three agents at work and twenty tasks that wait. */
async function busyProject(skip: (note: string) => void): Promise<{ p: Project; go: () => void }> {
  const p = new Project();
  smallDisk(p, skip);
  p.configure(config);
  await p.start();
  const client = await p.connect();
  await Promise.all(Array.from({ length: 3 + WAITING }, (_, n) => client.task.submit({ prompt: `p${n}` })));
  const { TMPDIR: home = '' } = p.env;
  await until(
    'three agents run',
    () => readdirSync(home).filter((name) => name.startsWith('up-')).length === 3,
  );
  return { p, go: () => writeFileSync(join(home, 'go'), '') };
}

function expectWholeFiles(p: Project): void {
  for (const file of [p.paths.state, p.paths.heartbeat]) JSON.parse(readFileSync(file, 'utf8'));
  for (const line of readFileSync(p.paths.log, 'utf8').trimEnd().split('\n')) JSON.parse(line);
}

async function expectAllCompleted(p: Project): Promise<void> {
  const tasks = await p.json<Task[]>(['task', 'list', '--limit', '100']);
  expect(tasks).toHaveLength(3 + WAITING);
  for (const { id, state, error } of tasks) expect([id, state, error]).toEqual([id, 'completed', null]);
}

describe('a full disk', () => {
  it('is told with its place and remedy, loses nothing, and work goes on by itself when there is room', async ({
    skip,
    annotate,
  }) => {
    const { p, go } = await busyProject(skip);
    const { pid } = p.daemon();
    const makeRoom = fill(p);
    const refused = await p.run(['task', 'submit', '-', '--json'], { input: BIG });
    expect(refused.code).toBe(1);
    expect(JSON.parse(refused.stdout || refused.stderr)).toMatchObject({ error: { code: 'STORAGE_FULL' } });
    await until('health tells of the store and of the state', async () => {
      const told = await healthOf(p);
      return told.has('tasks.store') && told.has('state');
    });
    const issues = await healthOf(p);
    for (const [code, path] of [
      ['tasks.store', p.paths.database],
      ['state', p.paths.state],
    ] as const) {
      expect(issues.get(code)).toContain(path);
      expect(issues.get(code)).toMatch(/full.*make room/i);
    }
    go();
    await until('no agent runs', () => p.agents().length === 0);
    expect((await p.json<Task>(['task', 'get', 'task-0001'])).prompt).toBe('p0');
    expectWholeFiles(p);
    expect(p.daemon().pid).toBe(pid);
    makeRoom();
    const begin = performance.now();
    await until(
      'all is well',
      async () => {
        const { health, task_stats: tasks } = await p.json<DaemonStatus>(['status']);
        return health.status === 'healthy' && tasks.queued + tasks.running === 0;
      },
      60_000,
    );
    await annotate(`all done ${Math.round(performance.now() - begin)} ms after there was room`);
    await expectAllCompleted(p);
    expect(await p.ok(['task', 'submit', 'after', '--wait'])).toContain('after');
  });

  it('does not keep a running task from being cancelled', async ({ skip }) => {
    const { p } = await busyProject(skip);
    const agent = (await p.json<Task>(['task', 'get', 'task-0001'])).pid as number;
    const makeRoom = fill(p);
    const refused = await p.run(['task', 'cancel', 'task-0001', '--json']);
    expect(refused.code).toBe(1);
    expect(JSON.parse(refused.stdout)).toMatchObject({ error: { code: 'STORAGE_FULL' } });
    await until('its agent has ended', () => !p.agents().includes(agent));
    makeRoom();
    const state = async (): Promise<string> => (await p.json<Task>(['task', 'get', 'task-0001'])).state;
    await until('it is cancelled', async () => (await state()) === 'cancelled', 60_000);
  });

  it('keeps the daemon from being replaced by one that could not start', async ({ skip }) => {
    const { p } = await busyProject(skip);
    const { pid } = p.daemon();
    const makeRoom = fill(p);
    const refused = await p.run(['restart']);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^aiwgd: The daemon was left running.* full: make room on it\.\n$/);
    expect(p.daemon().pid).toBe(pid);
    makeRoom();
    expect(await p.ok(['restart'])).toContain('3 running tasks taken over');
  });

  it('keeps a project from its first start, and leaves it as it was', async ({ skip }) => {
    const p = new Project();
    smallDisk(p, skip);
    const makeRoom = fill(p);
    expect((await p.run(['start'])).code).toBe(1);
    makeRoom();
    await p.start();
    expect(readFileSync(join(p.paths.daemon, '.gitignore'), 'utf8')).toBe('*\n');
  });

  it('names itself where a daemon cannot start after a kill -9, and the start with room finds all tasks', async ({
    skip,
  }) => {
    const { p, go } = await busyProject(skip);
    fill(p);
    go();
    await p.kill();
    // What ends later would make room again.
    await until('the agents have ended', () => p.agents().length === 0);
    // What the daemon held, and what a start clears away, has made some room.
    for (const name of readdirSync(p.paths.daemon).filter((file) => file.endsWith('.tmp')))
      rmSync(join(p.paths.daemon, name));
    const makeRoom = fill(p);
    const refused = await p.run(['start']);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^aiwgd: .*\.aiwg.* full.*make room.*\n$/i);
    expect(() => p.daemon()).toThrow('no daemon runs');
    makeRoom();
    await p.start();
    const client = await p.connect();
    await until('all are done', async () => (await client.task.stats()).completed === 3 + WAITING);
    await expectAllCompleted(p);
    expectWholeFiles(p);
    expect(await healthOf(p)).toEqual(new Map());
  });
});

describe('a disk that does not take what is written', () => {
  it('refuses submits, answers reads, tells in health, and is over by itself', async ({ skip }) => {
    if (process.platform !== 'linux') skip('only Linux limits the files of a process that runs');
    const p = new Project({ config });
    await p.start();
    const { pid } = p.daemon();
    await p.ok(['task', 'submit', 'before', '--delay', '1h']);
    // The system refuses what would make a file larger (EFBIG), as a broken disk refuses what it is given (EIO).
    const limit = (size: string): void =>
      void execFileSync('prlimit', ['--pid', String(pid), `--fsize=${size}:`]);
    limit('1024');
    const refused = await p.run(['task', 'submit', BIG.slice(0, 20_000)]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`${p.paths.database} cannot be read or written: disk I/O error`);
    await until('health tells', async () => (await healthOf(p)).has('tasks.store'));
    expect((await p.json<Task>(['task', 'get', 'task-0001'])).state).toBe('queued');
    limit('unlimited');
    await until('health has recovered', async () => (await healthOf(p)).size === 0);
    expect(await p.ok(['task', 'submit', 'after', '--delay', '1h'])).toContain('task-0002');
    expectWholeFiles(p);
  });
});
