import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Task } from '#aiwgd/protocol/task.js';
import type { Project } from '../e2e/support.js';
import { until } from '../support/temp.js';
import { agentPid, daemonWith, messagesOf } from './project.js';
import { FakeAnthropic } from './support.js';

const FREE = { permission_mode: 'bypassPermissions' };
/** What the fake charges for a tool call, and for a text. */
const TOOL_USD = 0.001;
const TEXT_USD = 0.0006;
/** With background tasks, which agents of ours do without. */
const BACKGROUND = { ...FREE, env: { CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '0' } };

const taskOf = (project: Project): Promise<Task> => project.json<Task>(['task', 'get', 'task-0001']);

/** Carries out one task to its end. Whatever came of it, nothing of it runs any more. */
async function carriedOut(project: Project, prompt = 'work'): Promise<Task> {
  await project.run(['task', 'submit', prompt, '--wait']);
  expect(project.agents()).toEqual([]);
  return taskOf(project);
}

/** Until the first attempt has ended with the task back in the queue. */
async function putBack(project: Project): Promise<Task> {
  await project.ok(['task', 'submit', 'work']);
  let task: Task | undefined;
  const isBack = async (): Promise<boolean> => {
    task = await taskOf(project);
    return task.state === 'queued' && task.error !== null;
  };
  await until('the task is back in the queue', isBack, 40_000);
  expect(project.agents()).toEqual([]);
  return task!;
}

const script = (...behaviours: (string | [tool: string, input: object])[]): string[] =>
  behaviours.map((one) => (typeof one === 'string' ? one : `tool:${one[0]}:${JSON.stringify(one[1])}`));

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe('a run of claude that goes well', () => {
  it('has its result and its exact cost', async () => {
    await using api = await FakeAnthropic.start(['tokens:1000/100:Forty-two.']);
    const task = await carriedOut(await daemonWith(api));
    expect(task).toMatchObject({ state: 'completed', result: 'Forty-two.', error: null, attempt: 1 });
    expect(task.costUsd).toBeCloseTo(0.006, 9);
  });

  it('uses its tools as far as the configuration lets it', async () => {
    await using api = await FakeAnthropic.start(['tool_bash:touch made', 'tool_bash:mkdir not', 'ok:Made.']);
    const project = await daemonWith(api, { allowed_tools: ['Bash(touch *)'] });
    const task = await carriedOut(project);
    expect(task).toMatchObject({ state: 'completed', result: 'Made.' });
    expect(task.costUsd).toBeCloseTo(2 * TOOL_USD + TEXT_USD, 9);
    expect(['made', 'not'].map((name) => existsSync(join(project.root, name)))).toEqual([true, false]);
  });

  it('has the last of several results, with the cost of its sub-agent', async () => {
    const sub = { description: 'd', prompt: 'p', subagent_type: 'general-purpose' };
    await using api = await FakeAnthropic.start(script(['Task', sub], 'ok:sub', 'ok:main', 'ok:last'));
    const project = await daemonWith(api, BACKGROUND);
    const task = await carriedOut(project);
    expect(task).toMatchObject({ state: 'completed', result: 'last', attempt: 1 });
    expect(task.costUsd).toBeCloseTo(TOOL_USD + 3 * TEXT_USD, 9);
    expect(messagesOf(project, 1).filter(({ type }) => type === 'result').length).toBeGreaterThan(1);
  });

  it('is over soon after its result, though its background task never ends', async () => {
    const sleep = { command: 'sleep 1000', description: 'd', run_in_background: true };
    await using api = await FakeAnthropic.start(script(['Bash', sleep], 'ok:Started.'));
    const task = await carriedOut(await daemonWith(api, BACKGROUND));
    expect(task).toMatchObject({ state: 'completed', result: 'Started.', error: null });
    expect(task.costUsd).toBeCloseTo(TOOL_USD + TEXT_USD, 9);
  });
});

describe('a run of claude that fails', () => {
  it.each([
    ['401!', /refused the key \(401\).*ANTHROPIC_API_KEY/],
    ['404!', /does not know what was asked for \(404\).*"model"/],
    ['refusal:No!', /refused to answer.*choose another model/s],
    ['max_tokens:cut off!', /cut off at its limit of tokens.*CLAUDE_CODE_MAX_OUTPUT_TOKENS/],
  ])('at %s tells what to do about it', async (behaviour, error) => {
    await using api = await FakeAnthropic.start([behaviour]);
    const project = await daemonWith(api, { env: { CLAUDE_CODE_MAX_RETRIES: '0' } });
    expect(await carriedOut(project)).toMatchObject({
      state: 'failed',
      error: expect.stringMatching(error),
      attempt: 1,
    });
  });

  it('stops at its limit of turns', async () => {
    await using api = await FakeAnthropic.start(['tool_bash:echo 1!']);
    const task = await carriedOut(await daemonWith(api, { ...FREE, max_turns: 2 }));
    expect(task).toMatchObject({
      state: 'failed',
      error: expect.stringMatching(/limit of turns.*max_turns/),
    });
    expect(task.costUsd).toBeCloseTo(2 * TOOL_USD, 9);
  });

  it('stops at its limit of spend', async () => {
    await using api = await FakeAnthropic.start(['tool_bash:echo 1!']);
    const project = await daemonWith(api, FREE, { budget: { per_task_usd: 1.5 * TOOL_USD } });
    const task = await carriedOut(project);
    expect(task.state).toBe('failed');
    expect(task.error).toMatch(/limit of spend.*budget\.per_task_usd/);
    expect(task.costUsd).toBeCloseTo(2 * TOOL_USD, 9);
  });
});

