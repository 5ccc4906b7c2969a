import { describe, expect, it } from 'vitest';
import type { Gate } from '#aiwgd/protocol/automation.js';
import { until } from '../support/temp.js';
import { codeOf, connectMcp, textOf } from './mcp-client.js';
import { CLI, Project, runProgram } from './support.js';

const READING = [
  'get_task',
  'wait_task',
  'list_tasks',
  'read_output',
  'report_spend',
  'diff_task',
  'list_worktrees',
  'list_gates',
  'read_events',
  'daemon_status',
  'list_rules',
  'explain_rules',
  'list_jobs',
];

const ASKING = {
  rules: [
    {
      id: 'asks',
      trigger: { type: 'event', topic: 'release.wanted' },
      requires_approval: true,
      actions: [{ type: 'emit', topic: 'release.made' }],
    },
  ],
};

describe('the scope of an MCP client', () => {
  it('is reads, submit and cancel where the configuration says nothing', async () => {
    const mcp = await connectMcp(new Project());
    const names = await mcp.toolNames();
    expect(names.toSorted()).toEqual(['submit_task', 'cancel_task', ...READING].toSorted());
    for (const name of ['approve_gate', 'reject_gate', 'emit_event', 'run_job', 'retry_task']) {
      const refused = await mcp.call(name);
      expect(codeOf(refused)).toBe('NOT_ALLOWED');
      expect(textOf(refused)).toContain('mcp.allow');
    }
  });

  it('is what the configuration said at the start', async () => {
    const project = new Project({ config: { mcp: { allow: ['task.submit', 'gate.approve'] } } });
    const mcp = await connectMcp(project);
    expect(await mcp.toolNames()).toEqual(['submit_task', 'approve_gate']);
    // Waiting would read tasks.
    expect(codeOf(await mcp.call('submit_task', { prompt: 'x', waitSeconds: 1 }))).toBe('INVALID_PARAMS');
    project.configure({ mcp: { allow: ['task.get'] } });
    expect(await mcp.toolNames()).toEqual(['submit_task', 'approve_gate']);
    expect(codeOf(await mcp.call('get_task', { taskId: 'task-0001' }))).toBe('NOT_ALLOWED');
    project.configure({ mcp: { allow: [] } });
    expect(await (await connectMcp(project)).toolNames()).toEqual([]);
  });

  it('is narrowed by the command line', async () => {
    const project = new Project();
    const reading = await connectMcp(project, ['--read-only']);
    expect((await reading.toolNames()).toSorted()).toEqual(READING.toSorted());
    expect(codeOf(await reading.call('submit_task', { prompt: 'x' }))).toBe('NOT_ALLOWED');
    const few = await connectMcp(project, ['--allow', 'task.submit', 'task.get']);
    expect(await few.toolNames()).toEqual(['submit_task', 'get_task', 'wait_task']);
    const both = await connectMcp(project, ['--read-only', '--allow', 'task.submit', 'task.get']);
    expect(await both.toolNames()).toEqual(['get_task', 'wait_task']);
  });

  it('is never widened by the command line', async () => {
    const project = new Project();
    const wider = await project.run(['mcp', '--allow', 'gate.approve']);
    expect(wider).toMatchObject({ code: 2, stdout: '' });
    expect(wider.stderr).toContain('never widens');
    const unknown = await project.run(['mcp', '--allow', 'task.submt']);
    expect(unknown).toMatchObject({ code: 2, stdout: '' });
    expect(unknown.stderr).toContain('task.submit');
  });

  it('is nothing where the configuration has errors: the server does not start', async () => {
    const ran = await new Project({ config: { mcp: { allow: ['task.submt'] } } }).run(['mcp']);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toContain('mcp.allow[0]');
  });
});

describe('gates over MCP', () => {
  async function asked(allow?: string[]): Promise<Project> {
    const project = new Project({
      config: { ...ASKING, ...(allow === undefined ? {} : { mcp: { allow } }) },
    });
    await project.start();
    await project.ok(['events', 'emit', 'release.wanted']);
    const client = await project.connect();
    await until('the gate waits', async () => (await client.gate.list()).length === 1);
    return project;
  }

  it('are shown, and answered only where that is allowed', async () => {
    const project = await asked();
    const mcp = await connectMcp(project);
    const listed = await mcp.call('list_gates');
    const { gates } = listed.structuredContent as unknown as { gates: Gate[] };
    expect(gates).toMatchObject([{ id: 'gate-0001', state: 'pending', ruleId: 'asks' }]);
    expect(textOf(listed)).toContain('release.made');
    expect(codeOf(await mcp.call('approve_gate', { gateId: 'gate-0001' }))).toBe('NOT_ALLOWED');
    expect(codeOf(await mcp.call('reject_gate', { gateId: 'gate-0001' }))).toBe('NOT_ALLOWED');
    expect(await mcp.ok('list_gates')).toMatchObject({ gates: [{ state: 'pending' }] });
  });

  it('are answered where that is allowed, once', async () => {
    const project = await asked(['gate.list', 'gate.approve', 'gate.reject', 'event.history']);
    const mcp = await connectMcp(project);
    expect(await mcp.ok('approve_gate', { gateId: 'gate-0001' })).toMatchObject({
      state: 'approved',
      answeredBy: expect.stringContaining('over the socket'),
    });
    expect(codeOf(await mcp.call('reject_gate', { gateId: 'gate-0001' }))).toBe('CONFLICT');
    await until('what it was about is done', async () => {
      const { events } = await mcp.ok<{ events: unknown[] }>('read_events', { topic: 'release.made' });
      return events.length === 1;
    });
  });
});

describe('the entry for a client', () => {
  it('is a command that works from anywhere', async () => {
    const project = new Project();
    const printed = await project.ok(['mcp', '--print-config', '--read-only', '--allow', 'task.get']);
    const { mcpServers } = JSON.parse(printed) as {
      mcpServers: { aiwgd: { type: string; command: string; args: string[] } };
    };
    const { type, command, args } = mcpServers.aiwgd;
    expect(type).toBe('stdio');
    expect(command).toBe(process.execPath);
    expect(args.slice(1)).toEqual(['mcp', '--project', project.root, '--read-only', '--allow', 'task.get']);
    const ran = await runProgram(command, args, { cwd: '/', env: {} });
    expect(ran).toMatchObject({ code: 0, stdout: '' });
    expect(ran.stderr).toContain(`2 of`);
    expect(ran.stderr).toContain(project.root);
  });
});

describe('the SDK', () => {
  /** Tells on stderr which modules of it are loaded. */
  const SPY = `export async function resolve(name, context, next) {
    const found = await next(name, context);
    if (found.url.includes('/@modelcontextprotocol/')) process._rawDebug('LOADED ' + found.url);
    return found;
  }`;
  const asUrl = (text: string) => `data:text/javascript,${encodeURIComponent(text)}`;
  const spying = asUrl(`import { register } from 'node:module'; register(${JSON.stringify(asUrl(SPY))});`);

  it('is loaded by the server and by nothing else', async () => {
    const project = new Project();
    const loads = async (args: string[]): Promise<boolean> => {
      const { cwd, env } = { cwd: project.root, env: project.env };
      const ran = await runProgram(process.execPath, ['--import', spying, CLI, ...args], { cwd, env });
      expect(ran.code, ran.stderr).toBe(0);
      return ran.stderr.includes('LOADED');
    };
    expect(await loads(['mcp'])).toBe(true);
    for (const args of [['--help'], ['mcp', '--help'], ['mcp', '--print-config'], ['config', 'show']]) {
      expect(await loads(args), args.join(' ')).toBe(false);
    }
  });
});
