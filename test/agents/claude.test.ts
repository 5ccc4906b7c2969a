import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { array, assert, boolean, constantFrom, nat, oneof, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LaunchInput, OutputParser } from '#aiwgd/agents/agent-provider.js';
import { LineSplitter } from '#aiwgd/agents/line-splitter.js';
import { claudeProvider } from '#aiwgd/agents/providers/claude.js';

const SAMPLES = join(import.meta.dirname, '../samples');
const index = JSON.parse(readFileSync(join(SAMPLES, 'index.json'), 'utf8')) as Record<
  string,
  { code: number; signal: string | null; stderr: string }
>;
const bytesOf = (name: string): Buffer => readFileSync(join(SAMPLES, `claude-2.1.330-${name}.jsonl`));
const provider = claudeProvider({ provider: 'claude' });
const gated = claudeProvider({ provider: 'claude', approvals: 'gate' });
const REQUEST: LaunchInput = {
  prompt: 'mend it',
  subAgent: null,
  resume: null,
  maxBudgetUsd: null,
  baseline: null,
  outside: false,
  allowed: [],
};

/** When the tests' program says whatever it says, by the wall. */
const NOW = Date.parse('2026-11-22T07:00:00Z');

function parserOn(bytes: Buffer): OutputParser {
  const parser = provider.createParser({ baseline: null, now: () => NOW });
  const splitter = new LineSplitter((line) => parser.line(line));
  splitter.push(bytes);
  splitter.end();
  return parser;
}

function delayIn(name: string): number {
  return Number(
    [
      ...bytesOf(name)
        .toString()
        .matchAll(/"retry_delay_ms":(\d+)/g),
    ].at(-1)?.[1],
  );
}

function verdictOn(name: string, bytes = bytesOf(name)) {
  const parser = parserOn(bytes);
  const { code, signal, stderr } = index[name]!;
  return parser.verdict({ exitCode: code, signal, stdoutTail: () => '', stderrTail: () => stderr });
}

/** `retry_delay_ms` of the last retry in the capture. */
const RETRY_AFTER_MS = delayIn('retry_after');

const EXPECTED: Record<
  string,
  { result?: string | RegExp; error?: RegExp; class?: string; cost?: number; retryAt?: number }
> = {
  ok: { result: 'pong', cost: 0.0006 },
  tool: { result: 'done', cost: 0.0016 },
  permission_denied: { result: 'Hello from the fake model.', cost: 0.0016 },
  max_turns: { error: /limit of turns.*max_turns of the agent/, class: 'run_limit', cost: 0.001 },
  max_budget: { error: /limit of spend.*\$0\.002.*budget\.per_task_usd/, class: 'run_limit', cost: 0.002 },
  api_401: { error: /refused the key \(401\).*ANTHROPIC_API_KEY.*log in/, class: 'auth', cost: 0 },
  api_429: { error: /^Rate limited \(429\).*max_parallel/, class: 'rate_limit', cost: 0 },
  api_529: { error: /overloaded \(529\)/, class: 'overloaded', cost: 0 },
  retry_then_ok: { result: 'after', cost: 0.0006 },
  usage_limit_oauth: {
    error: /Rate limited.*lifted at 2026-11-22T07:34:56.000Z/,
    class: 'rate_limit',
    cost: 0,
    retryAt: Date.parse('2026-11-22T07:34:56Z'),
  },
  refused: { error: /could not be reached.*proxy/, class: 'connection', cost: 0 },
  subagent: { result: 'Hello from the fake model.', cost: 0.0028 },
  background: { result: 'Hello from the fake model.', cost: 0.0022 },
  partial: { result: 'one two', cost: 0.0006 },
  sigint_api: { error: /ended without a result \(exit 0\)/, class: 'no_result' },
  sigint_tool: { error: /The agent failed/, class: 'agent_error', cost: 0.001 },
  sigterm_tool: { error: /ended without a result \(exit 143\)/, class: 'no_result' },
  structured: { result: '{"name":"bob"}', cost: 0.001 },
  approvals: { result: 'done', cost: 0.0036 },
  resumed: { result: 'two', cost: 0.018 },
  retry_after: {
    error: /^Rate limited \(429\).*lifted at 2026-11-22T07:00:03/,
    class: 'rate_limit',
    cost: 0,
    retryAt: NOW + RETRY_AFTER_MS,
  },
  retry_wait: {
    error: /^Rate limited \(429\): the API let it wait for 62 s; .*lifted at 2026-11-22T07:01:01/,
    class: 'rate_limit',
    retryAt: NOW + 61_511,
  },
  refusal: { error: /^The model refused.*safeguards.*another model$/s, class: 'agent_error', cost: 0.0012 },
  max_tokens: {
    error: /cut off at its limit of tokens.*CLAUDE_CODE_MAX_OUTPUT_TOKENS/,
    class: 'agent_error',
    cost: 0.0024,
  },
  resume_unknown: {
    error: /no longer has the session.*No conversation found/,
    class: 'session_gone',
    cost: 0,
  },
};

