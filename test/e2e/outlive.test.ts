import { spawn } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findRunningDaemon } from '#aiwgd/ipc/running-daemon.js';
import { isAlive } from '#aiwgd/platform/process-identity.js';
import type { Task } from '#aiwgd/protocol/task.js';
import { endNow, until } from '../support/temp.js';
import { CLI, Project, script } from './support.js';

const STEADY = fileURLToPath(new URL('./steady-agent.mjs', import.meta.url));

type Stream = 'stdout' | 'stderr';

const steady = { provider: 'command', command: [process.execPath, STEADY] };

function projectOf(agent: object): Project {
  return new Project({ config: { default_agent: 'it', agents: { it: agent } } });
}

/** A project whose agent is at work on task-0001. */
async function atWork(agent: object, ...submit: string[]): Promise<Project> {
  const project = projectOf(agent);
  await project.start();
  await project.ok(['task', 'submit', 'work', ...submit]);
  await until('the agent works', () => readIf(join(project.root, 'runs')).endsWith('\n'));
  return project;
}

/** The same with an agent that writes all the time, and has written some of it. */
async function writing(): Promise<Project> {
  const project = await atWork(steady);
  await moreWritten(project);
  return project;
}

const folder = (project: Project): string =>
  join(project.root, '.aiwg/daemon/actions/task-0001', 'attempt-1');

const written = (project: Project, stream: Stream): string =>
  readFileSync(join(folder(project), `${stream}.log`), 'utf8');

async function task(project: Project): Promise<Task> {
  const client = await project.connect();
  const found = await client.task.get({ taskId: 'task-0001' });
  client.close();
  return found;
}

const runs = (project: Project): string[] =>
  readFileSync(join(project.root, 'runs'), 'utf8').trim().split('\n');

/** Until the agent has written 20 KB more on either stream. */
async function moreWritten(project: Project): Promise<void> {
  const sizes = (): number[] =>
    ['stdout.log', 'stderr.log'].map((name) => statSync(join(folder(project), name)).size);
  await until('the agent has begun to write', () => existsSync(join(folder(project), 'stderr.log')));
  const before = sizes();
  await until('the agent writes', () => sizes().every((size, at) => size > (before[at] ?? 0) + 20_000));
}

/** Lets the agent end, and resolves when its task has. */
async function finish(project: Project): Promise<Task> {
  writeFileSync(join(project.root, 'go'), '');
  return ended(project);
}

async function ended(project: Project): Promise<Task> {
  await project.run(['task', 'wait', 'task-0001']);
  return task(project);
}

/** What the steady agent has written in all, which its last line tells. */
function expected(project: Project): Record<Stream, string> {
  const count = Number(/^end (\d+)$/m.exec(written(project, 'stdout'))?.[1]);
  expect(count).toBeGreaterThan(0);
  const lines = (stream: Stream): string =>
    Array.from({ length: count }, (_, line) => `${stream} ${line} ${'ü'.repeat(45)}\n`).join('');
  return { stdout: `${lines('stdout')}end ${count}\n`, stderr: lines('stderr') };
}

/** Texts of this length are compared without being printed. */
function same(what: string, found: string, wanted: string): void {
  if (found === wanted) return;
  let at = 0;
  while (found[at] === wanted[at]) at += 1;
  const lengths = `${found.length} characters instead of ${wanted.length}`;
  throw new Error(`${what}: ${lengths}, other from ${at} on: ${JSON.stringify(found.slice(at, at + 200))}`);
}

async function readByRpc(project: Project, stream: Stream): Promise<string> {
  const client = await project.connect();
  let read = '';
  for (let offset = 0; ; ) {
    const slice = await client.task.output({ taskId: 'task-0001', stream, offset, limit: 50_000 });
    read += slice.data;
    offset = slice.nextOffset;
    if (slice.eof) return read;
  }
}

/** The agent was run once, to its end, and every byte of it is there by every way. */
async function nothingLost(project: Project): Promise<void> {
  const outcome = await finish(project);
  const all = expected(project);
  expect(outcome).toMatchObject({
    state: 'completed',
    attempt: 1,
    exitCode: 0,
    outputBytes: Buffer.byteLength(all.stdout),
  });
  expect(runs(project)).toHaveLength(1);
  for (const stream of ['stdout', 'stderr'] as const) {
    same(`${stream}.log`, written(project, stream), all[stream]);
    same(`task.output ${stream}`, await readByRpc(project, stream), all[stream]);
    const logs = ['task', 'logs', 'task-0001', ...(stream === 'stderr' ? ['--stderr'] : [])];
    same(logs.join(' '), await project.ok(logs), all[stream]);
  }
  expect(project.agents()).toEqual([]);
}

