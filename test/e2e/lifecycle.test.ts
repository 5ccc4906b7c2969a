import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { identityOf, isAlive } from '#aiwgd/platform/process-identity.js';
import { until } from '../support/temp.js';
import { CLI, isRoot, Project, runProgram, script } from './support.js';

const LAUNCHER = fileURLToPath(new URL('../../tools/daemon/index.mjs', import.meta.url));
const echo = { default_agent: 'sh', agents: { sh: script('cat') } };

describe('the usage lines that users have in their scripts', () => {
  it('work as they stand: start, status, logs, restart, kill -HUP, stop', async () => {
    const project = new Project({ config: echo });
    const launcher = (...args: string[]) =>
      runProgram(process.execPath, [LAUNCHER, ...args], { cwd: project.root, env: project.env });

    const started = await launcher('start');
    expect(started).toMatchObject({ code: 0, stderr: '' });
    const first = project.daemon();
    expect(started.stdout).toContain(`PID: ${first.pid}`);
    expect(readFileSync(project.paths.pid, 'utf8').trim()).toBe(String(first.pid));
    expect(await launcher('start')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`Daemon is already running (PID: ${first.pid})`),
    });

    const status = await launcher('status');
    expect(status.code).toBe(0);
    expect(status.stdout).toContain(String(first.pid));
    expect(status.stdout).toContain('healthy');

    const logs = await launcher('logs');
    expect(logs.stdout).toContain('daemon ready');
    expect((await launcher('logs', '--lines', '1')).stdout.trimEnd().split('\n')).toHaveLength(1);

    const follow = spawn(process.execPath, [LAUNCHER, 'logs', '--follow'], {
      cwd: project.root,
      env: project.env,
    });
    onTestFinished(() => void follow.kill('SIGKILL'));
    let followed = '';
    follow.stdout.setEncoding('utf8').on('data', (text: string) => (followed += text));
    await until('the log is followed', () => followed.includes('daemon ready'));

    process.kill(first.pid, 'SIGHUP');
    await until('the reload is in the log', () => followed.includes('configuration reloaded'));
    follow.kill('SIGINT');

    const restarted = await launcher('restart');
    expect(restarted.code).toBe(0);
    const second = project.daemon();
    expect(second.pid).not.toBe(first.pid);
    expect(isAlive(first)).toBe(false);

    expect(await launcher('stop')).toMatchObject({ code: 0 });
    expect(isAlive(second)).toBe(false);
    for (const gone of [project.paths.pid, project.paths.lock, project.paths.socket]) {
      expect(existsSync(gone), gone).toBe(false);
    }
    expect(await launcher('stop')).toMatchObject({ code: 0, stdout: expect.stringContaining('not running') });
    expect(await launcher('status')).toMatchObject({
      code: 3,
      stdout: expect.stringContaining('not running'),
    });
  });

  it('leave the files of the layout, in the formats that scripts read', async () => {
    const project = new Project();
    await project.start();
    await project.ok(['task', 'submit', 'true', '--delay', '1h']);
    const config = JSON.parse(readFileSync(project.paths.config, 'utf8'));
    expect(config.daemon).toMatchObject({
      heartbeat_interval_seconds: 30,
      max_parallel_actions: 3,
      action_timeout_minutes: 120,
      log: { max_size_mb: 50, max_files: 5, level: 'info' },
    });
    expect(config.schedule.jobs).toEqual([{ id: 'health-check', cron: '0 */6 * * *', action: 'doctor' }]);
    const { pid } = project.daemon();
    expect(JSON.parse(readFileSync(project.paths.heartbeat, 'utf8'))).toEqual({
      pid,
      timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
      uptime_seconds: expect.any(Number),
    });
    await project.ok(['stop']);
    const state = JSON.parse(readFileSync(project.paths.state, 'utf8'));
    expect(state).toMatchObject({
      pid,
      started_at: expect.any(String),
      last_heartbeat: expect.any(String),
      uptime_seconds: expect.any(Number),
      restart_count: 0,
      ipc: { socket: project.paths.socket, clients: expect.any(Number) },
      agents: { running: 0, queued: 1, max_concurrency: 3, tasks: { running: [], queued: ['task-0001'] } },
      task_stats: { total: 1, queued: 1, running: 0, completed: 0, failed: 0, cancelled: 0 },
      monitors: { file_watcher: {}, webhook: {}, scheduler: {} },
      automation: { rule_count: 0 },
      health: { status: 'healthy', last_check: expect.any(String), issues: [] },
    });
    const tasks = JSON.parse(readFileSync(project.paths.tasksExport, 'utf8'));
    expect(tasks).toMatchObject({
      version: 1,
      tasks: [{ id: 'task-0001', prompt: 'true', state: 'queued' }],
    });
    expect(statSync(project.paths.daemon).mode & 0o777).toBe(0o700);
    for (const file of [project.paths.state, project.paths.database, project.paths.log]) {
      expect(statSync(file).mode & 0o077, file).toBe(0);
    }
    expect(existsSync(project.paths.actions)).toBe(true);
    expect(existsSync(project.paths.events)).toBe(true);
  });
});

