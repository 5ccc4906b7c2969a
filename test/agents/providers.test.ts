import { describe, expect, it } from 'vitest';
import { claudeProvider } from '#aiwgd/agents/providers/claude.js';
import { codexProvider } from '#aiwgd/agents/providers/codex.js';
import { commandProvider } from '#aiwgd/agents/providers/command.js';
import { geminiProvider } from '#aiwgd/agents/providers/gemini.js';
import { opencodeProvider } from '#aiwgd/agents/providers/opencode.js';
import { startedRig } from './harness.js';
import { captured, play, printed, providerSuite, START } from './providers-suite.js';

const UUID = '5f2aa44a-db6e-48ec-982c-6ad150c517af';
const CODEX = 'codex-0.169.0';
const GEMINI = 'gemini-0.61.0';
const OPENCODE = 'opencode-1.18.33';

providerSuite({
  name: 'claude',
  make: (config) => claudeProvider({ provider: 'claude', ...config }),
  program: 'claude',
  argv: ['--extra', '-p', '--output-format', 'stream-json', '--verbose', '--model', 'm1'],
  family: ['ANTHROPIC_*', 'CLAUDE_CODE_*', 'CLAUDE_CONFIG_DIR', 'IS_SANDBOX'],
  session: { id: UUID, argv: ['-p', '--output-format', 'stream-json', '--verbose', '--resume', UUID] },
  success: {
    capture: captured('claude-2.1.330-ok'),
    result: 'pong',
    tokens: { input: 100, cachedInput: 0, output: 10 },
    costUsd: 0.0006,
  },
  killed: captured('claude-2.1.330-sigterm_tool'),
  tool: { capture: captured('claude-2.1.330-tool'), words: /^Bash: echo/ },
  auth: captured('claude-2.1.330-api_401'),
  limited: captured('claude-2.1.330-api_429'),
  overloaded: captured('claude-2.1.330-api_529'),
  gone: captured('claude-2.1.330-resume_unknown'),
  badFlag: printed('', { code: 1, stderr: "error: unknown option '--x'" }),
  lines: 'events',
});

providerSuite({
  name: 'codex',
  make: (config) => codexProvider({ provider: 'codex', ...config }),
  program: 'codex',
  argv: ['exec', '--extra', '--json', '--skip-git-repo-check', '--model', 'm1', '-'],
  family: ['OPENAI_*', 'CODEX_*'],
  session: { id: UUID, argv: ['exec', 'resume', '--json', '--skip-git-repo-check', UUID, '-'] },
  success: {
    capture: captured(`${CODEX}-ok`),
    result: 'All done.',
    tokens: { input: 100, cachedInput: 0, output: 10 },
    costUsd: null,
  },
  killed: captured(`${CODEX}-sigterm_tool`),
  tool: { capture: captured(`${CODEX}-tool`), words: /^shell: .*echo hi > made/ },
  auth: captured(`${CODEX}-api_401`),
  limited: captured(`${CODEX}-api_429`),
  overloaded: captured(`${CODEX}-api_500`),
  gone: captured(`${CODEX}-resume_unknown`),
  badFlag: captured(`${CODEX}-bad_flag`),
  lines: 'events',
});

providerSuite({
  name: 'gemini',
  make: (config) => geminiProvider({ provider: 'gemini', ...config }),
  program: 'gemini',
  argv: ['--extra', '--output-format', 'stream-json', '--model', 'm1'],
  family: ['GEMINI_*', 'GOOGLE_*'],
  session: { id: UUID, argv: ['--output-format', 'stream-json', '--resume', UUID] },
  success: {
    capture: captured(`${GEMINI}-ok`),
    result: 'All done.',
    // Two requests: the first one chooses the model.
    tokens: { input: 200, cachedInput: 0, output: 20 },
    costUsd: null,
  },
  killed: captured(`${GEMINI}-sigterm_tool`),
  tool: { capture: captured(`${GEMINI}-tool`), words: /^run_shell_command: echo hi > made/ },
  auth: captured(`${GEMINI}-api_401`),
  limited: captured(`${GEMINI}-api_429`),
  overloaded: captured(`${GEMINI}-api_500`),
  gone: captured(`${GEMINI}-resume_unknown`),
  badFlag: captured(`${GEMINI}-bad_flag`),
  lines: 'events',
});

