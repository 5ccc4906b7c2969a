import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '#aiwgd/platform/clock.js';
import { AiwgdError } from '#aiwgd/protocol/errors.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { MemoryTaskStore } from '#aiwgd/testing/memory-task-store.js';
import { Rig, STUBBORN, startedRig, until } from './harness.js';

/** A store whose disk is full for outcomes as long as it is told so. */
class FullStore extends MemoryTaskStore {
  full = true;
  tries = 0;

  override finish(...args: Parameters<MemoryTaskStore['finish']>): Promise<boolean> {
    this.tries += 1;
    if (this.full) return Promise.reject(new AiwgdError('STORAGE_FULL', 'The disk is full'));
    return super.finish(...args);
  }
}

describe('a machine that cannot start agents', () => {
  it('costs a task no attempt: it waits, health says why, and it runs when the fault is over', async () => {
    const clock = new FakeClock();
    await using rig = await startedRig({ clock });
    writeFileSync(join(rig.root, 'actions'), 'a file where a folder should be');
    const id = await rig.submit('echo at last');
    await until('it was tried', () => rig.faults.length === 1);
    expect(rig.faults[0]).toMatchObject({
      code: 'agents.launch',
      message: expect.stringMatching(/ENOTDIR|EEXIST/),
    });
    await until('it is back', async () => (await rig.get(id)).state === 'queued');
    expect(await rig.get(id)).toMatchObject({
      attempt: 0,
      error: expect.stringMatching(/could not be started/),
    });
    // It stands back for 5 s, so that others go first.
    clock.advance(4999);
    expect(rig.topics(id)).toEqual(['task:queued', 'task:retrying']);
    await until('it was tried again', () => {
      clock.advance(100);
      return rig.topics(id).length === 3;
    });
    rmSync(join(rig.root, 'actions'));
    const begin = clock.now();
    await until('it runs', () => {
      if (rig.topics(id).length === 3) clock.advance(100);
      return rig.topics(id).length > 3;
    });
    expect(clock.now() - begin).toBeGreaterThanOrEqual(4800);
    expect(await rig.ended(id)).toMatchObject({ state: 'completed', result: 'at last', attempt: 1 });
    expect(rig.faults.at(-1)).toBeNull();
  });
});

describe('a task whose folder is none', () => {
  it.each(['touch', 'ln -s /nowhere'])('begins in a new one, and holds up nobody (%s)', async (put) => {
    await using rig = await startedRig({ settings: { maxParallel: 1 } });
    const folder = '"$AIWG_PROJECT/actions/$AIWG_TASK_ID"';
    const first = await rig.run(`rm -r ${folder}; ${put} ${folder}; exit 1`, { maxAttempts: 1 });
    expect(first.state).toBe('failed');
    await rig.supervisor.retry(first.id);
    expect((await rig.run('echo next')).result).toBe('next');
    expect(rig.faults).toEqual([]);
  });
});

describe('a store that cannot take an outcome', () => {
  it('gets it later; the slot stays taken meanwhile', async () => {
    const clock = new FakeClock();
    const store = new FullStore(clock);
    await using rig = await startedRig({ clock, store, settings: { maxParallel: 1 } });
    const id = await rig.submit('echo precious');
    await until('it was refused', () => rig.faults.length === 1);
    expect(rig.faults[0]).toMatchObject({
      code: 'tasks.outcome',
      message: expect.stringContaining('disk is full'),
    });
    const next = await rig.submit('true');
    await until('it was tried some times', () => {
      clock.advance(250);
      return store.tries === 5;
    });
    // After 1, 2, 4 and 5 s.
    expect(clock.monotonic()).toBeGreaterThanOrEqual(12_000);
    expect((await rig.get(next)).state).toBe('queued');
    expect(rig.topics(id)).toEqual(['task:queued', 'task:started']);
    store.full = false;
    await until('it is stored', () => {
      clock.advance(1000);
      return rig.topics(id).includes('task:completed');
    });
    expect(await rig.get(id)).toMatchObject({ state: 'completed', result: 'precious' });
    expect((await rig.ended(next)).state).toBe('completed');
    expect(rig.faults.at(-1)).toBeNull();
  });
});

