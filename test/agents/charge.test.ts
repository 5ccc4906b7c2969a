import { describe, expect, it } from 'vitest';
import { chargeOf } from '#aiwgd/agents/charge.js';
import { failedVerdict } from '#aiwgd/agents/failed-verdict.js';

const tokens = { input: 1_000_000, cachedInput: 600_000, output: 100_000 };
const prices = { input: 2, cached_input: 0.5, output: 10 };
const attempt = (counts: 'usd' | 'tokens' | 'nothing', more: object = {}) => ({
  attemptId: 'a',
  agentName: 'worker',
  provider: { counts },
  prices: null,
  reservedUsd: null,
  forgets: false,
  ...more,
});
const verdict = (more: object) => ({ ...failedVerdict('', null), sessionId: 's', ...more });

describe('what an attempt cost', () => {
  it('is what the agent told', () => {
    const charge = chargeOf(attempt('usd', { reservedUsd: 5 }), verdict({ costUsd: 0.3, tokens }));
    expect(charge).toMatchObject({ costUsd: 0.3, countedUsd: 0.3, tokens, agent: 'worker', sessionId: 's' });
  });

  it('is worked out of tokens where the prices are known', () => {
    // 400,000 fresh at 2, 600,000 cached at 0.5, 100,000 out at 10.
    expect(chargeOf(attempt('tokens', { prices }), verdict({ tokens }))?.costUsd).toBeCloseTo(
      0.8 + 0.3 + 1,
      9,
    );
    const flat = { ...prices, cached_input: null };
    expect(chargeOf(attempt('tokens', { prices: flat }), verdict({ tokens }))?.costUsd).toBeCloseTo(2 + 1, 9);
  });

  it('is what was set aside where nobody can tell any more', () => {
    const charge = chargeOf(attempt('usd', { reservedUsd: 0.5 }), verdict({}));
    expect(charge).toMatchObject({ costUsd: null, countedUsd: 0.5 });
    expect(chargeOf(attempt('tokens'), verdict({ tokens }))).toMatchObject({ costUsd: null, countedUsd: 0 });
  });

  it('that no later report of its session can hold is charged to no session', () => {
    const killed = attempt('usd', { reservedUsd: 0.5, forgets: true });
    expect(chargeOf(killed, verdict({}))).toMatchObject({ countedUsd: 0.5, sessionId: null });
    expect(chargeOf(killed, verdict({ costUsd: 0.1 }))).toMatchObject({ countedUsd: 0.1, sessionId: 's' });
  });

  it('is nothing for agents that count nothing, and before the model was reached', () => {
    expect(chargeOf(attempt('nothing', { reservedUsd: 1 }), verdict({ costUsd: 1 }))).toBeNull();
    expect(chargeOf(attempt('usd', { reservedUsd: 1 }), verdict({ sessionId: null }))).toBeNull();
  });
});
