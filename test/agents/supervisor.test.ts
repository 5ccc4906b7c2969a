import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Rig, startedRig, until } from './harness.js';

describe('a task', () => {
  it('that succeeds has its output as result', async () => {
    await using rig = await startedRig();
    const task = await rig.run('echo hello; echo aside >&2');
    expect(task).toMatchObject({ state: 'completed', result: 'hello', error: null, exitCode: 0, attempt: 1 });
    expect(rig.topics(task.id)).toEqual(['task:queued', 'task:started', 'task:completed']);
    expect(rig.read(task.id, 'stderr.log')).toBe('aside\n');
    expect(JSON.parse(rig.read(task.id, 'result.json'))).toMatchObject({
      taskId: task.id,
      attempt: 1,
      ok: true,
      exitCode: 0,
      outputBytes: 6,
      stderrBytes: 6,
    });
    expect(statSync(rig.folder(task.id)).mode & 0o777).toBe(0o700);
    for (const file of ['prompt', 'stdout.log', 'stderr.log', 'result.json'])
      expect(statSync(join(rig.folder(task.id), file)).mode & 0o777).toBe(0o600);
    const last = rig.events.findLast((event) => event.type === 'task:output');
    expect(last?.payload).toMatchObject({
      taskId: task.id,
      state: 'running',
      stdoutBytes: 6,
      stderrBytes: 6,
    });
  });

  it('that fails has its exit code and the end of stderr as error', async () => {
    await using rig = await startedRig();
    const task = await rig.run('echo out; echo one >&2; echo two >&2; exit 3');
    expect(task).toMatchObject({ state: 'failed', exitCode: 3, error: 'exit 3: one\ntwo', result: 'out' });
  });

  it('whose agent is killed from outside has failed, by that signal', async () => {
    await using rig = await startedRig();
    const task = await rig.run('kill -KILL $$', { maxAttempts: 1 });
    expect(task).toMatchObject({
      state: 'failed',
      signal: 'SIGKILL',
      error: 'signal SIGKILL (attempt 1 of 1)',
      exitCode: null,
    });
  });

  it('of a quick agent has its whole output, 200 times', async () => {
    await using rig = await startedRig({ settings: { maxParallel: 4 } });
    const ids = await Promise.all(
      Array.from({ length: 200 }, (_, n) => rig.submit(`echo first-${n}; echo last-${n}`)),
    );
    for (const [n, id] of ids.entries()) {
      const task = await rig.ended(id, 20_000);
      expect(task.result).toBe(`first-${n}\nlast-${n}`);
      expect(task.outputBytes).toBe(Buffer.byteLength(`first-${n}\nlast-${n}\n`));
    }
    expect(rig.leftovers()).toEqual([]);
  });

  it('gets its prompt verbatim, whatever it begins with and however long it is', async () => {
    await using rig = await startedRig({
      agents: {
        cat: { provider: 'command', command: ['cat'] },
        sum: { provider: 'command', command: ['cksum'] },
        deaf: { provider: 'command', command: ['true'] },
      },
    });
    const odd = `--help "quoted" 'single' $(touch x) \`y\` \\n\nsecond line; exit 7\tä€😀`;
    expect((await rig.run(odd, { agent: 'cat' })).result).toBe(odd);
    const large = 'ä'.repeat(5 * 1024 * 1024);
    expect(await rig.run(large, { agent: 'sum' })).toMatchObject({
      state: 'completed',
      result: expect.stringMatching(new RegExp(` ${10 * 1024 * 1024}$`)),
    });
    expect((await rig.run(large, { agent: 'deaf' })).state).toBe('completed');
  });

  it('gets its prompt as the last argument where the agent wants it so', async () => {
    await using rig = await startedRig();
    rig.program('args.sh', '#!/bin/sh\nfor a; do printf "[%s]" "$a"; done; cat');
    rig.supervisor.reconfigure(
      rig.settings,
      rig.agents({ args: { provider: 'command', command: ['./args.sh', '-q'], prompt: 'argument' } }),
    );
    expect((await rig.run('-x "y"\nz', { agent: 'args' })).result).toBe('[-q][--][-x "y"\nz]');
    await expect(rig.submit('x'.repeat(200_000), { agent: 'args' })).rejects.toMatchObject({
      code: 'INVALID_PARAMS',
      message: expect.stringContaining('stdin'),
    });
  });

  it('keeps the end of a long output, at a whole character', async () => {
    await using rig = await startedRig();
    const task = await rig.run(`awk 'BEGIN { for (i = 0; i < 400000; i++) printf "ä€" }'`);
    expect(task.outputBytes).toBe(2_000_000);
    const bytes = Buffer.byteLength(task.result ?? '');
    expect(bytes).toBeLessThanOrEqual(1024 * 1024);
    expect(bytes).toBeGreaterThan(1024 * 1024 - 4);
    expect(task.result).not.toContain('\uFFFD');
  });

  it('of JSON lines has the last result line as result', async () => {
    await using rig = await startedRig({
      agents: { json: { provider: 'command', command: ['sh', '-s'], output: 'jsonl' } },
    });
    const task = await rig.run(`echo 'noise'; echo '{"result":"a"}'; printf '{"result":"b"}'`, {
      agent: 'json',
    });
    expect(task.result).toBe('b');
  });
});