describe('a stop while the store takes no outcome', () => {
  it('does not wait for it, and the next daemon reports the outcome from the files', async () => {
    const store = new FullStore(systemClock);
    await using rig = await startedRig({ store, owner: 'first' });
    const id = await rig.submit('echo precious; exit 5');
    await until('it was refused', () => rig.faults.length === 1);
    const begin = performance.now();
    await rig.supervisor.stop({ graceMs: 60_000 });
    expect(performance.now() - begin).toBeLessThan(5_000);
    expect((await rig.get(id)).state).toBe('running');
    store.full = false;
    await using next = new Rig({ store, root: rig.root, owner: 'second' });
    await next.supervisor.start();
    expect(await next.ended(id)).toMatchObject({
      state: 'failed',
      exitCode: 5,
      result: 'precious',
      attempt: 1,
    });
  });
});

/** A store that takes no usage, as a real one where it has too many levels. */
class ChoosyStore extends MemoryTaskStore {
  override finish(...args: Parameters<MemoryTaskStore['finish']>): Promise<boolean> {
    if (args[1].usage !== null) return Promise.reject(new AiwgdError('INVALID_PARAMS', 'Too many levels'));
    return super.finish(...args);
  }
}

describe('an outcome that no store takes', () => {
  it('is stored without what the agent said', async () => {
    const script = `echo '{"type":"result","is_error":false,"result":"r","usage":{"a":1}}'`;
    await using rig = new Rig({
      store: new ChoosyStore(systemClock),
      agents: { odd: { provider: 'claude', program: './odd' } },
    });
    rig.program('odd', `#!/bin/sh\n${script}\n`);
    await rig.supervisor.start();
    const task = await rig.run('x', { agent: 'odd' });
    expect(task).toMatchObject({
      state: 'completed',
      usage: null,
      error: expect.stringContaining('Too many levels'),
    });
    expect(rig.faults.filter((fault) => fault?.code !== 'agents.output.odd')).toEqual([]);
  });
});

describe('a lease', () => {
  it('is renewed with what is known of the attempt', async () => {
    const clock = new FakeClock();
    await using rig = await startedRig({ clock });
    const id = await rig.submit('printf 12345; sleep 600');
    await until('it has printed', () => {
      clock.advance(50);
      return rig.supervisor.live(id)?.outputBytes === 5;
    });
    expect((await rig.get(id)).pid).toBeNull();
    clock.advance(10_000);
    await until('it is stored', async () => (await rig.get(id)).pid === rig.supervisor.live(id)?.pid);
    expect((await rig.get(id)).outputBytes).toBe(5);
    for (let n = 0; n < 5; n += 1) clock.advance(10_000);
    expect(await rig.store.reap({ owner: 'rig', leaseMs: 1, limit: 9, othersAreDead: false })).toEqual([]);
    const stopped = rig.supervisor.stop({ graceMs: 0 });
    await until('it is gone', () => {
      clock.advance(10);
      return rig.leftovers().length === 0;
    });
    clock.advance(1000);
    await stopped;
  });

  it('that is lost ends the attempt, and nothing is reported', async () => {
    const clock = new FakeClock();
    const store = new MemoryTaskStore(clock);
    await using rig = await startedRig({ clock, store });
    const id = await rig.submit(STUBBORN);
    await until('it runs', () => rig.leftovers().length >= 2);
    await store.reap({ owner: 'thief', leaseMs: 60_000, limit: 1, othersAreDead: true });
    await until('it is ended', () => {
      clock.advance(500);
      return rig.leftovers().length === 0;
    });
    await until('the slot is free', async () => {
      clock.advance(500);
      return (await rig.supervisor.status()).running === 0;
    });
    expect(rig.topics(id)).toEqual(['task:queued', 'task:started']);
    expect((await rig.get(id)).state).toBe('running');
  });
});

describe('an agent that cuts its own output off', () => {
  it('as a shell does by > /dev/stdout, is still read to its last line', async () => {
    await using rig = await startedRig({
      agents: { json: { provider: 'command', command: ['sh', '-s'], output: 'jsonl' } },
    });
    const id = await rig.submit(
      `seq 1 9; while ! test -e "$AIWG_PROJECT/go"; do sleep 0.02; done; echo '{"result":"r"}' > /dev/stdout`,
      { agent: 'json' },
    );
    await until('it was read', () => rig.supervisor.live(id)?.outputBytes === 18);
    writeFileSync(join(rig.root, 'go'), '');
    expect(await rig.ended(id)).toMatchObject({ state: 'completed', result: 'r' });
  });
});

