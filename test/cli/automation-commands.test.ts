import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Handlers, RpcServer } from '#aiwgd/ipc/rpc-server.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import type { Gate } from '#aiwgd/protocol/automation.js';
import { AiwgdError } from '#aiwgd/protocol/errors.js';
import { projectPaths } from '#aiwgd/protocol/project-paths.js';
import { type CliResult, makeFolder, runCli } from './run-cli.js';

const METHODS = [
  'automation.status',
  'automation.enable',
  'automation.disable',
  'automation.test',
  'automation.trace',
  'gate.list',
  'gate.approve',
  'gate.reject',
  'event.emit',
  'task.submit',
] as const;

const GATE: Gate = {
  id: 'gate-0001',
  state: 'approved',
  kind: 'rule',
  summary: 'Deploy?',
  action: 'command ["./deploy.sh"]',
  always: null,
  ruleId: 'deploy',
  taskId: null,
  createdAt: '2026-11-22T12:00:00.000Z',
  expiresAt: '2026-11-22T13:00:00.000Z',
  answeredBy: 'uid 1000 (alice) over the socket',
  reason: null,
};

interface Stand {
  root: string;
  calls: { method: string; params: unknown }[];
  cli: (words: string[], more?: { input?: string; env?: Record<string, string> }) => Promise<CliResult>;
}

/** A socket that notes what the commands ask, and answers as told; an `AiwgdError` is thrown. */
async function openStand(answers: Record<string, unknown> = {}): Promise<Stand> {
  const { root, remove } = makeFolder();
  onTestFinished(remove);
  const calls: Stand['calls'] = [];
  const handlers: Record<string, unknown> = {};
  for (const method of METHODS) {
    handlers[method] = (params: unknown) => {
      calls.push({ method, params });
      const answer = answers[method];
      if (answer instanceof AiwgdError) throw answer;
      return answer;
    };
  }
  const server = new RpcServer({
    address: projectPaths(root).socket,
    handlers: handlers as unknown as Handlers,
    events: { subscribe: () => ({ close: () => {} }) },
    output: { attempt: async () => undefined, read: async () => ({ data: '', nextOffset: 0, eof: true }) },
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    clock: systemClock,
    version: '1',
  });
  onTestFinished(() => server.close());
  await server.listen();
  // Whoever runs these tests may be an agent itself.
  const env = { AIWG_TASK_ID: '', AIWG_PROJECT: '' };
  return {
    root,
    calls,
    cli: (words, more = {}) => runCli(words, { cwd: root, ...more, env: { ...env, ...more.env } }),
  };
}

describe('automation test', () => {
  const event = { type: 'file.modify', payload: { path: 'src/a.ts' } };
  const answers = { 'automation.test': [{ ruleId: 'docs', fires: false, why: 'its pattern is docs/**' }] };

  test('takes the event from a file, from stdin or as it stands', async () => {
    const { root, calls, cli } = await openStand(answers);
    writeFileSync(join(root, 'event.json'), `\ufeff${JSON.stringify(event)}\n`);
    const fromFile = await cli(['automation', 'test', 'event.json']);
    expect(fromFile).toMatchObject({ code: 0, stdout: '✗ docs  does not fire: its pattern is docs/**\n' });
    await cli(['automation', 'test', '-', '--rule', 'docs'], { input: JSON.stringify(event) });
    const { stdout } = await cli(['automation', 'test', JSON.stringify(event), '--json']);
    expect(JSON.parse(stdout)).toEqual(answers['automation.test']);
    expect(calls.map(({ params }) => params)).toEqual([{ event }, { ruleId: 'docs', event }, { event }]);
  });

  test('goes over the history', async () => {
    const { calls, cli } = await openStand(answers);
    await cli(['automation', 'test', '--history']);
    await cli(['automation', 'test', '--history', '--since', '2026-11-22T08:00:00Z']);
    expect(calls.map(({ params }) => params)).toEqual([
      { since: '1970-01-01T00:00:00.000Z' },
      { since: '2026-11-22T08:00:00.000Z' },
    ]);
  });

  test('says what is wrong with what it was given, and asks nothing', async () => {
    const { root, calls, cli } = await openStand(answers);
    writeFileSync(join(root, 'list.json'), '[]');
    for (const [words, message] of [
      [[], 'Which event?'],
      [['nowhere.json'], 'The event nowhere.json cannot be read'],
      [['list.json'], 'list.json is no event'],
      [['{"type": '], 'the event is not JSON'],
      [['list.json', '--history'], 'not both'],
      [['list.json', '--since', '1h'], '--since goes with --history'],
      [['--history', '--since', 'yesterday'], '--since yesterday: write'],
    ] as const) {
      const { code, stderr } = await cli(['automation', 'test', ...words]);
      expect(stderr).toContain(message);
      expect(code).toBe(2);
    }
    expect(calls).toEqual([]);
  });
});

