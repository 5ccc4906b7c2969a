import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { GateState } from '#aiwgd/protocol/automation.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { tempFolder } from '../support/temp.js';
import { BY, failure, MINUTE, openDesk, question } from './gate-fixtures.js';

describe('texts', () => {
  test('hide nothing from who has to judge them', () => {
    const { keeper, events } = openDesk();
    const action = 'run\u202e "exe.txt"\u200b\u001b[2K \u{e0041}\u00ad\ud800';
    const gate = keeper.ask(question({ summary: 'ok?\n\u2066 no', action }));
    expect(gate.summary).toBe('ok? \\u2066 no');
    expect(gate.action).toBe('run\\u202e "exe.txt"\\u200b␛[2K \\u{e0041}\\u00ad\\ud800');
    expect(events[0]?.payload['action']).toBe(gate.action);
    expect(keeper.approve('gate-0001', 'uid\u202e 1').answeredBy).toBe('uid\\u202e 1');
    expect(keeper.covers('gate-0001', action)).toBe(true);
    expect(keeper.covers('gate-0001', gate.action)).toBe(false);
  });

  test('are covered as they were given, and shown without a hidden character, whatever they are', () => {
    const folder = tempFolder();
    const { keeper } = openDesk(folder);
    const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
    const weird = fc.string({
      unit: fc.oneof(
        fc.constantFrom('\u0000', '\u202e', '\u200d', '\ufeff'),
        fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
      ),
    });
    let count = 0;
    fc.assert(
      fc.property(weird, weird, (summary, action) => {
        count += 1;
        const { id } = keeper.ask(question({ summary, action, runId: `run-${count}` }));
        const shown = keeper.get(id);
        expect(shown?.action.replace(/[\n\t]/g, '')).not.toMatch(unseen);
        expect(shown?.summary).not.toMatch(unseen);
        keeper.approve(id, BY);
        expect(keeper.covers(id, action)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('of a question that is too long for a line are cut at a character', () => {
    const { keeper } = openDesk();
    const { summary } = keeper.ask(question({ summary: `${'x'.repeat(498)}😀${'y'.repeat(100)}` }));
    expect(summary).toBe(`${'x'.repeat(498)}…`);
  });
});

test('whatever happens in whatever order, each gate ends at most once and every end is handed on', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('ask' as const), minutes: fc.integer({ min: 1, max: 20 }) }),
    fc.record({ do: fc.constantFrom('approve', 'reject', 'withdraw'), gate: fc.integer({ min: 1, max: 8 }) }),
    fc.record({ do: fc.constant('pass' as const), minutes: fc.integer({ min: 1, max: 15 }) }),
    fc.record({ do: fc.constant('restart' as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const folder = tempFolder();
      const clock = new FakeClock();
      let desk = openDesk(folder, clock);
      desk.keeper.start();
      const model = new Map<string, { state: GateState; expiresAt: number; withdrawn: boolean }>();
      const handedOn: string[] = [];
      let asked = 0;
      const passTime = (): void => {
        for (const gate of model.values())
          if (gate.state === 'pending' && gate.expiresAt <= clock.now()) gate.state = 'expired';
      };
      for (const one of steps) {
        if (one.do === 'ask') {
          asked += 1;
          const gate = desk.keeper.ask(question({ runId: `run-${asked}`, expireMinutes: one.minutes }));
          model.set(gate.id, {
            state: 'pending',
            expiresAt: clock.now() + one.minutes * MINUTE,
            withdrawn: false,
          });
        } else if (one.do === 'pass') {
          clock.advance(one.minutes * MINUTE);
        } else if (one.do === 'restart') {
          handedOn.push(...desk.answers.map(({ gate }) => gate.id));
          desk.end();
          clock.advance(3 * MINUTE);
          desk = openDesk(folder, clock);
          desk.keeper.start();
        } else {
          const id = `gate-000${one.gate}`;
          const known = model.get(id);
          const open = known?.state === 'pending';
          if (one.do === 'withdraw') desk.keeper.withdraw(`run-${one.gate}`, 'cancelled');
          else if (open) desk.keeper[one.do](id, BY);
          else
            expect(failure(() => desk.keeper[one.do as 'approve' | 'reject'](id, BY)).code).toBe(
              known === undefined ? 'NOT_FOUND' : 'CONFLICT',
            );
          if (open) {
            known.state = one.do === 'approve' ? 'approved' : 'rejected';
            known.withdrawn = one.do === 'withdraw';
          }
        }
        passTime();
        for (const [id, { state }] of model) expect(desk.keeper.get(id)?.state).toBe(state);
      }
      handedOn.push(...desk.answers.map(({ gate }) => gate.id));
      const ended = [...model].filter(([, gate]) => gate.state !== 'pending' && !gate.withdrawn);
      expect(handedOn.toSorted()).toEqual(ended.map(([id]) => id).toSorted());
      desk.end();
    }),
    { numRuns: 40 },
  );
});
