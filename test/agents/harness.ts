import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentsConfig } from '#aiwgd/agents/agent-config.js';
import { AgentSupervisor, type SupervisorSettings } from '#aiwgd/agents/agent-supervisor.js';
import type { BudgetBounds } from '#aiwgd/agents/money/budget.js';
import type { QuestionPort, Workspaces } from '#aiwgd/agents/ports.js';
import { type Clock, systemClock } from '#aiwgd/platform/clock.js';
import { linuxPids, readMarks } from '#aiwgd/platform/process-table.js';
import type { NewEvent } from '#aiwgd/protocol/event.js';
import type { StoredTask, TaskStore } from '#aiwgd/tasks/task-store.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { MemoryTaskStore } from '#aiwgd/testing/memory-task-store.js';
import { endNow } from '../support/temp.js';

export const NO_BOUNDS: BudgetBounds = { perTaskUsd: null, perDayUsd: null, perRuleDayUsd: null };

export interface RigOptions {
  agents?: AgentsConfig['agents'];
  store?: TaskStore;
  root?: string;
  clock?: Clock;
  settings?: Partial<SupervisorSettings>;
  environment?: Record<string, string>;
  owner?: string;
  questions?: QuestionPort;
  workspaces?: Workspaces;
  earlierEvents?: (topic: string) => readonly NewEvent[];
}

/** Waits for a condition by looking at it again and again; fails loudly. */
export async function until(what: string, condition: () => unknown, ms = 10_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`In vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A supervisor in a folder of its own, with all that it said. */
export class Rig implements AsyncDisposable {
  readonly root: string;
  readonly store: TaskStore;
  readonly clock: Clock;
  readonly supervisor: AgentSupervisor;
  readonly events: NewEvent[] = [];
  readonly logged: string[] = [];
  readonly faults: ({ code: string; message: string } | null)[] = [];
  readonly settings: SupervisorSettings;
  #agents: AgentsConfig['agents'];

  constructor(options: RigOptions = {}) {
    this.root = options.root ?? mkdtempSync(join(tmpdir(), 'aiwgd-agents-'));
    const clock = options.clock ?? systemClock;
    this.clock = clock;
    this.store = options.store ?? new MemoryTaskStore(clock);
    this.settings = {
      maxParallel: 2,
      actionTimeoutMs: 60_000,
      killGraceMs: 300,
      budget: NO_BOUNDS,
      ...options.settings,
    };
    this.#agents = options.agents ?? {};
    const note = (fields: object, message: string): void => {
      this.logged.push(JSON.stringify({ ...fields, message }));
    };
    this.supervisor = new AgentSupervisor({
      store: this.store,
      agents: this.agents(this.#agents),
      settings: this.settings,
      projectRoot: this.root,
      attemptFolder: (taskId, attempt) => this.folder(taskId, attempt),
      pausesFile: join(this.root, 'pauses.json'),
      publish: (event) => this.events.push(event),
      ...(options.earlierEvents && { earlierEvents: options.earlierEvents }),
      clock,
      log: { debug: note, info: note, warn: note, error: note },
      owner: options.owner ?? 'rig',
      onFault: (code, message) => this.faults.push(message === null ? null : { code, message }),
      environment: { PATH: process.env['PATH'] ?? '', ...options.environment },
      ...(options.questions && { questions: options.questions }),
      ...(options.workspaces && { workspaces: options.workspaces }),
      random: () => 0.5,
    });
  }

  agents(agents: AgentsConfig['agents']): AgentsConfig {
    return { default_agent: 'sh', agents: { sh: { provider: 'command', command: ['sh', '-s'] }, ...agents } };
  }

  folder(taskId: string, attempt = 1): string {
    return join(this.root, 'actions', taskId, `attempt-${attempt}`);
  }

  read(taskId: string, file: string, attempt = 1): string {
    return readFileSync(join(this.folder(taskId, attempt), file), 'utf8');
  }

  /** Writes an executable into the project. */
  program(name: string, text: string): string {
    const path = join(this.root, name);
    writeFileSync(path, text);
    chmodSync(path, 0o755);
    return path;
  }

  /** Runs `prompt`, which is a shell script for the default agent, and answers its id. */
  async submit(prompt: string, more: Record<string, unknown> = {}): Promise<string> {
    return (await this.supervisor.submit({ prompt, ...more })).taskId;
  }

  async get(taskId: string): Promise<StoredTask> {
    const task = await this.store.get(taskId);
    if (task === undefined) throw new Error(`no ${taskId}`);
    return task;
  }

  async ended(taskId: string, ms?: number): Promise<StoredTask> {
    const topics = ['task:completed', 'task:failed', 'task:cancelled', 'task:timeout'];
    await until(
      `the end of ${taskId}`,
      () => this.events.some((event) => topics.includes(event.type) && event.payload['taskId'] === taskId),
      ms,
    );
    return this.get(taskId);
  }

  /** Submits and waits for the end. */
  async run(prompt: string, more?: Record<string, unknown>): Promise<StoredTask> {
    return this.ended(await this.submit(prompt, more));
  }

  topics(taskId: string): string[] {
    return this.events
      .filter((event) => event.payload['taskId'] === taskId && event.type !== 'task:output')
      .map((event) => event.type);
  }

  /** Pids of this project's attempts that live. */
  leftovers(): number[] {
    return linuxPids().filter((pid) => {
      const marks = readMarks(pid);
      return typeof marks === 'object' && marks.project === this.root;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const stopped = this.supervisor.stop({ graceMs: 0 });
    const { clock } = this;
    const driver = clock instanceof FakeClock ? setInterval(() => clock.advance(100), 1) : undefined;
    await stopped;
    clearInterval(driver);
    for (const pid of this.leftovers()) endNow(pid);
    await this.store[Symbol.asyncDispose]();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** A rig that is at work. */
export async function startedRig(options?: RigOptions): Promise<Rig> {
  const rig = new Rig(options);
  await rig.supervisor.start();
  return rig;
}

/** A script of an agent that ignores SIGTERM, as does its child in a session of its own; both say when they are up. */
export const STUBBORN = `
trap '' TERM
setsid sh -c 'trap "" TERM; echo child; while :; do sleep 0.2; done' &
echo parent
while :; do sleep 0.2; done
`;
