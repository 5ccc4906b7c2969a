import type { Logger } from 'pino';
import type { AgentSupervisor } from '../agents/agent-supervisor.js';
import { EventRouter } from '../events/event-router.js';
import type { RpcServer } from '../ipc/rpc-server.js';
import type { Clock } from '../platform/clock.js';
import type { Config } from '../protocol/config/config-schema.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import type { ProjectPaths } from '../protocol/project-paths.js';
import { VERSION } from '../protocol/version.js';
import { OutputFiles } from '../tasks/output-files.js';
import { Retention } from '../tasks/retention.js';
import type { StoreThread } from '../tasks/sqlite/store-thread.js';
import type { StoredTask, TaskStore } from '../tasks/task-store.js';
import { agentsConfig, supervisorSettings } from './agent-settings.js';
import { endAgents, leaveAgents } from './agents-end.js';
import { AutomationHost } from './automation-host.js';
import type { LoadedConfig } from './config-source.js';
import { guardAgainstCrashes } from './crash-guard.js';
import { DoctorDesk } from './doctor-desk.js';
import { HealthRegister } from './health.js';
import { type DaemonLog, logBounds, openLog } from './log.js';
import { openTasks } from './open-tasks.js';
import { PermissionDesk } from './permission-desk.js';
import { ReleaseStack } from './release-stack.js';
import { Reloader } from './reloader.js';
import { SelfCheck } from './self-check.js';
import { nextRestartCount, StateFile } from './state-file.js';
import { daemonStatus, type StatusSources, stateSnapshot } from './status.js';
import type { StopRequest } from './stop-request.js';
import { exportTasks, type Ground, makeServer, makeSupervisor } from './subsystems.js';
import { TaskWorkspaces } from './task-workspaces.js';
import { terminalEcho } from './terminal-echo.js';

export interface DaemonOptions {
  paths: ProjectPaths;
  /** Where the configuration was read from, and is read again. */
  configFile: string;
  loaded: LoadedConfig;
  foreground: boolean;
  /** Whether rules, jobs and the sources of events are to work. */
  automation: boolean;
  clock: Clock;
  stop: StopRequest;
  /** Prepared for the task store. */
  thread: StoreThread;
  /** Called at each heartbeat: makes folders, lock and pid file again where somebody removed them. */
  keepFiles: () => void;
  /** Called where the daemon ends and leaves agents at work. */
  onAgentsLeft: () => void;
}

interface Parts {
  store: TaskStore;
  supervisor: AgentSupervisor;
  automation: AutomationHost;
  questions: PermissionDesk;
  workspaces: TaskWorkspaces;
  server: RpcServer;
  state: StateFile;
  retention: Retention;
}

/** How long event handlers may take to finish when the daemon stops. */
const ROUTER_GRACE_MS = 2000;

/**
 * The composition root: brings the subsystems up in order, passes each what it needs of the others, and takes them
 * down again. `start` either resolves to a daemon that answers on its socket, or rejects with nothing left open.
 */
export class Daemon {
  readonly #options: DaemonOptions;
  readonly #releases = new ReleaseStack();
  readonly #startedAtMs: number;
  readonly #startedMonotonic: number;
  readonly #restartCount: number;
  readonly #daemonLog: DaemonLog;
  readonly #ground: Ground;
  readonly #reloader: Reloader;
  #closed = false;
  #takenOver = 0;
  /** Set by the stop: resolves when the agents have ended, or are left to the next daemon. */
  #agentsSettled: Promise<void> | undefined;
  #parts: Parts | undefined;

