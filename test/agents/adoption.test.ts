import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '#aiwgd/platform/clock.js';
import { identityOf } from '#aiwgd/platform/process-identity.js';
import { linuxPids, readMarks } from '#aiwgd/platform/process-table.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { MemoryTaskStore } from '#aiwgd/testing/memory-task-store.js';
import { endNow } from '../support/temp.js';
import { Rig, type RigOptions, STUBBORN, startedRig, until } from './harness.js';

/** A rig whose daemon is gone, as far as its agents can tell: it has let go of them. */
async function leftRig(options?: RigOptions): Promise<Rig> {
  return startedRig({ store: new MemoryTaskStore(systemClock), owner: 'first', ...options });
}

/** The next daemon of the same project. */
function nextRig(rig: Rig, options?: RigOptions): Rig {
  return new Rig({ store: rig.store, root: rig.root, owner: `after-${Math.random()}`, ...options });
}

async function running(rig: Rig, prompt: string, more?: Record<string, unknown>): Promise<string> {
  const id = await rig.submit(prompt, more);
  await until('it has begun', () => rig.supervisor.live(id)?.pid && rig.supervisor.live(id)!.outputBytes > 0);
  return id;
}

/** Says `up`, then waits for a file of this name in its folder. */
const waits = (go: string, then: string): string =>
  `echo up; echo "run $AIWG_ATTEMPT_ID" >> "$AIWG_PROJECT/runs"; while ! test -e "$AIWG_PROJECT/${go}"; do sleep 0.02; done; ${then}`;

const runs = (rig: Rig): number => readFileSync(join(rig.root, 'runs'), 'utf8').trim().split('\n').length;
const go = (rig: Rig, name = 'go'): void => writeFileSync(join(rig.root, name), '');

/** Processes of one attempt, by what they run. */
function pidsOf(rig: Rig, what: RegExp): number[] {
  return linuxPids().filter((pid) => {
    const marks = readMarks(pid);
    return (
      typeof marks === 'object' &&
      marks.project === rig.root &&
      what.test(readFileSync(`/proc/${pid}/cmdline`, 'latin1'))
    );
  });
}

const RUNNER = /aiwgd-runner/;