describe('a claude that is not let in', () => {
  const ONCE = { env: { CLAUDE_CODE_MAX_RETRIES: '1' } };

  it('waits as long as the API said with a 429', async () => {
    await using api = await FakeAnthropic.start(['429:3!']);
    const before = Date.now();
    const task = await putBack(await daemonWith(api, ONCE));
    expect(task).toMatchObject({
      waitReason: 'rate_limit',
      error: expect.stringMatching(/^Rate limited \(429\)/),
    });
    expect(task.error).toMatch(/lifted at \d{4}-/);
    expect(Date.parse(task.runAt ?? '')).toBeGreaterThan(before + 3_000);
    expect(task.costUsd ?? 0).toBe(0);
  });

  it('is not left waiting for a minute by a 429, and keeps what it has cost', async () => {
    await using api = await FakeAnthropic.start(['tool_bash:echo 1', '429:60!']);
    const before = Date.now();
    const task = await putBack(await daemonWith(api, FREE));
    expect(task).toMatchObject({
      waitReason: 'rate_limit',
      error: expect.stringMatching(/let it wait for [67]\d s/),
    });
    const toldAt = Date.now() - before;
    expect(toldAt).toBeLessThan(25_000);
    expect(Date.parse(task.runAt ?? '')).toBeGreaterThan(before + 60_000);
  });

  it('rides out a short overload', async () => {
    await using api = await FakeAnthropic.start(['529', '529', 'ok:After all.']);
    const task = await carriedOut(await daemonWith(api));
    expect(task).toMatchObject({ state: 'completed', result: 'After all.', attempt: 1 });
  });

  it('is put back by a longer one', async () => {
    await using api = await FakeAnthropic.start(['529!']);
    const task = await putBack(await daemonWith(api, ONCE));
    expect(task.error).toMatch(/^The API is overloaded \(529\)/);
    expect(task.runAt).not.toBeNull();
  });

  it('is put back where nobody answers', async () => {
    await using api = await FakeAnthropic.start();
    const env = { ...ONCE.env, ANTHROPIC_BASE_URL: `http://127.0.0.1:${await closedPort()}` };
    const task = await putBack(await daemonWith(api, { env }));
    expect(task.error).toMatch(/^The API could not be reached.*ANTHROPIC_BASE_URL/);
    expect(await api.played()).toEqual([]);
  });

  it('waits for the end of a subscription’s limit', async () => {
    await using api = await FakeAnthropic.start(['limit:3600!']);
    const before = Date.now();
    const env = { ANTHROPIC_API_KEY: '', CLAUDE_CODE_OAUTH_TOKEN: 'dummy' };
    const task = await putBack(await daemonWith(api, { env }));
    expect(task).toMatchObject({
      waitReason: 'rate_limit',
      error: expect.stringMatching(/limit.*lifted at/),
    });
    const wait = Date.parse(task.runAt ?? '') - before;
    expect(wait).toBeGreaterThan(3_590_000);
    expect(wait).toBeLessThan(3_800_000);
  });
});

describe('a claude that is cut off', () => {
  it('in the middle of an answer that never ends goes on in its session', async () => {
    await using api = await FakeAnthropic.start(['tool_bash:echo 1', 'hang_mid', 'ok:Went on.']);
    const project = await daemonWith(api, { ...FREE, stall_minutes: 0.1 });
    const task = await carriedOut(project);
    expect(task).toMatchObject({ state: 'completed', result: 'Went on.', attempt: 2 });
    // The program keeps its count when it is ended: both attempts are in it.
    expect(task.costUsd).toBeGreaterThanOrEqual(TOOL_USD + TEXT_USD - 1e-9);
    expect(project.logTail()).not.toContain('dummy');
  });

  it('by a kill goes on in its session, with what the program still knows of its cost', async () => {
    await using api = await FakeAnthropic.start(['tool_bash:echo $$ > up; sleep 1000', 'ok:Went on.']);
    const project = await daemonWith(api, FREE);
    await project.ok(['task', 'submit', 'work']);
    await until('its tool runs', () => existsSync(join(project.root, 'up')), 30_000);
    const tool = Number(readFileSync(join(project.root, 'up'), 'utf8'));
    expect(project.agents()).toContain(tool);
    process.kill(await agentPid(project), 'SIGKILL');
    await project.ok(['task', 'wait', 'task-0001']);
    const task = await taskOf(project);
    expect(task).toMatchObject({ state: 'completed', result: 'Went on.', attempt: 2 });
    expect(task.costUsd).toBeCloseTo(TEXT_USD, 9);
    expect(project.agents()).toEqual([]);
  });

  it('by the daemon’s stop has cost over both attempts what the API charged', async () => {
    await using api = await FakeAnthropic.start(['tool_bash:touch up; sleep 1000', 'ok:Went on.']);
    const project = await daemonWith(api, FREE);
    await project.ok(['task', 'submit', 'work']);
    await until('its tool runs', () => existsSync(join(project.root, 'up')), 30_000);
    await project.ok(['stop']);
    expect(project.agents()).toEqual([]);
    await project.start();
    await project.ok(['task', 'wait', 'task-0001']);
    const task = await taskOf(project);
    expect(task).toMatchObject({ state: 'completed', result: 'Went on.', attempt: 2 });
    expect(task.costUsd).toBeCloseTo(TOOL_USD + TEXT_USD, 9);
  });
});
