import { findProgram } from '../../agents/launcher.js';
import type { AgentConfig } from '../../protocol/config/config-schema.js';
import { messageOf } from '../../protocol/errors.js';
import type { CheckResult, DoctorContext } from './check.js';
import { endLeftPrograms, programVersion } from './program-version.js';

/** Whether the program of each configured agent can be found, and for `claude` whether it runs at all. */
export async function checkAgents(context: DoctorContext): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  await endLeftPrograms(context.paths.root, context.clock);
  /** What was said of each program: several agents may share one. */
  const said = new Map<string, Promise<string>>();
  for (const [agentName, agent] of Object.entries(context.config.agents)) {
    const name = `agent ${agentName}`;
    const found = find(agent, context);
    if ('fault' in found) {
      const status = agentName === context.config.default_agent ? 'failed' : 'warning';
      results.push({ name, status, detail: found.fault });
    } else if (agent.provider === 'claude') {
      results.push(await tryVersion(name, found.path, context, said));
    } else {
      results.push({ name, status: 'ok', detail: found.path });
    }
  }
  return results;
}

function find(
  agent: AgentConfig,
  { paths, environment }: DoctorContext,
): { path: string } | { fault: string } {
  const program = agent.provider === 'command' ? agent.command[0] : agent.program;
  const searched = agent.env['PATH'] ?? environment['PATH'] ?? '';
  try {
    const request = { program, args: [], env: { PATH: searched }, cwd: paths.root, projectRoot: paths.root };
    return { path: findProgram(request) };
  } catch (error) {
    return { fault: messageOf(error) };
  }
}

async function tryVersion(
  name: string,
  path: string,
  { paths, environment, clock, signal }: DoctorContext,
  said: Map<string, Promise<string>>,
): Promise<CheckResult> {
  let version = said.get(path);
  if (version === undefined) {
    version = programVersion({ path, cwd: paths.root, environment, clock, ...(signal && { signal }) });
    said.set(path, version);
  }
  try {
    return { name, status: 'ok', detail: `${path}: ${await version}` };
  } catch (error) {
    const remedy = `Try it yourself: ${path} --version`;
    return { name, status: 'warning', detail: `${path} ${messageOf(error)}`, remedy };
  }
}