providerSuite({
  name: 'opencode',
  make: (config) => opencodeProvider({ provider: 'opencode', ...config }),
  program: 'opencode',
  argv: ['run', '--extra', '--format', 'json', '--model', 'm1'],
  family: ['OPENCODE_*'],
  session: {
    id: 'ses_dfbbcca36ffexoSmQrzHBV2MY3',
    argv: ['run', '--format', 'json', '--session', 'ses_dfbbcca36ffexoSmQrzHBV2MY3'],
  },
  success: {
    capture: captured(`${OPENCODE}-ok`),
    result: 'All done.',
    tokens: { input: 100, cachedInput: 0, output: 10 },
    costUsd: 0.000_12,
  },
  killed: captured(`${OPENCODE}-sigterm_tool`),
  tool: { capture: captured(`${OPENCODE}-tool`), words: /^bash: echo hi > made/ },
  auth: captured(`${OPENCODE}-api_401`),
  limited: captured(`${OPENCODE}-api_429`),
  overloaded: captured(`${OPENCODE}-api_500`),
  gone: captured(`${OPENCODE}-resume_unknown`),
  badFlag: captured(`${OPENCODE}-bad_flag`),
  lines: 'events',
});

const NO_API = { skip: 'nothing is known of what a program of one’s own calls' };

providerSuite({
  name: 'command',
  make: ({ args = [], model } = {}) =>
    commandProvider({ provider: 'command', command: ['sh', '-s', ...args, ...(model ? [model] : [])] }),
  program: 'sh',
  argv: ['-s', '--extra', 'm1'],
  family: [],
  session: { skip: 'a program of one’s own has no sessions' },
  success: { capture: printed('All done.\n'), result: 'All done.', tokens: null, costUsd: null },
  killed: { skip: 'its exit is the verdict, and it has no session' },
  tool: { skip: 'plain text tells no progress' },
  auth: NO_API,
  limited: NO_API,
  overloaded: NO_API,
  gone: { skip: 'a program of one’s own has no sessions' },
  badFlag: NO_API,
  lines: { skip: 'its stdout is text, not events' },
});

describe('command with the prompt as an argument', () => {
  it('puts it last, after --, because the configuration says so', () => {
    const provider = commandProvider({ provider: 'command', command: ['./note.sh'], prompt: 'argument' });
    expect(provider.prepare({ ...START, prompt: '--help' })).toMatchObject({
      args: ['--', '--help'],
      stdin: null,
    });
  });
});

describe('tasks from outside', () => {
  const outside = { ...START, outside: true };
  const all = { outside_settings: 'all' } as const;

  it('leave out what codex would trust a repository with', () => {
    const args = ['exec', '--json', '--skip-git-repo-check', '--ignore-user-config', '--ignore-rules', '-'];
    expect(codexProvider({ provider: 'codex' }).prepare(outside).args).toEqual(args);
    const trusting = codexProvider({ provider: 'codex', ...all }).prepare(outside);
    expect(trusting.args).toEqual(['exec', '--json', '--skip-git-repo-check', '-']);
  });

  it('are not trusted by gemini', () => {
    const trust = (config: object, input = outside) =>
      geminiProvider({ provider: 'gemini', ...config }).prepare(input).env['GEMINI_CLI_TRUST_WORKSPACE'];
    expect(trust({})).toBe('false');
    expect(trust(all)).toBe('true');
    expect(trust({}, START)).toBe('true');
    const { verdict } = play(geminiProvider({ provider: 'gemini' }), captured(`${GEMINI}-untrusted`));
    expect(verdict).toMatchObject({
      failureClass: 'bad_arguments',
      error: expect.stringContaining('"outside_settings": "all"'),
    });
  });

  it('are not given to opencode, unless the configuration says so', () => {
    expect(() => opencodeProvider({ provider: 'opencode' }).prepare(outside)).toThrow(
      /"outside_settings": "all"/,
    );
    expect(opencodeProvider({ provider: 'opencode', ...all }).prepare(outside).args).toEqual([
      'run',
      '--format',
      'json',
    ]);
  });
});

