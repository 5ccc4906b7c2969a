import { anything, array, assert, constantFrom, oneof, property, record } from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SessionTotals } from '#aiwgd/tasks/task-store.js';
import {
  answer,
  asking,
  init,
  linesOf,
  models,
  NOW,
  parserOf,
  provider,
  result,
  retry,
  TERMINATED,
  toolResult,
  verdictOn,
} from './claude-lines.js';

describe('what an attempt costs', () => {
  const before = (costUsd: number, input: number): SessionTotals => ({
    costUsd,
    tokens: { input, cachedInput: 0, output: 0 },
  });

  it('is the difference, where the session goes on', () => {
    const verdict = verdictOn(linesOf('resumed'), {
      costUsd: 0.006,
      tokens: { input: 1000, cachedInput: 0, output: 100 },
    });
    expect(verdict).toMatchObject({
      costUsd: 0.012,
      tokens: { input: 2000, cachedInput: 0, output: 200 },
      sessionTotals: { tokens: { input: 3000, cachedInput: 0, output: 300 } },
      surprises: [],
    });
    expect(verdict.sessionTotals?.costUsd).toBeCloseTo(0.018, 9);
  });

  it('has what an earlier run cost that was ended before it could tell', () => {
    const verdict = verdictOn([init(), result(0.5, { model_usage_since_last_result: models(0.1, 10) })]);
    expect(verdict).toMatchObject({ costUsd: 0.5, sessionTotals: { costUsd: 0.5 } });
  });

  it('is never less than what the run tells of itself, where the program lost its count', () => {
    const lines = [
      init(),
      result(0.4, { modelUsage: models(0.4, 40), model_usage_since_last_result: models(0.4, 40) }),
    ];
    expect(verdictOn(lines, before(0.3, 30))).toMatchObject({
      costUsd: 0.4,
      tokens: { input: 40, output: 1 },
      surprises: [],
    });
  });

  it('counts every result of a run', () => {
    const first = result(0.2, { model_usage_since_last_result: models(0.2, 20) });
    const second = result(0.3, { model_usage_since_last_result: models(0.1, 10) });
    expect(verdictOn([init(), first, init(), second], before(0.1, 0)).costUsd).toBe(0.3);
  });

  it('is the total of a program that counts by the run', () => {
    const verdict = verdictOn([init('2.1.197'), result(0.5)], before(0.2, 1));
    expect(verdict).toMatchObject({ costUsd: 0.5, sessionTotals: null, surprises: [] });
  });

  it.each(['2.1.330', '2.1.331', '2.2.0', '3.0.0', 'new', undefined])('is a difference in %s', (version) => {
    expect(verdictOn([init(version), result(0.5)], before(0.2, 1)).costUsd).toBe(0.3);
  });

  it('is never negative, and a total that has shrunk is told', () => {
    const verdict = verdictOn([init(), result(0.1)], before(0.2, 1));
    expect(verdict.costUsd).toBe(0.1);
    expect(verdict.surprises).toEqual([
      expect.stringMatching(/^claude 2\.1\.330: it counts 0\.1 USD.*0\.2 USD/),
    ]);
  });

  it('is unknown where the run was ended before it could tell, but for its tokens', () => {
    const verdict = verdictOn(linesOf('sigterm_tool'));
    expect(verdict).toMatchObject({ ok: false, costUsd: null, sessionTotals: null, surprises: [] });
    expect(verdict.tokens?.input).toBe(100);
  });
});

