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

/** The agents of the configuration. */
export function agentsConfig({ default_agent, agents }: Config): AgentsConfig {
  const runnable: Record<string, RunnableAgent> = {};
  for (const [name, { max_parallel, ...agent }] of Object.entries(agents)) {
    runnable[name] = { ...agent, ...(max_parallel === null ? {} : { max_parallel }) };
  }
  return { default_agent, agents: runnable };
}