describe('the switches', () => {
  test('work on all rules or on one, also from stdin', async () => {
    const { calls, cli } = await openStand({
      'automation.enable': { enabled: true },
      'automation.disable': { enabled: false },
    });
    const off = await cli(['automation', 'disable']);
    expect(off.stdout).toBe('Automation is off: no rule fires until aiwgd automation enable\n');
    const on = await cli(['automation', 'enable', '--rule', '-'], { input: 'docs\n' });
    expect(on.stdout).toBe('Rule docs may fire again\n');
    const json = await cli(['automation', 'disable', '--rule', 'docs', '--json']);
    expect(JSON.parse(json.stdout)).toEqual({ enabled: false });
    expect(calls).toEqual([
      { method: 'automation.disable', params: {} },
      { method: 'automation.enable', params: { ruleId: 'docs' } },
      { method: 'automation.disable', params: { ruleId: 'docs' } },
    ]);
  });

  test('exit 4 for a rule that is not there', async () => {
    const { cli } = await openStand({
      'automation.enable': new AiwgdError('NOT_FOUND', 'There is no rule x.'),
    });
    expect(await cli(['automation', 'enable', '--rule', 'x'])).toMatchObject({
      code: 4,
      stderr: 'aiwgd: There is no rule x.\n',
    });
  });
});

describe('the views', () => {
  test('of status, trace and gates are asked for, and are JSON where wanted', async () => {
    const trace = { entries: [], unseen: [{ ruleId: 'docs', why: 'no file event yet' }] };
    const { calls, cli } = await openStand({
      'automation.status': { enabled: true, ruleCount: 0, rules: [], recentExecutions: [] },
      'automation.trace': trace,
      'gate.list': [],
    });
    expect((await cli(['automation', 'status'])).stdout).toBe('Automation is on: 0 rules\n');
    expect((await cli(['automation', 'trace', '--rule', 'docs', '--limit', '3'])).stdout).toBe(
      'docs  nothing has triggered it yet: no file event yet\n',
    );
    expect(JSON.parse((await cli(['automation', 'trace', '--json'])).stdout)).toEqual(trace);
    expect((await cli(['gate', 'list'])).stdout).toBe('Nothing waits for an answer\n');
    expect((await cli(['gate', 'list', '--all', '--json'])).stdout).toBe('[]\n');
    await cli(['gate', 'list', '--state', 'expired']);
    expect(calls.slice(1).map(({ params }) => params)).toEqual([
      { ruleId: 'docs', limit: 3 },
      { limit: 20 },
      { state: 'pending' },
      { state: 'all' },
      { state: 'expired' },
    ]);
  });
});

describe('answers', () => {
  test('say yes to the gate that is named, and what that means', async () => {
    const { calls, cli } = await openStand({ 'gate.approve': GATE });
    const { code, stdout } = await cli(['gate', 'approve', '-'], { input: 'gate-0001\n' });
    expect(code).toBe(0);
    expect(stdout).toBe('gate-0001 approved  Deploy?\n  This is done now:\n    │ command ["./deploy.sh"]\n');
    expect(JSON.parse((await cli(['gate', 'approve', 'gate-0001', '--json'])).stdout)).toEqual(GATE);
    expect(calls[0]).toEqual({ method: 'gate.approve', params: { gateId: 'gate-0001' } });
  });

  test('say yes for good', async () => {
    const { calls, cli } = await openStand({ 'gate.approve': GATE });
    await cli(['gate', 'approve', 'gate-0001', '--always']);
    expect(calls[0]?.params).toEqual({ gateId: 'gate-0001', always: true });
  });

  test('say no, with all words of the reason', async () => {
    const { calls, cli } = await openStand({ 'gate.reject': { ...GATE, state: 'rejected' } });
    await cli(['gate', 'reject', 'gate-0001', 'not', 'on a', 'Friday']);
    await cli(['gate', 'reject', 'gate-0001']);
    expect(calls.map(({ params }) => params)).toEqual([
      { gateId: 'gate-0001', reason: 'not on a Friday' },
      { gateId: 'gate-0001' },
    ]);
  });

  test('exit 4 for an unknown gate, 1 for one that was answered', async () => {
    const { cli } = await openStand({
      'gate.approve': new AiwgdError('NOT_FOUND', 'There is no gate gate-9.'),
      'gate.reject': new AiwgdError('CONFLICT', 'gate-0001 was approved by alice'),
    });
    expect((await cli(['gate', 'approve', 'gate-9'])).code).toBe(4);
    expect(await cli(['gate', 'reject', 'gate-0001'])).toMatchObject({
      code: 1,
      stderr: 'aiwgd: gate-0001 was approved by alice\n',
    });
  });
});

describe('what an agent makes', () => {
  const answers = {
    'event.emit': { eventId: 'e1' },
    'task.submit': { taskId: 'task-0002', state: 'queued', deduped: false },
  };

  test('names its task as the cause', async () => {
    const { root, calls, cli } = await openStand(answers);
    const env = { AIWG_TASK_ID: 'task-0001', AIWG_PROJECT: root };
    await cli(['events', 'emit', 'build.failed'], { env });
    await cli(['task', 'submit', 'look at it'], { env });
    await cli(['task', 'submit', '--cause', 'e-7', 'look at it'], { env });
    expect(calls.map(({ params }) => (params as { cause?: string }).cause)).toEqual([
      'task-0001',
      'task-0001',
      'e-7',
    ]);
  });

  test('has no cause for an agent of another project, nor for a person', async () => {
    const { calls, cli } = await openStand(answers);
    await cli(['events', 'emit', 'build.failed'], {
      env: { AIWG_TASK_ID: 'task-0001', AIWG_PROJECT: '/nowhere/else' },
    });
    await cli(['task', 'submit', 'look at it']);
    for (const { params } of calls) expect(params).not.toHaveProperty('cause');
    expect(calls).toHaveLength(2);
  });
});
