import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Rig, until } from './harness.js';
import {
  ANSWER,
  began,
  CLAUDE,
  CLAUDE_AGENT,
  has,
  lift,
  limit,
  met,
  passing,
  payloads,
  SESSION,
  startedLimited,
} from './limited-rig.js';

describe('a limit of a provider', () => {
  it('stops all of its agents and no others, and costs no attempt', async () => {
    await using rig = await startedLimited({ second: { ...CLAUDE_AGENT, model: 'x' } });
    const first = await met(rig);
    await until('it waits', () => has(rig, first, 'task:retrying'));
    const [told] = payloads(rig, 'agent.rate_limited');
    const until30s = told?.['until'];
    expect(told).toEqual({
      provider: 'claude',
      program: './claude',
      agents: ['claude', 'second'],
      until: expect.any(String),
      reason: 'rate_limit',
    });
    expect(await rig.get(first)).toMatchObject({
      state: 'queued',
      waitReason: 'rate_limit',
      runAt: until30s,
      attempt: 0,
      sessionId: SESSION,
      error: expect.stringContaining('the task goes on by itself when the provider does'),
    });
    const others = [await rig.submit('x', { agent: 'claude' }), await rig.submit('x', { agent: 'second' })];
    for (const id of others) {
      const task = await rig.get(id);
      expect(task).toMatchObject({ waitReason: null, attempt: 0 });
      expect(rig.supervisor.holdOf(task)).toEqual({
        waitReason: 'rate_limit',
        runAt: Date.parse(String(until30s)),
      });
    }
    const free = await rig.submit('echo free', { agent: 'sh' });
    await passing(rig, 'another agent goes on', () => has(rig, free, 'task:completed'));
    expect((await rig.supervisor.status()).paused).toEqual([told]);
    expect(began(rig)).toEqual([first]);

    lift(rig);
    const ids = [first, ...others];
    await passing(rig, 'all are done', () => ids.every((id) => has(rig, id, 'task:completed')), 500);
    expect(await rig.get(first)).toMatchObject({ attempt: 1, result: 'by claude', error: null });
    expect(payloads(rig, 'agent.available')).toEqual([
      { provider: 'claude', program: './claude', agents: ['claude', 'second'] },
    ]);
    expect((await rig.supervisor.status()).paused).toEqual([]);
  });

  it('is met by one attempt after the pause, and the others follow when that one gets on', async () => {
    await using rig = await startedLimited();
    await met(rig);
    const waiting = await Promise.all([1, 2, 3].map((n) => rig.submit(`wait${n}`, { agent: 'claude' })));
    lift(rig);
    writeFileSync(join(rig.root, 'hold'), '');
    const started = (): string[] => payloads(rig, 'task:started').map(({ taskId }) => String(taskId));
    await passing(rig, 'one is sent ahead', () => started().length === 2, 1000);
    rig.clock.advance(60_000);
    await rig.supervisor.status();
    expect(started()).toHaveLength(2);
    const probe = started()[1] ?? '';
    // The first task had the same time, and is older.
    expect(probe).toBe('task-0001');
    rmSync(join(rig.root, 'hold'));
    await passing(rig, 'the next one starts', () => started().length === 3, 50);
    expect(has(rig, probe, 'task:completed')).toBe(true);
    await passing(rig, 'all run', () => started().length === 5, 50);
    for (const n of [1, 2, 3]) writeFileSync(join(rig.root, `go-wait${n}`), '');
    await passing(rig, 'all are done', () => waiting.every((id) => has(rig, id, 'task:completed')));
  });

  it('is over as soon as the attempt that was sent ahead has an answer of the model', async () => {
    await using rig = await startedLimited();
    const first = await met(rig);
    const ahead = await rig.submit('wait0', { agent: 'claude', priority: 9 });
    lift(rig);
    await passing(rig, 'it is sent ahead', () => has(rig, ahead, 'task:started'), 1000);
    rig.clock.advance(60_000);
    await rig.supervisor.status();
    expect(payloads(rig, 'task:started')).toHaveLength(2);
    writeFileSync(join(rig.root, 'answer'), `${ANSWER}\n`);
    await passing(rig, 'the other is done', () => has(rig, first, 'task:completed'));
    expect((await rig.get(ahead)).state).toBe('running');
    expect(payloads(rig, 'agent.available')).toHaveLength(1);
    writeFileSync(join(rig.root, 'go-wait0'), '');
    await passing(rig, 'both are done', () => has(rig, ahead, 'task:completed'));
  });

  it('that is met again and again costs no attempt either', async () => {
    await using rig = await startedLimited();
    limit(rig, '529');
    const id = await rig.submit('x', { agent: 'claude', maxAttempts: 1 });
    await passing(rig, 'four times', () => payloads(rig, 'agent.rate_limited').length === 4, 1000);
    expect(payloads(rig, 'agent.rate_limited')[3]).toMatchObject({ reason: 'overloaded' });
    lift(rig);
    await passing(rig, 'it is done', () => has(rig, id, 'task:completed'), 1000);
    expect(await rig.get(id)).toMatchObject({ attempt: 1, maxAttempts: 1 });
  });

  it('holds for the next daemon too', async () => {
    await using rig = await startedLimited();
    const id = await met(rig);
    await until('it waits', () => has(rig, id, 'task:retrying'));
    await rig.supervisor.handOver();
    const next = new Rig({
      agents: { claude: CLAUDE_AGENT },
      clock: rig.clock,
      store: rig.store,
      root: rig.root,
      owner: 'next',
      settings: rig.settings,
    });
    await next.supervisor.start();
    expect((await next.supervisor.status()).paused).toMatchObject([
      { provider: 'claude', agents: ['claude'] },
    ]);
    const other = await next.submit('x', { agent: 'claude' });
    expect(next.topics(other)).toEqual(['task:queued']);
    lift(rig);
    await passing(
      rig,
      'both are done',
      () => [id, other].every((one) => has(next, one, 'task:completed')),
      500,
    );
    expect(payloads(next, 'agent.available')).toHaveLength(1);
    await next.supervisor.stop({ graceMs: 0 });
  });
});

