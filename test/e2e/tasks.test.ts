import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Task } from '#aiwgd/protocol/task.js';
import { until } from '../support/temp.js';
import { Project, script } from './support.js';

const STUBBORN =
  'trap "" TERM; setsid sh -c \'trap "" TERM; sleep 1000\' & echo up; while :; do sleep 0.1; done';

function project(agents: Record<string, object> = {}, daemon: object = {}): Project {
  return new Project({ config: { daemon, default_agent: 'sh', agents: { sh: script('cat'), ...agents } } });
}

describe('task submit', () => {
  it.each([
    [
      'all its words, options anywhere',
      ['task', 'submit', 'fix', '--priority', '7', 'the', 'bug'],
      'fix the bug',
    ],
    [
      'what begins with a dash after --',
      ['task', 'submit', '--', '--version', '-x $(id)'],
      '--version -x $(id)',
    ],
    [
      'quotes and newlines',
      ['task', 'submit', `a "b" 'c'\n$HOME \`x\` %s \\n`],
      `a "b" 'c'\n$HOME \`x\` %s \\n`,
    ],
  ])('takes as prompt %s', async (_, args, prompt) => {
    const p = project();
    await p.start();
    const taskId = (await p.ok(args)).trim();
    await p.ok(['task', 'wait', taskId]);
    expect(await p.json<Task>(['task', 'get', taskId])).toMatchObject({
      prompt,
      state: 'completed',
      result: prompt,
    });
  });

  it('takes 10 MB from stdin, verbatim, and shows them in no process list', async () => {
    const p = project({
      sum: script('cksum; ps -eo args | grep -c "[p]ayload-marker" >&2; true'),
    });
    await p.start();
    const prompt = `payload-marker ${'ä"\n$x'.repeat(1_700_000)}`;
    const ran = await p.run(['task', 'submit', '-', '--agent', 'sum', '--wait'], { input: `${prompt}\n` });
    expect(ran.code).toBe(0);
    expect(ran.stderr).toContain('0');
    writeFileSync(join(p.root, 'expected'), prompt);
    const { result } = await p.json<Task>(['task', 'get', 'task-0001']);
    expect(result?.split(' ')[1]).toBe(String(Buffer.byteLength(prompt)));
  });

  it.each([
    ['an empty prompt', ['task', 'submit', '  '], 'empty'],
    ['no prompt at all', ['task', 'submit'], 'prompt'],
    ['an unknown agent', ['task', 'submit', 'x', '--agent', 'nobody'], 'nobody'],
    ['a folder that is not there', ['task', 'submit', 'x', '--cwd', 'nowhere'], 'nowhere'],
    ['a priority that is none', ['task', 'submit', 'x', '--priority', 'high'], 'high'],
    ['a delay that is none', ['task', 'submit', 'x', '--delay', 'soon'], 'soon'],
    ['a mistyped flag', ['task', 'submit', 'x', '--priorty', '1'], '--priority'],
  ])('refuses %s with exit 2 and names it', async (_, args, named) => {
    const p = project();
    await p.start();
    const { code, stderr } = await p.run(args);
    expect(stderr).toContain(named);
    expect(code).toBe(2);
    expect((await p.json<{ total: number }>(['task', 'stats'])).total).toBe(0);
  });

  it('refuses NUL', async () => {
    const p = project();
    await p.start();
    const ran = await p.run(['task', 'submit', '-'], { input: 'a\0b' });
    expect(ran).toMatchObject({ code: 2, stderr: expect.stringContaining('NUL') });
  });

  it('without a daemon exits 3 and says how to start one; outside of a project 2', async () => {
    const p = project();
    expect(await p.run(['task', 'submit', 'x'])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('aiwgd start'),
    });
    expect((await p.run(['task', 'submit', 'x'], { cwd: '/' })).code).toBe(2);
  });

  it('runs the highest priority first, then the oldest; keys are kept apart', async () => {
    const p = project(
      { sh: script('cat >> order; echo >> order; until test -e go; do sleep 0.01; done') },
      { max_parallel_actions: 1 },
    );
    await p.start();
    await p.ok(['task', 'submit', 'first']);
    for (const [prompt, priority] of [
      ['a', '0'],
      ['b', '5'],
      ['c', '5'],
      ['d', '9'],
    ]) {
      await p.ok(['task', 'submit', prompt as string, '--priority', priority as string]);
    }
    const one = await p.json<{ taskId: string; deduped: boolean }>([
      'task',
      'submit',
      'once',
      '--key',
      'k',
      '--delay',
      '1h',
    ]);
    const two = await p.json<{ taskId: string; deduped: boolean }>(['task', 'submit', 'once', '--key', 'k']);
    expect(two).toMatchObject({ taskId: one.taskId, deduped: true });
    writeFileSync(join(p.root, 'go'), '');
    await until(
      'all ran',
      async () => (await p.json<{ completed: number }>(['task', 'stats'])).completed === 5,
    );
    expect(readFileSync(join(p.root, 'order'), 'utf8').trim().split('\n')).toEqual([
      'first',
      'd',
      'b',
      'c',
      'a',
    ]);
  });

  it('--wait streams, and exits 1 with the error where the task fails', async () => {
    const p = project({
      bad: script('echo out; echo "went wrong" >&2; exit 3'),
      no: { provider: 'command', command: ['no-such-program'] },
    });
    await p.start();
    const bad = await p.run(['task', 'submit', 'x', '--agent', 'bad', '--wait']);
    expect(bad.code).toBe(1);
    expect(bad.stdout).toContain('out');
    expect(bad.stderr).toContain('went wrong');
    const missing = await p.run(['task', 'submit', 'x', '--agent', 'no', '--wait']);
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('no-such-program') });
    expect((await p.run(['task', 'get', 'task-0099'])).code).toBe(4);
    expect((await p.run(['task', 'cancel', 'task-0099'])).code).toBe(4);
  });

  it('gives the agent nothing of the environment but what is allowed', async () => {
    const p = project({ env: script('env | sort') });
    await p.start({ env: { SECRET_TOKEN: 'hush', ANTHROPIC_API_KEY: 'key' } });
    await p.ok(['task', 'submit', 'x', '--agent', 'env', '--wait']);
    const { result } = await p.json<Task>(['task', 'get', 'task-0001']);
    expect(result).toContain('AIWG_TASK_ID=task-0001');
    expect(result).toContain(`AIWG_PROJECT=${p.root}`);
    expect(result).not.toContain('hush');
    expect(result).not.toContain('key');
  });
});

