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
    [{ per_day_usd: 0 }, /^budget\.per_day_usd lets no task begin whose agent costs money; set it to null/],
    [{ per_rule_day_usd: 0, per_task_usd: 1 }, /^budget\.per_rule_day_usd lets no task begin/],
    [{ per_task_usd: 0 }, /^budget\.per_task_usd lets no task begin/],
  ])('%j that one task reserves whole, or that nothing fits into, is warned about', (budget, text) => {
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
    const agents = {
      a: { fallback: 'b' },
      b: { program: 'other', approvals: 'gate', fallback: 'c' },
      c: { program: 'third', approvals: 'gate', fallback: 'codex' },
      codex: { program: './codex' },
    };
    expect(warned({ agents })).toEqual([
      expect.stringMatching(/^agents\.c\.fallback never takes over: .*asks nobody/),
    ]);
  });

  it.each([
    [{ a: { fallback: 'claude' } }],
    [{ a: { fallback: 'b', program: './x' }, b: { program: './x', model: 'm' } }],
    [{ codex: { provider: 'codex', fallback: 'b' }, b: { provider: 'codex', program: 'codex' } }],
    [
      {
        a: { provider: 'command', command: ['x', '1'], fallback: 'b' },
        b: { provider: 'command', command: ['x', '2'] },
      },
    ],
  ])('%j pause together, which is warned about', (agents) => {
    expect(warned({ agents })).toEqual([
      expect.stringMatching(/fallback never takes over: .*the same provider and program/),
    ]);
  });
});
