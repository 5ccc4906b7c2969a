import { describe, expect, it } from 'vitest';
import { until } from '../support/temp.js';
import { RawMcp, request, toolCall } from './mcp-client.js';
import { Project, script } from './support.js';

/** A project with a task that never ends by itself. */
async function busyProject(): Promise<Project> {
  const project = new Project({
    config: { default_agent: 'worker', agents: { worker: script('sleep 1000') } },
  });
  await project.start();
  await project.ok(['task', 'submit', 'sleep']);
  return project;
}

const waitForIt = (id: number) => toolCall(id, 'wait_task', { taskId: 'task-0001', waitSeconds: 3_600 });

/** What an answer to a call holds, in one text. */
const said = (answer: unknown): string => JSON.stringify(answer);

describe('the end of an MCP server', () => {
  it('comes with the end of stdin, also while calls wait, with nothing but protocol on stdout', async () => {
    const project = await busyProject();
    const mcp = new RawMcp(project).listen().initialize().send(waitForIt(1), request(2, 'tools/list'));
    await until('it answers', () => mcp.answerTo(2) !== undefined);
    mcp.process.stdin.end();
    expect(await mcp.ended).toBe(0);
    expect(mcp.messages().length).toBeGreaterThanOrEqual(2);
    expect(mcp.stdout.endsWith('\n')).toBe(true);
    expect(await project.json(['task', 'get', 'task-0001'])).toMatchObject({ state: 'running' });
  });

  it('leaves time for the answers to what was asked before', async () => {
    const project = new Project();
    await project.start();
    const mcp = new RawMcp(project).listen().initialize();
    // Without a newline at its end.
    mcp.process.stdin.end(JSON.stringify(toolCall(1, 'daemon_status')));
    expect(await mcp.ended).toBe(0);
    expect(said(mcp.answerTo(1))).toContain(project.root);
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('comes with %s', async (signal, code) => {
    const project = await busyProject();
    const mcp = new RawMcp(project).listen().initialize().send(waitForIt(1), request(2, 'ping'));
    await until('it answers', () => mcp.answerTo(2) !== undefined);
    mcp.process.kill(signal);
    expect(await mcp.ended).toBe(code);
  });

  it('comes at once, with the reason on stderr, where there is no project', async () => {
    const project = new Project();
    const ran = await project.run(['mcp'], { cwd: '/' });
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toContain('.aiwg/');
  });

  it('comes with a message over the limit, which is told so and not kept', async () => {
    const project = new Project();
    const mcp = new RawMcp(project).listen().initialize();
    await until('it answers', () => mcp.answerTo(0) !== undefined);
    const before = mcp.residentMiB();
    // A line that never ends, in pieces.
    const piece = 'x'.repeat(1024 * 1024);
    let most = before;
    for (let sent = 0; sent < 64 && !mcp.stdout.includes('LINE_TOO_LONG'); sent++) {
      await new Promise((resolve) => mcp.process.stdin.write(piece, resolve));
      if (mcp.process.exitCode === null) most = Math.max(most, mcp.residentMiB() || 0);
    }
    expect(await mcp.ended).toBe(1);
    expect(mcp.messages().at(-1)?.error).toMatchObject({ message: expect.stringContaining('4 MiB') });
    expect(mcp.stderr).toContain('4 MiB');
    expect(most - before).toBeLessThan(64);
  });
});

describe('the bounds of an MCP server', () => {
  it('answer nonsense and go on', async () => {
    const project = new Project();
    const mcp = new RawMcp(project).listen().initialize();
    for (const line of ['', '{', '[]', 'null', '7', '{"jsonrpc":"1.0","id":1,"method":"ping"}']) {
      mcp.process.stdin.write(`${line}\n`);
    }
    mcp.process.stdin.write(Buffer.from([0x22, 0xff, 0xfe, 0x22, 0x0a]));
    mcp.send(
      { jsonrpc: '2.0', id: 5, method: 'tools/call', params: 7 },
      { jsonrpc: '2.0', id: 6, result: {} },
    );
    mcp.send(request(9, 'ping'));
    await until('it answers', () => mcp.answerTo(9) !== undefined);
    const codes = mcp.messages().flatMap(({ error }) => (error === undefined ? [] : [error.code]));
    expect(codes.filter((code) => code === -32700)).toHaveLength(2);
    expect(codes.filter((code) => code === -32600).length).toBeGreaterThanOrEqual(4);
    mcp.process.stdin.end();
    expect(await mcp.ended).toBe(0);
  });

  it('hold off thousands of calls that wait, and leave room for others', async () => {
    const project = await busyProject();
    const mcp = new RawMcp(project).listen().initialize();
    await until('it answers', () => mcp.answerTo(0) !== undefined);
    const before = mcp.residentMiB();
    mcp.send(...Array.from({ length: 3_000 }, (_, index) => waitForIt(index + 1)));
    await until('all but 16 are refused', () => mcp.lines() === 1 + 3_000 - 16);
    const refused = mcp.messages().slice(1);
    expect(refused.every((answer) => said(answer).includes('"OVERLOADED"'))).toBe(true);
    expect(mcp.residentMiB() - before).toBeLessThan(100);
    mcp.send(toolCall(5_000, 'get_task', { taskId: 'task-0001' }));
    await until('another call is answered', () => mcp.answerTo(5_000) !== undefined);
    expect(said(mcp.answerTo(5_000))).toContain('"running"');

    // What a client takes back makes room.
    const answered = new Set(mcp.messages().map(({ id }) => id));
    const waiting = Array.from({ length: 3_000 }, (_, index) => index + 1).filter((id) => !answered.has(id));
    expect(waiting).toHaveLength(16);
    mcp.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: waiting[0] } });
    let next = 6_000;
    await until('there is room again', async () => {
      next += 1;
      const id = next;
      mcp.send(toolCall(id, 'wait_task', { taskId: 'task-0001', waitSeconds: 0 }));
      await until('it answers', () => mcp.answerTo(id) !== undefined);
      return said(mcp.answerTo(id)).includes('"ended":false');
    });
    mcp.process.stdin.end();
    expect(await mcp.ended).toBe(0);
    // Neither faults nor warnings of Node.
    expect(mcp.stderr.trim().split('\n')).toHaveLength(1);
  });

  it('read no more from a client that does not read its answers', async () => {
    const project = new Project();
    // Nobody listens to its stdout.
    const mcp = new RawMcp(project).initialize();
    await until('it runs', () => mcp.stderr.includes('tools for'));
    const before = mcp.residentMiB();
    const lines = `${JSON.stringify(request(1, 'tools/list'))}\n`.repeat(1_000);
    let stalled = false;
    // Each of them asks for 6 KB.
    for (let sent = 0; sent < 200 && !stalled; sent++) {
      stalled = await new Promise<boolean>((resolve) => {
        const timer = setTimeout(() => resolve(true), 2_000);
        mcp.process.stdin.write(lines, () => {
          clearTimeout(timer);
          resolve(false);
        });
      });
    }
    expect(stalled).toBe(true);
    expect(mcp.residentMiB() - before).toBeLessThan(150);
    mcp.process.kill('SIGTERM');
    mcp.process.stdout.resume();
    expect(await mcp.ended).toBe(143);
  });
});