async function killAtWork(project: Project): Promise<void> {
  if (findRunningDaemon(project.paths) === undefined) await project.start();
  await project.kill();
}

/** kill -9 of a daemon that is on its start: it holds the lock, and may have done anything or nothing since. */
async function killOnStart(project: Project): Promise<void> {
  const starting = project.run(['start']);
  await until('a daemon holds the lock', () => findRunningDaemon(project.paths) !== undefined);
  await project.kill();
  await starting;
}

describe('an agent that writes all the time', () => {
  it('loses nothing by a kill -9 of the daemon', async () => {
    const project = await writing();
    await project.kill();
    await moreWritten(project);
    await project.start();
    await moreWritten(project);
    await nothingLost(project);
  });

  it('loses nothing by a restart', async () => {
    const project = await writing();
    await project.ok(['restart']);
    await moreWritten(project);
    await nothingLost(project);
  });

  it('loses nothing by five kills in a row, some of them on the start', async () => {
    const project = await writing();
    for (const onStart of [false, true, true, false, true]) {
      if (onStart) await killOnStart(project);
      else await killAtWork(project);
      await moreWritten(project);
    }
    await project.start();
    await nothingLost(project);
  });

  it('stands still while it is stopped, and the next daemon waits for it', async () => {
    const project = await writing();
    const stopped = project.agents();
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    await project.kill();
    await project.start();
    expect(await task(project)).toMatchObject({ state: 'running', attempt: 1 });
    for (const pid of stopped) process.kill(pid, 'SIGCONT');
    await moreWritten(project);
    await nothingLost(project);
  });
});

/** A command that goes on while others are run. */
class Follower {
  out = '';
  err = '';
  readonly code: Promise<number | null>;

  constructor(project: Project, ...args: string[]) {
    const child = spawn(process.execPath, [CLI, ...args], { cwd: project.root, env: project.env });
    onTestFinished(() => endNow(child.pid!));
    child.stdout.setEncoding('utf8').on('data', (text: string) => (this.out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.err += text));
    this.code = new Promise((resolve) => child.once('close', resolve));
  }
}

describe('who follows a task while the daemon is replaced', () => {
  it.each([
    ['by a restart', async (project: Project) => void (await project.ok(['restart']))],
    [
      'after a kill -9',
      async (project: Project) => {
        await project.kill();
        await project.start();
      },
    ],
  ])('%s sees all of its output, each byte once', async (_, replace) => {
    const project = projectOf(steady);
    await project.start();
    const submitted = new Follower(project, 'task', 'submit', 'work', '--wait');
    await until('the agent works', () => existsSync(join(project.root, 'runs')));
    const waited = new Follower(project, 'task', 'wait', 'task-0001');
    const logs = new Follower(project, 'task', 'logs', '-f', 'task-0001');
    const errors = new Follower(project, 'task', 'logs', '-f', '--stderr', 'task-0001');
    const all = [submitted, waited, logs, errors];
    await until('all of them follow', () => all.every(({ out }) => out !== ''));
    for (let round = 0; round < 2; round += 1) {
      await replace(project);
      await moreWritten(project);
    }
    await nothingLost(project);
    expect(await Promise.all(all.map(({ code }) => code))).toEqual([0, 0, 0, 0]);
    const { stdout, stderr } = expected(project);
    for (const one of [submitted, waited]) {
      same('what was waited for', one.out, stdout);
      same('its stderr', one.err.replace(/^aiwgd: .*\n/gm, ''), stderr);
    }
    same('logs -f', logs.out, stdout);
    same('logs -f --stderr', errors.out, stderr);
    expect(`${logs.err}${errors.err}`).toBe('');
  });

  it('sees it too where the daemon goes as soon as it has taken the task', async () => {
    // Sooner than any of us could: its agent ends it.
    const project = projectOf(script('kill -9 $(cat .aiwg/daemon.pid); echo run >> runs; echo done'));
    const daemon = await project.start();
    const submitted = new Follower(project, 'task', 'submit', 'work', '--wait');
    await until('the daemon is gone', () => !isAlive(daemon));
    await project.start();
    expect(await submitted.code, submitted.err).toBe(0);
    expect(submitted.out).toBe('done\n');
  });
});