describe('a pause of a program that no agent runs any more', () => {
  it('is forgotten with the new configuration, and by the next daemon', async () => {
    await using rig = await startedLimited();
    const id = await met(rig);
    await until('it waits', () => has(rig, id, 'task:retrying'));
    const agents = { claude: { provider: 'claude' as const, program: './other' } };
    const status = async (one: Rig): Promise<unknown> => (await one.supervisor.status()).paused;
    const paused = readFileSync(join(rig.root, 'pauses.json'), 'utf8');
    rig.supervisor.reconfigure(rig.settings, rig.agents(agents));
    expect(await status(rig)).toEqual([]);
    expect(JSON.parse(readFileSync(join(rig.root, 'pauses.json'), 'utf8'))).toEqual([]);
    await rig.supervisor.handOver();
    writeFileSync(join(rig.root, 'pauses.json'), paused);
    const { clock, store, root, settings } = rig;
    const next = new Rig({ agents, clock, store, root, settings, owner: 'next' });
    await next.supervisor.start();
    expect(await status(next)).toEqual([]);
    await next.supervisor.stop({ graceMs: 0 });
  });
});

describe('an agent that takes over', () => {
  const withFallback = { claude: { ...CLAUDE_AGENT, fallback: 'sh' } };

  it('goes on at once with the task that met the limit, and with those that wait', async () => {
    await using rig = await startedLimited(withFallback);
    const first = await met(rig);
    await passing(rig, 'it is done', () => has(rig, first, 'task:completed'));
    expect(await rig.get(first)).toMatchObject({
      agent: 'claude',
      result: 'by sh',
      attempt: 1,
      sessionId: null,
    });
    expect(payloads(rig, 'task:started').map(({ agent, by }) => [agent, by])).toEqual([
      ['claude', 'claude'],
      ['claude', 'sh'],
    ]);
    const second = await rig.submit('echo at once', { agent: 'claude' });
    await passing(rig, 'it is done', () => has(rig, second, 'task:completed'), 1);
    expect(await rig.get(second)).toMatchObject({ agent: 'claude', result: 'at once' });
    expect(began(rig)).toEqual([first]);

    lift(rig);
    rig.clock.advance(40_000);
    const third = await rig.submit('x', { agent: 'claude' });
    await passing(rig, 'it is done', () => has(rig, third, 'task:completed'));
    expect((await rig.get(third)).result).toBe('by claude');
  });

  it('begins anew with a task that was in the middle of another agent’s session', async () => {
    await using rig = await startedLimited(withFallback);
    writeFileSync(join(rig.root, 'crash'), '#!/bin/sh\necho anew\n');
    const crashed = await rig.submit('crash', { agent: 'claude' });
    await passing(rig, 'it has crashed', () => has(rig, crashed, 'task:retrying'));
    expect((await rig.get(crashed)).sessionId).toBe(SESSION);
    await met(rig);
    await passing(rig, 'it is done', () => has(rig, crashed, 'task:failed'));
    // The shell was given the whole prompt, and knows no such command.
    expect((await rig.get(crashed)).error).toMatch(/crash: .*not found/);
    expect(payloads(rig, 'task:started').findLast(({ taskId }) => taskId === crashed)).toMatchObject({
      by: 'sh',
    });
  });

  it('has no more tasks at a time than its own limit lets it have', async () => {
    const sh = { provider: 'command' as const, command: ['sh', '-s'], max_parallel: 1 };
    await using rig = await startedLimited({ ...withFallback, sh });
    await met(rig, 'while [ ! -f go-sh ]; do sleep 0.02; done');
    await passing(rig, 'it works', () => payloads(rig, 'task:started').length === 2);
    const next = await rig.submit('echo next', { agent: 'claude' });
    const own = await rig.submit('echo own', { agent: 'sh' });
    rig.clock.advance(1000);
    expect((await rig.supervisor.status()).running).toBe(1);
    expect(rig.supervisor.holdOf(await rig.get(next))).toMatchObject({ waitReason: 'rate_limit' });
    expect(rig.supervisor.holdOf(await rig.get(own))).toBeUndefined();
    writeFileSync(join(rig.root, 'go-sh'), '');
    await passing(rig, 'both are done', () => [next, own].every((id) => has(rig, id, 'task:completed')));
    expect((await rig.get(next)).result).toBe('next');
  });

  it('is passed over while its own provider pauses', async () => {
    const agents = {
      claude: { ...CLAUDE_AGENT, fallback: 'other' },
      other: { provider: 'claude' as const, program: './other', fallback: 'sh' },
    };
    await using rig = await startedLimited(agents);
    rig.program('other', CLAUDE);
    const first = await met(rig);
    await passing(rig, 'it is done', () => has(rig, first, 'task:completed'));
    expect(payloads(rig, 'task:started').map(({ by }) => by)).toEqual(['claude', 'other', 'sh']);
    expect(payloads(rig, 'agent.rate_limited').map(({ program }) => program)).toEqual([
      './claude',
      './other',
    ]);
  });

  it('gets no task of a conversation that has a session', async () => {
    await using rig = await startedLimited(withFallback);
    const talk = await rig.submit('crash', { agent: 'claude', conversation: 'c' });
    await passing(rig, 'it has crashed', () => has(rig, talk, 'task:retrying'));
    const first = await met(rig);
    const waits = async (): Promise<boolean> => (await rig.get(talk)).waitReason === 'rate_limit';
    await passing(rig, 'it waits', waits, 500);
    expect(await rig.get(talk)).toMatchObject({ state: 'queued', sessionId: SESSION });
    expect(payloads(rig, 'task:queued').at(-1)).toMatchObject({ taskId: talk, waitReason: 'rate_limit' });
    await passing(rig, 'the other is done', () => has(rig, first, 'task:completed'), 1);
    lift(rig);
    await passing(rig, 'it is done', () => has(rig, talk, 'task:completed'), 500);
    const runs = readdirSync(rig.root).filter((name) => name.startsWith(`began-${talk}`));
    const args = runs.map((name) => readFileSync(join(rig.root, name), 'utf8'));
    expect(args.some((text) => text.includes(`--resume ${SESSION}`))).toBe(true);
    expect((await rig.get(talk)).result).toBe('by claude');
  });
});
