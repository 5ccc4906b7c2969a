import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Question } from '#aiwgd/agents/agent-provider.js';
import { claudeProvider } from '#aiwgd/agents/providers/claude.js';
import {
  AgentFolder,
  type AgentMessage,
  agentEnvironment,
  claudeProgram,
  FakeAnthropic,
  type Listener,
  runClaude,
  talkToClaude,
} from './support.js';

const provider = claudeProvider({ provider: 'claude', approvals: 'gate' });
const SESSION = '5f2aa44a-db6e-48ec-982c-6ad150c517af';
/** What the fake's `tokens:1000/100` costs. */
const CALL_USD = 0.006;

/** Ends the agent at the first message of a type. */
const endAt =
  (type: string, signal: NodeJS.Signals): Listener =>
  (message, agent) => {
    if (message.type === type) agent.kill(signal);
  };

const questionOf = ({ request_id: id = '', request }: AgentMessage, rule: string | null): Question => ({
  id,
  tool: request!.tool_name,
  input: request!.input,
  rule,
});

describe('what claude counts', () => {
  it('goes on in a session that is resumed, but its budget is one of the run', async () => {
    using folder = new AgentFolder();
    const call = 'tokens:1000/100:one';
    await using api = await FakeAnthropic.start([call, call, 'tool_bash:echo hi', call]);
    const first = await runClaude(folder, api.url, 'hello', ['--session-id', SESSION]);
    expect(first.result).toMatchObject({ session_id: SESSION, total_cost_usd: CALL_USD });
    const second = await runClaude(folder, api.url, 'go on', ['--resume', SESSION]);
    expect(second.result?.total_cost_usd).toBeCloseTo(2 * CALL_USD, 9);
    expect(second.result?.usage).toMatchObject({ input_tokens: 1000 });
    const budget = ['--resume', SESSION, `--max-budget-usd=${2 * CALL_USD}`];
    const third = await runClaude(folder, api.url, 'go on', budget);
    expect(third.result).toMatchObject({ subtype: 'success', is_error: false });
    expect(third.result?.total_cost_usd).toBeGreaterThan(3 * CALL_USD);
  });

  it('is kept on SIGTERM and lost on SIGKILL', async () => {
    using folder = new AgentFolder();
    const call = 'tokens:1000/100:one';
    await using api = await FakeAnthropic.start([call]);
    await runClaude(folder, api.url, 'hello', ['--session-id', SESSION]);
    const resume = ['--resume', SESSION];
    const totals: number[] = [];
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await api.play(['tool_bash:echo hi', 'hang!']);
      const cut = await runClaude(folder, api.url, 'on', resume, { hear: endAt('user', signal) });
      expect(cut.result).toBeUndefined();
      await api.play([call]);
      const { result } = await runClaude(folder, api.url, 'on', resume);
      totals.push(result?.total_cost_usd ?? 0);
    }
    expect(totals[0]).toBeCloseTo(2 * CALL_USD + 0.001, 9);
    expect(totals[1]).toBeCloseTo(3 * CALL_USD + 0.001, 9);
  });
});

describe('how claude waits for the API', () => {
  it.each([
    ['429:2!', 2_000, 2_600],
    ['529!', 400, 700],
  ])('at %s it tells the wait before each retry', async (behaviour, least, most) => {
    using folder = new AgentFolder();
    await using api = await FakeAnthropic.start([behaviour]);
    const env = { CLAUDE_CODE_MAX_RETRIES: '1' };
    const { messages, result } = await runClaude(folder, api.url, 'hello', [], { env });
    const waits = messages.flatMap(({ retry_delay_ms: ms }) => (ms === undefined ? [] : [ms]));
    expect(waits).toHaveLength(1);
    expect(waits[0]).toBeGreaterThanOrEqual(least);
    expect(waits[0]).toBeLessThan(most);
    expect(result).toMatchObject({ is_error: true, api_error_status: Number(behaviour.slice(0, 3)) });
  });

  it('waits for a minute where the API says so', async () => {
    using folder = new AgentFolder();
    await using api = await FakeAnthropic.start(['429:60!']);
    const env = { CLAUDE_CODE_MAX_RETRIES: '3' };
    const hear: Listener = ({ retry_delay_ms: ms }, agent) => {
      if (ms !== undefined) agent.kill();
    };
    const { messages, result } = await runClaude(folder, api.url, 'hello', [], { env, hear });
    expect(messages.at(-1)?.retry_delay_ms).toBeGreaterThanOrEqual(60_000);
    expect(result).toBeUndefined();
  });
});

