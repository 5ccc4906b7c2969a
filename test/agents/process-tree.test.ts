import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { endTree, reapStrays } from '#aiwgd/agents/process-tree.js';
import { SurvivorScan } from '#aiwgd/agents/survivor-scan.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { identityOf } from '#aiwgd/platform/process-identity.js';
import { openSqliteTaskStore } from '#aiwgd/tasks/sqlite/sqlite-task-store.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { startedRig, until } from './harness.js';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function start(script: string, marks: { attempt: string; project?: string } | null): ChildProcess {
  const child = spawn('sh', ['-c', script], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: {
      PATH: process.env['PATH'],
      ...(marks && { AIWG_ATTEMPT_ID: marks.attempt, AIWG_PROJECT: marks.project ?? '/p' }),
    },
  });
  children.push(child);
  return child;
}

const lives = (child: ChildProcess): boolean => identityOf(child.pid) !== undefined;

describe('the end of a process tree', () => {
  it('takes what dropped its mark but descends from one that has it, and nobody else', async () => {
    const attempt = randomUUID();
    const other = start('exec sleep 600', { attempt: randomUUID() });
    const foreign = start('exec sleep 600', null);
    const child = start(`trap '' TERM; env -i setsid sleep 601 & echo $!; wait; sleep 600`, { attempt });
    const [line] = (await new Promise<Buffer>((resolve) => child.stdout!.once('data', resolve)))
      .toString()
      .split('\n');
    const grandchild = Number(line);
    expect(
      await endTree({ attemptId: attempt, leader: identityOf(child.pid), graceMs: 100, clock: systemClock }),
    ).toEqual([]);
    expect(lives(child)).toBe(false);
    expect(identityOf(grandchild)).toBeUndefined();
    expect([lives(other), lives(foreign)]).toEqual([true, true]);
  });

  it('is told to those that are left when the agent has gone', async () => {
    const attempt = randomUUID();
    const child = start(
      `trap 'exit 0' TERM; setsid sh -c 'trap "exit 0" TERM; echo; while :; do sleep 0.05; done' & wait`,
      {
        attempt,
      },
    );
    await new Promise((resolve) => child.stdout!.once('data', resolve));
    const begin = performance.now();
    await endTree({ attemptId: attempt, leader: identityOf(child.pid), graceMs: 20_000, clock: systemClock });
    expect(performance.now() - begin).toBeLessThan(10_000);
  });

  it('comes to the strays of a project that are named, and to no others', async () => {
    const ours = randomUUID();
    const root = `/project-${randomUUID()}`;
    const stray = start('exec sleep 600', { attempt: ours, project: root });
    const kept = start('exec sleep 600', { attempt: randomUUID(), project: root });
    await until('both are up', () => [stray, kept].every(lives));
    const isOurs = (attemptId: string): boolean => attemptId === ours;
    expect(await reapStrays({ projectRoot: '/other', isOurs, graceMs: 1000, clock: systemClock })).toEqual(
      [],
    );
    expect(lives(stray)).toBe(true);
    expect(await reapStrays({ projectRoot: root, isOurs, graceMs: 1000, clock: systemClock })).toEqual([]);
    expect([lives(stray), lives(kept)]).toEqual([false, true]);
  });
});

describe('the scan for survivors', () => {
  it('sees processes that are new since the last one', async () => {
    const scan = new SurvivorScan(new FakeClock());
    const attempt = randomUUID();
    expect(scan.mayHaveSurvivors(attempt)).toBe(false);
    const child = start('echo; exec sleep 600', { attempt });
    await new Promise((resolve) => child.stdout!.once('data', resolve));
    expect(scan.mayHaveSurvivors(attempt)).toBe(true);
    expect(scan.mayHaveSurvivors(randomUUID())).toBe(false);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    expect(scan.mayHaveSurvivors(attempt)).toBe(false);
  });
});

describe('with the durable store', () => {
  it('outcomes are there after a restart', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'aiwgd-agents-db-'));
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const open = async () =>
      (await openSqliteTaskStore({ path: join(folder, 't.db'), clock: systemClock, log })).store;
    try {
      let ids: string[];
      {
        await using rig = await startedRig({ store: await open() });
        ids = await Promise.all(Array.from({ length: 40 }, (_, n) => rig.submit(`echo ${n}; exit ${n % 2}`)));
        for (const id of ids) await rig.ended(id);
      }
      await using store = await open();
      for (const [n, id] of ids.entries()) {
        expect(await store.get(id)).toMatchObject({
          state: n % 2 === 0 ? 'completed' : 'failed',
          result: String(n),
        });
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
