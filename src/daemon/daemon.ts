import { statSync } from 'node:fs';
import type { Logger } from 'pino';
import { AgentSupervisor } from '../agents/agent-supervisor.js';
import { EventRouter } from '../events/event-router.js';
import { RpcServer } from '../ipc/rpc-server.js';
import type { Clock } from '../platform/clock.js';
import { identityOf } from '../platform/process-identity.js';
import { changedSections } from '../protocol/config/changed-sections.js';
import type { Config } from '../protocol/config/config-schema.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import type { ProjectPaths } from '../protocol/project-paths.js';
import { VERSION } from '../protocol/version.js';
import { OutputFiles } from '../tasks/output-files.js';
import { Retention } from '../tasks/retention.js';
import type { StoreThread } from '../tasks/sqlite/store-thread.js';
import type { TaskStore } from '../tasks/task-store.js';
import { TasksExport } from '../tasks/tasks-export.js';
import { agentsConfig, supervisorSettings } from './agent-settings.js';
import { type LoadedConfig, loadConfig } from './config-source.js';
import { guardAgainstCrashes } from './crash-guard.js';
import { HealthRegister } from './health.js';
import { type DaemonLog, openLog } from './log.js';
import { openTasks } from './open-tasks.js';
import { ReleaseStack } from './release-stack.js';
import { rpcHandlers } from './rpc-handlers.js';
import { nextRestartCount, StateFile } from './state-file.js';
import { daemonStatus, type StatusSources, stateSnapshot } from './status.js';
import type { StopRequest } from './stop-request.js';
import { taskHandlers } from './task-handlers.js';
import { terminalEcho } from './terminal-echo.js';

export interface DaemonOptions {
  paths: ProjectPaths;
  /** Where the configuration was read from, and is read again. */
  configFile: string;
  loaded: LoadedConfig;
  foreground: boolean;
  clock: Clock;
  stop: StopRequest;
  /** Prepared for the task store. */
  thread: StoreThread;
  /** Called at each heartbeat: whoever removed the lock has not ended us, and the commands find us by it. */
  keepLock: () => void;
}

interface Parts {
  store: TaskStore;
  supervisor: AgentSupervisor;
  server: RpcServer;
  state: StateFile;
  retention: Retention;
}

/** How long event handlers may take to finish when the daemon stops. */
const ROUTER_GRACE_MS = 2000;
const BYTES_PER_MB = 1024 * 1024;

/**
 * The composition root: brings the subsystems up in order, passes each what it needs of the others, and takes them
 * down again. `start` either resolves to a daemon that answers on its socket, or rejects with nothing left open.
 */
export class Daemon {
  readonly #options: DaemonOptions;
  readonly #releases = new ReleaseStack();
  readonly #health: HealthRegister;
  readonly #startedAtMs: number;
  readonly #startedMonotonic: number;
  readonly #restartCount: number;
  readonly #daemonLog: DaemonLog;
  readonly #router: EventRouter;
  #config: Config;
  #closed = false;
  #databaseInode: number | undefined;
  #parts: Parts | undefined;
  /** Reloads are carried out one after another. */
  #reloading: Promise<unknown> = Promise.resolve();

