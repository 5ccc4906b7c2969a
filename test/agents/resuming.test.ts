import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { StoredTask } from '#aiwgd/tasks/task-store.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { Rig, startedRig, until } from './harness.js';

const SESSION = '5f2aa44a-db6e-48ec-982c-6ad150c517af';
const INIT = `{"type":"system","subtype":"init","session_id":"${SESSION}"}`;
const GONE =
  '{"type":"result","subtype":"error_during_execution","is_error":true,"errors":["No conversation found"]}';

/** Speaks as claude does. Its nth run keeps what it was given and does what `step-n` says, else ends well. */
const CLAUDE = `#!/bin/sh
n=$(($(cat turn 2>/dev/null || echo 0) + 1))
echo $n > turn
echo "$@" > args-$n
cat > stdin-$n
if [ -f step-$n ]; then . ./step-$n; fi
echo '${INIT}'
echo '{"type":"result","subtype":"success","is_error":false,"result":"done"}'
`;

function result(fields: string): string {
  return `echo '{"type":"result","subtype":"success","is_error":true,${fields}}'; exit 1`;
}

/** A rig whose claude plays `steps`, one a run. */
async function playing(steps: string[], clock = new FakeClock()): Promise<Rig & { clock: FakeClock }> {
  const agents = { claude: { provider: 'claude' as const, program: './claude' } };
  // The clock runs much faster than the agents.
  const rig = new Rig({ agents, clock, settings: { actionTimeoutMs: 1e9 } });
  rig.program('claude', CLAUDE);
  for (const [index, step] of steps.entries()) writeFileSync(join(rig.root, `step-${index + 1}`), step);
  await rig.supervisor.start();
  return Object.assign(rig, { clock });
}

function given(rig: Rig, run: number): { args: string; stdin: string } {
  const [args = '', stdin = ''] = ['args', 'stdin'].map((name) =>
    readFileSync(join(rig.root, `${name}-${run}`), 'utf8'),
  );
  return { args, stdin };
}

/** Lets time pass until the task has ended. */
async function played(rig: Rig & { clock: FakeClock }, more: object = {}): Promise<StoredTask> {
  const id = await rig.submit('mend it', { agent: 'claude', ...more });
  await until('it has ended', () => {
    rig.clock.advance(1000);
    return rig.topics(id).some((topic) => topic === 'task:completed' || topic === 'task:failed');
  });
  return rig.get(id);
}

const BEGUN = { args: expect.not.stringContaining('--resume'), stdin: 'mend it' };
const RESUMED = {
  args: expect.stringContaining(`--resume ${SESSION}`),
  stdin: expect.stringMatching(/^You were interrupted/),
};