describe('an attempt that outlives its daemon', () => {
  it('goes on, is followed by the next one, and its real end is reported', async () => {
    await using rig = await leftRig();
    const id = await running(rig, waits('go', 'echo last; echo aside >&2; exit 3'));
    const first = rig.supervisor.live(id)?.pid;
    await rig.supervisor.handOver();
    expect(rig.leftovers().length).toBeGreaterThanOrEqual(2);
    await using next = nextRig(rig);
    expect(await next.supervisor.start()).toBe(1);
    await until('it is followed', () => next.supervisor.live(id)?.outputBytes === 3);
    expect(next.supervisor.live(id)?.pid).toBe(first);
    go(rig);
    expect(await next.ended(id)).toMatchObject({
      state: 'failed',
      exitCode: 3,
      result: 'up\nlast',
      error: 'exit 3: aside',
      attempt: 1,
      outputBytes: 8,
    });
    expect(next.topics(id)).toEqual(['task:failed']);
    expect(runs(rig)).toBe(1);
    expect(next.leftovers()).toEqual([]);
  });

  it('is adopted five times in a row and run once', async () => {
    await using rig = await leftRig();
    const id = await running(rig, waits('go', 'echo last'));
    await rig.supervisor.handOver();
    for (let n = 0; n < 4; n += 1) {
      const next = nextRig(rig);
      await next.supervisor.start();
      await next.supervisor.handOver();
    }
    await using last = nextRig(rig);
    await last.supervisor.start();
    go(rig);
    expect(await last.ended(id)).toMatchObject({ state: 'completed', result: 'up\nlast', attempt: 1 });
    expect(runs(rig)).toBe(1);
  });

  it('that ended meanwhile is reported with its exit, its output and the time it took', async () => {
    await using rig = await leftRig();
    const ids = [
      await running(rig, waits('go', 'echo fine')),
      await running(rig, waits('go', 'kill -SEGV $$'), { maxAttempts: 1 }),
    ];
    await rig.supervisor.handOver();
    go(rig);
    await until('both have ended', () => rig.leftovers().length === 0);
    await using next = nextRig(rig);
    await next.supervisor.start();
    expect(await next.ended(ids[0]!)).toMatchObject({ state: 'completed', result: 'up\nfine', exitCode: 0 });
    expect(await next.ended(ids[1]!)).toMatchObject({ state: 'failed', signal: 'SIGSEGV', exitCode: null });
    expect(runs(rig)).toBe(2);
  });

  it('can be cancelled, with all that it started', async () => {
    await using rig = await leftRig();
    const id = await running(rig, STUBBORN);
    await rig.supervisor.handOver();
    await using next = nextRig(rig);
    await next.supervisor.start();
    expect(await next.supervisor.cancel(id)).toBe(true);
    expect(await next.get(id)).toMatchObject({ state: 'cancelled', signal: 'SIGKILL' });
    expect(next.leftovers()).toEqual([]);
  });

  it('is cancelled by the next daemon where that was asked of the last one', async () => {
    await using rig = await leftRig();
    const id = await running(rig, STUBBORN);
    await rig.supervisor.handOver();
    expect(await rig.store.requestCancel(id)).toBe('running');
    await using next = nextRig(rig);
    await next.supervisor.start();
    expect(await next.ended(id)).toMatchObject({ state: 'cancelled' });
    expect(next.leftovers()).toEqual([]);
  });

  it('that was being ended when the daemon went is ended by the next one, for the same reason', async () => {
    await using rig = await leftRig({ settings: { killGraceMs: 60_000 } });
    const id = await running(rig, STUBBORN, { timeoutMs: 500 });
    await until('its time is over', () => /^timeout/m.test(rig.read(id, 'runner')));
    // The daemon goes in the grace; somebody is quicker than the next one.
    await rig.supervisor.handOver();
    for (const pid of pidsOf(rig, /child|sh\0-s/)) endNow(pid);
    await until('they are gone', () => rig.leftovers().length === 0);
    await using next = nextRig(rig);
    await next.supervisor.start();
    expect(await next.ended(id)).toMatchObject({ state: 'timeout', attempt: 1 });
    expect(next.topics(id)).toEqual(['task:timeout']);
  });

  it('has its time limit counted from its real start', async () => {
    const clock = new FakeClock();
    const store = new MemoryTaskStore(clock);
    await using rig = await leftRig({ clock, store });
    const id = await rig.submit(waits('never', 'true'), { timeoutMs: 3_600_000 });
    await until('it has begun', () => {
      clock.advance(50);
      return rig.supervisor.live(id)?.pid && rig.supervisor.live(id)!.outputBytes > 0;
    });
    await rig.supervisor.handOver();
    // Nobody is there for all but the last minute of its hour.
    clock.advance(3_540_000);
    await using next = nextRig(rig, { clock });
    await next.supervisor.start();
    const adoptedAt = clock.monotonic();
    await until('its time is over', () => {
      clock.advance(250);
      return next.topics(id).includes('task:timeout');
    });
    expect(clock.monotonic() - adoptedAt).toBeLessThan(120_000);
    expect(await next.get(id)).toMatchObject({ state: 'timeout' });
    expect(next.leftovers()).toEqual([]);
  });

  it('holds its slot', async () => {
    await using rig = await leftRig({ settings: { maxParallel: 1 } });
    const id = await running(rig, waits('go', 'true'));
    const waiting = await rig.submit('echo second');
    await rig.supervisor.handOver();
    await using next = nextRig(rig, { settings: { maxParallel: 1 } });
    await next.supervisor.start();
    await until('it is followed', () => next.supervisor.live(id)?.pid);
    expect((await next.get(waiting)).state).toBe('queued');
    go(rig);
    expect((await next.ended(waiting)).result).toBe('second');
    expect(next.topics(waiting)[0]).toBe('task:started');
    expect(next.events.findIndex((event) => event.payload['taskId'] === id)).toBeLessThan(
      next.events.findIndex((event) => event.payload['taskId'] === waiting),
    );
  });

  it('keeps the agent that it was started with, though the configuration has another by now', async () => {
    const options = {
      agents: { json: { provider: 'command' as const, command: ['sh', '-s'], output: 'jsonl' as const } },
    };
    await using rig = await leftRig(options);
    const id = await running(rig, waits('go', `echo '{"result":"by lines"}'`), { agent: 'json' });
    await rig.supervisor.handOver();
    await using next = nextRig(rig);
    await next.supervisor.start();
    go(rig);
    expect(await next.ended(id)).toMatchObject({ state: 'completed', result: 'by lines' });
  });
});