describe('an agent that prints a lot', () => {
  it('costs no memory, and all of it is kept', async () => {
    const megabytes = 200;
    await using rig = await startedRig({
      agents: { json: { provider: 'command', command: ['sh', '-s'], output: 'jsonl' } },
    });
    await rig.run('true', { agent: 'json' });
    const before = process.memoryUsage.rss();
    let peak = before;
    let longestPause = 0;
    let last = performance.now();
    const sampler = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage.rss());
      longestPause = Math.max(longestPause, performance.now() - last);
      last = performance.now();
    }, 5);
    const task = await rig.run(
      `head -c ${megabytes * 1024 * 1024} /dev/zero | tr '\\0' x | fold -w 1023; echo; echo '{"result":"the end"}'`,
      { agent: 'json' },
    );
    clearInterval(sampler);
    expect(task).toMatchObject({ state: 'completed', result: 'the end' });
    expect(task.outputBytes).toBeGreaterThan(megabytes * 1024 * 1024);
    expect((peak - before) / 1e6).toBeLessThan(80);
    expect(longestPause).toBeLessThan(1000);
    const hints = rig.events.filter(
      (event) => event.type === 'task:output' && event.payload['taskId'] === task.id,
    );
    expect(hints.at(-1)?.payload).toMatchObject({ stdoutBytes: task.outputBytes });
  });
});

const speaking = (after: string): string => `#!/usr/bin/env node
require('node:fs').readFileSync(0);
const say = (message) => console.log(JSON.stringify({ session_id: 'abc', ...message }));
say({ type: 'system', subtype: 'init' });
say({ type: 'result', is_error: false, result: process.argv.slice(2).join(' '), total_cost_usd: 0.5, usage: { n: 1 } });
${after}
`;

describe('a program that speaks as claude does', () => {
  const agents = { claude: { provider: 'claude' as const, program: './claude' } };

  it('is judged by its result', async () => {
    await using rig = await startedRig({ agents });
    rig.program('claude', speaking('process.exitCode = 1;'));
    expect(await rig.run('hi', { agent: 'claude' })).toMatchObject({
      state: 'completed',
      result: '-p --output-format stream-json --verbose',
      sessionId: 'abc',
      costUsd: 0.5,
      usage: { n: 1 },
      exitCode: 1,
    });
  });

  it('is ended ten seconds after its result, which counts', async () => {
    const clock = new FakeClock();
    await using rig = await startedRig({ agents, clock, settings: { killGraceMs: 60_000 } });
    rig.program('claude', speaking('setInterval(() => {}, 1000);'));
    const id = await rig.submit('hi', { agent: 'claude' });
    await until('its session is known', () => {
      clock.advance(50);
      return rig.supervisor.live(id)?.sessionId === 'abc';
    });
    await until('it is ended', () => {
      clock.advance(500);
      return rig.topics(id).includes('task:completed');
    });
    expect(await rig.get(id)).toMatchObject({ state: 'completed', signal: 'SIGTERM' });
  });
});

describe('an agent that tampers with the files of its attempt', () => {
  const FOLDER = 'cd "$AIWG_PROJECT/actions/$AIWG_TASK_ID/attempt-1"';

  it('does not hold up its outcome by a FIFO in the place of the result file', async () => {
    await using rig = await startedRig();
    const task = await rig.run(`${FOLDER} && mkfifo result.json.tmp && echo done`);
    expect(task).toMatchObject({ state: 'completed', result: 'done' });
    expect(JSON.parse(rig.read(task.id, 'result.json'))).toMatchObject({ taskId: task.id, ok: true });
  });

  it('neither keeps the task from being run again nor leads the next attempt elsewhere', async () => {
    await using rig = await startedRig();
    const victim = join(rig.root, 'victim');
    writeFileSync(victim, 'precious');
    const id = await rig.submit(
      `${FOLDER} && test ! -e ../ran || { echo again; exit 0; }
      rm prompt stdout.log && mkdir prompt result.json && ln -s ${victim} stdout.log && touch ../ran`,
    );
    await rig.ended(id);
    rig.events.length = 0;
    await rig.supervisor.retry(id);
    expect(await rig.ended(id)).toMatchObject({ state: 'completed', result: 'again' });
    expect(rig.faults).toEqual([]);
    expect(readFileSync(victim, 'utf8')).toBe('precious');
  });
});
