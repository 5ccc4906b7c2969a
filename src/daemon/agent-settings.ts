import type { AgentsConfig, AgentConfig as RunnableAgent } from '../agents/agent-config.js';
import type { BudgetBounds } from '../agents/money/budget.js';
import type { Config } from '../protocol/config/config-schema.js';

/** Bounds of the supervisor, in milliseconds and dollars. */
export function supervisorSettings({ daemon, budget }: Config): {
  maxParallel: number;
  actionTimeoutMs: number;
  stopGraceMs: number;
  killGraceMs: number;
  budget: BudgetBounds;
} {
  return {
    maxParallel: daemon.max_parallel_actions,
    actionTimeoutMs: Math.round(daemon.action_timeout_minutes * 60_000),
    stopGraceMs: Math.round(daemon.stop_grace_seconds * 1000),
    killGraceMs: Math.round(daemon.kill_grace_seconds * 1000),
    budget: {
      perTaskUsd: budget.per_task_usd,
      perDayUsd: budget.per_day_usd,
      perRuleDayUsd: budget.per_rule_day_usd,
    },
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