describe('an attempt that vanished', () => {
  it('is run again, at once, after all that it left was ended', async () => {
    await using rig = await leftRig();
    const id = await running(rig, `setsid sleep 600 & ${waits('go', 'echo again')}`);
    await rig.supervisor.handOver();
    const [runner] = pidsOf(rig, RUNNER);
    const agents = pidsOf(rig, /sh\0-s/);
    for (const pid of [runner!, ...agents]) process.kill(pid, 'SIGKILL');
    await until('they are gone', () => rig.leftovers().length === 1);
    await using next = nextRig(rig);
    await next.supervisor.start();
    await until('it runs again', () => existsSync(join(rig.root, 'runs')) && runs(rig) === 2);
    expect(next.topics(id)).toEqual(['task:queued', 'task:started']);
    go(rig);
    expect(await next.ended(id)).toMatchObject({ state: 'completed', attempt: 2 });
    expect(next.leftovers()).toEqual([]);
  });

  it('for the last time has failed', async () => {
    await using rig = await leftRig();
    const id = await running(rig, waits('go', 'true'), { maxAttempts: 1 });
    await rig.supervisor.handOver();
    for (const pid of pidsOf(rig, /sh/)) process.kill(pid, 'SIGKILL');
    await until('they are gone', () => rig.leftovers().length === 0);
    await using next = nextRig(rig);
    await next.supervisor.start();
    expect(await next.ended(id)).toMatchObject({
      state: 'failed',
      error: expect.stringMatching(/Interrupted.*attempt 1 of 1/),
    });
  });

  it('without its runner goes on, and an agent that tells its own verdict is believed', async () => {
    const agents = { claude: { provider: 'claude' as const, program: './claude' } };
    await using rig = await leftRig({ agents });
    const result = `'{"type":"result","is_error":false,"result":"told"}'`;
    rig.program(
      'claude',
      `#!/bin/sh\necho up; while ! test -e "$AIWG_PROJECT/go"; do sleep 0.02; done; echo ${result}\n`,
    );
    const id = await running(rig, 'x', { agent: 'claude' });
    process.kill(pidsOf(rig, RUNNER)[0]!, 'SIGKILL');
    await rig.supervisor.handOver();
    await using next = nextRig(rig, { agents });
    await next.supervisor.start();
    await until('it is followed', () => next.supervisor.live(id)?.outputBytes === 3);
    go(rig);
    expect(await next.ended(id)).toMatchObject({ state: 'completed', result: 'told', exitCode: null });
  });

  it('was never launched: it goes back as if nothing had been', async () => {
    const store = new MemoryTaskStore(systemClock);
    await using rig = new Rig({ store });
    const id = await rig.submit('echo first', { maxAttempts: 1 });
    expect(await store.claim({ owner: 'dead', limit: 1, leaseMs: 30_000 })).toHaveLength(1);
    await rig.supervisor.start();
    expect(await rig.ended(id)).toMatchObject({ state: 'completed', result: 'first', attempt: 1 });
  });

  it('was about to be launched: it goes back in the same way', async () => {
    const store = new MemoryTaskStore(systemClock);
    await using rig = new Rig({ store });
    const id = await rig.submit('echo first', { maxAttempts: 1 });
    const [claim] = await store.claim({ owner: 'dead', limit: 1, leaseMs: 30_000 });
    const header = {
      attemptId: claim!.attemptId,
      project: rig.root,
      bootId: identityOf()!.bootId,
      startedAt: Date.now(),
      startedMono: systemClock.monotonic(),
      agentName: 'sh',
      agent: { provider: 'command', command: ['sh', '-s'] },
      inode: 0,
    };
    mkdirSync(rig.folder(id), { recursive: true });
    writeFileSync(join(rig.folder(id), 'runner'), `${JSON.stringify(header)}\n${' '.repeat(100)}`);
    await rig.supervisor.start();
    expect(await rig.ended(id)).toMatchObject({ state: 'completed', result: 'first', attempt: 1 });
    expect(rig.topics(id)).toEqual(['task:queued', 'task:queued', 'task:started', 'task:completed']);
  });

  it('with a record that its agent has spoilt is ended, not doubled', async () => {
    await using rig = await leftRig();
    const id = await rig.submit(
      `: > "$AIWG_PROJECT/actions/$AIWG_TASK_ID/attempt-1/runner"; ${waits('go', 'echo end')}`,
    );
    await until('it has begun', () => existsSync(join(rig.root, 'runs')));
    const pids = rig.leftovers();
    await rig.supervisor.handOver();
    await using next = nextRig(rig);
    await next.supervisor.start();
    await until('it runs again', () => existsSync(join(rig.root, 'runs')) && runs(rig) === 2);
    expect(pids.filter((pid) => identityOf(pid))).toEqual([]);
    go(rig);
    expect((await next.ended(id)).attempt).toBe(2);
  });
});

