import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Submission } from '#aiwgd/agents/submission.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { OutputFiles } from '#aiwgd/tasks/output-files.js';
import { Retention } from '#aiwgd/tasks/retention.js';
import type { Claim, ClaimRequest, TaskLaunch } from '#aiwgd/tasks/task-store.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { MemoryTaskStore } from '#aiwgd/testing/memory-task-store.js';
import { endNow } from '../support/temp.js';
import { noLog, openStore, temporaryFolder } from '../tasks/open-store.js';
import { Rig, type RigOptions, STUBBORN, startedRig, until } from './harness.js';

/** A store that tells which claims were asked of it. */
class WatchedStore extends MemoryTaskStore {
  readonly claims: ClaimRequest[] = [];

  override claim(request: ClaimRequest): Promise<Claim[]> {
    this.claims.push(request);
    return super.claim(request);
  }
}

const sh = (script: string, more: TaskLaunch = {}): Partial<Submission> => ({
  launch: { command: ['sh', '-c', script], ...more },
});

/** A script that waits for a file in the project. */
const waitsFor = (name: string): string => `while ! test -e "$AIWG_PROJECT/${name}"; do sleep 0.02; done`;

const go = (rig: Rig, name = 'go'): void => writeFileSync(join(rig.root, name), '');

const inState = (rig: Rig, id: string, state: string) => async () => (await rig.get(id)).state === state;

/** The next daemon of the same project. */
const nextRig = (rig: Rig, options?: RigOptions): Rig =>
  new Rig({ store: rig.store, root: rig.root, owner: `after-${Math.random()}`, ...options });