  private constructor(options: DaemonOptions) {
    const { paths, clock, loaded, configFile } = options;
    this.#options = options;
    this.#startedAtMs = clock.now();
    this.#startedMonotonic = clock.monotonic();
    this.#restartCount = nextRestartCount(paths);
    const health = new HealthRegister(clock, () => this.#healthChanged());
    this.#daemonLog = openLog({
      path: paths.log,
      ...logBounds(loaded.config),
      onFault: (error) => health.fault('log', error),
      ...(options.foreground ? { echo: terminalEcho(process.stdout) } : {}),
    });
    this.#releases.push('log', () => this.#daemonLog.close());
    const { log } = this;
    const router = new EventRouter({
      directory: paths.events,
      clock,
      log,
      onFault: (part, error) => health.fault(`events.${part}`, error),
    });
    this.#releases.push('events', async () => {
      const { left } = await router.close({ graceMs: ROUTER_GRACE_MS });
      if (left.length > 0) log.warn({ left }, 'events were not handled before the stop');
    });
    this.#ground = { paths, clock, log, router, health };
    this.#reloader = new Reloader({
      configFile,
      initial: loaded.config,
      log,
      health,
      apply: (next, before) => this.#apply(next, before),
      onReloaded: (changed) => this.#publish('config.reloaded', { changed }),
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

  /** Number of agents that an earlier daemon left and this one took over. */
  get takenOver(): number {
    return this.#takenOver;
  }

  get #running(): Parts {
    if (this.#parts === undefined) throw new AiwgdError('INTERNAL_ERROR', 'The daemon is not up yet.');
    return this.#parts;
  }

  /** As `Reloader.reload`: only what changed is restarted. */
  reload(): Promise<{ changed: string[] }> {
    return this.#reloader.reload();
  }

  /**
   * Refuses new work, gives running agents their grace (or leaves them to the next daemon, where the wish says so), then
   * closes everything; the queue is kept.
   */
  async stop(): Promise<void> {
    const { stop, clock } = this.#options;
    const { supervisor, automation, workspaces } = this.#running;
    await stop.asked;
    // As it stands now: a second signal may have come before we were up.
    const { reason = 'unknown', graceMs, keepAgents = false } = stop.pending ?? {};
    this.log.info({ reason, keepAgents }, 'stopping');
    this.#publish('daemon.stopping', { reason, pid: process.pid, keepAgents });
    const { stopGraceMs } = supervisorSettings(this.#reloader.current);
    await automation.close();
    workspaces.close();
    this.#agentsSettled = keepAgents
      ? this.#leaveAgents()
      : endAgents(supervisor, { stop, clock, graceMs: graceMs ?? stopGraceMs });
    await this.#agentsSettled;
    await this.close();
  }

  /** Closes whatever is open, in reverse order. Harmless when done twice. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.log.info({ uptime_seconds: this.#uptimeSeconds() }, 'daemon ends');
    await this.#releases.releaseAll(this.log);
  }

  async #leaveAgents(): Promise<void> {
    const { store, supervisor } = this.#running;
    await leaveAgents(supervisor, this.#options);
    const left = await store.counts().then(
      ({ running }) => running > 0,
      // Nobody knows: whoever looks for them finds out.
      () => true,
    );
    if (left) this.#options.onAgentsLeft();
  }

  async #start(): Promise<void> {
    const { log } = this;
    const { paths, clock, health } = this.#ground;
    this.#releases.push('crash guard', this.#guard());
    log.info({ version: VERSION, project: paths.root, node: process.version }, 'daemon starts');
    for (const warning of this.#options.loaded.warnings) log.warn({}, warning);
    const { store, begunAnew } = await openTasks({ paths, clock, log, health, thread: this.#options.thread });
    this.#releases.push('task store', async () => store[Symbol.asyncDispose]());
    const holdOf = (task: StoredTask) => this.#parts?.supervisor.holdOf(task);
    this.#releases.push('tasks.json', exportTasks(this.#ground, store, holdOf));
    const parts = this.#compose(store);
    this.#parts = parts;
    const { supervisor, server, state, automation, questions } = parts;
    this.#releases.push('automation', () => automation.close());
    await automation.start();
    if (begunAnew) questions.forgetAllowed();
    this.#takenOver = await supervisor.start({ strays: begunAnew ? 'all' : 'known' });
    // A start that fails further on leaves them to the next one.
    this.#releases.push('agents', () => this.#agentsSettled ?? this.#leaveAgents());
    this.#releases.push('state file', () => state.close());
    await server.listen();
    this.#releases.push('socket', () => server.close());
    await automation.startSources();
    await state.start();
    log.info({ socket: server.address }, 'daemon ready');
    this.#publish('daemon.started', { pid: process.pid, version: VERSION });
    if (health.snapshot().status !== 'healthy') this.#healthChanged();
  }

  #guard(): () => void {
    return guardAgainstCrashes((error) => {
      this.log.fatal({ err: error }, 'a fault of the daemon itself');
      this.#ground.health.raise(
        'internal_error',
        `A fault of the daemon itself: ${messageOf(error)}. See the log.`,
      );
    });
  }

  #compose(store: TaskStore): Parts {
    const { paths, clock, log, health } = this.#ground;
    const { stop, keepFiles } = this.#options;
    const config = this.#reloader.current;
    const files = new OutputFiles({ actionsDir: paths.actions });
    const questions = new PermissionDesk(() => automation);
    const workspaces = new TaskWorkspaces({ project: paths.root, clock, environment: process.env, store });
    this.#releases.push('worktrees', () => workspaces.close());
    const supervisor = makeSupervisor(this.#ground, { store, files, config, questions, workspaces });
    const status = () => daemonStatus(this.#statusSources());
    const automation: AutomationHost = new AutomationHost({
      ground: this.#ground,
      store,
      supervisor,
      configFile: this.#options.configFile,
      config: () => this.#reloader.current,
      enabled: this.#options.automation,
    });
    const doctor = new DoctorDesk(this.#ground, {
      configFile: this.#options.configFile,
      config: () => this.#reloader.current,
    });
    this.#releases.push('doctor', () => doctor.close());
    const server = makeServer(this.#ground, {
      store,
      supervisor,
      files,
      stop,
      automation: automation.handlers(),
      workspaces,
      status,
      reload: () => this.reload(),
      doctor: () => doctor.look(),
    });
    const retention = new Retention({ store, files, clock, log, days: config.retention.days });
    this.#releases.push('retention', () => retention.close());
    const selfCheck = new SelfCheck({
      paths,
      health,
      log,
      keepFiles,
      keepSocket: () => server.restore(),
      onProjectGone: () => stop.ask({ reason: 'the project was removed', graceMs: 0 }),
    });
    const state = new StateFile({
      paths,
      clock,
      heartbeatSeconds: config.daemon.heartbeat_interval_seconds,
      uptimeSeconds: () => this.#uptimeSeconds(),
      snapshot: () => stateSnapshot(this.#statusSources()),
      onHeartbeat: () => {
        selfCheck.look();
        automation.check();
      },
      onFault: (error) => health.fault('state', error),
    });
    return { store, supervisor, automation, questions, workspaces, server, state, retention };
  }

  #statusSources(): StatusSources {
    const { store, supervisor, server, automation } = this.#running;
    return {
      root: this.#options.paths.root,
      configFile: this.#options.configFile,
      clock: this.#options.clock,
      startedAtMs: this.#startedAtMs,
      uptimeSeconds: () => this.#uptimeSeconds(),
      restartCount: this.#restartCount,
      config: () => this.#reloader.current,
      health: () => this.#ground.health.snapshot(),
      counts: () => store.counts(),
      ipc: () => ({ socket: server.address, ...server.stats() }),
      supervisor: () => supervisor.status(),
      automation: () => automation.status(),
    };
  }

  async #apply(config: Config, before: Config): Promise<void> {
    const { supervisor, retention, state, automation } = this.#running;
    const heartbeat = config.daemon.heartbeat_interval_seconds;
    supervisor.reconfigure(supervisorSettings(config), agentsConfig(config));
    retention.setDays(config.retention.days);
    this.#daemonLog.reconfigure(logBounds(config));
    if (heartbeat !== before.daemon.heartbeat_interval_seconds) state.setInterval(heartbeat);
    await automation.reconfigure(config, before);
  }

  #publish(type: string, payload: Record<string, unknown>): void {
    this.#ground.router.publish({ type, source: 'daemon', payload });
  }

  #healthChanged(): void {
    // During the start there is nobody to tell yet; `#start` tells what is wrong by then.
    if (this.#parts === undefined) return;
    const health = this.#ground.health.snapshot();
    this.#publish(health.status === 'healthy' ? 'health.recovered' : 'health.degraded', { ...health });
    void this.#parts.state.write();
  }

  #uptimeSeconds(): number {
    return Math.round((this.#options.clock.monotonic() - this.#startedMonotonic) / 1000);
  }
}
