import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startDaemon } from '#aiwgd/cli/lifecycle/start-daemon.js';
import { stopDaemon } from '#aiwgd/cli/lifecycle/stop-daemon.js';
import { findRunningDaemon } from '#aiwgd/ipc/running-daemon.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { isAlive } from '#aiwgd/platform/process-identity.js';
import { projectPaths } from '#aiwgd/protocol/project-paths.js';
import { MAIN, makeFolder, runCli, STAND_IN } from './run-cli.js';

let root: string;
let remove: () => void;
let children: ChildProcess[];

beforeEach(() => {
  ({ root, remove } = makeFolder(false));
  children = [];
});

afterEach(async () => {
  delete process.env['STAND_IN'];
  for (const child of children) child.kill('SIGKILL');
  const daemon = findRunningDaemon(projectPaths(root));
  if (daemon !== undefined) {
    process.kill(daemon.pid, 'SIGKILL');
    while (isAlive(daemon)) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  remove();
});

function start(mode = 'good', limitMs = 20_000) {
  process.env['STAND_IN'] = mode;
  return startDaemon(projectPaths(root), systemClock, {
    entry: STAND_IN,
    limitMs,
    onSpawn: (child) => children.push(child),
  });
}

describe('start', () => {
  it('returns when the daemon has reported, and finds it at the second time', async () => {
    const { pid } = await start();
    expect(findRunningDaemon(projectPaths(root))?.pid).toBe(pid);
    await expect(start()).rejects.toMatchObject({
      code: 'ALREADY_RUNNING',
      message: `Daemon is already running (PID: ${pid})`,
    });
    const again = await runCli(['start'], { cwd: root });
    expect(again).toMatchObject({ code: 1, stderr: `aiwgd: Daemon is already running (PID: ${pid})\n` });
  });

  it('has one winner of many', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => start()));
    const won = outcomes.filter(({ status }) => status === 'fulfilled');
    expect(won).toHaveLength(1);
    const pid = findRunningDaemon(projectPaths(root))?.pid;
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        expect(outcome.reason).toMatchObject({
          code: 'ALREADY_RUNNING',
          message: expect.stringContaining(String(pid)),
        });
      }
    }
  });

  it('tells what the daemon reported, and leaves nothing behind', async () => {
    await expect(start('refuse')).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
      message: 'daemon.json has 1 error',
      data: { problems: [1] },
    });
    expect(readdirSync(root)).toEqual([]);
  });

  it('tells how a daemon died without a report, with its last words', async () => {
    await expect(start('die')).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringMatching(/exit code 7.*\n?the stand-in breaks here/s),
    });
    await expect(start('endless')).rejects.toMatchObject({ code: 'START_FAILED' });
  });

  it('ends a daemon that reports nothing in time', async () => {
    await expect(start('mute', 300)).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringContaining('not ready after 0.3 s'),
    });
    const [child] = children;
    expect(child?.signalCode ?? child?.exitCode).not.toBeNull();
  });
});

describe('stop', () => {
  it('resolves when the process is gone, and is content when there is none', async () => {
    const { pid } = await start();
    const stopped = await runCli(['stop'], { cwd: root });
    expect(stopped).toMatchObject({ code: 0, stdout: `Daemon stopped (PID: ${pid})\n` });
    expect(existsSync(`/proc/${pid}`) && findRunningDaemon(projectPaths(root)) !== undefined).toBe(false);
    expect(await runCli(['stop'], { cwd: root })).toMatchObject({
      code: 0,
      stdout: 'Daemon is not running\n',
    });
    expect(JSON.parse((await runCli(['stop', '--json'], { cwd: root })).stdout)).toEqual({
      stopped: false,
      pid: null,
      agentsEnded: 0,
    });
  });

  it('with --timeout asks over the socket', async () => {
    await start();
    expect((await runCli(['stop', '--timeout', '1.5'], { cwd: root })).code).toBe(0);
    const params = readFileSync(join(root, '.aiwg', 'daemon', 'stop-params'), 'utf8');
    expect(JSON.parse(params)).toEqual({ graceMs: 1_500, pid: expect.any(Number) });
  });

  it('with --force sends a second signal', async () => {
    await start('stubborn');
    expect((await runCli(['stop', '--force'], { cwd: root })).code).toBe(0);
    expect(readFileSync(join(root, '.aiwg', 'daemon', 'signals'), 'utf8')).toBe('2');
  });

  it('gives up after its limit, naming the pid; force ends even a deaf daemon', async () => {
    await start('deaf');
    const daemon = findRunningDaemon(projectPaths(root));
    if (daemon === undefined) throw new Error('no daemon');
    // A clock that runs a hundred times as fast: the limits are half a minute.
    const quick = {
      now: () => Date.now() * 100,
      monotonic: () => performance.now() * 100,
      setTimer: (ms: number, callback: () => void) => systemClock.setTimer(ms / 100, callback),
    };
    await expect(stopDaemon(daemon, quick)).rejects.toMatchObject({
      code: 'TIMED_OUT',
      message: expect.stringContaining(`PID ${daemon.pid}`),
    });
    expect(isAlive(daemon)).toBe(true);
    await expect(stopDaemon(daemon, quick, { force: true })).resolves.toBe('killed');
    expect(isAlive(daemon)).toBe(false);
  });
});

