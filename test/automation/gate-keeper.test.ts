import { describe, expect, test } from 'vitest';
import { AiwgdError } from '#aiwgd/protocol/errors.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { tempFolder } from '../support/temp.js';
import { BY, failure, MINUTE, openDesk, question } from './gate-fixtures.js';

const DAY = 24 * 60 * MINUTE;

describe('a gate', () => {
  test('is asked, listed, told, and has a number of its own', () => {
    const { keeper, events } = openDesk();
    keeper.start();
    const gate = keeper.ask(question({ taskId: 'task-0003' }));
    expect(gate).toEqual({
      id: 'gate-0001',
      state: 'pending',
      kind: 'rule',
      summary: 'Deploy the docs?',
      action: 'command ["./deploy.sh", "docs"]',
      always: null,
      ruleId: 'deploy',
      taskId: 'task-0003',
      createdAt: '2026-01-01T00:00:00.000Z',
      expiresAt: '2026-01-01T01:00:00.000Z',
      answeredBy: null,
      reason: null,
    });
    expect(keeper.ask(question({ runId: 'run-2' })).id).toBe('gate-0002');
    expect(keeper.list().map(({ id }) => id)).toEqual(['gate-0002', 'gate-0001']);
    expect(keeper.pendingCount).toBe(2);
    expect(events[0]).toMatchObject({
      type: 'gate.pending',
      source: 'gates',
      cause: 'e-cause',
      payload: {
        gateId: 'gate-0001',
        kind: 'rule',
        summary: 'Deploy the docs?',
        action: 'command ["./deploy.sh", "docs"]',
        ruleId: 'deploy',
        runId: 'run-1',
        expiresAt: '2026-01-01T01:00:00.000Z',
      },
    });
  });

  test('is not there, nor told, when the transaction that asks is undone', () => {
    const { keeper, db, clock } = openDesk();
    keeper.start();
    expect(() =>
      db.transaction(() => {
        keeper.ask(question());
        throw new Error('disk full');
      }),
    ).toThrow('disk full');
    expect(keeper.list('all')).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  test('is answered with yes once: the second is told who answered, and when', () => {
    const { keeper, events, answers, clock } = openDesk();
    keeper.ask(question());
    clock.advance(5_000);
    const approved = keeper.approve('gate-0001', BY);
    expect(approved).toMatchObject({ state: 'approved', answeredBy: BY, reason: null });
    expect(answers).toEqual([{ gate: approved, runId: 'run-1' }]);
    expect(events.at(-1)).toMatchObject({
      type: 'gate.approved',
      cause: 'e-cause',
      payload: { gateId: 'gate-0001', answeredBy: BY, action: approved.action },
    });
    for (const again of [
      () => keeper.approve('gate-0001', 'bob'),
      () => keeper.reject('gate-0001', 'bob', 'too late'),
    ]) {
      const error = failure(again);
      expect(error.code).toBe('CONFLICT');
      expect(error.message).toBe(`gate-0001 was approved by ${BY} at 2026-01-01T00:00:05.000Z`);
    }
    expect(answers).toHaveLength(1);
    expect(keeper.get('gate-0001')).toEqual(approved);
  });

  test('is answered with no, and a reason', () => {
    const { keeper, events, answers } = openDesk();
    keeper.ask(question());
    const rejected = keeper.reject('gate-0001', BY, 'not on a\nFriday');
    expect(rejected).toMatchObject({ state: 'rejected', answeredBy: BY, reason: 'not on a Friday' });
    expect(events.at(-1)).toMatchObject({ type: 'gate.rejected', payload: { reason: 'not on a Friday' } });
    expect(answers).toHaveLength(1);
    expect(failure(() => keeper.approve('gate-0001', 'bob')).message).toMatch(
      /rejected .*: not on a Friday$/,
    );
    expect(keeper.list()).toEqual([]);
    expect(keeper.list('rejected')).toEqual([rejected]);
  });

  test('that does not exist is not found, whatever the id looks like', () => {
    const { keeper } = openDesk();
    keeper.ask(question());
    for (const id of [
      'gate-0002',
      'gate-1',
      'gate-00001',
      '1',
      'gate-0001 ',
      "' OR 1=1",
      'gate-999999999999999',
    ]) {
      expect(failure(() => keeper.approve(id, BY)).code, id).toBe('NOT_FOUND');
      expect(keeper.get(id)).toBeUndefined();
    }
  });

  test('keeps no answer whose consequence cannot be stored', () => {
    let broken = true;
    const { keeper, events } = openDesk(tempFolder(), new FakeClock(), {
      onAnswered: () => {
        if (broken) throw new AiwgdError('STORAGE_FULL', 'no room');
      },
    });
    keeper.ask(question());
    expect(failure(() => keeper.approve('gate-0001', BY)).code).toBe('STORAGE_FULL');
    expect(keeper.get('gate-0001')?.state).toBe('pending');
    broken = false;
    expect(keeper.approve('gate-0001', BY).state).toBe('approved');
    expect(events.length).toBeGreaterThan(1);
  });

  test('has its answer on disk before it is acknowledged, in the transaction of what follows from it', () => {
    const seen: unknown[] = [];
    const desk = openDesk(tempFolder(), new FakeClock(), {
      onAnswered: () =>
        seen.push([desk.db.inTransaction, desk.db.get('PRAGMA synchronous')?.['synchronous']]),
    });
    desk.keeper.ask(question());
    desk.keeper.approve('gate-0001', BY);
    expect(seen).toEqual([[true, 2]]);
  });

  test('stands for exactly one action of one run', () => {
    const { keeper, db } = openDesk();
    const { action } = question();
    keeper.ask(question());
    expect(keeper.covers('gate-0001', action)).toBe(false);
    keeper.approve('gate-0001', BY);
    expect(keeper.covers('gate-0001', action)).toBe(true);
    expect(keeper.covers('gate-0001', `${action} `)).toBe(false);
    keeper.ask(question({ runId: 'run-2' }));
    db.run("UPDATE gates SET action = json_quote('rm -rf /') WHERE number = 2");
    const error = failure(() => keeper.approve('gate-0002', BY));
    expect(error.code).toBe('CONFLICT');
    expect(error.message).toMatch('not what was asked');
  });
});

describe('time', () => {
  test('ends a gate that nobody answers, once', () => {
    const { keeper, clock, events, answers } = openDesk();
    keeper.start();
    keeper.ask(question({ expireMinutes: 2 }));
    keeper.ask(question({ expireMinutes: 1, runId: 'run-2' }));
    clock.advance(MINUTE - 1);
    expect(keeper.pendingCount).toBe(2);
    clock.advance(1);
    expect(keeper.get('gate-0002')).toMatchObject({ state: 'expired', answeredBy: null });
    expect(keeper.pendingCount).toBe(1);
    clock.advance(MINUTE);
    expect(answers.map(({ runId, gate }) => [runId, gate.state])).toEqual([
      ['run-2', 'expired'],
      ['run-1', 'expired'],
    ]);
    expect(events.filter(({ type }) => type === 'gate.timeout')).toHaveLength(2);
    expect(clock.pending).toBe(0);
    expect(failure(() => keeper.approve('gate-0001', BY)).message).toBe(
      'gate-0001 expired at 2026-01-01T00:02:00.000Z without an answer.',
    );
  });

  test('decides by the wall clock, also when it jumps', () => {
    const { keeper, clock } = openDesk();
    keeper.start();
    keeper.ask(question({ expireMinutes: 600 }));
    clock.setWall(clock.now() + 11 * 60 * MINUTE);
    clock.advance(30_000);
    expect(keeper.get('gate-0001')?.state).toBe('expired');
  });

  test('has run out when a yes comes later, even before the timer noticed', () => {
    const { keeper, clock, answers } = openDesk();
    keeper.start();
    keeper.ask(question());
    clock.setWall(clock.now() + 60 * MINUTE);
    expect(failure(() => keeper.approve('gate-0001', BY)).code).toBe('CONFLICT');
    expect(keeper.get('gate-0001')?.state).toBe('expired');
    clock.advance(MINUTE);
    expect(answers).toHaveLength(1);
  });

  test('runs on while no daemon does', () => {
    const folder = tempFolder();
    const clock = new FakeClock();
    const first = openDesk(folder, clock);
    first.keeper.start();
    first.keeper.ask(question({ expireMinutes: 10 }));
    first.keeper.ask(question({ expireMinutes: 30, runId: 'run-2' }));
    first.end();
    expect(clock.pending).toBe(0);
    clock.advance(20 * MINUTE);
    const second = openDesk(folder, clock);
    second.keeper.start();
    expect(second.answers.map(({ runId }) => runId)).toEqual(['run-1']);
    expect(second.keeper.list().map(({ id }) => id)).toEqual(['gate-0002']);
    clock.advance(10 * MINUTE);
    expect(second.answers.map(({ runId }) => runId)).toEqual(['run-1', 'run-2']);
    expect(second.keeper.ask(question({ runId: 'run-3' })).id).toBe('gate-0003');
  });

  test('tries again when an end could not be stored, without haste', () => {
    let broken = true;
    let tries = 0;
    const { keeper, clock, warnings } = openDesk(tempFolder(), new FakeClock(), {
      onAnswered: () => {
        tries += 1;
        if (broken) throw new Error('no room');
      },
    });
    keeper.start();
    keeper.ask(question({ expireMinutes: 1 }));
    clock.advance(2 * MINUTE);
    expect(tries).toBe(3);
    expect(warnings).toHaveLength(3);
    broken = false;
    clock.advance(30_000);
    expect(keeper.get('gate-0001')?.state).toBe('expired');
  });
});

describe('a run that is cancelled', () => {
  test('takes its question back', () => {
    const { keeper, answers, events } = openDesk();
    keeper.start();
    keeper.ask(question());
    keeper.ask(question({ runId: 'run-2' }));
    keeper.withdraw('run-1', 'the run was cancelled');
    keeper.withdraw('run-9', 'no such run');
    expect(keeper.get('gate-0001')).toMatchObject({
      state: 'rejected',
      answeredBy: null,
      reason: 'the run was cancelled',
    });
    expect(keeper.pendingCount).toBe(1);
    expect(answers).toEqual([]);
    expect(events.at(-1)).toMatchObject({ type: 'gate.rejected', payload: { gateId: 'gate-0001' } });
    expect(failure(() => keeper.approve('gate-0001', BY)).message).toMatch(
      /^gate-0001 was rejected at .*: the run was cancelled$/,
    );
  });
});

describe('what is kept', () => {
  test('are ended gates of 30 days, the newest 1,000, and every pending one', () => {
    const { keeper, clock } = openDesk();
    keeper.ask(question({ expireMinutes: 60 * 24 * 365 }));
    for (let n = 2; n <= 1_006; n++) {
      keeper.ask(question({ runId: `run-${n}` }));
      keeper.withdraw(`run-${n}`, 'enough');
    }
    expect(keeper.list('all')).toHaveLength(1_001);
    expect(keeper.get('gate-0006')).toBeUndefined();
    expect(keeper.get('gate-0007')).toBeDefined();
    clock.advance(30 * DAY + 1);
    keeper.ask(question({ runId: 'run-x' }));
    keeper.reject('gate-1007', BY);
    expect(keeper.list('all').map(({ id }) => id)).toEqual(['gate-1007', 'gate-0001']);
  });

  test('is bounded while gates are pending, and a list fits into an answer', () => {
    const { keeper, db } = openDesk();
    const long = 'x'.repeat(120 * 1024);
    expect(failure(() => keeper.ask(question({ action: 'é'.repeat(100_000) }))).message).toMatch(
      'takes 196 KiB to show',
    );
    const fill = (): AiwgdError => {
      for (let n = 0; ; n++) {
        try {
          keeper.ask(question({ runId: `run-${n}`, action: long }));
        } catch (error) {
          return error as AiwgdError;
        }
      }
    };
    expect(fill().code).toBe('OVERLOADED');
    const first = keeper.pendingCount;
    expect(first).toBeGreaterThan(50);
    db.transaction(() => {
      for (let n = 0; n < first; n++) keeper.withdraw(`run-${n}`, 'enough');
    });
    fill();
    const all = keeper.list('all');
    expect(JSON.stringify(all).length).toBeLessThan(15 * 1024 * 1024);
    expect(all.filter(({ state }) => state === 'pending')).toHaveLength(keeper.pendingCount);
    expect(all.length).toBeGreaterThan(first);
  });

  test('goes on in the same transaction after a question was refused', () => {
    const { keeper, db } = openDesk();
    db.transaction(() => {
      failure(() => keeper.ask(question({ action: 'x'.repeat(200_000) })));
      keeper.ask(question());
    });
    expect(keeper.pendingCount).toBe(1);
  });
});
