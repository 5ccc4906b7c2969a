import { providerOf } from '../../agents/agent-catalogue.js';
import type { AgentProvider, Probe } from '../../agents/agent-provider.js';
import { findProgram } from '../../agents/launcher.js';
import type { AgentConfig } from '../../protocol/config/config-schema.js';
import { PRESET_AGENTS } from '../../protocol/config/preset-agents.js';
import { messageOf } from '../../protocol/errors.js';
import type { CheckResult, DoctorContext } from './check.js';
import { endLeftPrograms, type ProgramRequest, programSays, programVersion } from './program-version.js';

/** What was found out of one program: several agents may share one. */
type Findings = Omit<CheckResult, 'name'>;

/** Asked of a program whose provider does not say how to ask. */
const PLAIN_PROBE: Probe = { version: ['--version'], help: [], words: [] };

/** An agent as far as it is looked at. */
interface Patient {
  name: string;
  provider: AgentProvider;
  /** Null where it may be anything: even a question for its version could do something. */
  kind: Exclude<AgentConfig['provider'], 'command'> | null;
  found: { path: string } | { fault: string };
}

/**
 * Whether the program of each configured agent can be found; for programs that a provider knows, which version it is,
 * and whether its help still has the options that the daemon uses. Agents that are there without being named are told of
 * where their program is.
 */
export async function checkAgents(context: DoctorContext): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  await endLeftPrograms(context.paths.root, context.clock);
  const asked = new Map<string, Promise<Findings>>();
  for (const { name: agentName, provider, kind, found } of patients(context)) {
    const name = `agent ${agentName}`;
    if ('fault' in found) {
      const status = agentName === context.config.default_agent ? 'failed' : 'warning';
      results.push({ name, status, detail: found.fault });
    } else if (kind === null) {
      results.push({ name, status: 'ok', detail: found.path });
    } else {
      const key = `${kind} ${found.path}`;
      const findings = asked.get(key) ?? ask(found.path, provider.probe ?? PLAIN_PROBE, context);
      asked.set(key, findings);
      results.push({ name, ...(await findings) });
    }
  }
  return results;
}

function patients(context: DoctorContext): Patient[] {
  const { agents } = context.config;
  const named = Object.entries(agents).map(([name, agent]): Patient => {
    const program = agent.provider === 'command' ? agent.command[0] : agent.program;
    const kind = agent.provider === 'command' ? null : agent.provider;
    return { name, provider: providerOf(agent), kind, found: find(program, agent.env['PATH'], context) };
  });
  const others = PRESET_AGENTS.filter((name) => !Object.hasOwn(agents, name)).map((name): Patient => {
    const provider = providerOf({ provider: name });
    return { name, provider, kind: name, found: find(name, undefined, context) };
  });
  return [...named, ...others.filter(({ found }) => 'path' in found)];
}

function find(
  program: string,
  path: string | undefined,
  { paths, environment }: DoctorContext,
): { path: string } | { fault: string } {
  const env = { PATH: path ?? environment['PATH'] ?? '' };
  try {
    return { path: findProgram({ program, args: [], env, cwd: paths.root, projectRoot: paths.root }) };
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