describe('a task from outside for opencode', () => {
  it('ends at once and says why', async () => {
    await using rig = await startedRig({ agents: { oc: { provider: 'opencode' } } });
    const task = await rig.run('hello', { agent: 'oc', source: 'messaging' });
    expect(task).toMatchObject({
      state: 'failed',
      attempt: 1,
      error: expect.stringContaining('"outside_settings": "all"'),
    });
  });
});

describe('the tokens of codex', () => {
  const provider = codexProvider({ provider: 'codex' });
  const resumed = captured(`${CODEX}-resumed`);
  const total = { input: 200, cachedInput: 0, output: 20 };
  const before = { input: 100, cachedInput: 0, output: 10 };

  it('are those of this attempt, however long the session', () => {
    const { verdict } = play(provider, resumed, { baseline: { costUsd: null, tokens: before } });
    expect(verdict.tokens).toEqual({ input: 100, cachedInput: 0, output: 10 });
    expect(verdict.sessionTotals).toEqual({ costUsd: null, tokens: total });
    expect(verdict.surprises).toEqual([]);
  });

  it('are taken as they stand where the count has shrunk, and that is said', () => {
    const baseline = { costUsd: null, tokens: { input: 5000, cachedInput: 0, output: 10 } };
    const { verdict } = play(provider, resumed, { baseline });
    expect(verdict.tokens).toEqual(total);
    expect(verdict.surprises).toEqual([expect.stringContaining('counted less')]);
  });

  it('are missed where they are told in another way', () => {
    const told = printed('{"type":"turn.completed","usage":{"in":1}}\n');
    const { verdict } = play(provider, told);
    expect(verdict).toMatchObject({ ok: true, tokens: null, sessionTotals: null });
    expect(verdict.surprises).toEqual([expect.stringContaining('does not tell its tokens')]);
  });
});

describe('what codex says of a failure', () => {
  it.each([
    ['unexpected status 503 Service Unavailable: x', 'overloaded'],
    ['unexpected status 403 Forbidden: x', 'auth'],
    ['{"error":{"code":400,"message":"x"}}', 'agent_error'],
    ["You've hit your usage limit. Try again later.", 'rate_limit'],
    ['Connection failed: error sending request', 'connection'],
    ['stream disconnected before completion', 'connection'],
    ['something else', 'agent_error'],
  ])('%s', (message, failureClass) => {
    const line = JSON.stringify({ type: 'turn.failed', error: { message } });
    const { verdict } = play(codexProvider({ provider: 'codex' }), printed(`${line}\n`, { code: 1 }));
    expect(verdict).toMatchObject({ ok: false, failureClass, error: expect.stringContaining(message) });
  });

  it('on the way is only trouble, and its last words where it was ended', () => {
    const { verdict } = play(codexProvider({ provider: 'codex' }), captured(`${CODEX}-refused`));
    expect(verdict).toMatchObject({ failureClass: 'signal', error: expect.stringMatching(/Reconnecting/) });
  });
});