describe('the verdict on what claude printed', () => {
  it('has an expectation for every capture', () => {
    expect(Object.keys(EXPECTED).toSorted()).toEqual(Object.keys(index).toSorted());
  });

  it.each([
    ['a usage of too many levels', `"usage":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`],
    ['a usage of megabytes', `"usage":{"a":"${'x'.repeat(3_000_000)}"}`],
    ['a cost and a session that are none', `"total_cost_usd":1e999,"session_id":"${'x'.repeat(3_000_000)}"`],
  ])('passes over %s', (_, fields) => {
    const line = `{"type":"result","is_error":false,"result":"r",${fields}}\n`;
    expect(verdictOn('ok', Buffer.from(line))).toMatchObject({
      ok: true,
      result: 'r',
      error: null,
      failureClass: null,
      retryAt: null,
      sessionId: null,
      costUsd: null,
      usage: null,
    });
  });

  it.each(Object.keys(index))('%s', (name) => {
    const expected = EXPECTED[name]!;
    const verdict = verdictOn(name);
    expect(verdict.ok).toBe(expected.error === undefined);
    if (expected.error === undefined) expect(verdict.result).toBe(expected.result);
    else expect(verdict.error).toMatch(expected.error);
    expect(verdict.failureClass).toBe(expected.class ?? null);
    expect(verdict.retryAt).toBe(expected.retryAt ?? null);
    if (expected.cost === undefined) expect(verdict.costUsd).toBeNull();
    else expect(verdict.costUsd).toBeCloseTo(expected.cost, 9);
    expect(verdict.sessionId).toMatch(/^[0-9a-f-]{36}$/);
    if (verdict.ok) expect(verdict.usage).toMatchObject({ input_tokens: expect.any(Number) });
  });

  it('waits again after a result when a new init comes', () => {
    const parser = provider.createParser({ baseline: null });
    const seen: boolean[] = [];
    const splitter = new LineSplitter((line) => {
      parser.line(line);
      seen.push(parser.hasResult);
    });
    splitter.push(bytesOf('background'));
    const first = seen.indexOf(true);
    expect(first).toBeGreaterThan(0);
    expect(seen.indexOf(false, first)).toBeGreaterThan(first);
    expect(seen.at(-1)).toBe(true);
  });

  it('passes over stray text, unknown types and damaged lines', () => {
    const noise = Buffer.from(
      'oops\n{"type":"result"\n[1]\nnull\n"result"\n{"type":"new","result":"init"}\n',
    );
    const verdict = verdictOn('ok', Buffer.concat([noise, bytesOf('ok'), noise]));
    expect(verdict).toMatchObject({ ok: true, result: 'pong' });
  });
});

