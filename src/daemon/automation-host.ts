import { existsSync } from 'node:fs';
import type { AgentSupervisor } from '../agents/agent-supervisor.js';
import type { AgentQuestions } from '../automation/gates/agent-questions.js';
import type { Config } from '../protocol/config/config-schema.js';
import { AiwgdError } from '../protocol/errors.js';
import type { DaemonStatus } from '../protocol/status.js';
import type { TaskStore } from '../tasks/task-store.js';
import type { OpenAutomation } from './automation-parts.js';
import type { AutomationHandlers } from './rpc-handlers.js';
import type { Ground } from './subsystems.js';

export interface AutomationHostOptions {
  ground: Ground;
  store: TaskStore;
  supervisor: AgentSupervisor;
  configFile: string;
  config: () => Config;
  /** False in a daemon that only ends what another one left. */
  enabled: boolean;
}

type Status = Pick<DaemonStatus['subsystems'], 'automation' | 'file_watcher' | 'scheduler' | 'webhook'>;

const METHODS = [
  'automation.status',
  'automation.enable',
  'automation.disable',
  'automation.test',
  'automation.trace',
  'schedule.list',
  'schedule.run',
  'gate.list',
  'gate.approve',
  'gate.reject',
] as const satisfies readonly (keyof AutomationHandlers)[];

/**
 * Rules, jobs, gates and the sources of events: opened when the configuration has any of them, when an earlier daemon had,
 * or when somebody asks. A project without them pays neither their loading nor their memory.
 */
export class AutomationHost {
  readonly #options: AutomationHostOptions;
  #open: OpenAutomation | undefined;
  #opening: Promise<OpenAutomation> | undefined;
  #sourcesWanted = false;
  /** As it was when it closed. */
  #lastStatus: Status | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: AutomationHostOptions) {
    this.#options = options;
  }

  /** Takes up what an earlier daemon was at. Before the tasks are taken over: rules wait for them to end. */
  async start(): Promise<void> {
    if (this.#isNeeded(this.#options.config())) await (await this.#ensure()).tellMissedEnds();
  }

  /** Opens what it takes to ask people. Throws DAEMON_STOPPING, STORAGE_FULL or STORAGE_FAILED. */
  async questions(): Promise<AgentQuestions> {
    return (await this.#ensure()).questions;
  }

  /** The same where it is open; where it is not, nobody was ever asked or this is not the daemon for it. */
  get openQuestions(): AgentQuestions | undefined {
    return this.#open?.questions;
  }

  /** From now on things happen. */
  async startSources(): Promise<void> {
    this.#sourcesWanted = true;
    await this.#open?.startSources();
  }

  async reconfigure(config: Config, before: Config): Promise<void> {
    if (this.#opening !== undefined) await (await this.#opening).reconfigure(config, before);
    else if (this.#isNeeded(config)) await this.#ensure();
  }

  handlers(): AutomationHandlers {
    const through = <M extends keyof AutomationHandlers>(name: M) =>
      (async (params, call) => {
        const { handlers } = await this.#ensure();
        return (handlers[name] as (...all: unknown[]) => unknown)(params, call);
      }) as AutomationHandlers[M];
    return Object.fromEntries(METHODS.map((name) => [name, through(name)])) as unknown as AutomationHandlers;
  }

  status(): Status {
    return this.#lastStatus ?? this.#open?.status() ?? this.#statusOfNothing();
  }

  /** Looks after the database; to be called now and then. */
  check(): void {
    this.#open?.check();
  }

  /** Nothing new comes in, and rules do no more: what they were at is taken up by the next daemon. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const open = await this.#opening?.catch(() => undefined);
    // The last state is written after the database is closed.
    this.#lastStatus = open?.status();
    await open?.close();
  }

  #ensure(): Promise<OpenAutomation> {
    if (this.#closing !== undefined || !this.#options.enabled) {
      throw new AiwgdError('DAEMON_STOPPING', 'The daemon is stopping; ask again when it is back.');
    }
    this.#opening ??= this.#load();
    return this.#opening;
  }

  async #load(): Promise<OpenAutomation> {
    try {
      const { openAutomation } = await import('./automation-parts.js');
      const open = await openAutomation(this.#options);
      this.#open = open;
      if (this.#sourcesWanted) await open.startSources();
      return open;
    } catch (error) {
      // Whoever asks next tries again: the disk may have room by then.
      this.#opening = undefined;
      throw error;
    }
  }

  #isNeeded({ rules, schedule, watch, webhook }: Config): boolean {
    const { enabled, ground } = this.#options;
    const used =
      rules.length > 0 ||
      (schedule.enabled && schedule.jobs.length > 0) ||
      (watch.enabled && watch.paths.length > 0) ||
      webhook.enabled;
    return enabled && (used || existsSync(ground.paths.automation));
  }

  /** As the parts themselves would say it. */
  #statusOfNothing(): Status {
    return {
      automation: { enabled: true, ruleCount: 0, rules: [], recentExecutions: [], gatesPending: 0 },
      file_watcher: { enabled: false, paths: [], events_received: 0 },
      scheduler: { enabled: false, jobs: [], last_fires: {}, next: null },
      webhook: { enabled: false },
    };
  }
}
