import type { AutomationStatus } from './automation.js';
import type { TaskCounts } from './task.js';

/** One reason why the daemon is not quite well. */
export interface HealthIssue {
  /** Stable name, for programs. */
  code: string;
  /** What is wrong, where, and what to do about it. */
  message: string;
  since: string;
}

export interface Health {
  status: 'healthy' | 'degraded';
  last_check: string;
  issues: HealthIssue[];
}

/** A provider that has met a limit: its agents start nothing until it is over. */
export interface PausedProvider {
  provider: string;
  program: string;
  /** Agents of the configuration that share the limit. */
  agents: string[];
  /** When one attempt is sent ahead; ISO 8601, UTC. */
  until: string;
  reason: 'rate_limit' | 'overloaded';
}

/** What `daemon.status` answers. Field names are those that existing clients read. */
export interface DaemonStatus {
  pid: number;
  version: string;
  project: string;
  started_at: string;
  uptime_seconds: number;
  restart_count: number;
  health: Health;
  task_stats: TaskCounts;
  subsystems: {
    ipc: { socket: string; clients: number; subscriptions: number };
    supervisor: {
      running: number;
      queued: number;
      maxConcurrency: number;
      /** Ids; of the queue at most the first 100. */
      tasks: { running: string[]; queued: string[] };
      /** What the attempts that ended today are counted with, in dollars. */
      spentTodayUsd: number;
      /** What running attempts may cost at most, as far as a budget bounds them. */
      reservedUsd: number;
      /** `budget.per_day_usd`; null for no bound. */
      dayLimitUsd: number | null;
      paused: PausedProvider[];
    };
    automation: AutomationStatus & { gatesPending: number };
    file_watcher: Record<string, unknown>;
    scheduler: Record<string, unknown>;
    webhook: Record<string, unknown>;
    messaging: Record<string, unknown>;
  };
}