describe('a time limit', () => {
  const limited = (): Promise<Project> =>
    atWork(script('echo run >> runs; exec sleep 1000'), '--timeout', '0.05');

  it('goes on while no daemon lives', async () => {
    const project = await limited();
    const startedAt = Date.parse((await task(project)).startedAt ?? '');
    await project.kill();
    await until('most of the time is over', () => Date.now() - startedAt > 2_000);
    const next = Date.now();
    await project.start();
    const { state, attempt, completedAt } = await ended(project);
    expect({ state, attempt }).toEqual({ state: 'timeout', attempt: 1 });
    const endedAt = Date.parse(completedAt ?? '');
    expect(endedAt - startedAt).toBeGreaterThanOrEqual(3_000);
    expect(endedAt - next, 'it was not begun anew').toBeLessThan(3_000);
    expect(project.agents()).toEqual([]);
  });

  it('that was over before the next daemon came ends the agent at once', async () => {
    const project = await limited();
    const startedAt = Date.parse((await task(project)).startedAt ?? '');
    await project.kill();
    await until('the time is over', () => Date.now() - startedAt > 3_100);
    expect(project.agents()).not.toEqual([]);
    await project.start();
    expect(await ended(project)).toMatchObject({ state: 'timeout', attempt: 1 });
    expect(project.agents()).toEqual([]);
    expect(runs(project)).toHaveLength(1);
  });
});

describe('a cancel after a kill -9', () => {
  it('ends all that the agent has started', async () => {
    const project = await atWork(script('setsid sleep 1000 & echo run >> runs; sleep 1000'));
    await until('all of it runs', () => project.agents().length >= 4);
    await project.kill();
    await project.start();
    await project.ok(['task', 'cancel', 'task-0001']);
    expect(await task(project)).toMatchObject({ state: 'cancelled', attempt: 1 });
    expect(project.agents()).toEqual([]);
  });
});

describe('kill -9 of a runner', () => {
  /** Notes where it finds another attempt at work. */
  const ALONE = script(
    'mkdir alone || echo overlap >> overlaps; echo "$$ $PPID" >> runs; until test -e go; do sleep 0.02; done; rmdir alone',
  );

  it.each([
    ['with its daemon', true],
    ['alone', false],
  ])('%s leaves the agent at work; the next attempt waits for its end', async (_, daemonToo) => {
    const project = await atWork(ALONE);
    const [agent, runner] = (runs(project)[0] ?? '').split(' ').map(Number) as [number, number];
    expect(readFileSync(`/proc/${runner}/cmdline`, 'utf8')).toContain('# aiwgd: waits for the agent');
    if (daemonToo) await project.kill();
    process.kill(runner, 'SIGKILL');
    if (daemonToo) await project.start();
    expect(await task(project)).toMatchObject({ state: 'running', attempt: 1, pid: agent });
    expect(await finish(project)).toMatchObject({ state: 'completed', attempt: 2 });
    expect(runs(project)).toHaveLength(2);
    expect(existsSync(join(project.root, 'overlaps'))).toBe(false);
    expect(project.agents()).toEqual([]);
  });
});

describe('what an agent leaves running with keep_background', () => {
  it('lives on through its end, a restart, a kill -9 and a stop', async () => {
    const keeps =
      'setsid sh -c "echo \\$\\$ > kept; exec sleep 1000" & echo run >> runs; until test -e go; do sleep 0.02; done';
    const project = await atWork({ ...script(keeps), keep_background: true });
    await until('it has left something', () => /\d+\n/.test(readIf(join(project.root, 'kept'))));
    const kept = Number(readIf(join(project.root, 'kept')));
    const lives = (): boolean => project.agents().includes(kept);
    await project.ok(['restart']);
    expect(lives()).toBe(true);
    await project.kill();
    await project.start();
    expect(await finish(project)).toMatchObject({ state: 'completed', attempt: 1 });
    expect(lives()).toBe(true);
    await project.ok(['restart']);
    expect(lives()).toBe(true);
    await project.kill();
    await project.start();
    await project.ok(['stop']);
    expect(project.agents()).toEqual([kept]);
  });
});

function readIf(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