describe('the time at which a limit is lifted', () => {
  it.each([
    ['0', null],
    ['-5', null],
    ['null', null],
    ['"1795332896"', null],
    ['1e300', null],
    ['8640000000001', null],
    ['1795332896', 1_795_332_896_000],
    ['1795332896.5', 1_795_332_896_500],
  ])('told as %s', (told, retryAt) => {
    const lines = [
      `{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":${told}}}`,
      '{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"result":"no more"}',
    ];
    const verdict = verdictOn('ok', Buffer.from(lines.join('\n')));
    expect(verdict).toMatchObject({ failureClass: 'rate_limit', retryAt });
    expect(verdict.error?.includes('lifted at')).toBe(retryAt !== null);
  });

  it('is not the verdict’s where the run went well after all, or failed of something else', () => {
    const limit = '{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1795332896}}';
    for (const result of ['"is_error":false', '"is_error":true,"api_error_status":529']) {
      const lines = `${limit}\n{"type":"result","subtype":"success",${result},"result":"r"}\n`;
      expect(verdictOn('ok', Buffer.from(lines)).retryAt).toBe(null);
    }
  });
});

describe('an end without a result', () => {
  it.each([
    [null, 'SIGKILL', '', 'signal', /signal SIGKILL/],
    [1, null, 'boom', 'no_result', /exit 1\): boom/],
    [null, null, '', 'no_result', /exit unknown/],
    [1, null, "error: unknown option '--x'", 'bad_arguments', /--x.*"args"/],
  ])('%s %s %s', (exitCode, signal, stderr, failureClass, error) => {
    const parser = provider.createParser({ baseline: null });
    const verdict = parser.verdict({ exitCode, signal, stdoutTail: () => '', stderrTail: () => stderr });
    expect(verdict).toMatchObject({ ok: false, failureClass, error: expect.stringMatching(error) });
  });
});

