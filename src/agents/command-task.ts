import type { Claim } from '../tasks/task-store.js';
import { providerOf, type ResolvedAgent } from './agent-catalogue.js';
import type { CommandAgentConfig } from './agent-config.js';
import { LaunchRefused } from './launcher.js';

/** The agent of every task that runs a command in place of an agent; no configured agent can have such a name. */
export const COMMAND_AGENT = '(command)';

export function isCommand({ agent }: { agent: string | null }): boolean {
  return agent === COMMAND_AGENT;
}

/**
 * What carries out a claim, and what it is to read: `by`, or for a task that runs a command that. Undefined where there is
 * neither; throws a `LaunchRefused`.
 */
export function agentOf(
  { task, launch }: Claim,
  by: ResolvedAgent | undefined,
): (ResolvedAgent & { input: string }) | undefined {
  if (!isCommand(task)) return by && { ...by, input: task.prompt };
  if (launch?.command === undefined) {
    throw new LaunchRefused(
      'What this task was to run is not known any more: it was taken from tasks.json, which does not hold it; let what submitted it do so again',
      'bad_arguments',
    );
  }
  const config: CommandAgentConfig = { provider: 'command', command: launch.command };
  const provider = providerOf(config);
  const input = eventText(launch.event) ?? '';
  return { agent: { name: COMMAND_AGENT, config, provider }, subAgent: null, input };
}

/** An event as an agent gets it: one line of JSON. */
export function eventText(event: Record<string, unknown> | undefined): string | null {
  return event === undefined ? null : `${JSON.stringify(event)}\n`;
}
