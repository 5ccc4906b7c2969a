import { describe, expect, it } from 'vitest';
import { parseConfig } from '#aiwgd/protocol/config/read-config.js';

function warned(config: object): string[] {
  const parsed = parseConfig(JSON.stringify(config), 'daemon.json');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.warnings.map(({ path, message, remedy }) => `${path} ${message}; ${remedy}`);
}

describe('a budget of the day', () => {
  it.each([
    [
      { per_day_usd: 4.99 },
      /^budget\.per_day_usd is less than the \$5 .*; set per_task_usd, else one task at a time/,
    ],
    [{ per_rule_day_usd: 1 }, /^budget\.per_rule_day_usd is less than the \$5/],
    [{ per_day_usd: 1, per_task_usd: null }, /set per_task_usd/],
    [
      { per_day_usd: 1, per_task_usd: 2 },
      /^budget\.per_day_usd is less than per_task_usd; one task at a time/,
    ],
  ])('%j that one task reserves whole is warned about', (budget, text) => {
    expect(warned({ budget })).toEqual([expect.stringMatching(text)]);
  });

  it.each([
    [{}],
    [{ per_day_usd: 5 }],
    [{ per_task_usd: 0.3, per_day_usd: 1, per_rule_day_usd: 0.5 }],
    [{ per_task_usd: 100 }],
  ])('%j is as it should be', (budget) => {
    expect(warned({ budget })).toEqual([]);
  });
});

describe('agents that take over', () => {
  it('may do so for one another in a chain', () => {
    const agents = { a: { fallback: 'b' }, b: { fallback: 'claude' }, c: { fallback: 'b' } };
    expect(warned({ agents })).toEqual([]);
  });
});
