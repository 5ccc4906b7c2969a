import type { AgentsConfig, AgentConfig as RunnableAgent } from '../agents/agent-config.js';
import type { Config } from '../protocol/config/config-schema.js';

/** Bounds of the supervisor, in milliseconds. */
export function supervisorSettings({ daemon }: Config): {
  maxParallel: number;
  actionTimeoutMs: number;
  stopGraceMs: number;
  killGraceMs: number;
} {
  return {
    maxParallel: daemon.max_parallel_actions,
    actionTimeoutMs: Math.round(daemon.action_timeout_minutes * 60_000),
    stopGraceMs: Math.round(daemon.stop_grace_seconds * 1000),
    killGraceMs: Math.round(daemon.kill_grace_seconds * 1000),
  };
}

/** The agents of the configuration as the supervisor takes them, and a warning for each that this version can't run. */
export function agentsConfig({ default_agent, agents }: Config): {
  agents: AgentsConfig;
  warnings: string[];
} {
  const runnable: Record<string, RunnableAgent> = {};
  const warnings: string[] = [];
  for (const [name, { max_parallel, ...agent }] of Object.entries(agents)) {
    if (agent.provider === 'claude' || agent.provider === 'command') {
      runnable[name] = { ...agent, ...(max_parallel === null ? {} : { max_parallel }) };
    } else {
      warnings.push(`agents.${name}: the provider "${agent.provider}" is not available in this version.`);
    }
  }
  return { agents: { default_agent, agents: runnable }, warnings };
}
