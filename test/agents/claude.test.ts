import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { array, assert, boolean, constantFrom, nat, oneof, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LaunchInput } from '#aiwgd/agents/agent-provider.js';
import { LineSplitter } from '#aiwgd/agents/line-splitter.js';
import { claudeProvider } from '#aiwgd/agents/providers/claude.js';

const SAMPLES = join(import.meta.dirname, '../samples');
const index = JSON.parse(readFileSync(join(SAMPLES, 'index.json'), 'utf8')) as Record<
  string,
  { code: number; signal: string | null; stderr: string }
>;
const bytesOf = (name: string): Buffer => readFileSync(join(SAMPLES, `claude-2.1.330-${name}.jsonl`));
const provider = claudeProvider({ provider: 'claude' });
const REQUEST: LaunchInput = {
  prompt: 'mend it',
  subAgent: null,
  resume: null,
  maxBudgetUsd: null,
  baseline: null,
  outside: false,
  allowed: [],
};

function verdictOn(name: string, bytes = bytesOf(name)) {
  const parser = provider.createParser({ baseline: null });
  const splitter = new LineSplitter((line) => parser.line(line));
  splitter.push(bytes);
  splitter.end();
  const { code, signal, stderr } = index[name]!;
  return parser.verdict({ exitCode: code, signal, stdoutTail: () => '', stderrTail: () => stderr });
}

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
    expect(verdictOn('ok', Buffer.from(line))).toEqual({
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

  it('goes on in its session, with the prompt left to what stands there', () => {
    const resume = '5f2aa44a-db6e-48ec-982c-6ad150c517af';
    const launch = provider.prepare({ ...REQUEST, resume });
    expect(launch.args.slice(-2)).toEqual(['--resume', resume]);
    expect(launch.stdin).toMatch(/^You were interrupted.*beginning of this conversation still stands/);
    expect(launch.stdin).not.toContain('mend it');
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
