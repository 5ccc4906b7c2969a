import { existsSync, mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { Workspaces } from '#aiwgd/agents/ports.js';
import type { Rig } from './harness.js';
import {
  CLAUDE,
  CLAUDE_AGENT,
  has,
  lift,
  limited,
  met,
  passing,
  payloads,
  startedLimited,
} from './limited-rig.js';

/** Speaks as opencode does. */
const OPENCODE = `#!/bin/sh
cat > /dev/null
echo '{"type":"text","part":{"type":"text","text":"by opencode"}}'
echo '{"type":"step_finish","part":{"type":"step-finish","reason":"stop","cost":0.1,"tokens":{"input":1,"output":1}}}'
`;

const startedBy = (rig: Rig, id: string): unknown[] =>
  payloads(rig, 'task:started').flatMap(({ taskId, by }) => (taskId === id ? [by] : []));

describe('a task from outside', () => {
  const oc = { provider: 'opencode' as const, program: './oc' };

  it('waits for its own agent where the one that takes over refuses what comes from outside', async () => {
    await using rig = await startedLimited({ claude: { ...CLAUDE_AGENT, fallback: 'oc' }, oc });
    rig.program('oc', OPENCODE);
    const inside = await met(rig, 'x');
    await passing(rig, 'the other takes over', () => has(rig, inside, 'task:completed'));
    const outside = await rig.submit('x', { agent: 'claude', launch: { outside: true } });
    expect(payloads(rig, 'task:queued').at(-1)).toMatchObject({ taskId: outside, waitReason: 'rate_limit' });
    const waits = async (): Promise<boolean> => (await rig.get(outside)).waitReason === 'rate_limit';
    await passing(rig, 'it waits', waits);
    expect(await rig.get(outside)).toMatchObject({ state: 'queued', attempt: 0, error: null });
    // The one that is sent ahead hangs: the other is looked at again and again, and told once.
    const next = await rig.submit('x', { agent: 'claude', launch: { outside: true } });
    lift(rig);
    writeFileSync(join(rig.root, 'hold'), '');
    const both = [outside, next];
    await passing(rig, 'one is sent ahead', () => both.some((id) => startedBy(rig, id).length > 0), 500);
    const looked = vi.spyOn(rig.store, 'release');
    await passing(rig, 'the other was looked at twice more', () => looked.mock.calls.length > 1, 500);
    const waiting = both.filter((id) => startedBy(rig, id).length === 0);
    expect(waiting.map((id) => rig.topics(id))).toEqual([['task:queued']]);
    rmSync(join(rig.root, 'hold'));
    await passing(rig, 'both are done', () => both.every((id) => has(rig, id, 'task:completed')), 500);
    expect((await rig.get(outside)).result).toBe('by claude');
    expect([startedBy(rig, inside), startedBy(rig, outside)]).toEqual([['claude', 'oc'], ['claude']]);
  });

  it('that met the limit itself waits too, or goes to the next one in the chain', async () => {
    const agents = { claude: { ...CLAUDE_AGENT, fallback: 'oc' }, oc: { ...oc, fallback: 'sh' } };
    await using rig = await startedLimited(agents);
    rig.program('oc', OPENCODE);
    await met(rig, 'x');
    const id = await rig.submit('echo by sh', { agent: 'claude', launch: { outside: true } });
    await passing(rig, 'it is done', () => has(rig, id, 'task:completed'), 10);
    expect([startedBy(rig, id), (await rig.get(id)).result]).toEqual([['sh'], 'by sh']);
  });
});

describe('what the agent that a task names was told', () => {
  it('to work in a worktree holds for the one that takes over', async () => {
    const options = { submodules: true, untracked: 'none' as const, copy: ['.env'] };
    const asked: Parameters<Workspaces['prepare']>[0][] = [];
    const prepare: Workspaces['prepare'] = async (request) => {
      asked.push(request);
      const folder = join(rig.root, request.owner);
      mkdirSync(folder, { recursive: true });
      return { folder, path: folder };
    };
    await using rig = await limited(
      {
        claude: {
          ...CLAUDE_AGENT,
          isolation: 'worktree',
          worktree: options,
          fallback: 'sh',
        },
      },
      { workspaces: { prepare } },
    );
    rig.program('claude', CLAUDE.replace('#!/bin/sh', '#!/bin/sh\ncd "$AIWG_PROJECT"'));
    await rig.supervisor.start();
    const id = await met(rig, 'pwd');
    await passing(rig, 'it is done', () => has(rig, id, 'task:completed'));
    expect((await rig.get(id)).result).toBe(realpathSync(join(rig.root, id)));
    expect(asked).toMatchObject([
      { owner: id, cwd: null, options },
      { owner: id, cwd: null, options },
    ]);
    expect(payloads(rig, 'task:started').map(({ by, isolated }) => [by, isolated])).toEqual([
      ['claude', true],
      ['sh', true],
    ]);
  });

  it('to ask before it acts keeps the task from those that ask nobody', async () => {
    await using rig = await startedLimited({
      claude: { ...CLAUDE_AGENT, approvals: 'gate', fallback: 'sh' },
    });
    // Its stdin stays open for answers.
    rig.program('claude', CLAUDE.replace('$(cat)', '$(head -n 1)'));
    const id = await met(rig, 'touch done-unasked');
    await passing(rig, 'it waits', () => has(rig, id, 'task:retrying'));
    rmSync(join(rig.root, 'limit'));
    await passing(rig, 'it is done', () => has(rig, id, 'task:completed'), 500);
    expect(startedBy(rig, id)).toEqual(['claude', 'claude']);
    expect(existsSync(join(rig.root, 'done-unasked'))).toBe(false);
  });
});

describe('a conversation that began with an agent that took over', () => {
  it('goes on without that one’s session, also where both are of one provider', async () => {
    await using rig = await startedLimited({
      claude: { ...CLAUDE_AGENT, fallback: 'other' },
      other: { provider: 'claude', program: './other' },
    });
    rig.program('other', CLAUDE.replace('-f limit', '-f no-limit').replace('by claude', 'by the other'));
    await met(rig);
    // Also where its work is handed back to it.
    const verify = { command: ['sh', '-c', 'test -e asked || { touch asked; false; }'], rounds: 1 };
    const first = await rig.submit('one', { agent: 'claude', conversation: 'c', launch: { verify } });
    await passing(rig, 'it is done', () => has(rig, first, 'task:completed'), 10);
    expect(await rig.get(first)).toMatchObject({ result: 'by the other', sessionId: null });
    const second = await rig.submit('two', { agent: 'claude', conversation: 'c' });
    await passing(rig, 'the next one is done', () => has(rig, second, 'task:completed'), 10);
    expect((await rig.get(second)).result).toBe('by the other');
    expect(rig.read(second, 'prompt')).toContain('one');
  });
});