describe('what a repository brings along', () => {
  /** A repository whose hooks and server each leave a file behind. */
  function plant(folder: AgentFolder): () => string[] {
    const marks = join(folder.root, 'marks');
    mkdirSync(marks);
    const hook = (name: string) => [{ hooks: [{ type: 'command', command: `touch ${join(marks, name)}` }] }];
    const hooks = { SessionStart: hook('start'), Stop: hook('stop') };
    const put = (path: string, content: object): void =>
      writeFileSync(join(folder.project, path), JSON.stringify(content));
    mkdirSync(join(folder.project, '.claude'));
    put('.claude/settings.json', { hooks });
    put('.claude/settings.local.json', { enableAllProjectMcpServers: true });
    put('.mcp.json', { mcpServers: { evil: { command: 'touch', args: [join(marks, 'server')] } } });
    writeFileSync(join(folder.project, 'CLAUDE.md'), 'Words of the repository.');
    return () => readdirSync(marks).toSorted();
  }

  it.each([
    ['takes effect by itself', false, ['server', 'start', 'stop'], true],
    ['does not where the task comes from outside', true, [], false],
  ])('%s', async (_, outside, marks, reads) => {
    using folder = new AgentFolder();
    const left = plant(folder);
    await using api = await FakeAnthropic.start(['ok']);
    const launch = claudeProvider({ provider: 'claude' }).prepare({
      prompt: 'hello',
      subAgent: null,
      resume: null,
      maxBudgetUsd: null,
      baseline: null,
      outside,
      allowed: [],
    });
    const run = await runClaude(folder, api.url, 'hello', launch.args.slice(4));
    expect(run.result).toMatchObject({ is_error: false });
    expect(left()).toEqual(marks);
    expect(JSON.stringify(await api.requests()).includes('Words of the repository.')).toBe(reads);
  });
});

describe('permission', () => {
  it('that is given always covers what its rule says, and no more', async () => {
    using folder = new AgentFolder();
    const script = ['tool_bash:touch a', 'tool_bash:touch b', 'tool_bash:mkdir c', 'ok:done'];
    await using api = await FakeAnthropic.start(script);
    const asked: unknown[] = [];
    const run = await talkToClaude(folder, api.url, [], (message, agent) => {
      if (message.type === 'result') agent.kill();
      if (message.type !== 'control_request') return;
      asked.push(message.request?.input['command']);
      const allow = asked.length === 1;
      const reply = { allow, always: true, message: 'Not that.' };
      const line = provider.answerLine?.(questionOf(message, 'Bash(touch *)'), reply) ?? '';
      // Twice, and once for a question that there never was: only the first one counts.
      const stray = provider.answerLine?.({ ...questionOf(message, null), id: 'nobody' }, reply);
      const opposite = provider.answerLine?.(questionOf(message, null), { ...reply, allow: !allow });
      agent.stdin?.write(`${stray}${line}${line}${opposite}`);
    });
    expect(asked).toEqual(['touch a', 'mkdir c']);
    expect(run.result).toMatchObject({ is_error: false, result: 'done' });
    expect(readdirSync(folder.project).toSorted()).toEqual(['a', 'b']);
    expect(JSON.stringify(await api.requests())).toContain('Not that.');
    const again = await runClaude(folder, api.url, 'go on', ['--resume', run.result?.session_id ?? '']);
    expect(again.result?.is_error, 'ended right after its result, the session goes on').toBe(false);
  });

  it('has rules that the program reads as several where we see one text', async () => {
    using folder = new AgentFolder();
    await using api = await FakeAnthropic.start(['tool_bash:mkdir c', 'tool_bash:touch x', 'ok']);
    const rules = ['--allowedTools=Bash(touch a), Bash(mkdir *)'];
    await runClaude(folder, api.url, 'hello', rules);
    expect(existsSync(join(folder.project, 'c'))).toBe(true);
    expect(existsSync(join(folder.project, 'x'))).toBe(false);
  });
});

describe('the probe', () => {
  it('finds the flags that we use in the help of the program', () => {
    const { version = [], help = [], words = [] } = provider.probe ?? {};
    using folder = new AgentFolder();
    const env = agentEnvironment(folder.home, 'http://127.0.0.1:1');
    const ask = (args: readonly string[]): string =>
      spawnSync(claudeProgram(), [...args], { env, encoding: 'utf8', timeout: 20_000 }).stdout;
    expect(ask(version)).toMatch(/^\d+\.\d+\.\d+/);
    const text = ask(help);
    expect(words.filter((word) => !text.includes(word))).toEqual([]);
  });
});