describe('a command', () => {
  it('is shown by the text that came with it, and is judged by its exit', async () => {
    await using rig = await startedRig();
    rig.program('report', '#!/bin/sh\necho "$1,$2"; pwd; cat\n');
    const event = { id: 'e-1', text: 'two\nlines "x"' };
    const launch = { command: ['./report', '$HOME', 'a b'], event };
    const task = await rig.run('Report it', { launch });
    expect(task).toMatchObject({ agent: '(command)', prompt: 'Report it', state: 'completed', exitCode: 0 });
    expect(task.result).toBe(`$HOME,a b\n${rig.root}\n${JSON.stringify(event)}`);
    expect(JSON.parse(rig.read(task.id, 'result.json'))).toMatchObject({ ok: true, exitCode: 0 });
    expect(await rig.run('Fail', sh('echo why >&2; exit 3'))).toMatchObject({
      state: 'failed',
      error: 'exit 3: why',
      attempt: 1,
    });
    expect(await rig.run('Empty', sh('wc -c'))).toMatchObject({ result: expect.stringMatching(/^\s*0$/) });
  });

  it('is refused where it cannot be run, at the submit or by its first attempt', async () => {
    await using rig = await startedRig();
    const code = { code: 'INVALID_PARAMS' };
    await expect(rig.submit('x', { launch: { command: [] } })).rejects.toMatchObject(code);
    await expect(rig.submit('x', { launch: { command: ['a', 'b\0'] } })).rejects.toMatchObject(code);
    await expect(rig.submit('x', { agent: 'sh', ...sh('true') })).rejects.toMatchObject(code);
    await expect(rig.submit('x', { agent: '(command)' })).rejects.toMatchObject(code);
    const missing = await rig.run('x', { launch: { command: ['no-such-program'] }, retries: 3 });
    expect(missing).toMatchObject({ state: 'failed', attempt: 1, error: expect.stringMatching(/not found/) });
  });

  it('runs beside agents that take all the slots', async () => {
    await using rig = await startedRig({ settings: { maxParallel: 3 } });
    const slow = await Promise.all([1, 2, 3, 4].map(() => rig.submit(waitsFor('go'))));
    await until('three run', async () => (await rig.store.counts()).running === 3);
    expect(await rig.run('quick', sh('echo now'))).toMatchObject({ state: 'completed', result: 'now' });
    expect((await rig.store.counts()).running).toBe(3);
    expect((await rig.get(slow[3]!)).state).toBe('queued');
    go(rig);
    for (const id of slow) expect(await rig.ended(id)).toMatchObject({ state: 'completed' });
  });

  it('takes no slot from agents, and no more than eight run at once', async () => {
    await using rig = await startedRig({ settings: { maxParallel: 1 } });
    const ids = await Promise.all(Array.from({ length: 10 }, () => rig.submit('wait', sh(waitsFor('go')))));
    await until('eight run', async () => (await rig.store.counts()).running === 8);
    expect(await rig.run('echo agent')).toMatchObject({ state: 'completed', result: 'agent' });
    expect((await rig.store.counts()).running).toBe(8);
    go(rig);
    for (const id of ids) expect(await rig.ended(id)).toMatchObject({ state: 'completed' });
  });

  it('is not begun by a daemon that only ends agents', async () => {
    await using rig = await startedRig({ settings: { maxParallel: 0 } });
    const id = await rig.submit('later', sh('echo at last'));
    await rig.submit('echo agent');
    expect((await rig.store.counts()).queued).toBe(2);
    rig.supervisor.reconfigure({ ...rig.settings, maxParallel: 1 }, rig.agents({}));
    expect(await rig.ended(id)).toMatchObject({ state: 'completed' });
  });

  it('that waits for its time begins then, though every slot of the agents is taken', async () => {
    const clock = new FakeClock();
    await using rig = await startedRig({ clock, settings: { maxParallel: 1 } });
    const later = await rig.submit('later', {
      ...sh('echo "$AIWG_ATTEMPT_ID" >> log; exit 1'),
      delayMs: 5000,
    });
    await rig.submit(waitsFor('go'));
    await until('the agent runs', async () => (await rig.store.counts()).running === 1);
    clock.advance(4999);
    expect((await rig.get(later)).state).toBe('queued');
    clock.advance(1);
    await until('it begins', inState(rig, later, 'running'));
    await until('it has ended', async () => {
      clock.advance(100);
      return inState(rig, later, 'failed')();
    });
    expect(readFileSync(join(rig.root, 'log'), 'utf8').trim().split('\n').length).toBe(1);
    go(rig);
  });

  it('is tried again as often as it may be, and anew by hand', async () => {
    const clock = new FakeClock();
    await using rig = await startedRig({ clock });
    const ticking = setInterval(() => clock.advance(500), 5);
    try {
      const script = 'cat; echo x >> log; test "$(wc -l < log)" -ge 3';
      const id = await rig.submit('again', { ...sh(script, { event: { n: 1 } }), retries: 2 });
      expect(await rig.ended(id)).toMatchObject({ state: 'completed', attempt: 3, result: '{"n":1}' });
      rig.events.length = 0;
      await rig.supervisor.retry(id);
      expect(await rig.ended(id)).toMatchObject({ state: 'completed', attempt: 1, result: '{"n":1}' });
    } finally {
      clearInterval(ticking);
    }
  });

  it('costs agents no claim of their own', async () => {
    const store = new WatchedStore(systemClock);
    await using rig = await startedRig({ store, settings: { maxParallel: 1 } });
    const busy = await rig.submit(waitsFor('go'));
    await until('it runs', inState(rig, busy, 'running'));
    const before = store.claims.length;
    for (let n = 0; n < 20; n += 1) await rig.submit('true');
    expect(store.claims.length).toBe(before);
    await rig.run('quick', sh('true'));
    expect(store.claims.length).toBeGreaterThan(before);
    go(rig);
    await rig.ended(busy);
  });

  it('is cancelled with all that it started, and ended by its time limit', async () => {
    await using rig = await startedRig();
    const id = await rig.submit('stubborn', sh(STUBBORN));
    await until('it is up', () => (rig.supervisor.live(id)?.outputBytes ?? 0) > 8);
    expect(await rig.supervisor.cancel(id)).toBe(true);
    expect(await rig.get(id)).toMatchObject({ state: 'cancelled' });
    expect(await rig.run('slow', { ...sh('sleep 60'), timeoutMs: 100 })).toMatchObject({ state: 'timeout' });
    expect(rig.leftovers()).toEqual([]);
  });
});

