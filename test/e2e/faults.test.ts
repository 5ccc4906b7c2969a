import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { DaemonStatus } from '#aiwgd/protocol/status.js';
import type { Task } from '#aiwgd/protocol/task.js';
import { until } from '../support/temp.js';
import { CLI, isRoot, Project, runProgram, script } from './support.js';

const config = { default_agent: 'sh', agents: { sh: script('cat') } };

function residentMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

function mount(folder: string, ...options: string[]): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', options.join(','), 'tmpfs', folder]);
  onTestFinished(() => void execFileSync('umount', ['-l', folder]));
}

describe.runIf(isRoot())('a full disk', () => {
  it('refuses submits with a clear error, loses nothing, and is over when there is room', async () => {
    const p = new Project({ config });
    mkdirSync(p.paths.daemon);
    mount(p.paths.daemon, 'size=3m');
    await p.start();
    const acknowledged: string[] = [];
    const ballast = join(p.paths.daemon, 'ballast');
    for (let n = 0; n < 3; n += 1) {
      acknowledged.push(
        (await p.json<{ taskId: string }>(['task', 'submit', `before ${n}`, '--delay', '1h'])).taskId,
      );
    }
    const fill = await runProgram('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=4k'], {
      env: p.env,
      cwd: p.root,
    });
    expect(fill.stderr).toContain('No space');
    const big = 'x'.repeat(100_000);
    const refused = await p.run(['task', 'submit', '-', '--json'], { input: big });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/full/);
    const status = await p.json<DaemonStatus>(['status']);
    expect(status.pid).toBe(p.daemon().pid);
    rmSync(ballast);
    acknowledged.push(
      (await p.json<{ taskId: string }>(['task', 'submit', '-', '--delay', '1h'], { input: big })).taskId,
    );
    await p.kill();
    await p.start();
    for (const taskId of acknowledged) {
      expect((await p.json<Task>(['task', 'get', taskId])).state).toBe('queued');
    }
    expect(await p.ok(['task', 'submit', 'after', '--wait'])).toContain('after');
  });
});

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