describe('the end of an attempt', () => {
  it.each([
    ['cancel', async (p: Project) => p.ok(['task', 'cancel', 'task-0001']), 'cancelled'],
    ['timeout', async () => undefined, 'timeout'],
    ['stop', async (p: Project) => p.ok(['stop', '--timeout', '1']), 'queued'],
  ])('by %s leaves no process, however stubborn', async (way, act, state) => {
    const p = project({ sh: script(STUBBORN) }, { kill_grace_seconds: 0.5 });
    await p.start();
    await p.ok(['task', 'submit', 'x', ...(way === 'timeout' ? ['--timeout', '0.02'] : [])]);
    await until('the agent and its child are up', () => p.agents().length >= 2);
    await act(p);
    if (way === 'stop') {
      expect(p.agents()).toEqual([]);
      p.configure({ default_agent: 'sh', agents: { sh: script('echo resumed') } });
      expect(JSON.parse(readFileSync(p.paths.tasksExport, 'utf8')).tasks[0].state).toBe(state);
      await p.start();
      await p.ok(['task', 'wait', 'task-0001']);
      return;
    }
    await until('it ended', async () => (await p.json<Task>(['task', 'get', 'task-0001'])).state === state);
    expect(p.agents()).toEqual([]);
  });

  it('what it left running in the background is ended with it', async () => {
    const p = project({ sh: script('setsid sleep 1000 & echo done') });
    await p.start();
    await p.ok(['task', 'submit', 'x', '--wait']);
    expect(p.agents()).toEqual([]);
  });

  it('killed from outside is followed by another attempt, and the signal is named', async () => {
    const p = project({ sh: script('test -f pid && echo again && exit; echo $$ > pid; exec sleep 1000') });
    await p.start();
    await p.ok(['task', 'submit', 'x']);
    const pidFile = join(p.root, 'pid');
    await until('it is up', () => existsSync(pidFile) && readFileSync(pidFile, 'utf8') !== '');
    const pid = Number(readFileSync(pidFile, 'utf8'));
    await until('it sleeps', () => readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('sleep'));
    process.kill(pid, 'SIGKILL');
    const get = () => p.json<Task>(['task', 'get', 'task-0001']);
    await until('it waits', async () => (await get()).state === 'queued');
    expect(await get()).toMatchObject({ waitReason: 'retry', error: 'signal SIGKILL' });
    await p.ok(['task', 'wait', 'task-0001']);
    expect(await get()).toMatchObject({ state: 'completed', result: 'again', attempt: 2 });
  });

  it('retries failures as often as asked, then retry by hand starts anew', async () => {
    const p = project({ sh: script('echo x >> tries; exit 1') });
    await p.start();
    await p.run(['task', 'submit', 'x', '--wait']);
    expect(await p.run(['task', 'retry', 'task-0001'])).toMatchObject({ code: 0 });
    await p.run(['task', 'wait', 'task-0001']);
    expect(readFileSync(join(p.root, 'tries'), 'utf8')).toBe('x\nx\n');
    await p.ok(['task', 'submit', 'again', '--retries', '1']);
    await until(
      'it waits for its retry',
      async () => (await p.json<Task>(['task', 'get', 'task-0002'])).waitReason === 'retry',
    );
    const task = await p.json<Task>(['task', 'get', 'task-0002']);
    expect(task).toMatchObject({
      state: 'queued',
      attempt: 1,
      runAt: expect.any(String),
      error: expect.stringContaining('exit 1'),
    });
    await p.ok(['task', 'cancel', 'task-0002']);
  });
});