/** What this process has open in a folder; Linux only, nothing elsewhere. */
function openFilesBelow(folder: string): string[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc/self/fd').flatMap((name) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${name}`);
      return path.startsWith(folder) ? [path] : [];
    } catch {
      // The descriptor with which the list was read.
      return [];
    }
  });
}

describe('an agent that cannot be run', () => {
  it.each([
    ['no-such-program-anywhere', /not found on PATH.*install/],
    ['./missing', /missing does not exist/],
    ['./plain', /not executable; try: chmod \+x/],
    ['./folder', /is a directory/],
    ['./lost', /interpreter in its first line does not exist/],
    ['./loop', /loop cannot be run \(ELOOP\)/],
  ])('%s fails the task at once', async (program, error) => {
    await using rig = new Rig({ agents: { odd: { provider: 'command', command: [program] } } });
    writeFileSync(join(rig.root, 'plain'), 'x');
    chmodSync(join(rig.root, 'plain'), 0o644);
    mkdirSync(join(rig.root, 'folder'));
    rig.program('lost', '#!/no/such/interpreter\n');
    symlinkSync('loop', join(rig.root, 'loop'));
    await rig.supervisor.start();
    const task = await rig.run('x', { agent: 'odd', retries: 3 });
    expect(task).toMatchObject({ state: 'failed', attempt: 1, error: expect.stringMatching(error) });
    expect((await rig.run('echo fine')).result).toBe('fine');
    expect(openFilesBelow(rig.root)).toEqual([]);
  });

  it('for its folder has gone is told so', async () => {
    await using rig = new Rig();
    mkdirSync(join(rig.root, 'sub'));
    const id = await rig.submit('pwd', { cwd: 'sub' });
    const { rmdirSync } = await import('node:fs');
    rmdirSync(join(rig.root, 'sub'));
    await rig.supervisor.start();
    expect((await rig.ended(id)).error).toMatch(/folder .*sub does not exist/);
  });
});

describe('a submission', () => {
  it.each([
    [{ prompt: ' \n' }, /empty/],
    [{ prompt: 'a\0b' }, /NUL/],
    [{ prompt: 'x', agent: 'nobody' }, /no agent named "nobody".*sh/],
    [{ prompt: 'x', cwd: 'no/such' }, /does not exist/],
    [{ prompt: 'x', cwd: '/etc/passwd' }, /is a file/],
    [{ prompt: 'x', cwd: '/etc/passwd/x' }, /does not exist/],
    [{ prompt: 'x', cwd: 'y'.repeat(256) }, /cannot be used \(ENAMETOOLONG\)/],
  ])('%j is refused', async (params, message) => {
    await using rig = new Rig();
    await expect(rig.supervisor.submit(params)).rejects.toMatchObject({
      code: 'INVALID_PARAMS',
      message: expect.stringMatching(message),
    });
  });

  it('may name a sub-agent where the default agent is claude', async () => {
    await using rig = new Rig();
    rig.supervisor.reconfigure(rig.settings, {
      default_agent: 'claude',
      agents: { claude: { provider: 'claude' } },
    });
    await expect(rig.submit('x', { agent: 'code-reviewer' })).resolves.toBe('task-0001');
    await expect(rig.submit('x', { agent: '--evil' })).rejects.toThrow(/no agent named/);
  });

  it('fills in what is left open', async () => {
    await using rig = new Rig();
    const task = await rig.get(await rig.submit('x', { retries: 5 }));
    expect(task).toMatchObject({ maxAttempts: 6, timeoutMs: 60_000, source: 'rpc', priority: 0 });
  });

  it('with the key of a waiting task returns that task', async () => {
    await using rig = new Rig();
    const first = await rig.supervisor.submit({ prompt: 'x', key: 'k' });
    expect(await rig.supervisor.submit({ prompt: 'y', key: 'k' })).toEqual({ ...first, deduped: true });
    expect(rig.topics(first.taskId)).toEqual(['task:queued']);
  });
});

