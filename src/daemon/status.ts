import type { Clock } from '../platform/clock.js';
import type { Config } from '../protocol/config/config-schema.js';
import type { DaemonStatus, Health } from '../protocol/status.js';
import type { TaskCounts } from '../protocol/task.js';
import { VERSION } from '../protocol/version.js';

/** What the status is made of; every part is asked when somebody looks. */
export interface StatusSources {
  root: string;
  configFile: string;
  clock: Clock;
  startedAtMs: number;
  uptimeSeconds(): number;
  restartCount: number;
  config(): Config;
  health(): Health;
  counts(): Promise<TaskCounts>;
  ipc(): { socket: string; clients: number; subscriptions: number };
  supervisor(): Promise<DaemonStatus['subsystems']['supervisor']>;
  automation(): Pick<DaemonStatus['subsystems'], 'automation' | 'file_watcher' | 'scheduler' | 'webhook'>;
}

/** The answer of `daemon.status`. */
export async function daemonStatus(sources: StatusSources): Promise<DaemonStatus> {
  const [counts, supervisor] = await Promise.all([sources.counts(), sources.supervisor()]);
  return {
    pid: process.pid,
    version: VERSION,
    project: sources.root,
    started_at: new Date(sources.startedAtMs).toISOString(),
    uptime_seconds: sources.uptimeSeconds(),
    restart_count: sources.restartCount,
    health: sources.health(),
    task_stats: counts,
    subsystems: {
      ipc: sources.ipc(),
      supervisor,
      ...sources.automation(),
      messaging: { enabled: false, adapters: [] },
    },
  };
}

/** The content of `state.json`, with the names that scripts of the original program read. */
export async function stateSnapshot(sources: StatusSources): Promise<Record<string, unknown>> {
  const status = await daemonStatus(sources);
  const { ipc, supervisor, automation, file_watcher, webhook, scheduler } = status.subsystems;
  return {
    pid: status.pid,
    version: status.version,
    started_at: status.started_at,
    last_heartbeat: new Date(sources.clock.now()).toISOString(),
    uptime_seconds: status.uptime_seconds,
    restart_count: status.restart_count,
    config_file: sources.configFile,
    ipc: { socket: ipc.socket, clients: ipc.clients },
    agents: {
      running: supervisor.running,
      queued: supervisor.queued,
      max_concurrency: supervisor.maxConcurrency,
      tasks: supervisor.tasks,
    },
    task_stats: status.task_stats,
    monitors: { file_watcher, webhook, scheduler },
    automation: { enabled: automation['enabled'], rule_count: automation['ruleCount'] },
    health: status.health,
  };
}