describe('an agent that has a session', () => {
  it('goes on in it after a crash', async () => {
    await using rig = await playing([`echo '${INIT}'; kill -KILL $$`, 'kill -KILL $$']);
    expect(await played(rig)).toMatchObject({ state: 'completed', attempt: 3, sessionId: SESSION });
    expect([given(rig, 1), given(rig, 2), given(rig, 3)]).toEqual([BEGUN, RESUMED, RESUMED]);
    expect(rig.topics('task-0001').filter((topic) => topic === 'task:retrying')).toHaveLength(2);
  });

  it('begins anew after a verdict of its own, and where asked to by hand', async () => {
    const failing = `echo '${INIT}'; ${result('"result":"no"')}`;
    await using rig = await playing([failing, failing]);
    expect(await played(rig, { retries: 1 })).toMatchObject({ state: 'failed', attempt: 2 });
    rig.events.length = 0;
    await rig.supervisor.retry('task-0001');
    expect((await rig.ended('task-0001')).state).toBe('completed');
    expect([given(rig, 1), given(rig, 2), given(rig, 3)]).toEqual([BEGUN, BEGUN, BEGUN]);
  });

  it('begins anew at once where the session is gone', async () => {
    await using rig = await playing([`echo '${INIT}'; kill -KILL $$`, `echo '${GONE}'; exit 1`]);
    expect(await played(rig)).toMatchObject({ state: 'completed', attempt: 3 });
    expect([given(rig, 1), given(rig, 2), given(rig, 3)]).toEqual([BEGUN, RESUMED, BEGUN]);
    expect(rig.topics('task-0001').filter((topic) => topic === 'task:retrying')).toHaveLength(1);
  });

  it('waits for the end of a usage limit, which costs no attempt', async () => {
    const clock = new FakeClock();
    const at = clock.now() / 1000 + 7200;
    const limit = `{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":${at}}}`;
    const step = `echo '${INIT}'; echo '${limit}'; ${result('"api_error_status":429,"result":"used up"')}`;
    await using rig = await playing([step], clock);
    const id = await rig.submit('mend it', { agent: 'claude', maxAttempts: 1 });
    await until('it waits', () => rig.topics(id).includes('task:retrying'));
    const waiting = await rig.get(id);
    expect(waiting).toMatchObject({
      state: 'queued',
      waitReason: 'rate_limit',
      attempt: 0,
      sessionId: SESSION,
      error: expect.stringMatching(
        /used up; the limit is lifted at 2026-01-01T02:00:00.000Z; the task goes on/,
      ),
    });
    expect(waiting.runAt).toBe('2026-01-01T02:00:00.000Z');
    await until('it has ended', () => {
      clock.advance(60_000);
      return rig.topics(id).includes('task:completed');
    });
    expect(await rig.get(id)).toMatchObject({ attempt: 1, error: null });
    expect(given(rig, 2)).toEqual(RESUMED);
    expect(clock.now()).toBeGreaterThanOrEqual(Date.parse('2026-01-01T02:00:00Z'));
  });

  it('keeps it through a stop', async () => {
    await using rig = await playing([`echo '${INIT}'; exec sleep 600`]);
    const id = await rig.submit('mend it', { agent: 'claude' });
    await until('its session is known', () => {
      rig.clock.advance(50);
      return rig.supervisor.live(id)?.sessionId === SESSION;
    });
    let stopped = false;
    const stopping = rig.supervisor.stop({ graceMs: 5000 }).finally(() => {
      stopped = true;
    });
    await until('it has stopped', () => {
      rig.clock.advance(50);
      return stopped;
    });
    await stopping;
    const next = new Rig({
      agents: { claude: { provider: 'claude', program: './claude' } },
      store: rig.store,
      root: rig.root,
      owner: 'next',
    });
    await next.supervisor.start();
    expect(await next.ended(id)).toMatchObject({ state: 'completed', attempt: 2 });
    expect(given(rig, 2)).toEqual(RESUMED);
    await next.supervisor.stop({ graceMs: 0 });
  });
});

describe('an agent without sessions', () => {
  it('begins again after it was killed', async () => {
    const clock = new FakeClock();
    await using rig = await startedRig({ clock, settings: { actionTimeoutMs: 1e9 } });
    const id = await rig.submit('test -f begun && echo again && exit; touch begun; kill -KILL $$');
    await until('it has ended', () => {
      clock.advance(1000);
      return rig.topics(id).includes('task:completed');
    });
    expect(await rig.get(id)).toMatchObject({ result: 'again', attempt: 2 });
  });
});

describe('the number of attempts', () => {
  const endless = Array.from({ length: 9 }, () => `echo '${INIT}'; kill -KILL $$`);
  const failing = Array.from({ length: 9 }, () => result('"result":"no"'));

  it.each([
    ['crashes', endless, {}, 3, /result \(signal SIGKILL\) \(attempt 3 of 3\)$/],
    ['crashes and four retries', endless, { retries: 4 }, 5, /\(attempt 5 of 5\)$/],
    ['failures', failing, {}, 1, /^The agent failed: no$/],
    ['failures and one retry', failing, { retries: 1 }, 2, /^The agent failed: no$/],
    ['failures and four retries', failing, { retries: 4 }, 5, /^The agent failed: no$/],
    [
      'a crash, failures and two retries',
      [...endless.slice(0, 1), ...failing],
      { retries: 2 },
      3,
      /no \(attempt 3 of 3\)$/,
    ],
  ])('after %s is what was allowed', async (_, steps, more, attempt, error) => {
    await using rig = await playing(steps);
    const task = await played(rig, more);
    expect(task).toMatchObject({ state: 'failed', attempt, error: expect.stringMatching(error) });
  });
});
