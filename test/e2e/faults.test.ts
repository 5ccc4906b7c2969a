import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Task } from '#aiwgd/protocol/task.js';
import { until } from '../support/temp.js';
import { CLI, isRoot, Project, script } from './support.js';

const config = { default_agent: 'sh', agents: { sh: script('cat') } };

function residentMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

function mount(folder: string, ...options: string[]): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', options.join(','), 'tmpfs', folder]);
  onTestFinished(() => void execFileSync('umount', ['-l', folder]));
}

describe.runIf(isRoot())('a read-only disk', () => {
  it('is named as the reason why the daemon does not start', async () => {
    const p = new Project();
    mount(p.root, 'size=1m');
    mkdirSync(p.paths.aiwg);
    execFileSync('mount', ['-o', 'remount,ro', p.root]);
    const { code, stderr } = await p.run(['start']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/read-only/i);
  });
});

describe('a daemon without file descriptors', () => {
  it('keeps the tasks in the queue, says what is short, and goes on when there are more', async ({
    skip,
  }) => {
    if (process.platform !== 'linux') skip('only Linux limits the files of a process that runs');
    const p = new Project({
      config: {
        daemon: { heartbeat_interval_seconds: 0.2, max_parallel_actions: 3 },
        default_agent: 'sh',
        agents: { sh: script('cat'), long: script('until test -e go; do sleep 0.02; done') },
      },
    });
    const { pid } = await p.start();
    const client = await p.connect();
    await client.task.submit({ prompt: 'x', agent: 'long' });
    await until('it runs', async () => (await client.task.stats()).running === 1);
    const limit = (files: number): void =>
      void execFileSync('prlimit', ['--pid', String(pid), `--nofile=${files}:`]);
    limit(readdirSync(`/proc/${pid}/fd`).length);
    for (let n = 0; n < 5; n += 1) await client.task.submit({ prompt: `p${n}` });
    await until('health tells', async () => {
      const { health } = await client.daemon.status();
      const messages = health.issues.map(({ message }) => message).join(' ');
      return messages.includes('EMFILE');
    });
    writeFileSync(join(p.root, 'go'), '');
    await until('the one that ran has ended', async () => (await client.task.stats()).completed >= 1);
    limit(1024);
    await until('all are done', async () => (await client.task.stats()).completed === 6);
    await until(
      'health has recovered',
      async () => (await client.daemon.status()).health.issues.length === 0,
    );
    for (const task of await client.task.list())
      expect(task).toMatchObject({ state: 'completed', attempt: 1 });
    await p.ok(['ping']);
  });
});

describe('a daemon that was suspended (SIGSTOP, a laptop that slept)', () => {
  it('goes on where it was: nothing is ended wrongly, run twice, or told in a storm', async () => {
    const p = new Project({
      config: {
        daemon: { heartbeat_interval_seconds: 0.1 },
        default_agent: 'short',
        agents: {
          short: script('touch up; until test -e go; do sleep 0.02; done; cat'),
          long: script('touch up2; until test -e end; do sleep 0.02; done; cat'),
        },
      },
    });
    const { pid } = await p.start();
    const client = await p.connect();
    await client.task.submit({ prompt: 'short' });
    await client.task.submit({ prompt: 'long', agent: 'long' });
    await until('both run', () => ['up', 'up2'].every((name) => readdirSync(p.root).includes(name)));
    process.kill(pid, 'SIGSTOP');
    const asked = client.task.submit({ prompt: 'asked meanwhile' });
    writeFileSync(join(p.root, 'go'), '');
    // Twenty heartbeats.
    const end = performance.now() + 2000;
    await until('it has slept for long', () => performance.now() > end);
    process.kill(pid, 'SIGCONT');
    expect((await asked).taskId).toBe('task-0003');
    await until('what ended is told', async () => (await client.task.stats()).completed === 2);
    expect(await client.task.get({ taskId: 'task-0001' })).toMatchObject({
      state: 'completed',
      result: 'short',
    });
    expect(await client.task.get({ taskId: 'task-0002' })).toMatchObject({ state: 'running', attempt: 1 });
    writeFileSync(join(p.root, 'end'), '');
    await until('all are done', async () => (await client.task.stats()).completed === 3);
    for (const { attempt } of await client.task.list()) expect(attempt).toBe(1);
    expect((await client.daemon.status()).health.status).toBe('healthy');
    expect(readFileSync(p.paths.log, 'utf8').split('\n').length).toBeLessThan(30);
  });
});

describe('memory', () => {
  it('does not grow with what an agent prints, nor with a subscriber that does not read', async () => {
    const p = new Project({
      config: {
        ...config,
        agents: {
          ...config.agents,
          loud: script(
            'until test -e go; do sleep 0.01; done; head -c 300000000 /dev/zero | tr "\\0" "x"; echo; echo end',
          ),
        },
      },
    });
    await p.start();
    const { pid } = p.daemon();
    const socket = connectSocket(p.paths.socket);
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => undefined);
    await p.ok(['task', 'submit', 'x', '--agent', 'loud']);
    // Asks for all output and every event, and reads none of it.
    socket.write(
      '{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"topics":["*"],"taskId":"task-0001"}}\n',
    );
    await p.ok(['task', 'submit', 'to warm up', '--wait']);
    const before = residentMb(pid);
    writeFileSync(join(p.root, 'go'), '');
    let most = 0;
    await until('it has printed', async () => {
      most = Math.max(most, residentMb(pid));
      return (await p.json<Task>(['task', 'get', 'task-0001'])).state === 'completed';
    });
    const task = await p.json<Task>(['task', 'get', 'task-0001']);
    expect(task.outputBytes).toBe(300_000_005);
    expect(task.output).toHaveLength(65_536);
    expect(task.output?.endsWith('\nend\n')).toBe(true);
    expect(most - before).toBeLessThan(40);
  });
});