describe('start', () => {
  it('is won by exactly one of many at once', async () => {
    const project = new Project({ config: echo });
    const runs = await Promise.all(Array.from({ length: 8 }, () => project.run(['start'])));
    const winners = runs.filter(({ code }) => code === 0);
    expect(winners).toHaveLength(1);
    const { pid } = project.daemon();
    for (const run of runs.filter(({ code }) => code !== 0)) {
      expect(run).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(`already running (PID: ${pid})`),
      });
    }
    // The losers took nothing of what the winner needs away with them.
    for (const name of ['actions', 'events', '.gitignore', '.lock', 'daemon.sock']) {
      expect(existsSync(join(project.paths.daemon, name)), name).toBe(true);
    }
  });

  it.each([
    [
      'a lock of a dead process',
      (p: Project) => writeFileSync(p.paths.lock, '{"pid":4194304,"startTime":"1","bootId":"x"}'),
    ],
    ['a lock that is garbage', (p: Project) => writeFileSync(p.paths.lock, 'garbage')],
    [
      'a pid file that names a living stranger',
      (p: Project) => writeFileSync(p.paths.pid, String(process.pid)),
    ],
  ])('is not held up by %s', async (_, leave) => {
    const project = new Project({ config: echo });
    mkdirSync(project.paths.daemon);
    leave(project);
    expect((await project.run(['status'])).code).toBe(3);
    expect((await project.run(['stop'])).code).toBe(0);
    await project.start();
    await project.ok(['ping']);
    await project.ok(['stop']);
  });

  it('takes over after kill -9, again and again', async () => {
    const project = new Project({ config: echo });
    for (let round = 0; round < 3; round += 1) {
      await project.start();
      await project.kill();
      expect((await project.run(['status'])).code).toBe(3);
    }
    await project.start();
    expect((await project.json<{ restart_count: number }>(['status'])).restart_count).toBe(3);
  });

  it.each([
    ['an empty file', ''],
    ['null', 'null'],
    ['a list', '[]'],
    ['broken JSON', '{"daemon": '],
    ['a mistyped key', '{"deamon": {}}'],
  ])('refuses %s as configuration with its place, and leaves nothing behind', async (_, text) => {
    const project = new Project();
    writeFileSync(project.paths.config, text);
    const { code, stderr } = await project.run(['start']);
    expect(code).toBe(1);
    expect(stderr).toContain('daemon.json');
    expect(existsSync(project.paths.pid)).toBe(false);
    expect(existsSync(project.paths.lock)).toBe(false);
    expect(readFileSync(project.paths.config, 'utf8')).toBe(text);
    writeFileSync(project.paths.config, '\uFEFF// a comment\n{"rules": [],}');
    await project.start();
  });

  it('names a configuration that is a directory or cannot be read', async () => {
    const project = new Project();
    mkdirSync(project.paths.config);
    expect(await project.run(['start'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('daemon.json'),
    });
  });

  it.each([
    ['200 bytes long', 'x'.repeat(200)],
    ['with blanks, quotes, dollars and newlines', `a b'c"d$HOME\`x\`\nz`],
    ['that begins with a dash, in other letters', '-rf größe 文件'],
  ])('works in a project folder %s', async (_, name) => {
    const project = new Project({ config: echo, name });
    await project.start();
    expect((await project.json<{ pong: boolean }>(['ping'])).pong).toBe(true);
    expect(await project.ok(['task', 'submit', 'hello', '--wait'])).toContain('hello');
    await project.ok(['stop']);
    expect(existsSync(project.paths.socket)).toBe(false);
  });
});

