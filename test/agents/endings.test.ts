import { describe, expect, it } from 'vitest';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { type Rig, STUBBORN, startedRig, until } from './harness.js';

async function stubborn(rig: Rig, more?: Record<string, unknown>): Promise<string> {
  const id = await rig.submit(STUBBORN, more);
  await until('both are up', () => {
    try {
      return rig.read(id, 'stdout.log').split('\n').length === 3;
    } catch {
      // Not launched yet.
      return false;
    }
  });
  expect(rig.leftovers().length).toBeGreaterThanOrEqual(2);
  return id;
}

describe('an agent that stops its own runner', () => {
  it('ends with its own exit all the same, also by a cancel', async () => {
    await using rig = await startedRig();
    const ended = await rig.run('kill -STOP $PPID; exit 3');
    expect(ended).toMatchObject({ state: 'failed', exitCode: 3, attempt: 1 });
    const id = await rig.submit('kill -STOP $PPID; echo up; exec sleep 600');
    await until('it has', () => rig.supervisor.live(id)?.outputBytes === 3);
    expect(await rig.supervisor.cancel(id)).toBe(true);
    expect(await rig.get(id)).toMatchObject({ state: 'cancelled', signal: 'SIGTERM' });
    expect(rig.leftovers()).toEqual([]);
  });
});

describe('no process is left', () => {
  it('by a cancel', async () => {
    await using rig = await startedRig();
    const id = await stubborn(rig);
    expect(await rig.supervisor.cancel(id)).toBe(true);
    expect(rig.leftovers()).toEqual([]);
    expect(await rig.get(id)).toMatchObject({ state: 'cancelled', error: 'Cancelled', signal: 'SIGKILL' });
    expect(rig.topics(id).at(-1)).toBe('task:cancelled');
    expect(await rig.supervisor.cancel(id)).toBe(false);
  });

  it('by a timeout, and the slot is free only then', async () => {
    await using rig = await startedRig({ settings: { maxParallel: 1 } });
    const id = await rig.submit(STUBBORN, { timeoutMs: 400 });
    const next = rig.submit('echo mine');
    const task = await rig.ended(id);
    expect(task).toMatchObject({ state: 'timeout', error: expect.stringMatching(/Timed out after 0\.4 s/) });
    // The next one and its runner may be on their way.
    expect(rig.leftovers().length).toBeLessThanOrEqual(2);
    expect((await rig.ended(await next)).result).toBe('mine');
    expect(rig.leftovers()).toEqual([]);
  });

  it('by a stop, and the task goes back to the queue', async () => {
    await using rig = await startedRig();
    const id = await stubborn(rig);
    const waiting = await rig.submit('true', { delayMs: 60_000 });
    await rig.supervisor.stop({ graceMs: 100 });
    expect(rig.leftovers()).toEqual([]);
    expect(await rig.get(id)).toMatchObject({ state: 'queued', attempt: 1, waitReason: null });
    expect((await rig.get(waiting)).state).toBe('queued');
    await expect(rig.submit('x')).rejects.toMatchObject({ code: 'DAEMON_STOPPING' });
  });

  it('by a second stop without any grace', async () => {
    await using rig = await startedRig();
    await stubborn(rig);
    const first = rig.supervisor.stop({ graceMs: 600_000 });
    await rig.supervisor.stop({ graceMs: 0 });
    await first;
    expect(rig.leftovers()).toEqual([]);
  });

  it('by an agent that ends and leaves some', async () => {
    await using rig = await startedRig();
    const task = await rig.run('setsid sleep 600 & (sleep 600 &) ; echo done');
    expect(task).toMatchObject({ state: 'completed', result: 'done' });
    expect(rig.leftovers()).toEqual([]);
  });

  it('but where the agent may keep them', async () => {
    await using rig = await startedRig({
      agents: { keeper: { provider: 'command', command: ['sh', '-s'], keep_background: true } },
    });
    await rig.run('setsid sleep 600 & echo done', { agent: 'keeper' });
    expect(rig.leftovers()).toHaveLength(1);
  });
});

