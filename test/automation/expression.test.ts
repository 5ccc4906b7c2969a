import { expect, it } from 'vitest';
import { Expression, MAX_MATCHED_TEXT } from '#aiwgd/automation/rules/expression.js';

it('matches as the plain expression does, simple or not', () => {
  for (const source of ['^src/', '^(a|b)+$', '(\\w)\\1', 'a.*b.*c.*d']) {
    for (const text of ['src/x', 'abab', 'aa', 'a-b-c-d', '', 'zz'.repeat(500)]) {
      expect(new Expression(source).test(text), `${source} on ${text}`).toBe(new RegExp(source).test(text));
    }
  }
});

it('gives up on an expression that would backtrack for ever, says so, and works on', () => {
  const endless = new Expression('^(\\w+\\s?)*$');
  const begun = performance.now();
  expect(endless.explain(`${'a'.repeat(60)}!`).problem).toMatch(/longer than 50 ms/);
  expect(performance.now() - begun).toBeLessThan(5_000);
  expect(endless.test('a b c')).toBe(true);
});

it('has a limit also for long texts under a simple expression', () => {
  const slow = new Expression('a*a*b');
  expect(slow.explain('a'.repeat(MAX_MATCHED_TEXT)).problem).toMatch(/longer than 50 ms/);
});

it('does not try itself on a text that is too long', () => {
  const { matches, problem } = new Expression('a').explain('a'.repeat(MAX_MATCHED_TEXT + 1));
  expect(matches).toBe(false);
  expect(problem).toMatch(/10001 characters/);
});

it('has a limit also for many optional parts', () => {
  const endless = new Expression(`^${'a?'.repeat(40)}${'a'.repeat(40)}b$`);
  expect(endless.explain('a'.repeat(60)).problem).toMatch(/longer than 50 ms/);
});