  private constructor(options: DaemonOptions) {
    const { paths, clock, loaded } = options;
    this.#options = options;
    this.#config = loaded.config;
    this.#startedAtMs = clock.now();
    this.#startedMonotonic = clock.monotonic();
    this.#restartCount = nextRestartCount(paths);
    this.#health = new HealthRegister(clock, () => this.#healthChanged());
    this.#daemonLog = this.#openLog();
    this.#releases.push('log', () => this.#daemonLog.close());
    this.#router = new EventRouter({
      directory: paths.events,
      clock,
      log: this.log,
      onFault: (part, error) => this.#fault(`events.${part}`, error),
    });
    this.#releases.push('events', async () => {
      const { left } = await this.#router.close({ graceMs: ROUTER_GRACE_MS });
      if (left.length > 0) this.log.warn({ left }, 'events were not handled before the stop');
    });
  }

  static async start(options: DaemonOptions): Promise<Daemon> {
    const daemon = new Daemon(options);
    try {
      await daemon.#start();
      return daemon;
    } catch (error) {
      daemon.log.error({ err: error }, 'start failed');
      await daemon.close();
      throw error;
    }
  }

  get log(): Logger {
    return this.#daemonLog.logger;
  }

  /** The real path of the socket. */
  get socket(): string {
    return this.#running.server.address;
  }

  get #running(): Parts {
    if (this.#parts === undefined) throw new AiwgdError('INTERNAL_ERROR', 'The daemon is not up yet.');
    return this.#parts;
  }

  /**
   * Reads the configuration again and restarts only what changed. A bad file changes nothing: INVALID_CONFIG with all
   * its errors. Resolves to the sections that changed.
   */
  reload(): Promise<{ changed: string[] }> {
    const next = this.#reloading.then(() => this.#reload());
    this.#reloading = next.catch(() => undefined);
    return next;
  }

  /** Refuses new work, gives running agents their grace, then closes everything; the queue is kept. */
  async stop(): Promise<void> {
    const { stop } = this.#options;
    const { supervisor } = this.#running;
    await stop.asked;
    // As it stands now: a second signal may have come before we were up.
    const { reason = 'unknown', graceMs } = stop.pending ?? {};
    this.log.info({ reason }, 'stopping');
    this.#publish('daemon.stopping', { reason, pid: process.pid });
    stop.onHurry((patience) => void supervisor.stop({ graceMs: patience }));
    await supervisor.stop({ graceMs: graceMs ?? supervisorSettings(this.#config).stopGraceMs });
    await this.close();
  }

  /** Closes whatever is open, in reverse order. Harmless when done twice. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.log.info({ uptime_seconds: this.#uptimeSeconds() }, 'daemon ends');
    await this.#releases.releaseAll(this.log);
  }

  async #start(): Promise<void> {
    const { paths, clock } = this.#options;
    const { log } = this;
    this.#releases.push(
      'crash guard',
      guardAgainstCrashes((error) => {
        log.fatal({ err: error }, 'a fault of the daemon itself');
        this.#health.raise(
          'internal_error',
          `A fault of the daemon itself: ${messageOf(error)}. See the log.`,
        );
      }),
    );
    log.info({ version: VERSION, project: paths.root, node: process.version }, 'daemon starts');
    for (const warning of this.#options.loaded.warnings) log.warn({}, warning);
    const { store, begunAnew } = await openTasks({
      paths,
      clock,
      log,
      health: this.#health,
      thread: this.#options.thread,
    });
    this.#releases.push('task store', async () => store[Symbol.asyncDispose]());
    const files = new OutputFiles({ actionsDir: paths.actions });
    this.#exportTasks(store);
    const supervisor = this.#makeSupervisor(store, files);
    const server = this.#makeServer(store, supervisor, files);
    const retention = new Retention({ store, files, clock, log, days: this.#config.retention.days });
    this.#releases.push('retention', () => retention.close());
    const state = this.#makeStateFile();
    this.#parts = { store, supervisor, server, state, retention };
    await supervisor.start({ strays: begunAnew ? 'all' : 'known' });
    this.#releases.push('state file', () => state.close());
    await server.listen();
    this.#releases.push('socket', () => server.close());
    this.#releases.push('agents', () => supervisor.stop({ graceMs: 0 }));
    await state.start();
    log.info({ socket: server.address }, 'daemon ready');
    this.#publish('daemon.started', { pid: process.pid, version: VERSION });
    if (this.#health.snapshot().status !== 'healthy') this.#healthChanged();
  }

  #openLog(): DaemonLog {
    const { level, max_size_mb: megabytes, max_files: maxFiles } = this.#config.daemon.log;
    return openLog({
      path: this.#options.paths.log,
      level,
      maxBytes: megabytes * BYTES_PER_MB,
      maxFiles,
      onFault: (error) => this.#fault('log', error),
      ...(this.#options.foreground ? { echo: terminalEcho(process.stdout) } : {}),
    });
  }

  #exportTasks(store: TaskStore): void {
    const { paths, clock } = this.#options;
    const tasksExport = new TasksExport({
      store,
      path: paths.tasksExport,
      clock,
      log: this.log,
      onFault: (error) => this.#fault('tasks_export', error),
    });
    const tap = this.#router.tap(['task:*'], ({ type }) => {
      if (type !== 'task:output') tasksExport.changed();
    });
    this.#releases.push('tasks.json', async () => {
      tap.close();
      await tasksExport.close();
    });
  }

  #makeSupervisor(store: TaskStore, files: OutputFiles): AgentSupervisor {
    const { paths, clock } = this.#options;
    const self = identityOf();
    return new AgentSupervisor({
      store,
      attemptFolder: (taskId, attempt) => files.paths(taskId, attempt).folder,
      clock,
      log: this.log,
      onFault: (code, message) => this.#fault(code, message ?? undefined),
      projectRoot: paths.root,
      owner: `${self?.bootId}:${self?.pid}:${self?.startTime}`,
      agents: agentsConfig(this.#config),
      settings: supervisorSettings(this.#config),
      environment: process.env,
      publish: (event) => this.#router.publish(event),
    });
  }

  #makeServer(store: TaskStore, supervisor: AgentSupervisor, files: OutputFiles): RpcServer {
    const { paths, clock, stop } = this.#options;
    const tasks = { store, supervisor, files };
    const { 'task.output': readOutput } = taskHandlers(tasks);
    return new RpcServer({
      address: paths.socket,
      version: VERSION,
      clock,
      log: this.log,
      events: { subscribe: (globs, listener) => this.#router.tap(globs, listener) },
      output: {
        read: readOutput,
        attempt: async (taskId) => {
          const task = await store.get(taskId);
          return task && { attempt: task.attempt, ended: task.completedAt !== null };
        },
      },
      handlers: rpcHandlers({
        ...tasks,
        router: this.#router,
        status: () => daemonStatus(this.#statusSources()),
        reload: () => this.reload(),
        stop: (graceMs) => stop.ask({ reason: 'rpc', ...(graceMs === undefined ? {} : { graceMs }) }),
      }),
    });
  }

  #makeStateFile(): StateFile {
    const { paths, clock } = this.#options;
    return new StateFile({
      paths,
      clock,
      heartbeatSeconds: this.#config.daemon.heartbeat_interval_seconds,
      uptimeSeconds: () => this.#uptimeSeconds(),
      snapshot: () => stateSnapshot(this.#statusSources()),
      onHeartbeat: () => this.#lookAtSelf(),
      onFault: (error) => this.#fault('state', error),
    });
  }

  #statusSources(): StatusSources {
    const { store, supervisor, server } = this.#running;
    return {
      root: this.#options.paths.root,
      configFile: this.#options.configFile,
      clock: this.#options.clock,
      startedAtMs: this.#startedAtMs,
      uptimeSeconds: () => this.#uptimeSeconds(),
      restartCount: this.#restartCount,
      config: () => this.#config,
      health: () => this.#health.snapshot(),
      counts: () => store.counts(),
      ipc: () => ({ socket: server.address, ...server.stats() }),
      supervisor: () => supervisor.status(),
    };
  }

  async #reload(): Promise<{ changed: string[] }> {
    const { configFile } = this.#options;
    let loaded: LoadedConfig;
    try {
      loaded = loadConfig(configFile, { writeDefault: false });
    } catch (error) {
      this.log.error(
        { file: configFile, reason: messageOf(error) },
        'configuration refused, the old one stays in force',
      );
      this.#health.raise(
        'config_refused',
        `The configuration in force is older than ${configFile}: ${messageOf(error)}`,
      );
      throw error;
    }
    this.#health.clear('config_refused');
    const changed = changedSections(this.#config, loaded.config);
    this.#apply(loaded.config);
    for (const warning of loaded.warnings) this.log.warn({}, warning);
    this.log.info({ changed }, 'configuration reloaded');
    this.#publish('config.reloaded', { changed });
    return { changed };
  }

  #apply(config: Config): void {
    const { supervisor, retention, state } = this.#running;
    const { log, heartbeat_interval_seconds: heartbeat } = config.daemon;
    supervisor.reconfigure(supervisorSettings(config), agentsConfig(config));
    retention.setDays(config.retention.days);
    this.#daemonLog.reconfigure({
      level: log.level,
      maxBytes: log.max_size_mb * BYTES_PER_MB,
      maxFiles: log.max_files,
    });
    if (heartbeat !== this.#config.daemon.heartbeat_interval_seconds) state.setInterval(heartbeat);
    this.#config = config;
  }

  #publish(type: string, payload: Record<string, unknown>): void {
    this.#router.publish({ type, source: 'daemon', payload });
  }

  #lookAtSelf(): void {
    this.#health.checked();
    try {
      this.#options.keepLock();
      this.#health.clear('lock');
    } catch (error) {
      this.#fault('lock', error);
    }
    this.#checkDatabase();
  }

  /** SQLite goes on writing into a file that was removed or replaced: all of it would be gone with this process. */
  #checkDatabase(): void {
    const { database } = this.#options.paths;
    const { ino } = statSync(database, { throwIfNoEntry: false }) ?? {};
    this.#databaseInode ??= ino;
    if (ino === this.#databaseInode) this.#health.clear('database_gone');
    else
      this.#health.raise(
        'database_gone',
        `${database} was removed or replaced while the daemon runs. Restart it: the queue is saved to tasks.json at the stop and taken from there.`,
      );
  }

  /** A part of the daemon can't do its work, or (with no error) can again. */
  #fault(code: string, error: unknown): void {
    if (error === undefined || error === null) this.#health.clear(code);
    else this.#health.raise(code, messageOf(error));
  }

  #healthChanged(): void {
    // During the start there is nobody to tell yet; `#start` tells what is wrong by then.
    if (this.#parts === undefined) return;
    const health = this.#health.snapshot();
    this.#publish(health.status === 'healthy' ? 'health.recovered' : 'health.degraded', { ...health });
    void this.#parts.state.write();
  }

  #uptimeSeconds(): number {
    return Math.round((this.#options.clock.monotonic() - this.#startedMonotonic) / 1000);
  }
}