describe('what is not as it was measured', () => {
  it.each([
    [{ is_error: undefined }, /does not say whether/],
    [{ total_cost_usd: '0.5' }, /no cost/],
    [{ total_cost_usd: -1 }, /no cost/],
  ])('%j is told in a sentence', (change, sentence) => {
    const { surprises } = verdictOn([init('2.9.9'), { ...result(0.5), ...change }]);
    expect(surprises).toEqual([expect.stringMatching(sentence)]);
    expect(surprises[0]).toMatch(/^claude 2\.9\.9: /);
  });

  it('a run without a session is told, and nothing else is', () => {
    expect(verdictOn([result(0, { session_id: undefined })]).surprises).toEqual([
      'claude: it names no session',
    ]);
    const strange = [
      { type: 'new' },
      { type: 'system', subtype: 'new' },
      { ...init(), more: 1 },
      result(1, { x: 1 }),
    ];
    expect(verdictOn(strange).surprises).toEqual([]);
  });
});

describe('progress', () => {
  it('is another object after each change, and tells turns, tool, text and tokens', () => {
    const parser = provider.createParser({ baseline: null });
    const seen = new Set<unknown>();
    const tools: (string | null | undefined)[] = [];
    for (const line of linesOf('tool')) {
      parser.line(line);
      seen.add(parser.progress);
      tools.push(parser.progress?.tool);
    }
    expect(tools).toEqual(expect.arrayContaining([null, expect.stringMatching(/^Bash: /)]));
    expect(parser.progress).toEqual({
      turns: 2,
      tool: null,
      text: 'done',
      tokens: { input: 200, cachedInput: 0, output: expect.any(Number) },
      costUsd: 0.0016,
    });
    expect(seen.size).toBe(linesOf('tool').length);
  });

  it('counts the turns of the agent, not of its sub-agents', () => {
    const { progress } = parserOf(linesOf('subagent'));
    const [main, all] = [progress?.turns ?? 0, (progress?.tokens?.input ?? 0) / 100];
    expect(main).toBeGreaterThan(0);
    expect(all).toBeGreaterThan(main);
  });

  it('is short, whatever is said or done', () => {
    const long = 'x'.repeat(100_000);
    const parser = parserOf([
      answer([
        { type: 'text', text: `${long}END` },
        { type: 'tool_use', id: 't', name: long, input: { command: `a\n\n b${long}` } },
      ]),
    ]);
    expect(parser.progress?.text).toHaveLength(2_000);
    expect(parser.progress?.text).toMatch(/END$/);
    expect(parser.progress?.tool).toHaveLength(120);
  });

  it('names the tool that is still at work', () => {
    const use = (id: string, command: string) => ({ type: 'tool_use', id, name: 'Bash', input: { command } });
    const lines = [init(), answer([use('1', 'sleep 9'), use('2', 'ls  -l')])];
    expect(parserOf(lines).progress?.tool).toBe('Bash: ls -l');
    expect(parserOf([...lines, toolResult('2')]).progress?.tool).toBe('Bash: sleep 9');
    expect(parserOf([...lines, toolResult('2'), toolResult('1')]).progress?.tool).toBeNull();
  });
});

describe('a wait for the API', () => {
  it('that is long is as good as the end, until the API answers', () => {
    const lines = linesOf('retry_wait');
    expect(parserOf(lines).hasResult).toBe(true);
    expect(parserOf(lines.slice(0, -1)).hasResult).toBe(false);
    expect(parserOf([...lines, answer([])]).hasResult).toBe(false);
    expect(parserOf([...lines, answer([])]).verdict(TERMINATED).failureClass).toBe('no_result');
  });

  it('that is short is ridden out', () => {
    expect(parserOf([retry(1, 550), retry(2, 1100), retry(3, 2300)]).hasResult).toBe(false);
    expect(parserOf([retry(1, 5500), retry(2, 5500)]).hasResult).toBe(true);
  });

  it.each([
    [529, 'overloaded', /overloaded \(529\)/, NOW + 60_000],
    [503, 'overloaded', /failed \(503\)/, NOW + 60_000],
    [null, 'connection', /could not be reached/, null],
  ])('of %s', (status, failureClass, error, retryAt) => {
    const verdict = verdictOn([init(), retry(1, 60_000, status)]);
    expect(verdict).toMatchObject({ failureClass, error: expect.stringMatching(error), retryAt, costUsd: 0 });
  });

  it('by the program’s own delays names no time', () => {
    const end = result(0, { is_error: true, api_error_status: 429 });
    expect(verdictOn([retry(1, 600), retry(2, 1200), retry(3, 2400), end]).retryAt).toBeNull();
    expect(verdictOn([retry(1, 3100), retry(2, 3300), end]).retryAt).toBe(NOW + 3300);
    expect(verdictOn([retry(1, 1100), retry(2, 1200), retry(3, 2400), end]).retryAt).toBe(NOW + 1100);
    expect(verdictOn([retry(1, 3100), answer([]), end]).retryAt).toBeNull();
  });

  it.each(['5000', null, -1, 1e300, Number.NaN])('of %s ms is none', (delay) => {
    expect(parserOf([retry(1, delay)]).hasResult).toBe(false);
  });
});

