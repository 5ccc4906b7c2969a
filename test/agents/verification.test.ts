import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AgentConfig } from '#aiwgd/agents/agent-config.js';
import { parseFeedback, storedFeedback } from '#aiwgd/agents/verification.js';
import { type Rig, startedRig, until } from './harness.js';

/** Does the work at the second time of asking, and keeps what it was told. */
const LEARNS = `cat > "prompt-$(ls prompt-* 2>/dev/null | wc -l)"; grep -q 'check failed' prompt-* && touch mended; echo done`;
const agent = (more: Pick<AgentConfig, 'verify' | 'verify_rounds'> = {}): Record<string, AgentConfig> => ({
  worker: { provider: 'command', command: ['sh', '-c', LEARNS], ...more },
});
const told = (rig: Rig, number: number): string => readFileSync(join(rig.root, `prompt-${number}`), 'utf8');

/** A stand-in for claude: says who asks it to go on in which session, and learns like the other. */
const CLAUDE = `#!/bin/sh
echo "$*" >> arguments
cat >> told
echo '{"type":"system","subtype":"init","session_id":"11111111-2222-3333-4444-555555555555"}'
grep -q 'check failed' told && touch mended
echo '{"type":"result","subtype":"success","is_error":false,"result":"done","session_id":"11111111-2222-3333-4444-555555555555","total_cost_usd":0.1}'
`;

describe('work that is judged', () => {
  it('is done where the command accepts it, at the first time of asking', async () => {
    await using rig = await startedRig({ agents: agent({ verify: ['true'] }) });
    const task = await rig.run('do it', { agent: 'worker' });
    expect(task).toMatchObject({ state: 'completed', attempt: 1, result: 'done', error: null });
  });

  it('is handed back with what the command printed, on both streams', async () => {
    await using rig = await startedRig({
      agents: agent({ verify: ['sh', '-c', 'echo "expected 1"; echo "got 2" >&2; test -e mended'] }),
    });
    const task = await rig.run('do it', { agent: 'worker' });
    expect(task).toMatchObject({ state: 'completed', attempt: 2, error: null });
    expect(told(rig, 0)).toBe('do it');
    expect(told(rig, 1)).toMatch(/^do it\n\nYou said that you were done.*check failed \(exit 1\)/s);
    expect(told(rig, 1)).toContain('expected 1');
    expect(told(rig, 1)).toContain('got 2');
  });

  it('goes on in the same session where the agent has one', async () => {
    await using rig = await startedRig({
      agents: { claude: { provider: 'claude', program: './claude', verify: ['test', '-e', 'mended'] } },
    });
    rig.program('claude', CLAUDE);
    const task = await rig.run('do it', { agent: 'claude' });
    expect(task).toMatchObject({ state: 'completed', attempt: 2 });
    const [first, second] = readFileSync(join(rig.root, 'arguments'), 'utf8').split('\n');
    expect(first).not.toContain('--resume');
    expect(second).toContain('--resume 11111111-2222-3333-4444-555555555555');
    expect(readFileSync(join(rig.root, 'told'), 'utf8')).toMatch(/^do itYou said that you were done/);
  });

  it('fails after so many rounds, with the end of what the command said', async () => {
    await using rig = await startedRig({ agents: agent() });
    const verify = { command: ['sh', '-c', 'echo round >> rounds; echo "still wrong"; exit 7'], rounds: 3 };
    const task = await rig.run('do it', { agent: 'worker', launch: { verify } });
    expect(task.state).toBe('failed');
    expect(task.error).toMatch(/failed 4 times \(exit 7\): still wrong$/);
    expect(readFileSync(join(rig.root, 'rounds'), 'utf8')).toBe('round\n'.repeat(4));
  });

  it('is not judged where the agent has failed', async () => {
    await using rig = await startedRig({
      agents: { worker: { provider: 'command', command: ['false'], verify: ['touch', 'judged'] } },
    });
    expect(await rig.run('do it', { agent: 'worker' })).toMatchObject({ state: 'failed', attempt: 1 });
    expect(existsSync(join(rig.root, 'judged'))).toBe(false);
  });

  it('tells where the command cannot be run', async () => {
    await using rig = await startedRig({ agents: agent({ verify: ['no-such-program'], verify_rounds: 0 }) });
    const task = await rig.run('do it', { agent: 'worker' });
    expect(task.error).toMatch(/it could not be run.*no-such-program.*not found on PATH/);
  });

  it('ends the command that takes too long, with all that it started', async () => {
    const command = ['sh', '-c', 'setsid sleep 300 & sleep 300'];
    await using rig = await startedRig({ agents: agent({ verify: command, verify_rounds: 0 }) });
    const task = await rig.run('do it', { agent: 'worker', timeoutMs: 1_500 });
    expect(task.error).toMatch(/no end within 1.5 s/);
    expect(rig.leftovers()).toEqual([]);
  });

  it('is cancelled in the middle of it, with nothing left', async () => {
    const command = ['sh', '-c', 'touch judging; sleep 300'];
    await using rig = await startedRig({ agents: agent({ verify: command }) });
    const id = await rig.submit('do it', { agent: 'worker' });
    await until('it is judged', () => existsSync(join(rig.root, 'judging')));
    expect(rig.supervisor.live(id)?.progress?.tool).toBe(`check: ${command.join(' ')}`);
    expect(await rig.supervisor.cancel(id)).toBe(true);
    expect(await rig.get(id)).toMatchObject({ state: 'cancelled' });
    expect(rig.leftovers()).toEqual([]);
  });

  it('goes back to the queue where the daemon stops in the middle of it', async () => {
    const command = ['sh', '-c', 'touch judging; sleep 300'];
    await using rig = await startedRig({ agents: agent({ verify: command }) });
    const id = await rig.submit('do it', { agent: 'worker' });
    await until('it is judged', () => existsSync(join(rig.root, 'judging')));
    await rig.supervisor.stop({ graceMs: 100 });
    expect(await rig.get(id)).toMatchObject({ state: 'queued', attempt: 1 });
    expect(rig.leftovers()).toEqual([]);
  });

  it('is judged by the next daemon where this one is replaced in the middle of it', async () => {
    const command = ['sh', '-c', 'echo once >> judging; test -e released || sleep 300'];
    const agents = agent({ verify: command });
    await using rig = await startedRig({ agents });
    const id = await rig.submit('do it', { agent: 'worker' });
    await until('it is judged', () => existsSync(join(rig.root, 'judging')));
    await rig.supervisor.handOver();
    expect(await rig.get(id)).toMatchObject({ state: 'running' });
    writeFileSync(join(rig.root, 'released'), '');
    const next = await startedRig({ agents, store: rig.store, root: rig.root, owner: 'next' });
    expect(await next.ended(id)).toMatchObject({ state: 'completed', attempt: 1 });
    expect(readFileSync(join(rig.root, 'judging'), 'utf8')).toBe('once\nonce\n');
    await next.supervisor.stop({ graceMs: 0 });
  });
});

