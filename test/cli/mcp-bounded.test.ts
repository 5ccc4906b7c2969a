import { describe, expect, it } from 'vitest';
import { boundedValue, cutText } from '#aiwgd/cli/mcp/bounded.js';

describe('what an MCP client is told', () => {
  it('is cut with a count of what there was, at a whole character', () => {
    expect(cutText('short', 5)).toBe('short');
    expect(cutText('abcdef', 3)).toBe('abc… [3 of 6 characters]');
    expect(cutText('ab😀', 3)).toBe('ab… [2 of 4 characters]');
    expect(cutText('', 0)).toBe('');
  });

  it('is left alone where it is small', () => {
    const value = { a: [1, 'two', null, true], b: { c: '' } };
    expect(boundedValue(value, 1_000)).toEqual(value);
  });

  it('stays within its bound, however it is made', () => {
    const deep = Array.from({ length: 1_000 }).reduce<unknown>((inner) => [inner], 'x');
    const values: unknown[] = [
      'x'.repeat(1_000_000),
      Array.from({ length: 100_000 }, () => 'y'.repeat(100)),
      Array.from({ length: 100_000 }, () => []),
      Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`key ${index}`, 1])),
      { ['k'.repeat(1_000_000)]: 1 },
      deep,
    ];
    for (const value of values) {
      const text = JSON.stringify(boundedValue(value, 1_000));
      expect(text.length).toBeLessThan(1_500);
    }
    expect(JSON.stringify(boundedValue(deep, 1_000_000)).length).toBeLessThan(100);
  });

  it('says what was left out, where it stood', () => {
    expect(boundedValue(['abcdefghij', 'b', 'c'], 18)).toEqual(['abcdefghij', '… [1 of 3 entries]']);
    expect(boundedValue({ a: 'bcdefghij', k: 1 }, 18)).toEqual({ a: 'bcdefghij', '…': '1 of 2 keys' });
  });

  it('has no key that changes what an object is', () => {
    const value = JSON.parse('{"__proto__": {"polluted": true}}') as unknown;
    const bounded = boundedValue(value, 1_000) as object;
    expect(Object.getPrototypeOf(bounded)).toBe(Object.prototype);
    expect(JSON.stringify(bounded)).toBe('{"__proto__":{"polluted":true}}');
  });
});