describe('a result', () => {
  it('is taken back by whatever the agent does after it', () => {
    expect(parserOf([init(), result(1)]).hasResult).toBe(true);
    expect(parserOf([init(), result(1), answer([])]).hasResult).toBe(false);
    expect(parserOf([init(), result(1), init()]).hasResult).toBe(false);
    expect(parserOf([init(), result(1), asking('1')]).hasResult).toBe(false);
  });
});

describe('whatever is printed', () => {
  it('is taken or passed over, and never thrown at', () => {
    const type = constantFrom(
      'system',
      'assistant',
      'user',
      'result',
      'rate_limit_event',
      'control_request',
      'control_cancel_request',
    );
    const content = array(
      record({ type: constantFrom('text', 'tool_use', 'tool_result'), id: anything(), text: anything() }),
    );
    const line = record(
      {
        type,
        subtype: constantFrom('init', 'api_retry', 'success'),
        message: oneof(
          anything(),
          record({ id: anything(), content: oneof(content, anything()), usage: anything() }),
        ),
        request: oneof(
          anything(),
          record({ subtype: constantFrom('can_use_tool'), permission_suggestions: anything() }),
        ),
        request_id: anything(),
        attempt: anything(),
        retry_delay_ms: anything(),
        total_cost_usd: anything(),
        modelUsage: anything(),
        model_usage_since_last_result: anything(),
        rate_limit_info: anything(),
        claude_code_version: anything(),
      },
      { requiredKeys: ['type'] },
    );
    assert(
      property(array(line, { maxLength: 5 }), (lines) => {
        const parser = provider.createParser({ baseline: { costUsd: 1, tokens: null }, now: () => NOW });
        for (const one of lines) parser.line(Buffer.from(jsonOf(one)));
        const { costUsd, surprises } = parser.verdict(TERMINATED);
        expect(costUsd ?? 0).toBeGreaterThanOrEqual(0);
        expect(surprises.length).toBeLessThanOrEqual(10);
      }),
    );
  });
});

describe('a run that goes on in another session than it was asked to', () => {
  it.each([
    ['s', 0.25, []],
    ['another', 1.25, ['it went on in another session than it was asked to']],
  ])('costs what that session counts (%s)', (session, costUsd, surprises) => {
    const baseline = { costUsd: 1, tokens: null };
    const parser = provider.createParser({ baseline, resumed: 's', now: () => NOW });
    const told = {
      type: 'result',
      is_error: false,
      result: 'done',
      total_cost_usd: 1.25,
      session_id: session,
    };
    for (const line of [{ ...init(), session_id: session }, told])
      parser.line(Buffer.from(JSON.stringify(line)));
    const verdict = parser.verdict(TERMINATED);
    expect(verdict.costUsd).toBe(costUsd);
    expect(verdict.surprises.map((text) => text.replace(/^claude[^:]*: /u, ''))).toEqual(surprises);
  });
});

/** As JSON, with what JSON does not know left out. */
function jsonOf(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? null : part)) ?? 'null';
}