describe('a check that a killed daemon has left', () => {
  it('is ended by the next one, also where nobody judges the work any more', async () => {
    const command = ['sh', '-c', 'touch judging; sleep 300'];
    const agents = agent({ verify: command });
    await using rig = await startedRig({ agents });
    const id = await rig.submit('do it', { agent: 'worker' });
    await until('it is judged', () => existsSync(join(rig.root, 'judging')));
    await rig.supervisor.handOver();
    const left = leftCheck(rig, id);
    const ended = once(left, 'exit');
    await rig.store.requestCancel(id);
    const next = await startedRig({ agents, store: rig.store, root: rig.root, owner: 'next' });
    expect(await next.ended(id)).toMatchObject({ state: 'cancelled' });
    expect(await ended).toEqual([null, 'SIGKILL']);
    await next.supervisor.stop({ graceMs: 0 });
  });

  it.each([
    ['what its agent said that it cost', `,"total_cost_usd":0.25`, 0.25],
    ['what was set aside for it, where its agent told no cost', '', 2],
  ])('is ended though its task is quarantined, which is charged %s', async (_, cost, countedUsd) => {
    const agents = {
      claude: { provider: 'claude' as const, program: './claude', verify: ['sh', '-c', JUDGES] },
    };
    const settings = { budget: { perTaskUsd: 2, perDayUsd: null, perRuleDayUsd: null } };
    await using rig = await startedRig({ agents, settings });
    rig.program('claude', `#!/bin/sh\ncat > /dev/null\necho '${INIT}'\necho '${RESULT}${cost}}'\n`);
    const id = await rig.submit('do it', { agent: 'claude' });
    await until('it is judged', () => existsSync(join(rig.root, 'judging')));
    await rig.supervisor.handOver();
    const left = leftCheck(rig, id);
    const ended = once(left, 'exit');
    for (let n = 0; n < 10; n += 1)
      await rig.store.reap({ owner: `dead-${n}`, leaseMs: 30_000, limit: 1, othersAreDead: true });
    const next = await startedRig({ agents, settings, store: rig.store, root: rig.root, owner: 'next' });
    expect((await next.ended(id)).error).toMatch(/^Quarantined/);
    expect(await ended).toEqual([null, 'SIGKILL']);
    const [spent] = await rig.store.spend({ by: 'agent', since: 0, limit: 1 });
    expect(spent).toMatchObject({ key: 'claude', attempts: 1, countedUsd });
    expect(next.leftovers()).toEqual([]);
    await next.supervisor.stop({ graceMs: 0 });
  });
});

const JUDGES = 'touch judging; sleep 300';
const INIT = '{"type":"system","subtype":"init","session_id":"5f2aa44a-db6e-48ec-982c-6ad150c517af"}';
const RESULT = '{"type":"result","subtype":"success","is_error":false,"result":"done"';

/** A process as a check leaves it that a killed daemon ran; deaf to SIGTERM. */
function leftCheck(rig: Rig, taskId: string): ChildProcess {
  const [header = ''] = rig.read(taskId, 'runner').split('\n');
  const { attemptId } = JSON.parse(header) as { attemptId: string };
  return spawn('sh', ['-c', "trap '' TERM; while :; do sleep 0.2; done"], {
    env: { PATH: process.env['PATH'], AIWG_ATTEMPT_ID: `check-${attemptId}`, AIWG_PROJECT: rig.root },
    stdio: 'ignore',
  });
}

describe('feedback', () => {
  it('fits into the store whatever the command printed', async () => {
    const noise = `yes '"\\\\' | head -c 100000; printf '\\033[31mred\\033[0m\\001\\n'; exit 1`;
    await using rig = await startedRig({
      agents: agent({ verify: ['sh', '-c', `test -e mended || { ${noise}; }`] }),
    });
    expect(await rig.run('do it', { agent: 'worker' })).toMatchObject({ state: 'completed', attempt: 2 });
    expect(told(rig, 1)).toMatch(/red\n\nMend your work/);
    expect(Buffer.byteLength(told(rig, 1))).toBeLessThan(8_000);
  });

  it('is passed over where it cannot be read', () => {
    const feedback = { round: 1, command: '["true"]', ended: 'exit 1', output: 'x' };
    expect(parseFeedback(storedFeedback(feedback))).toEqual(feedback);
    for (const text of ['', '{', 'null', '{"round":"1"}']) expect(parseFeedback(text)).toBeUndefined();
  });
});