describe('what gemini says of a failure', () => {
  const failed = (message: string, code: number) =>
    play(
      geminiProvider({ provider: 'gemini' }),
      printed(
        `${JSON.stringify({ type: 'result', timestamp: '2026-11-22T17:00:00.000Z', status: 'error', error: { message } })}\n`,
        { code },
      ),
    ).verdict;

  it.each([
    ['[API Error: fake 503]', 247, 'overloaded'],
    ['[API Error: {"error":{"code":403}}]', 147, 'auth'],
    ['[API Error: fake 404]', 1, 'agent_error'],
    ['Reached max session turns', 53, 'run_limit'],
  ])('%s with exit %s', (message, code, failureClass) => {
    expect(failed(message, code)).toMatchObject({ ok: false, failureClass });
  });

  it('tells when a limit ends, where Google told it', () => {
    expect(failed('Quota exceeded. Please retry in 41.5s.', 173)).toMatchObject({
      failureClass: 'rate_limit',
      retryAt: Date.parse('2026-11-22T17:00:41.500Z'),
      error: expect.stringContaining('lifted at 2026-11-22T17:00:41.500Z'),
    });
  });

  it('is a connection that failed', () => {
    const { verdict } = play(geminiProvider({ provider: 'gemini' }), captured(`${GEMINI}-refused`));
    expect(verdict).toMatchObject({ failureClass: 'connection' });
  });

  it.each([
    [41, 'auth'],
    [42, 'bad_arguments'],
    [52, 'bad_arguments'],
    [53, 'run_limit'],
    [1, 'no_result'],
  ])('without a word on stdout, by exit %s', (code, failureClass) => {
    const { verdict } = play(geminiProvider({ provider: 'gemini' }), printed('', { code, stderr: 'why' }));
    expect(verdict).toMatchObject({ ok: false, failureClass, error: expect.stringContaining('why') });
  });

  it('counts thoughts as output', () => {
    const stats = { total_tokens: 150, input_tokens: 100, output_tokens: 10, cached: 40 };
    const { verdict } = play(
      geminiProvider({ provider: 'gemini' }),
      printed(`${JSON.stringify({ type: 'result', status: 'success', stats })}\n`),
    );
    expect(verdict.tokens).toEqual({ input: 100, cachedInput: 40, output: 50 });
  });
});

describe('what opencode says of a failure', () => {
  const provider = opencodeProvider({ provider: 'opencode' });

  it('tells when a limit ends, as the API told it', () => {
    const { verdict } = play(provider, captured(`${OPENCODE}-api_429`));
    expect(verdict.retryAt).toBe(1_795_367_888_832 + 7000);
  });

  it('is a connection that failed', () => {
    expect(play(provider, captured(`${OPENCODE}-refused`)).verdict.failureClass).toBe('connection');
  });

  it.each([
    [{ name: 'ProviderAuthError', data: { message: 'no key' } }, 'auth'],
    [{ name: 'UnknownError', data: { message: 'Unexpected server error' } }, 'agent_error'],
    [{ name: 'MessageAbortedError' }, 'agent_error'],
  ])('%j', (error, failureClass) => {
    const { verdict } = play(provider, printed(`${JSON.stringify({ type: 'error', error })}\n`, { code: 1 }));
    expect(verdict).toMatchObject({ ok: false, failureClass });
  });
});

describe('the cost of opencode', () => {
  const finish = (part: object) =>
    `${JSON.stringify({ type: 'step_finish', part: { reason: 'stop', ...part } })}\n`;
  const tokens = { input: 10, output: 5, reasoning: 7, cache: { read: 100, write: 20 } };

  it('is that of all its steps, and its tokens are counted in the terms of all', () => {
    const provider = opencodeProvider({ provider: 'opencode' });
    const { verdict } = play(
      provider,
      printed(finish({ tokens, cost: 0.5 }) + finish({ tokens, cost: 0.25 })),
    );
    expect(verdict).toMatchObject({ ok: true, costUsd: 0.75, surprises: [] });
    expect(verdict.tokens).toEqual({ input: 260, cachedInput: 200, output: 24 });
  });

  it('is missed where it is told in another way', () => {
    const { verdict } = play(
      opencodeProvider({ provider: 'opencode' }),
      printed(finish({ tokens: 'many', cost: '0.5' })),
    );
    expect(verdict).toMatchObject({ ok: true, costUsd: null, tokens: null });
    expect(verdict.surprises).toHaveLength(2);
  });
});
