import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Task } from '#aiwgd/protocol/task.js';
import { until } from '../support/temp.js';
import { codeOf, connectMcp, textOf } from './mcp-client.js';
import { Project, script } from './support.js';

const ECHO = script('cat; printf " \\033[31mdone\\033[0m"');

function projectWith(command: object = ECHO, config: object = {}): Project {
  return new Project({ config: { default_agent: 'worker', agents: { worker: command }, ...config } });
}

/** A project without a daemon, whose socket answers each line as the test says. */
async function projectWithSocket(
  answer: (socket: Socket, request: { id: number; method: string }) => void,
): Promise<Project> {
  const project = projectWith();
  mkdirSync(project.paths.daemon, { recursive: true });
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (line) =>
      answer(socket, JSON.parse(line.toString()) as { id: number; method: string }),
    );
  });
  onTestFinished(() => void server.close());
  await once(server.listen(project.paths.socket), 'listening');
  return project;
}

describe('tasks over MCP', () => {
  it('are submitted, waited for and read', async () => {
    const project = projectWith();
    await project.start();
    const mcp = await connectMcp(project);
    expect(mcp.client.getServerVersion()?.name).toBe('aiwgd');
    expect(mcp.client.getInstructions()).toContain(project.root);
    const { taskId } = await mcp.ok<{ taskId: string }>('submit_task', { prompt: 'say hello', priority: 3 });
    const answer = await mcp.call('wait_task', { taskId });
    expect(answer.structuredContent).toMatchObject({
      id: taskId,
      state: 'completed',
      ended: true,
      prompt: 'say hello',
      priority: 3,
      source: 'rpc',
      result: expect.stringContaining('say hello'),
    });
    expect(answer.structuredContent).not.toHaveProperty('output');
    expect(Object.values(answer.structuredContent as object)).not.toContain(null);
    // What the agent wrote for a terminal paints nothing in the words.
    expect(textOf(answer)).toContain('␛[31mdone');
    expect(textOf(answer)).not.toContain('\u001b');

    const first = await mcp.ok('read_output', { taskId, limit: 4 });
    expect(first).toMatchObject({ data: 'say ', nextOffset: 4, eof: false });
    const rest = await mcp.call('read_output', { taskId, offset: 4 });
    expect(rest.structuredContent).toMatchObject({ data: expect.stringMatching(/^hello/), eof: true });
    expect(textOf(rest)).not.toContain('\u001b');

    const { tasks } = await mcp.ok<{ tasks: Task[] }>('list_tasks', { state: 'completed' });
    expect(tasks.map(({ id }) => id)).toEqual([taskId]);
    const { events } = await mcp.ok<{ events: { type: string }[] }>('read_events', { topic: 'task:*' });
    expect(events.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['task:queued', 'task:started', 'task:completed']),
    );
    expect(await mcp.ok('daemon_status')).toMatchObject({
      project: project.root,
      task_stats: { completed: 1 },
    });
  });

  it('are submitted and waited for in one call, with progress for whoever asked', async () => {
    const project = projectWith();
    await project.start();
    const { client } = await connectMcp(project);
    const heard: string[] = [];
    const answer = await client.callTool(
      { name: 'submit_task', arguments: { prompt: 'hello', waitSeconds: 30 } },
      undefined,
      { onprogress: ({ message }) => heard.push(message ?? '') },
    );
    expect(answer.structuredContent).toMatchObject({
      state: 'completed',
      result: expect.stringContaining('hello'),
    });
    expect(heard.length).toBeGreaterThan(0);
    expect(heard.every((message) => message.startsWith('task-0001 '))).toBe(true);
  });

  it('are waited for no longer than asked, and cancelled with all their processes', async () => {
    const project = projectWith(script('sleep 1000'));
    await project.start();
    const mcp = await connectMcp(project);
    const { taskId } = await mcp.ok<{ taskId: string }>('submit_task', { prompt: 'sleep' });
    const waited = await mcp.call('wait_task', { taskId, waitSeconds: 0 });
    expect(waited.structuredContent).toMatchObject({ ended: false });
    expect(textOf(waited)).toContain('wait_task');
    await until('the agent runs', () => project.agents().length > 0);
    expect(await mcp.ok('cancel_task', { taskId })).toEqual({ taskId, cancelled: true });
    expect(project.agents()).toEqual([]);
    expect(await mcp.ok('cancel_task', { taskId })).toEqual({ taskId, cancelled: false });
    expect(await mcp.ok('wait_task', { taskId })).toMatchObject({ state: 'cancelled', ended: true });
  });

  it('take a key, a delay and a time limit', async () => {
    const project = projectWith();
    await project.start();
    const mcp = await connectMcp(project);
    const params = { prompt: 'later', key: 'once', delayMs: 3_600_000, timeoutMs: 60_000 };
    expect(await mcp.ok('submit_task', params)).toMatchObject({ taskId: 'task-0001', deduped: false });
    expect(await mcp.ok('submit_task', params)).toMatchObject({ taskId: 'task-0001', deduped: true });
    expect(await mcp.ok('get_task', { taskId: 'task-0001' })).toMatchObject({
      state: 'queued',
      waitReason: 'delay',
      timeoutMs: 60_000,
      key: 'once',
    });
  });

  it('are cut where they are long', async () => {
    const project = projectWith(script('head -c 300000 /dev/zero | tr "\\000" x'));
    await project.start();
    const mcp = await connectMcp(project);
    const prompt = `begin ${'p'.repeat(100_000)}`;
    const task = await mcp.ok<{ prompt: string; result: string }>('submit_task', { prompt, waitSeconds: 30 });
    expect(task.prompt.length).toBeLessThan(1_100);
    expect(task.prompt).toMatch(/\[1000 of 100006 characters\]$/);
    expect(task.result.length).toBeLessThan(70_000);
    expect(task.result).toMatch(/\[65536 of 300000 characters\]$/);
    const slice = await mcp.ok<{ data: string }>('read_output', { taskId: 'task-0001' });
    expect(slice.data.length).toBe(65_536);
  });

  it('name the task of the agent that the server runs in as their cause', async () => {
    const lines = [
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"submit_task","arguments":{"prompt":"leaf","agent":"leaf"}}}',
      '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"approve_gate","arguments":{"gateId":"gate-0001"}}}',
    ];
    const cli = new URL('../../dist/cli/main.js', import.meta.url).pathname;
    // Without the variables of its task, by which a server could tell by itself.
    const inner = `printf '%s\\n' '${lines.join("' '")}' | env -i "${process.execPath}" "${cli}" mcp --project "$PWD"`;
    const project = projectWith(script(inner), {
      agents: { worker: script(inner), leaf: script('echo leaf') },
      mcp: { allow: ['task.submit', 'gate.approve'] },
    });
    await project.start();
    await project.ok(['task', 'submit', 'outer', '--wait']);
    await project.ok(['task', 'wait', 'task-0002']);
    expect(await project.json<Task>(['task', 'get', 'task-0002'])).toMatchObject({
      prompt: 'leaf',
      causedBy: 'task-0001',
      source: 'rpc',
    });
    const { result } = await project.json<Task>(['task', 'get', 'task-0001']);
    expect(result).toContain('"CONFLICT"');
    expect(result).toContain('Gates are answered by people');
  });
});

