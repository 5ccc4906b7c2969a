import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Task } from '#aiwgd/protocol/task.js';
import { Project, script } from '../e2e/support.js';
import { AgentFolder, FakeAnthropic, runClaude } from './support.js';

/** A daemon with an agent that is a script, and the file that tells claude how to reach it. */
async function daemonForClaude(
  folder: AgentFolder,
  config: object = {},
): Promise<{ project: Project; file: string }> {
  const agents = { worker: script('printf "The worker has read: "; cat') };
  const project = new Project({ config: { default_agent: 'worker', agents, ...config } });
  await project.start();
  const file = join(folder.root, 'mcp.json');
  writeFileSync(file, await project.ok(['mcp', '--print-config']));
  return { project, file };
}

const withServer = (file: string): string[] => [
  '--mcp-config',
  file,
  '--strict-mcp-config',
  '--allowedTools',
  'mcp__aiwgd__submit_task mcp__aiwgd__wait_task mcp__aiwgd__list_gates mcp__aiwgd__approve_gate',
];

describe('the real claude with aiwgd as its MCP server', () => {
  it('submits a task through the daemon and reads its result', async () => {
    using folder = new AgentFolder();
    const { project, file } = await daemonForClaude(folder);
    await using api = await FakeAnthropic.start([
      'tool:mcp__aiwgd__submit_task:{"prompt":"count the files, please"}',
      'tool:mcp__aiwgd__wait_task:{"taskId":"task-0001","waitSeconds":30}',
      'ok:The task is done.',
    ]);
    const run = await runClaude(folder, api.url, 'hand this to the daemon', withServer(file));
    expect(run.result, run.stderr).toMatchObject({ is_error: false, result: 'The task is done.' });
    expect(await project.json<Task>(['task', 'get', 'task-0001'])).toMatchObject({
      state: 'completed',
      prompt: 'count the files, please',
      source: 'rpc',
      causedBy: null,
      result: 'The worker has read: count the files, please',
    });
    // What the model was told: the id after the first call, the result after the second.
    const told = (await api.requests()).map(({ lastUser }) => JSON.stringify(lastUser));
    expect(told.some((text) => text.includes('tool_result') && text.includes('task-0001'))).toBe(true);
    expect(told.at(-1)).toContain('The worker has read: count the files, please');
  });

  it('is shown the tools of the scope and no others', async () => {
    using folder = new AgentFolder();
    const { project, file } = await daemonForClaude(folder, { mcp: { allow: ['task.submit', 'gate.list'] } });
    await using api = await FakeAnthropic.start([
      'tool:mcp__aiwgd__approve_gate:{"gateId":"gate-0001"}',
      'ok:It was refused.',
    ]);
    const run = await runClaude(folder, api.url, 'approve it', withServer(file));
    const init = run.messages.find(({ subtype }) => subtype === 'init') as unknown as {
      tools: string[];
      mcp_servers: { name: string; status: string }[];
    };
    expect(init.mcp_servers).toMatchObject([{ name: 'aiwgd', status: 'connected' }]);
    expect(init.tools.filter((name) => name.startsWith('mcp__')).toSorted()).toEqual([
      'mcp__aiwgd__list_gates',
      'mcp__aiwgd__submit_task',
    ]);
    expect(run.result?.result).toBe('It was refused.');
    expect(project.logTail()).not.toContain('gate-0001');
  });
});