describe('how claude is launched', () => {
  it('takes the prompt on stdin, and its own flags last', () => {
    const launch = claudeProvider({
      provider: 'claude',
      args: ['--permission-mode', 'plan'],
      model: 'opus',
    }).prepare({ ...REQUEST, prompt: '--help', subAgent: 'reviewer' });
    expect(launch).toMatchObject({ program: 'claude', stdin: '--help' });
    expect(launch.args).toEqual(
      '--permission-mode plan -p --output-format stream-json --verbose --model opus --agent reviewer'.split(
        ' ',
      ),
    );
    expect(launch.env).toHaveProperty('CLAUDECODE', undefined);
  });

  it('goes on in its session', () => {
    const resume = '5f2aa44a-db6e-48ec-982c-6ad150c517af';
    const launch = provider.prepare({ ...REQUEST, resume });
    expect(launch.args.slice(-2)).toEqual(['--resume', resume]);
    expect(launch.stdin).toBe('mend it');
  });

  it('has what the configuration says, with values that cannot be flags', () => {
    const { args } = claudeProvider({
      provider: 'claude',
      permission_mode: 'acceptEdits',
      allowed_tools: ['Bash(npm test:*)', '--help'],
      disallowed_tools: ['WebFetch'],
      append_prompt: '-v',
      max_turns: 7,
    }).prepare(REQUEST);
    expect(args.slice(4)).toEqual([
      '--permission-mode=acceptEdits',
      '--allowedTools=Bash(npm test:*)',
      '--allowedTools=--help',
      '--disallowedTools=WebFetch',
      '--append-system-prompt=-v',
      '--max-turns=7',
    ]);
  });

  it.each([
    [0.3, '0.300000'],
    [1e-7, '0.000001'],
    [0, '0.000001'],
    [1_000_000, '1000000.000000'],
  ])('may cost %s USD in this run, whatever its session has cost', (maxBudgetUsd, text) => {
    const baseline = { costUsd: 5, tokens: null };
    const { args } = provider.prepare({ ...REQUEST, maxBudgetUsd, baseline });
    expect(args).toContain(`--max-budget-usd=${text}`);
  });

  it('leaves out what a repository brings along where a task comes from outside', () => {
    const confined = ['--setting-sources', 'user', '--strict-mcp-config'];
    expect(provider.prepare({ ...REQUEST, outside: true }).args).toEqual(expect.arrayContaining(confined));
    expect(provider.prepare(REQUEST).args).not.toContain('--strict-mcp-config');
    const trusting = claudeProvider({ provider: 'claude', outside_settings: 'all' });
    expect(trusting.prepare({ ...REQUEST, outside: true }).args).not.toContain('--strict-mcp-config');
  });

  it('takes what a person allowed, but nothing that the program would read as more than one rule', () => {
    const allowed = [
      'Bash(npm test *)',
      'Edit(**)',
      'Bash(touch a), Bash(*)',
      'Read,Bash',
      '--x',
      'Bash(a)b',
    ];
    const { args } = provider.prepare({ ...REQUEST, allowed });
    expect(args.slice(4)).toEqual(['--allowedTools=Bash(npm test *)', '--allowedTools=Edit(**)']);
  });

  it('gets the prompt as a message where it may ask, and more may follow', () => {
    const launch = gated.prepare({ ...REQUEST, prompt: 'a "quoted"\nline' });
    expect(launch.staysOpen).toBe(true);
    expect(launch.args.join(' ')).toContain('--input-format stream-json --permission-prompt-tool stdio');
    expect(launch.stdin).toMatch(/^[^\n]+\n$/);
    expect(JSON.parse(launch.stdin!)).toEqual({
      type: 'user',
      message: { role: 'user', content: 'a "quoted"\nline' },
    });
    expect(provider.prepare(REQUEST).staysOpen).toBe(false);
  });

  it('refuses a prompt that does not fit on the way to an agent that may ask', () => {
    expect(() => gated.prepare({ ...REQUEST, prompt: 'x'.repeat(999_930) })).not.toThrow();
    expect(() => gated.prepare({ ...REQUEST, prompt: '"'.repeat(600_000) })).toThrow(
      expect.objectContaining({ code: 'INVALID_PARAMS', message: expect.stringContaining('put long texts') }),
    );
  });

  it('begins anew where a session is none', () => {
    const begun = provider.prepare(REQUEST);
    const id = '5f2aa44a-db6e-48ec-982c-6ad150c517af';
    assert(
      property(
        oneof(string(), constantFrom('--help', `-${id}`, `${id}\n`, ` ${id}`, id.slice(1), `../${id}`)),
        (resume) => {
          expect(provider.prepare({ ...REQUEST, resume })).toEqual(begun);
        },
      ),
    );
  });
});

describe('lines', () => {
  it('come out whole wherever the pieces end', () => {
    const text = array(string({ unit: 'binary' }).map((line) => line.replaceAll('\n', '¶')));
    assert(
      property(text, array(nat(200)), boolean(), (lines, cuts, closed) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join('') + (closed ? '' : 'tail'));
        const out: string[] = [];
        const splitter = new LineSplitter((line) => out.push(line.toString()));
        const reused = Buffer.alloc(256);
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const size = Math.min(bytes.length - at, 1 + (cuts[turn % Math.max(1, cuts.length)] ?? 6));
          bytes.copy(reused, 0, at, at + size);
          splitter.push(reused.subarray(0, size));
          at += size;
        }
        splitter.end();
        const whole = lines.map((line) => Buffer.from(line).toString());
        expect(out).toEqual(closed ? whole : [...whole, 'tail']);
      }),
    );
  });

  it('that are too long are passed over and counted', () => {
    const out: string[] = [];
    const splitter = new LineSplitter((line) => out.push(line.toString()), 10);
    for (const piece of ['short\n', '0123456', '789', 'abc\nnext\n', '01234567890\n', 'x'.repeat(50)])
      splitter.push(Buffer.from(piece));
    splitter.end();
    expect(out).toEqual(['short', 'next']);
    expect(splitter.skipped).toBe(3);
  });
});