describe('faults over MCP', () => {
  it('are answers that name the thing, the place and the remedy', async () => {
    const project = projectWith();
    await project.start();
    const mcp = await connectMcp(project);
    const unknown = await mcp.call('get_task', { taskId: 'task-0099' });
    expect(codeOf(unknown)).toBe('NOT_FOUND');
    expect(textOf(unknown)).toContain('task-0099');
    expect(codeOf(await mcp.call('wait_task', { taskId: 'task-0099' }))).toBe('NOT_FOUND');

    const misspelt = await mcp.call('submit_task', { promt: 'x', priority: 'high' });
    expect(codeOf(misspelt)).toBe('INVALID_PARAMS');
    expect(textOf(misspelt)).toMatch(/promt.*Did you mean "prompt"/);
    expect(textOf(misspelt)).toContain('priority: expected number, received string');
    for (const args of [
      { prompt: '' },
      { prompt: 'a\0b' },
      { prompt: 'x', source: 'cli' },
      { prompt: 'x', cwd: '/' },
      { prompt: 'x', agent: 'nobody' },
      { prompt: 'x', delayMs: -1 },
    ]) {
      expect(codeOf(await mcp.call('submit_task', args)), JSON.stringify(args)).toBe('INVALID_PARAMS');
    }
    expect(codeOf(await mcp.call('read_output', { taskId: 'task-0001', limit: 1e9 }))).toBe('INVALID_PARAMS');
    await expect(mcp.call('get_tsk')).rejects.toThrow(/Did you mean "get_task"/);
    expect(await mcp.ok('list_tasks')).toEqual({ tasks: [], nextCursor: null });
  });

  it('say so where nobody knows whether a call was carried out', async () => {
    // Dies over each call.
    const mcp = await connectMcp(await projectWithSocket((socket) => socket.destroy()));
    const submitted = await mcp.call('submit_task', { prompt: 'x' });
    expect(codeOf(submitted)).toBe('CONNECTION_LOST');
    expect(textOf(submitted)).toContain('It may have been carried out');
    const read = await mcp.call('get_task', { taskId: 'task-0001' });
    expect(codeOf(read)).toBe('CONNECTION_LOST');
    expect(textOf(read)).not.toContain('carried out');
  });

  it('of a wait do not hide what was submitted', async () => {
    const project = await projectWithSocket((socket, { id, method }) => {
      const result = { taskId: 'task-0007', state: 'queued', deduped: false };
      if (method === 'task.submit') socket.end(`${JSON.stringify({ jsonrpc: '2.0', id, result })}\n`);
      else socket.destroy();
    });
    const answer = await (await connectMcp(project)).call('submit_task', { prompt: 'x', waitSeconds: 5 });
    expect(answer.structuredContent).toMatchObject({
      taskId: 'task-0007',
      waitError: expect.stringContaining('connection'),
    });
    expect(textOf(answer)).toContain('task-0007');
  });

  it('of a daemon that is down pass when it runs, without a new server', async () => {
    const project = projectWith(script('sleep 2; cat'));
    const mcp = await connectMcp(project);
    const down = await mcp.call('submit_task', { prompt: 'x' });
    expect(codeOf(down)).toBe('DAEMON_NOT_RUNNING');
    expect(textOf(down)).toContain('aiwgd start');
    await project.start();
    await mcp.ok('submit_task', { prompt: 'x' });
    await project.kill();
    // A process that is dying may still take a connection, and break it.
    const codes = new Set<unknown>();
    await until('it is told that none runs', async () => {
      codes.add(codeOf(await mcp.call('get_task', { taskId: 'task-0001' })));
      return codes.has('DAEMON_NOT_RUNNING');
    });
    expect([...codes].filter((code) => code !== 'CONNECTION_LOST')).toEqual(['DAEMON_NOT_RUNNING']);
    await project.start();
    const waiting = mcp.ok('wait_task', { taskId: 'task-0001', waitSeconds: 30 });
    await project.ok(['restart']);
    project.daemon();
    expect(await waiting).toMatchObject({ state: 'completed', result: 'x', ended: true });
  });
});