describe('stop and signals', () => {
  const stubborn = {
    daemon: { stop_grace_seconds: 30, kill_grace_seconds: 1 },
    default_agent: 'sh',
    agents: { sh: script('trap "" TERM; echo up; while :; do sleep 0.1; done') },
  };

  async function running(project: Project): Promise<void> {
    await project.ok(['task', 'submit', 'work']);
    await until('the agent runs', async () => {
      const task = await project.json<{ output: string | null }>(['task', 'get', 'task-0001']);
      return task.output?.includes('up') === true;
    });
  }

  it('a second signal is impatient; what was cut off is queued again', async () => {
    const project = new Project({ config: stubborn });
    const daemon = await project.start();
    await running(project);
    process.kill(daemon.pid, 'SIGTERM');
    await until('the daemon stops', () => project.logTail().includes('stopping'));
    process.kill(daemon.pid, 'SIGTERM');
    await until('the daemon is gone', () => !isAlive(daemon), 8000);
    expect(project.agents()).toEqual([]);
    project.configure({ ...echo, agents: { sh: script('cat; echo again') } });
    await project.start();
    expect(await project.ok(['task', 'wait', 'task-0001'])).toContain('again');
  });

  it('stop --force does not wait for agents', async () => {
    const project = new Project({ config: stubborn });
    await project.start();
    await running(project);
    await project.ok(['stop', '--force']);
    expect(project.agents()).toEqual([]);
  });

  it('in the foreground ends with 0 on SIGTERM, and shows its log', async () => {
    const project = new Project({ config: echo });
    const child = spawn(process.execPath, [CLI, 'start', '--foreground'], {
      cwd: project.root,
      env: project.env,
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    await until('the daemon is ready', () => output.includes('daemon ready'));
    expect(project.daemon().pid).toBe(child.pid);
    await project.ok(['ping']);
    const code = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    expect(await code).toBe(0);
    expect(existsSync(project.paths.lock)).toBe(false);
  });

  it('never kills a stranger whose pid stands in an old lock', async () => {
    const project = new Project({ config: echo });
    const stranger = spawn('sleep', ['100'], { stdio: 'ignore' });
    onTestFinished(() => void stranger.kill('SIGKILL'));
    const identity = identityOf(stranger.pid);
    mkdirSync(project.paths.daemon);
    writeFileSync(project.paths.lock, JSON.stringify({ ...identity, startTime: '1' }));
    writeFileSync(project.paths.pid, String(stranger.pid));
    await project.ok(['stop']);
    await project.ok(['stop', '--force']);
    expect(identityOf(stranger.pid)).toEqual(identity);
  });
});

describe('reload', () => {
  it('refuses a bad file with all its errors and goes on with the old one', async () => {
    const project = new Project({ config: { ...echo, daemon: { max_parallel_actions: 2 } } });
    await project.start();
    project.configure({ daemon: { max_parallel_actions: 0, log: { level: 'loud' } } });
    const { code, stderr } = await project.run(['reload']);
    expect(code).toBe(1);
    expect(stderr).toContain('daemon.max_parallel_actions');
    expect(stderr).toContain('daemon.log.level');
    const { subsystems, health } = await project.json<{
      subsystems: { supervisor: { maxConcurrency: number } };
      health: { status: string };
    }>(['status']);
    expect(subsystems.supervisor.maxConcurrency).toBe(2);
    expect(health.status).toBe('degraded');
    project.configure({ ...echo, daemon: { max_parallel_actions: 7 } });
    await project.ok(['reload']);
    const after = await project.json<
      typeof subsystems & { subsystems: typeof subsystems; health: typeof health }
    >(['status']);
    expect(after.subsystems.supervisor.maxConcurrency).toBe(7);
    expect(after.health.status).toBe('healthy');
  });

  it('leaves running tasks, queue and clients alone, and lets more run at once', async () => {
    const slow = { sh: script('until test -e go; do sleep 0.01; done') };
    const config = { daemon: { max_parallel_actions: 1 }, default_agent: 'sh', agents: slow };
    const project = new Project({ config });
    await project.start();
    const client = await project.connect();
    for (const prompt of ['one', 'two']) await client.task.submit({ prompt });
    await until('the first runs', async () => (await client.task.stats()).running === 1);
    project.configure({ ...config, daemon: { max_parallel_actions: 2 } });
    await client.daemon.reload();
    await until('both run', async () => (await client.task.stats()).running === 2);
    writeFileSync(join(project.root, 'go'), '');
    await until('all are done', async () => (await client.task.stats()).completed === 2);
  });
});

describe('what an agent or a mistake does to the daemon', () => {
  it('an agent that stops its own daemon ends as failed after its attempts, not in a loop', async () => {
    const stopper = script(`exec ${process.execPath} ${CLI} stop`);
    const project = new Project({
      config: { daemon: { kill_grace_seconds: 1 }, default_agent: 'sh', agents: { sh: stopper } },
    });
    const first = await project.start();
    await project.ok(['task', 'submit', 'x']);
    await until('it has stopped the daemon', () => !isAlive(first));
    for (let attempt = 2; attempt <= 3; attempt += 1) {
      const ran = await project.run(['start']);
      expect(ran.code).toBe(0);
      await until('it has stopped the daemon again', async () => (await project.run(['status'])).code === 3);
    }
    await project.start();
    const task = await project.json<{ state: string; error: string }>(['task', 'get', 'task-0001']);
    expect(task).toMatchObject({ state: 'failed', error: expect.stringContaining('attempt 3 of 3') });
  });

  it('restart with a configuration that has errors leaves the daemon running', async () => {
    const project = new Project({ config: echo });
    const daemon = await project.start();
    project.configure({ x: 1 });
    const { code, stderr } = await project.run(['restart']);
    expect(code).toBe(1);
    expect(stderr).toContain('unknown key');
    expect(isAlive(daemon)).toBe(true);
  });

  it('restart keeps the configuration file that start was given', async () => {
    const project = new Project({ config: echo });
    const other = join(project.root, 'other.json');
    writeFileSync(other, JSON.stringify({ ...echo, daemon: { max_parallel_actions: 9 } }));
    await project.ok(['start', '--config', 'other.json']);
    await project.ok(['restart']);
    const { subsystems } = await project.json<{ subsystems: { supervisor: { maxConcurrency: number } } }>([
      'status',
    ]);
    expect(subsystems.supervisor.maxConcurrency).toBe(9);
  });

  it.runIf(isRoot())('a start in another view of pids leaves the living daemon alone', async () => {
    const project = new Project({ config: echo });
    const daemon = await project.start();
    const ran = await runProgram(
      'unshare',
      ['--pid', '--fork', '--mount-proc', process.execPath, CLI, 'start'],
      {
        cwd: project.root,
        env: project.env,
      },
    );
    expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining('A daemon already listens') });
    expect(project.daemon()).toEqual(daemon);
    await project.ok(['ping']);
  });

  it('a daemon that an agent starts does not carry the marks of the agent', async () => {
    const project = new Project({ config: echo });
    const { pid } = await project.start({
      env: { AIWG_TASK_ID: 't', AIWG_ATTEMPT_ID: 'a', AIWG_PROJECT: project.root },
    });
    expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain('AIWG_');
  });

  it('everything under .aiwg/daemon/ stays out of git', async () => {
    const project = new Project({ config: echo });
    await project.start();
    const git = (...args: string[]) => runProgram('git', args, { cwd: project.root, env: project.env });
    await git('init', '-q');
    expect((await git('status', '--porcelain', '-uall')).stdout).not.toContain('.aiwg/daemon/');
  });
});