describe('a task that brings one daemon after the other down', () => {
  it('is quarantined, and its agent ended', async () => {
    await using rig = await leftRig();
    const id = await running(rig, STUBBORN);
    await rig.supervisor.handOver();
    for (let n = 0; n < 10; n += 1)
      await rig.store.reap({ owner: `dead-${n}`, leaseMs: 30_000, limit: 1, othersAreDead: true });
    await using next = nextRig(rig);
    await next.supervisor.start();
    expect(await next.ended(id)).toMatchObject({
      state: 'failed',
      error: expect.stringMatching(/^Quarantined.*went down/),
    });
    expect(next.leftovers()).toEqual([]);
  });
});

describe('a store that was begun anew', () => {
  it('has the agents of the old one ended before its tasks run', async () => {
    await using rig = await leftRig();
    await running(rig, STUBBORN);
    await rig.supervisor.handOver();
    const before = pidsOf(rig, /child|sh\0-s/);
    expect(before.length).toBeGreaterThanOrEqual(3);
    await using anew = new Rig({ root: rig.root });
    await anew.submit('sleep 600');
    await anew.supervisor.start({ strays: 'all' });
    await until('it runs', () => anew.topics('task-0001').includes('task:started'));
    expect(before.filter((pid) => identityOf(pid))).toEqual([]);
  });
});

describe('a store that was made anew from what was known of the tasks', () => {
  it('finds the running attempts by their files, and follows them', async () => {
    await using rig = await leftRig();
    const id = await running(rig, waits('go', 'echo end'));
    await rig.supervisor.handOver();
    const store = new MemoryTaskStore(systemClock);
    expect(await store.import([await rig.get(id)])).toBe(1);
    await using next = nextRig(rig, { store });
    expect(await next.supervisor.start({ strays: 'all' })).toBe(1);
    await until('it is followed', () => next.supervisor.live(id)?.outputBytes === 3);
    go(rig);
    expect(await next.ended(id)).toMatchObject({ state: 'completed', result: 'up\nend', attempt: 1 });
    expect(runs(rig)).toBe(1);
  });
});

describe('a copy of a project', () => {
  it('has the tasks, but leaves the agents to the first; a project that was moved keeps its own', async () => {
    await using rig = await leftRig();
    const id = await running(rig, waits('go', 'echo end'));
    await rig.supervisor.handOver();
    const copies = mkdtempSync(join(tmpdir(), 'aiwgd-copy-'));
    try {
      const root = join(copies, 'project');
      cpSync(rig.root, root, { recursive: true });
      const store = new MemoryTaskStore(systemClock);
      await store.import([await rig.get(id)]);
      await using copy = new Rig({ root, store, owner: 'copy' });
      expect(await copy.supervisor.start({ strays: 'all' })).toBe(0);
      await until('it runs there too', () => copy.supervisor.live(id)?.pid);
      expect(await copy.supervisor.cancel(id)).toBe(true);
      expect(rig.leftovers().length).toBeGreaterThanOrEqual(2);
      const moved = join(copies, 'moved');
      renameSync(rig.root, moved);
      await using next = new Rig({ root: moved, store: rig.store, owner: 'next' });
      expect(await next.supervisor.start()).toBe(1);
      expect(await next.supervisor.cancel(id)).toBe(true);
      expect(rig.leftovers()).toEqual([]);
    } finally {
      rmSync(copies, { recursive: true, force: true });
    }
  });
});

describe('a hand-over', () => {
  it('stores what has ended, and touches nothing else', async () => {
    await using rig = await leftRig();
    const quick = await rig.run('echo quick');
    const id = await running(rig, waits('go', 'true'));
    const waiting = await rig.submit('true', { delayMs: 60_000 });
    await rig.supervisor.handOver();
    expect((await rig.get(quick.id)).state).toBe('completed');
    expect(await rig.get(id)).toMatchObject({ state: 'running', outputBytes: 3, pid: expect.any(Number) });
    expect((await rig.get(waiting)).state).toBe('queued');
    await expect(rig.submit('x')).rejects.toMatchObject({ code: 'DAEMON_STOPPING' });
    await using next = nextRig(rig);
    await next.supervisor.start();
    go(rig);
    expect((await next.ended(id)).state).toBe('completed');
  });
});