describe('status', () => {
  it('shows the subsystems; stopped exits 3; a dead socket exits 1', async () => {
    const { pid } = await start();
    const running = await runCli(['status'], { cwd: root });
    expect(running.code).toBe(0);
    expect(running.stdout).toContain(`(PID: ${pid})`);
    for (const name of ['supervisor', 'automation', 'ipc', 'file watcher', 'scheduler', 'messaging']) {
      expect(running.stdout).toContain(name);
    }
    const json = await runCli(['status', '--json'], { cwd: root });
    expect(JSON.parse(json.stdout)).toMatchObject({ pid, health: { status: 'healthy' } });
    await runCli(['stop'], { cwd: root });
    expect(await runCli(['status'], { cwd: root })).toMatchObject({
      code: 3,
      stdout: 'Daemon is not running\n',
    });
    const stopped = await runCli(['status', '--json'], { cwd: root });
    expect(stopped).toMatchObject({ code: 3, stdout: '{"running":false,"tasksLeft":[]}\n' });
    expect((await runCli(['ping'], { cwd: root })).code).toBe(3);
    await start('no-socket');
    const dead = await runCli(['status'], { cwd: root });
    expect(dead.code).toBe(1);
    expect(dead.stderr).toContain('stop --force');
  });

  it('loads neither valibot nor pino nor sqlite, nor any other command', async () => {
    await start();
    const coverage = mkdtempSync(join(tmpdir(), 'aiwgd-coverage-'));
    try {
      const { code } = await runCli(['status'], { cwd: root, env: { NODE_V8_COVERAGE: coverage } });
      expect(code).toBe(0);
      const reports = readdirSync(coverage).map((name) => readFileSync(join(coverage, name), 'utf8'));
      const loaded = reports.flatMap((text) => (JSON.parse(text) as { result: { url: string }[] }).result);
      const files = loaded.map(({ url }) => url).filter((url) => url.startsWith('file:'));
      expect(files).toContain(pathToFileURL(MAIN).href);
      expect(files.filter((url) => /node_modules\/(?!commander\/)/.test(url))).toEqual([]);
      expect(
        files.filter((url) => url.includes('/cli/commands/')).map((url) => url.split('/').at(-1)),
      ).toEqual(['status.js']);
      const dist = fileURLToPath(new URL('.', pathToFileURL(MAIN)));
      expect(files.filter((url) => url.includes('/dist/')).length, dist).toBeLessThan(32);
    } finally {
      rmSync(coverage, { recursive: true, force: true });
    }
  });
});

describe('tasks', () => {
  it('passes a submission on and prints the id', async () => {
    await start();
    const plain = await runCli(['task', 'submit', 'do', '--priority', '3', 'it'], { cwd: root });
    expect(plain).toMatchObject({ code: 0, stdout: 'task-0001\n' });
    const json = await runCli(['task', 'submit', '-', '--json'], { cwd: root, input: 'do it\n' });
    expect(JSON.parse(json.stdout)).toEqual({ taskId: 'task-0001', state: 'queued', deduped: false });
  });

  it('waits for a task: its output where it belongs, its outcome as exit code', async () => {
    await start();
    const good = await runCli(['task', 'submit', 'x', '--wait'], { cwd: root });
    expect(good.code).toBe(0);
    expect(good.stdout).toBe('one\ntwo\n');
    expect(good.stderr).toContain('a warning');
    const bad = await runCli(['task', 'wait', 'task-0002', '--json'], { cwd: root });
    expect(bad.code).toBe(1);
    expect(JSON.parse(bad.stdout)).toMatchObject({ id: 'task-0002', state: 'failed' });
    expect(bad.stderr).toContain('exit code 9');
  });

  it('lists, shows and prints what a task wrote', async () => {
    await start();
    const list = await runCli(['task', 'list'], { cwd: root });
    expect(list.stdout).toMatch(/^ID .*PROMPT\ntask-0001 {2}completed .*do␛\[2J it\ntask-0002 {2}failed /);
    const get = await runCli(['task', 'get', 'task-0002'], { cwd: root });
    expect(get.stdout).toContain('\nError\nexit code 9\n');
    expect((await runCli(['task', 'logs', 'task-0001'], { cwd: root })).stdout).toBe('one\ntwo\n');
    const stderr = await runCli(['task', 'logs', 'task-0001', '--stderr', '--follow'], { cwd: root });
    expect(stderr.stdout).toBe('a warning\n');
    const events = await runCli(['events', 'tail', '--json'], { cwd: root });
    expect(JSON.parse(events.stdout)).toMatchObject([{ id: 'e1', payload: { n: 1 } }]);
  });
});