describe('a client that asks for hundreds of large lists and reads none', () => {
  it('costs a bounded amount of memory, and others are served', async () => {
    const p = new Project({ config });
    await p.start();
    const client = await p.connect();
    const prompt = 'x'.repeat(4000);
    const submits = Array.from({ length: 500 }, () => client.task.submit({ prompt, delayMs: 3_600_000 }));
    await Promise.all(submits);
    const { pid } = p.daemon();
    const before = residentMb(pid);
    const socket = connectSocket(p.paths.socket);
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => undefined);
    const request = '{"jsonrpc":"2.0","id":1,"method":"task.list","params":{"limit":1000}}\n';
    await new Promise((resolve) => socket.write(request.repeat(256), resolve));
    for (let n = 0; n < 20; n += 1) {
      expect(await client.task.list({ limit: 500 })).toHaveLength(500);
    }
    expect(residentMb(pid) - before).toBeLessThan(100);
  });
});

describe.runIf(isRoot())('as pid 1', () => {
  it('reaps orphans and ends with 0 on SIGTERM', async () => {
    const p = new Project({
      config: { ...config, agents: { sh: { ...script('(sleep 0.1 &) ; echo ok'), keep_background: true } } },
    });
    // The namespace's first process is the daemon itself; a shell inside of it looks at the zombies.
    const child = spawn(
      'unshare',
      ['--pid', '--fork', '--mount-proc', '--kill-child', process.execPath, CLI, 'start', '--foreground'],
      { cwd: p.root, env: p.env },
    );
    onTestFinished(() => void child.kill('SIGKILL'));
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    await until('it is ready', () => output.includes('daemon ready'));
    expect(JSON.parse(output.split('\n')[0] as string).pid).toBe(1);
    const init = Number(execFileSync('pgrep', ['-P', String(child.pid)], { encoding: 'utf8' }).trim());
    const call = (method: string, params: object): Promise<Record<string, unknown>> =>
      new Promise((resolve, reject) => {
        const socket = connectSocket(p.paths.socket);
        socket.once('error', reject).setEncoding('utf8');
        socket.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })}\n`);
        socket.once('data', (line: string) => {
          socket.destroy();
          resolve((JSON.parse(line) as { result: Record<string, unknown> }).result);
        });
      });
    const { taskId } = await call('task.submit', { prompt: 'x' });
    await until('it is done', async () => (await call('task.get', { taskId }))['state'] === 'completed');
    const children = (): string =>
      execFileSync('ps', ['-o', 'stat=,args=', '--ppid', String(init)], { encoding: 'utf8' }).trim();
    const tryChildren = (): string => {
      try {
        return children();
      } catch {
        return '';
      }
    };
    await until('no orphan is left, dead or alive', () => tryChildren() === '');
    const code = new Promise((resolve) => child.once('exit', resolve));
    process.kill(init, 'SIGTERM');
    expect(await code).toBe(0);
  });
});

describe('systemd', () => {
  it('hears READY when the daemon answers, and STOPPING', async () => {
    const p = new Project({ config });
    const address = join(p.root, 'notify');
    const listener = spawn(
      'perl',
      [
        '-e',
        'use Socket; $|=1; socket(S,PF_UNIX,SOCK_DGRAM,0); bind(S,sockaddr_un($ARGV[0])) or die; print "up\\n"; while(defined recv(S,$m,4096,0)){$m=~s/\\n/ /g;print "$m\\n"}',
        address,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    onTestFinished(() => void listener.kill('SIGKILL'));
    let heard = '';
    listener.stdout.setEncoding('utf8').on('data', (text: string) => (heard += text));
    await until('the listener is up', () => heard.startsWith('up'));
    await p.start({ env: { NOTIFY_SOCKET: address } });
    const { pid } = p.daemon();
    await until('it is told ready', () => heard.includes(`READY=1 MAINPID=${pid}`));
    await p.ok(['stop']);
    await until('it is told stopping', () => heard.includes('STOPPING=1'));
  });
});

describe('a log at its bound', () => {
  it('rotates under load, and logs --lines reaches back over the files', async () => {
    const p = new Project({
      config: { ...config, daemon: { log: { max_size_mb: 0.01, max_files: 3, level: 'debug' } } },
    });
    await p.start();
    const client = await p.connect();
    await Promise.all(
      Array.from({ length: 200 }, (_, n) => client.task.submit({ prompt: `p${n}`, delayMs: 3_600_000 })),
    );
    const lines = (await p.ok(['logs', '--lines', '60', '--json'])).trimEnd().split('\n');
    expect(lines).toHaveLength(60);
    for (const line of lines) JSON.parse(line);
    writeFileSync(join(p.root, 'done'), '');
  });
});
