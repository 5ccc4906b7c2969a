import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Task } from '#aiwgd/protocol/task.js';
import { Project } from '../e2e/support.js';
import { type AgentMessage, claudeProgram, type FakeAnthropic } from './support.js';

/** A daemon whose `claude` is the real program and whose API is the fake, with an environment built from nothing. */
export async function daemonWith(
  api: FakeAnthropic,
  agent: object = {},
  more: object = {},
): Promise<Project> {
  const agents = { claude: { program: claudeProgram(), ...agent } };
  const project = new Project({ config: { agents, ...more } });
  Object.assign(project.env, {
    ANTHROPIC_BASE_URL: api.url,
    ANTHROPIC_API_KEY: 'dummy',
    IS_SANDBOX: '1',
  });
  await project.start();
  return project;
}

export async function agentPid(project: Project): Promise<number> {
  const { pid } = await project.json<Task>(['task', 'get', 'task-0001']);
  if (pid === null) throw new Error('No agent runs');
  return pid;
}

/** What claude has printed in an attempt of the first task. */
export function messagesOf(project: Project, attempt: number): AgentMessage[] {
  const output = join(project.root, '.aiwg/daemon/actions/task-0001', `attempt-${attempt}`, 'stdout.log');
  return readFileSync(output, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as AgentMessage);
}

/** The session that claude named first in an attempt. */
export function sessionIn(project: Project, attempt: number): string | undefined {
  return messagesOf(project, attempt).find(({ subtype }) => subtype === 'init')?.session_id;
}
