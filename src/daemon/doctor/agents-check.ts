import { providerOf } from '../../agents/agent-catalogue.js';
import type { Probe } from '../../agents/agent-provider.js';
import { findProgram } from '../../agents/launcher.js';
import type { AgentConfig } from '../../protocol/config/config-schema.js';
import { messageOf } from '../../protocol/errors.js';
import type { CheckResult, DoctorContext } from './check.js';
import { endLeftPrograms, type ProgramRequest, programSays, programVersion } from './program-version.js';

/** What was found out of one program: several agents may share one. */
type Findings = Omit<CheckResult, 'name'>;

/** Asked of a program whose provider does not say how to ask. */
const PLAIN_PROBE: Probe = { version: ['--version'], help: [], words: [] };

/**
 * Whether the program of each configured agent can be found; for programs that a provider knows, which version it is,
 * and whether its help still has the options that the daemon uses.
 */
export async function checkAgents(context: DoctorContext): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  await endLeftPrograms(context.paths.root, context.clock);
  const asked = new Map<string, Promise<Findings>>();
  for (const [agentName, agent] of Object.entries(context.config.agents)) {
    const name = `agent ${agentName}`;
    const found = find(agent, context);
    if ('fault' in found) {
      const status = agentName === context.config.default_agent ? 'failed' : 'warning';
      results.push({ name, status, detail: found.fault });
    } else if (agent.provider === 'command') {
      // It may be anything: even a question for its version could do something.
      results.push({ name, status: 'ok', detail: found.path });
    } else {
      const key = `${agent.provider} ${found.path}`;
      const findings = asked.get(key) ?? ask(found.path, providerOf(agent).probe ?? PLAIN_PROBE, context);
      asked.set(key, findings);
      results.push({ name, ...(await findings) });
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

async function ask(
  path: string,
  probe: Probe,
  { paths, environment, clock, signal }: DoctorContext,
): Promise<Findings> {
  const request: ProgramRequest = {
    path,
    cwd: paths.root,
    environment,
    clock,
    ...(signal && { signal }),
  };
  try {
    const version = `${path}: ${await programVersion(request, probe.version)}`;
    const missing = await missingWords(request, probe);
    if (missing.length === 0) return { status: 'ok', detail: version };
    return {
      status: 'warning',
      detail: `${version}; its help does not have ${missing.join(', ')}, which the daemon uses`,
      remedy: `Install a version that has them; see for yourself: ${[path, ...probe.help].join(' ')}`,
    };
  } catch (error) {
    const remedy = `Try it yourself: ${[path, ...probe.version].join(' ')}`;
    return { status: 'warning', detail: `${path} ${messageOf(error)}`, remedy };
  }
}

async function missingWords(request: ProgramRequest, { help, words }: Probe): Promise<string[]> {
  if (words.length === 0) return [];
  const { stdout, stderr } = await programSays(request, help);
  return words.filter((word) => !stdout.includes(word) && !stderr.includes(word));
}
