import { expect, it } from 'vitest';
import { eventEnvironment } from '#aiwgd/automation/rules/event-environment.js';
import { eventOf, fileEvent } from './rule-kit.js';

it('names the event, and the scalars at the top of its payload', () => {
  const event = eventOf('ci.done', { path: 'a', 'build-No': 7, ok: true, none: null, deep: { x: 1 } });
  expect(eventEnvironment(event)).toEqual({
    AIWG_EVENT_ID: event.id,
    AIWG_EVENT_TYPE: 'ci.done',
    AIWG_EVENT_SOURCE: 'rpc',
    AIWG_EVENT_TIMESTAMP: event.timestamp,
    AIWG_EVENT_PATH: 'a',
    AIWG_EVENT_BUILD_NO: '7',
    AIWG_EVENT_OK: 'true',
  });
});

it('lets no key of the payload take the name of another variable', () => {
  const event = eventOf('a', { id: 'no', Type: 'no', file: 'no', FILE: 'no', a_b: '1', 'a-b': '2', x: '3' });
  const environment = eventEnvironment(event);
  expect(environment).toMatchObject({ AIWG_EVENT_ID: event.id, AIWG_EVENT_TYPE: 'a', AIWG_EVENT_A_B: '1' });
  expect(environment).not.toHaveProperty('AIWG_EVENT_FILE');
  expect(environment).not.toHaveProperty('AIWG_EVENT_PATH');
});

it('leaves out what no program could be given', () => {
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`k${index}`, 'v']));
  expect(Object.keys(eventEnvironment(eventOf('a', many))).length).toBeLessThanOrEqual(64);
  const odd = eventEnvironment(eventOf('a', { long: 'x'.repeat(9_000), nul: 'a\0b', ['n'.repeat(500)]: 1 }));
  expect(odd).not.toHaveProperty('AIWG_EVENT_LONG');
  expect(odd['AIWG_EVENT_NUL']).toBe('ab');
  expect(Object.keys(odd).every((name) => /^[A-Z0-9_]{1,120}$/.test(name))).toBe(true);
});

it('takes the first of the files where the event has no path', () => {
  expect(eventEnvironment(eventOf('a'), ['b', 'c'])['AIWG_EVENT_PATH']).toBe('b');
  expect(eventEnvironment(fileEvent('create', 'a'), ['b'])['AIWG_EVENT_PATH']).toBe('a');
});