describe('a stop', () => {
  it('lets an agent finish that ends well after its SIGTERM', async () => {
    await using rig = await startedRig();
    const id = await rig.submit(`trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done`);
    await until(
      'it is up',
      () => rig.supervisor.live(id) !== undefined && rig.read(id, 'stdout.log') === 'up\n',
    );
    await rig.supervisor.stop({ graceMs: 5000 });
    expect(await rig.get(id)).toMatchObject({ state: 'completed', result: 'up\nsaved' });
  });
});

describe('cancelling', () => {
  it('a queued task is done at once', async () => {
    await using rig = await startedRig();
    const id = await rig.submit('true', { delayMs: 60_000 });
    expect(await rig.supervisor.cancel(id)).toBe(true);
    expect(rig.topics(id)).toEqual(['task:queued', 'task:cancelled']);
  });

  it('at the very moment of the start holds', async () => {
    await using rig = await startedRig();
    const ids = await Promise.all(Array.from({ length: 10 }, () => rig.submit('sleep 600')));
    const cancelled = await Promise.all(ids.map((id) => rig.supervisor.cancel(id)));
    expect(cancelled).toEqual(ids.map(() => true));
    expect(rig.leftovers()).toEqual([]);
    expect((await rig.store.counts()).cancelled).toBe(10);
    for (const id of ids)
      expect(rig.topics(id).filter((topic) => topic === 'task:cancelled')).toHaveLength(1);
  });

  it('an unknown task is an error', async () => {
    await using rig = await startedRig();
    await expect(rig.supervisor.cancel('task-9999')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(rig.supervisor.retry('task-9999')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('retries', () => {
  it('follow failures after 5 s, then 10 s, as often as was asked for', async () => {
    const clock = new FakeClock();
    await using rig = await startedRig({ clock });
    const id = await rig.submit('exit 1', { retries: 2 });
    const waits = async (attempt: number): Promise<number> => {
      await until(`attempt ${attempt} has failed`, async () => {
        const task = await rig.get(id);
        return (
          task.attempt === attempt && task.state === 'queued' && rig.topics(id).length === 1 + 2 * attempt
        );
      });
      const task = await rig.get(id);
      expect(task).toMatchObject({ waitReason: 'retry', error: 'exit 1' });
      return Date.parse(task.runAt ?? '') - clock.now();
    };
    expect(await waits(1)).toBe(5000);
    await until('a timer is set', () => clock.pending > 0);
    clock.advance(5000);
    expect(await waits(2)).toBe(10_000);
    await until('the last attempt has ended', () => {
      clock.advance(1000);
      return rig.topics(id).length === 7;
    });
    expect(await rig.ended(id)).toMatchObject({
      state: 'failed',
      attempt: 3,
      error: expect.stringMatching(/^exit 1/),
    });
    expect(rig.topics(id)).toEqual([
      'task:queued',
      'task:started',
      'task:retrying',
      'task:started',
      'task:retrying',
      'task:started',
      'task:failed',
    ]);
  });

  it('by hand begin anew', async () => {
    await using rig = await startedRig();
    const { id } = await rig.run('exit 4');
    rig.events.length = 0;
    await rig.supervisor.retry(id);
    expect(await rig.ended(id)).toMatchObject({ state: 'failed', attempt: 1, exitCode: 4 });
    const running = await rig.submit('sleep 600');
    await expect(rig.supervisor.retry(running)).rejects.toMatchObject({ code: 'CONFLICT' });
  });
});

describe('a delay', () => {
  it('is waited for', async () => {
    const clock = new FakeClock();
    await using rig = await startedRig({ clock });
    const id = await rig.submit('echo late', { delayMs: 3_600_000 });
    for (let passed = 0; passed < 3_600_000; passed += 30_000) {
      await until('a timer is set', () => clock.pending > 0);
      expect((await rig.get(id)).state).toBe('queued');
      clock.advance(30_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await rig.ended(id)).result).toBe('late');
  });
});