describe('a command that outlives its daemon', () => {
  it('is adopted: it runs once, and its real end is reported', async () => {
    await using rig = await startedRig({ owner: 'first' });
    const script = `echo up; echo x >> log; ${waitsFor('go')}; cat; exit 4`;
    const id = await rig.submit('outlive', sh(script, { event: { n: 1 }, env: { A: 'b' } }));
    await until('it is up', () => (rig.supervisor.live(id)?.outputBytes ?? 0) > 0);
    await rig.supervisor.handOver();
    await using next = nextRig(rig, { settings: { maxParallel: 1 } });
    expect(await next.supervisor.start()).toBe(1);
    // It takes no slot there either.
    expect(await next.run('echo agent')).toMatchObject({ state: 'completed' });
    go(rig);
    expect(await next.ended(id)).toMatchObject({
      state: 'failed',
      exitCode: 4,
      attempt: 1,
      result: 'up\n{"n":1}',
    });
    expect(readFileSync(join(rig.root, 'log'), 'utf8')).toBe('x\n');
  });

  it('is adopted after a kill -9 too, and is not submitted anew', async () => {
    const root = temporaryFolder();
    const script = `cat "$AIWG_EVENT_FILE" >> log; touch begun; ${waitsFor('go')}; cat`;
    const submission = { prompt: 'outlive', once: 'job/1', ...sh(script, { event: { n: 1 } }) };
    const program = fileURLToPath(new URL('commands-until-killed.mjs', import.meta.url));
    const daemon = spawn(process.execPath, [program, root, JSON.stringify(submission)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [id] = (await once(daemon.stdout, 'data')).map(String);
    daemon.kill('SIGKILL');
    await once(daemon, 'close');
    const { store } = await openStore(root);
    await using next = new Rig({ root, store, owner: 'next' });
    expect(await next.supervisor.start()).toBe(1);
    expect(await next.supervisor.submit(submission)).toEqual({
      taskId: id,
      state: 'running',
      deduped: true,
    });
    go(next);
    expect(await next.ended(id!)).toMatchObject({ state: 'completed', attempt: 1, result: '{"n":1}' });
    expect(next.read(id!, 'event.json')).toBe('{"n":1}\n');
    expect(readFileSync(join(root, 'log'), 'utf8')).toBe('{"n":1}\n');
  });

  it('and is gone with the machine is begun again', async () => {
    await using rig = await startedRig({ owner: 'first' });
    const script = `echo x >> log; test "$(wc -l < log)" = 2 && exit 0; ${waitsFor('never')}`;
    const id = await rig.submit('again', sh(script));
    await until('it is up', () => existsSync(join(rig.root, 'log')));
    await rig.supervisor.handOver();
    for (const pid of rig.leftovers()) endNow(pid);
    await until('it is gone', () => rig.leftovers().length === 0);
    await using next = nextRig(rig);
    await next.supervisor.start();
    expect(await next.ended(id)).toMatchObject({ state: 'completed', attempt: 2 });
  });

  it('and was cut off by a stop is begun again', async () => {
    await using rig = await startedRig({ owner: 'first' });
    const id = await rig.submit('again', sh(`echo x >> log; test -e go || sleep 60; echo done`));
    await until('it is up', () => existsSync(join(rig.root, 'log')));
    await rig.supervisor.stop({ graceMs: 0 });
    expect(await rig.get(id)).toMatchObject({ state: 'queued' });
    go(rig);
    await using next = nextRig(rig);
    await next.supervisor.start();
    expect(await next.ended(id)).toMatchObject({ state: 'completed', attempt: 2, result: 'done' });
  });

  it('and of which only a copy of the queue is left fails with the reason', async () => {
    await using rig = new Rig();
    await using other = await startedRig();
    const id = await other.submit('lost', sh('true'));
    const stored = await other.ended(id);
    await rig.store.import([{ ...stored, state: 'queued', completedAt: null, attempt: 0 }]);
    await rig.supervisor.start();
    expect(await rig.ended(id)).toMatchObject({
      state: 'failed',
      error: expect.stringMatching(/not known any more/),
    });
  });
});

describe('what goes along with a task', () => {
  const event = { id: 'e-1', payload: { path: 'a\nb.txt', text: '"quoted" ü 🎉' } };

  it('is a file that the agent finds by its name, in every attempt', async () => {
    await using rig = await startedRig();
    const script = `cat "$AIWG_EVENT_FILE"; dirname "$AIWG_EVENT_FILE"`;
    const task = await rig.run(script, { launch: { event } });
    const folder = rig.folder(task.id);
    expect(task.result).toBe(`${JSON.stringify(event)}\n${folder}`);
    expect(statSync(join(folder, 'event.json')).mode & 0o777).toBe(0o600);
    await rig.supervisor.retry(task.id);
    await until('it is over again', inState(rig, task.id, 'completed'));
    expect(JSON.parse(rig.read(task.id, 'event.json'))).toEqual(event);
    const without = await rig.run('echo "[$AIWG_EVENT_FILE]"');
    expect(without.result).toBe('[]');
    expect(existsSync(join(rig.folder(without.id), 'event.json'))).toBe(false);
  });

  it('is variables, with the daemon’s own put in, which win over those of the agent', async () => {
    const agents = {
      sh: { provider: 'command' as const, command: ['sh', '-s'], env: { A: 'agent', B: 'agent' } },
    };
    await using rig = await startedRig({
      agents,
      environment: { TOKEN: '${HOME}$&secret', EMPTY: '' },
    });
    const env = { A: 'Bearer ${TOKEN}/${EMPTY}${TOKEN}', C: '$TOKEN ${not a name}', AIWG_TASK_ID: 'x' };
    const script = 'printf "%s|" "$A" "$B" "$C" "$AIWG_TASK_ID" "${TOKEN-unset}"';
    const task = await rig.run(script, { launch: { env } });
    expect(task.result).toBe(
      `Bearer \${HOME}$&secret/\${HOME}$&secret|agent|$TOKEN \${not a name}|${task.id}|unset|`,
    );
    expect(rig.read(task.id, 'runner')).not.toContain('secret');
    expect(rig.logged.join('\n')).not.toContain('secret');
  });

  it('fails the task by name where a variable is missing, without showing another', async () => {
    await using rig = await startedRig({ environment: { KNOWN: 'secret' } });
    const env = { HEADER: '${KNOWN} ${MISSING}' };
    for (const more of [{ launch: { env } }, sh('true', { env })]) {
      const task = await rig.run('true', { ...more, retries: 5 });
      expect(task).toMatchObject({
        state: 'failed',
        attempt: 1,
        error: expect.stringMatching(/needs MISSING,/),
      });
      expect(JSON.stringify([task, rig.logged, rig.events])).not.toContain('secret');
    }
    await expect(rig.submit('x', { launch: { env: { 'A=B': 'c' } } })).rejects.toMatchObject({
      code: 'INVALID_PARAMS',
    });
  });

  it('goes with the task when its time is over', async () => {
    const clock = new FakeClock();
    await using rig = await startedRig({ clock });
    const id = await rig.submit('true', { launch: { event } });
    await until('it has ended', async () => {
      clock.advance(100);
      return inState(rig, id, 'completed')();
    });
    expect(existsSync(join(rig.folder(id), 'event.json'))).toBe(true);
    const files = new OutputFiles({ actionsDir: join(rig.root, 'actions') });
    await using closing = {
      retention: new Retention({ store: rig.store, files, clock, days: 1, log: noLog }),
      [Symbol.asyncDispose]: () => closing.retention.close(),
    };
    await until('it is forgotten', async () => {
      clock.advance(3_600_000);
      return (await rig.store.get(id)) === undefined;
    });
    expect(existsSync(join(rig.root, 'actions', id))).toBe(false);
  });

  it('does not cost an attempt where it cannot be written now', async () => {
    const clock = new FakeClock();
    await using rig = await startedRig({ clock });
    writeFileSync(join(rig.root, 'actions'), 'a file where a folder should be');
    const id = await rig.submit('cat "$AIWG_EVENT_FILE"', { launch: { event } });
    await until('it was tried', () => rig.faults.length === 1);
    rmSync(join(rig.root, 'actions'));
    const ticking = setInterval(() => clock.advance(500), 5);
    try {
      expect(await rig.ended(id)).toMatchObject({ attempt: 1, result: JSON.stringify(event) });
    } finally {
      clearInterval(ticking);
    }
  });
});

describe('a task that is submitted once', () => {
  it('is not queued or told again, by this daemon or the next', async () => {
    await using rig = await startedRig({ owner: 'first' });
    const named = { once: 'rule/1', cause: 'e-1', source: 'rule' as const };
    const first = await rig.supervisor.submit({ prompt: 'echo x', ...named });
    const done = await rig.ended(first.taskId);
    expect(done).toMatchObject({ causedBy: 'e-1', source: 'rule' });
    const again = { ...first, state: 'completed', deduped: true };
    expect(await rig.supervisor.submit({ prompt: 'echo y', ...named })).toEqual(again);
    await rig.supervisor.stop({ graceMs: 0 });
    await using next = nextRig(rig);
    await next.supervisor.start();
    expect(await next.supervisor.submit({ prompt: 'echo z', ...named })).toEqual(again);
    expect([...rig.topics(done.id), ...next.topics(done.id)]).toEqual([
      'task:queued',
      'task:started',
      'task:completed',
    ]);
  });
});
