import type { Logger } from 'pino';
import { AgentSupervisor } from '../agents/agent-supervisor.js';
import type { Hold } from '../agents/limits/routes.js';
import type { QuestionPort } from '../agents/ports.js';
import type { EventRouter } from '../events/event-router.js';
import { RpcServer } from '../ipc/rpc-server.js';
import type { Clock } from '../platform/clock.js';
import { identityOf } from '../platform/process-identity.js';
import type { Config } from '../protocol/config/config-schema.js';
import type { ResultOf } from '../protocol/method-types.js';
import type { ProjectPaths } from '../protocol/project-paths.js';
import { VERSION } from '../protocol/version.js';
import type { OutputFiles } from '../tasks/output-files.js';
import type { StoredTask, TaskStore } from '../tasks/task-store.js';
import { TasksExport } from '../tasks/tasks-export.js';
import { agentsConfig, supervisorSettings } from './agent-settings.js';
import type { HealthRegister } from './health.js';
import { type AutomationHandlers, rpcHandlers } from './rpc-handlers.js';
import type { StopRequest } from './stop-request.js';

import { outputReader } from './task-handlers.js';
import { waitingTask } from './task-view.js';
import type { TaskWorkspaces } from './task-workspaces.js';

/** What the daemon lays under all of its subsystems. */
export interface Ground {
  paths: ProjectPaths;
  clock: Clock;
  log: Logger;
  router: EventRouter;
  health: HealthRegister;
}

/** Keeps `tasks.json` current. Returns the way to write it a last time and end. */
export function exportTasks(
  { paths, clock, log, router, health }: Ground,
  store: TaskStore,
  holdOf: (task: StoredTask) => Hold | undefined,
): () => Promise<void> {
  const tasksExport = new TasksExport({
    store,
    path: paths.tasksExport,
    clock,
    log,
    view: (task) => waitingTask(task, holdOf(task)),
    onFault: (error) => health.fault('tasks_export', error),
  });
  const tap = router.tap(['task:*', 'agent.*', 'budget.*'], ({ type }) => {
    if (type !== 'task:output' && type !== 'task:progress') tasksExport.changed();
  });
  return async () => {
    tap.close();
    await tasksExport.close();
  };
}

export function makeSupervisor(
  { paths, clock, log, router, health }: Ground,
  {
    store,
    files,
    config,
    questions,
    workspaces,
  }: {
    store: TaskStore;
    files: OutputFiles;
    config: Config;
    questions: QuestionPort;
    workspaces: TaskWorkspaces;
  },
): AgentSupervisor {
  const self = identityOf();
  return new AgentSupervisor({
    store,
    attemptFolder: (taskId, attempt) => files.paths(taskId, attempt).folder,
    clock,
    log,
    onFault: (code, message) => health.fault(code, message),
    pausesFile: paths.pauses,
    projectRoot: paths.root,
    owner: `${self?.bootId}:${self?.pid}:${self?.startTime}`,
    agents: agentsConfig(config),
    settings: supervisorSettings(config),
    environment: process.env,
    questions,
    workspaces,
    publish: (event) => router.publish(event),
    earlierEvents: (topic) => router.history.query({ topic }),
  });
}

export interface ServerParts {
  store: TaskStore;
  supervisor: AgentSupervisor;
  files: OutputFiles;
  stop: StopRequest;
  automation: AutomationHandlers;
  workspaces: TaskWorkspaces;
  status: () => Promise<ResultOf<'daemon.status'>>;
  reload: () => Promise<ResultOf<'daemon.reload'>>;
  doctor: () => Promise<ResultOf<'daemon.doctor'>>;
}

/** The server of the project's socket, not listening yet. */
export function makeServer({ paths, clock, log, router }: Ground, parts: ServerParts): RpcServer {
  const { store, supervisor, files, stop, automation, workspaces, status, reload, doctor } = parts;
  const tasks = { project: paths.root, store, supervisor, files };
  return new RpcServer({
    address: paths.socket,
    version: VERSION,
    clock,
    log,
    events: { subscribe: (globs, listener) => router.tap(globs, listener) },
    output: {
      read: outputReader(parts),
      attempt: async (taskId) => {
        const task = await store.get(taskId);
        return task && { attempt: task.attempt, ended: task.completedAt !== null };
      },
    },
    handlers: rpcHandlers({
      ...tasks,
      clock,
      automation,
      workspaces,
      router,
      status,
      reload,
      doctor,
      stop: (wish) => stop.ask({ reason: 'rpc', ...wish }),
    }),
  });
}
