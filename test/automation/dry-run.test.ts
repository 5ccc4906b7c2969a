import { describe, expect, it } from 'vitest';
import { Conditions } from '#aiwgd/automation/rules/conditions.js';
import { dryRun, type TriedRule } from '#aiwgd/automation/rules/dry-run.js';
import { replay } from '#aiwgd/automation/rules/replay.js';
import { RuleIndex } from '#aiwgd/automation/rules/rule-index.js';
import { eventOfSketch } from '#aiwgd/automation/rules/sketch.js';
import type { AiwgEvent } from '#aiwgd/protocol/event.js';
import { eventOf, factsAt, fileEvent, NOON, rulesOf } from './rule-kit.js';

const onA = { trigger: { type: 'event', topic: 'a' } };

function tried(rule: object, state: Partial<TriedRule> = {}): TriedRule {
  const config = rulesOf({ ...onA, ...rule })[0]!;
  return { config, conditions: new Conditions(config.conditions), enabled: true, paused: false, ...state };
}

function verdict(rule: object, state: Partial<TriedRule> = {}, event: AiwgEvent = eventOf('a', { n: 1 })) {
  const [only] = dryRun([tried(rule, state)], event, () => factsAt(NOON));
  return only!;
}

const debounce = { type: 'debounce', interval_ms: 1_000 };
const throttle = { type: 'throttle', interval_ms: 10_000 };
const shell = { type: 'shell', command: ['test', '-e', 'x'] };

describe('a dry run', () => {
  it('says that a rule fires, when, and on which terms', () => {
    expect(verdict({})).toEqual({
      ruleId: 'r0',
      fires: true,
      why: 'The trigger matches: a matches a. It fires at once.',
    });
    expect(verdict({ conditions: [debounce, shell], requires_approval: true }).why).toBe(
      'The trigger matches: a matches a. It fires after 1000 ms of quiet, if `test -e x` says yes, when a person agrees.',
    );
  });

  it('names what stops it', () => {
    const no = verdict({ conditions: [{ field: 'payload.n', operator: 'gt', value: 5 }, shell] });
    expect(no).toMatchObject({
      fires: false,
      why: 'The trigger matches (a matches a), but the condition "payload.n > 5" says no: it is 1.',
    });
    expect(verdict({ conditions: [{ type: 'not', conditions: [{ type: 'always' }] }] }).why).toMatch(
      /"not of 1" says no: .*always is true/,
    );
    expect(verdict({}, {}, fileEvent('create', 'x')).why).toMatch(/topic a does not match file.create/);
    expect(verdict({}, { enabled: false })).toMatchObject({
      fires: false,
      why: expect.stringMatching(/disabled/),
    });
    expect(verdict({}, { paused: true })).toMatchObject({
      fires: false,
      why: expect.stringMatching(/paused/),
    });
  });

  it('tells of a condition that will say no once it is quiet', () => {
    expect(verdict({ conditions: [{ type: 'not', conditions: [debounce] }] })).toMatchObject({
      fires: false,
    });
  });
});

describe('a replay', () => {
  const at = (...seconds: number[]): AiwgEvent[] =>
    seconds.map((second) => ({ ...eventOf('a'), timestamp: new Date(NOON + second * 1_000).toISOString() }));
  const run = (rule: object, events: AiwgEvent[], state: Partial<TriedRule> = {}) => {
    const [only] = replay([tried(rule, state)], events);
    return { ...only!, seconds: only!.times!.map((time) => (Date.parse(time) - NOON) / 1_000) };
  };

  it('fires at each event that matches, in order of time', () => {
    expect(run({}, [...at(5, 1), eventOf('b')]).seconds).toEqual([1, 5]);
  });

  it('gathers in a debounce what comes before it is quiet', () => {
    const { seconds, why } = run({ conditions: [debounce] }, at(0, 0.5, 1.4, 5, 6));
    expect(seconds).toEqual([2.4, 6, 7]);
    expect(why).toMatch(/3 times at 5 matching events \(2 gathered by debounce\)/);
  });

  it('holds back by throttle and by cooldown', () => {
    expect(run({ conditions: [throttle] }, at(0, 9, 10, 11, 21)).seconds).toEqual([0, 10, 21]);
    expect(run({ cooldown: 10 }, at(0, 9, 10, 11, 21)).seconds).toEqual([0, 10, 21]);
  });

  it('pauses itself when it fires more often than it may', () => {
    const { seconds, why } = run({ max_per_hour: 2 }, at(0, 1, 2, 3, 9_000));
    expect(seconds).toEqual([0, 1]);
    expect(why).toMatch(/pauses itself at 2026-07-01T12:00:02.000Z/);
    expect(run({ max_per_hour: 2 }, at(0, 1, 3_600, 3_601)).seconds).toEqual([0, 1, 3_600, 3_601]);
  });

  it('says why it does not fire', () => {
    const no = { conditions: [{ field: 'payload.n', operator: 'exists' }] };
    expect(run(no, at(0))).toMatchObject({
      fires: false,
      why: expect.stringMatching(/the event has no payload.n/),
    });
    expect(run({}, [eventOf('b')])).toMatchObject({
      fires: false,
      why: expect.stringMatching(/of the newest: the topic a does not match b/),
    });
    expect(run({}, [])).toMatchObject({ fires: false, why: expect.stringMatching(/no events/) });
    expect(run({}, at(0), { enabled: false })).toMatchObject({
      fires: false,
      times: [],
      why: expect.stringMatching(/disabled/),
    });
    expect(run({ conditions: [shell] }, at(0)).why).toMatch(/if `test -e x` says yes/);
  });
});

it('fills in what a sketch leaves out, so that it counts as the real event would', () => {
  const file = eventOfSketch({ type: 'file.modify', payload: { path: 'src/a.ts' } }, NOON);
  const [rule] = rulesOf({ trigger: { type: 'file_change', pattern: 'src/**' } });
  expect(new RuleIndex([rule!]).candidates(file)).toHaveLength(1);
  expect(file.timestamp).toBe('2026-07-01T12:00:00.000Z');
  expect(eventOfSketch({ type: 'cron.fired' }, NOON).source).toBe('scheduler');
  expect(eventOfSketch({ type: 'task:failed' }, NOON).source).toBe('supervisor');
  expect(eventOfSketch({ type: 'webhook.ci' }, NOON).source).toBe('webhook');
  expect(eventOfSketch({ type: 'file.modify', source: 'me' }, NOON)).toMatchObject({
    source: 'me',
    payload: {},
  });
});