describe('order and limits', () => {
  it('is priority, then age', async () => {
    await using rig = new Rig({ settings: { maxParallel: 1 } });
    const ids = [];
    for (const priority of [0, 5, 0, 9, 5]) ids.push(await rig.submit('true', { priority }));
    await rig.supervisor.start();
    await until('all ended', async () => (await rig.store.counts()).completed === 5);
    const started = rig.events.filter((e) => e.type === 'task:started').map((e) => e.payload['taskId']);
    expect(started).toEqual([ids[3], ids[1], ids[4], ids[0], ids[2]]);
  });

  it('holds the slots, also when they become fewer or more', async () => {
    await using rig = await startedRig({ settings: { maxParallel: 1 } });
    const ids = await Promise.all(Array.from({ length: 5 }, () => rig.submit('sleep 600')));
    const running = async () => (await rig.supervisor.status()).running;
    await until('one runs', async () => (await running()) === 1);
    rig.supervisor.reconfigure({ ...rig.settings, maxParallel: 3 }, rig.agents({}));
    await until('three run', async () => (await running()) === 3);
    rig.supervisor.reconfigure({ ...rig.settings, maxParallel: 1 }, rig.agents({}));
    expect(await rig.supervisor.cancel(ids[0]!)).toBe(true);
    const status = await rig.supervisor.status();
    expect(status).toMatchObject({ running: 2, queued: 2, maxConcurrency: 1 });
    expect(status.tasks).toEqual({ running: [ids[1], ids[2]], queued: [ids[3], ids[4]] });
  });

  it('holds the limit of an agent, and lets others pass', async () => {
    await using rig = await startedRig({
      settings: { maxParallel: 4 },
      agents: { one: { provider: 'command', command: ['sh', '-s'], max_parallel: 1 } },
    });
    const mine = await Promise.all(
      Array.from({ length: 3 }, () => rig.submit('sleep 600', { agent: 'one' })),
    );
    const other = await rig.run('echo passed');
    expect(other.result).toBe('passed');
    expect((await rig.supervisor.status()).running).toBe(1);
    await rig.supervisor.cancel(mine[0]!);
    await until('the next runs', async () => (await rig.get(mine[1]!)).state === 'running');
    expect((await rig.get(mine[2]!)).state).toBe('queued');
  });
});

describe('the environment', () => {
  it('is an allow-list with the marks of the attempt, and tells no secret to the log', async () => {
    await using rig = await startedRig({
      environment: {
        HOME: '/home/x',
        LC_ALL: 'C',
        https_proxy: 'http://p',
        SECRET_TOKEN: 'hush-hush',
        ANTHROPIC_API_KEY: 'hush-key',
        MY_ONE: '1',
        MY_TWO: '2',
        EXTRA: 'e',
        AIWG_TASK_ID: 'of-another',
        CLAUDECODE: '1',
      },
      agents: {
        env: {
          provider: 'command',
          command: ['env'],
          env_allow: ['MY_*', 'EXTRA'],
          env: { FIXED: 'f', MY_TWO: 'two' },
        },
      },
    });
    const task = await rig.run('hush prompt', { agent: 'env' });
    const env = Object.fromEntries(
      (task.result ?? '').split('\n').map((line) => line.split('=') as [string, string]),
    );
    expect(env).toEqual({
      PATH: process.env['PATH'],
      HOME: '/home/x',
      LC_ALL: 'C',
      https_proxy: 'http://p',
      MY_ONE: '1',
      MY_TWO: 'two',
      EXTRA: 'e',
      FIXED: 'f',
      AIWG_TASK_ID: task.id,
      AIWG_ATTEMPT_ID: expect.stringMatching(/^[0-9a-f-]{36}$/),
      AIWG_PROJECT: rig.root,
    });
    expect(rig.logged.join('\n')).not.toMatch(/hush/);
  });
});
