import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { AutomationEngine } from '#aiwgd/automation/automation-engine.js';
import { JobRuns } from '#aiwgd/automation/job-runs.js';
import type { ActionTask, BuiltIn, CommandPort, TaskPort } from '#aiwgd/automation/ports.js';
import { StateDatabase } from '#aiwgd/database/state-database.js';
import { EventRouter } from '#aiwgd/events/event-router.js';
import type { Log } from '#aiwgd/platform/log.js';
import type { TraceEntry } from '#aiwgd/protocol/automation.js';
import type { JobAction, RuleConfig } from '#aiwgd/protocol/config/config-schema.js';
import type { AiwgEvent, NewEvent } from '#aiwgd/protocol/event.js';
import type { TaskState } from '#aiwgd/protocol/task.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { tempFolder } from '../support/temp.js';
import { NOON, rulesOf } from './rule-kit.js';

/** The daemon was killed: nothing that it would have done afterwards happens. */
export class Killed extends Error {}

/** Whether a daemon lives, and at which of its steps it is to be killed. */
class Life {
  alive = true;
  steps = 0;
  killAt = Number.POSITIVE_INFINITY;

  /** A moment at which a kill makes a difference. */
  step(): void {
    this.steps += 1;
    if (this.steps === this.killAt) this.alive = false;
    if (!this.alive) throw new Killed(`killed at step ${this.killAt}`);
  }
}

/** A database that can be killed before and after each write, and whose disk can be full. */
class MortalDatabase extends StateDatabase {
  readonly life: Life;

  constructor(path: string, life: Life, clock: FakeClock, log: Log) {
    super({ path, clock, log });
    this.life = life;
  }

  override run(...args: Parameters<StateDatabase['run']>): ReturnType<StateDatabase['run']> {
    return this.#mortal(() => super.run(...args));
  }

  override transaction<T>(work: () => T, options?: { durable?: boolean }): T {
    return this.#mortal(() => super.transaction(work, options));
  }

  #mortal<T>(write: () => T): T {
    // Undefined while the base class makes its tables.
    if (this.inTransaction || this.life === undefined) return write();
    this.life.step();
    const result = write();
    this.life.step();
    return result;
  }

  /** Lets no page be added any more, as a full disk does. */
  fill(): void {
    const pages = this.get('PRAGMA page_count')?.['page_count'] as number;
    this.exec(`PRAGMA max_page_count = ${pages}`);
    this.exec('CREATE TABLE IF NOT EXISTS ballast (data TEXT)');
    try {
      for (;;) this.run('INSERT INTO ballast VALUES (hex(randomblob(40)))');
    } catch {
      // Full.
    }
  }

  makeRoom(): void {
    this.exec('PRAGMA max_page_count = 1073741823');
    this.get('PRAGMA max_page_count');
    this.transaction(() => this.exec('DELETE FROM ballast'));
  }
}

export interface FakeTask extends ActionTask {
  id: string;
  state: TaskState;
  result: string | null;
  error: string | null;
}

/** The queue of tasks, which outlives every daemon; a test ends its tasks. */
export class Tasks {
  readonly all: FakeTask[] = [];
  /** What the next submissions throw. */
  readonly refusals: Error[] = [];

  port(life: Life, publish: (event: NewEvent) => void): TaskPort {
    return {
      submit: async (task) => {
        await Promise.resolve();
        life.step();
        const refusal = this.refusals.shift();
        if (refusal !== undefined) throw refusal;
        const known = this.all.find(({ once }) => once === task.once);
        if (known !== undefined) return { taskId: known.id };
        const id = `task-${String(this.all.length + 1).padStart(4, '0')}`;
        const made: FakeTask = { ...task, id, state: 'queued', result: null, error: null };
        this.all.push(made);
        life.step();
        publish(eventOf(made, 'task:queued'));
        return { taskId: id };
      },
      get: async (taskId) => {
        await Promise.resolve();
        if (!life.alive) throw new Killed();
        return this.all.find(({ id }) => id === taskId);
      },
      cancel: async (taskId) => {
        await Promise.resolve();
        if (!life.alive) throw new Killed();
        const task = this.all.find(({ id }) => id === taskId);
        if (task === undefined || ['completed', 'failed', 'cancelled'].includes(task.state)) return false;
        task.state = 'cancelled';
        publish(eventOf(task, 'task:cancelled'));
        return true;
      },
    };
  }

  get open(): FakeTask[] {
    return this.all.filter(({ state }) => state === 'queued' || state === 'running');
  }
}

/** As the supervisor tells it. */
function eventOf(task: FakeTask, type: string): NewEvent {
  const { id, state, agent, priority, ruleId, causedBy } = task;
  return {
    type,
    source: 'supervisor',
    payload: { taskId: id, state, agent, priority, attempt: 1, ...(ruleId === null ? {} : { ruleId }) },
    ...(causedBy === null ? {} : { cause: causedBy }),
  };
}

export interface RigOptions {
  rules?: object[];
  builtIns?: Record<string, BuiltIn>;
  actions?: Record<string, JobAction>;
  environment?: Record<string, string>;
  commands?: CommandPort;
}

const NO_COMMANDS: CommandPort = {
  run: () => Promise.reject(new Error('no command was expected')),
  endLeft: async () => {},
};

/** One daemon's part of the rig: everything that a kill ends. */
interface Daemon {
  life: Life;
  clock: FakeClock;
  db: MortalDatabase;
  router: EventRouter;
  engine: AutomationEngine;
  jobs: JobRuns;
  receivers: Map<string, { close(): void }>;
}

/** The engine between a real router and a real database, with a clock and a queue of tasks in the test's hands. */
export class Rig {
  readonly folder = tempFolder();
  readonly tasks = new Tasks();
  /** Everything published, over all daemons. */
  readonly events: AiwgEvent[] = [];
  readonly warnings: { fields: Record<string, unknown>; message: string }[] = [];
  readonly outcomes: { runId: string; stdout: string }[] = [];
  rules: RuleConfig[];
  readonly #options: RigOptions;
  #daemon: Daemon;

  private constructor(options: RigOptions) {
    this.#options = options;
    this.rules = rulesOf(...(options.rules ?? []));
    this.#daemon = this.#make(NOON);
  }

  static async open(options: RigOptions = {}): Promise<Rig> {
    const rig = new Rig(options);
    onTestFinished(() => rig.kill());
    await rig.engine.start();
    return rig;
  }

  get engine(): AutomationEngine {
    return this.#daemon.engine;
  }
  get clock(): FakeClock {
    return this.#daemon.clock;
  }
  get db(): MortalDatabase {
    return this.#daemon.db;
  }
  get router(): EventRouter {
    return this.#daemon.router;
  }
  get jobs(): JobRuns {
    return this.#daemon.jobs;
  }
  get life(): Life {
    return this.#daemon.life;
  }

  #make(now: number): Daemon {
    const life = new Life();
    const clock = new FakeClock(now);
    const warn = (fields: object, message: string): void => {
      if (life.alive) this.warnings.push({ fields: fields as Record<string, unknown>, message });
    };
    const log: Log = { debug: () => {}, info: () => {}, warn, error: warn };
    const db = new MortalDatabase(join(this.folder, 'automation.db'), life, clock, log);
    const router = new EventRouter({ directory: join(this.folder, 'events'), clock, log, random: () => 0.5 });
    const publish = (event: NewEvent): AiwgEvent => router.publish(event);
    const engine = new AutomationEngine({
      db,
      clock,
      log,
      rules: this.rules,
      publish,
      tasks: this.tasks.port(life, publish),
      commands: this.#options.commands ?? NO_COMMANDS,
      deadLetters: {
        add: (letter) => void router.deadLetters.add(letter),
        has: (subscriber, eventId) =>
          router.deadLetters
            .list()
            .some((letter) => letter.subscriber === subscriber && letter.event.id === eventId),
      },
      builtIns: this.#options.builtIns ?? {},
      environment: this.#options.environment ?? {},
      version: '1.2.3',
      gateMinutes: () => 60,
      outcomes: {
        write: (runId, { stdout }) => void this.outcomes.push({ runId, stdout }),
        forget: () => {},
      },
      history: () => router.history.query({ limit: 1_000 }),
      random: () => 0.5,
    });
    const jobs = new JobRuns({
      db,
      clock,
      log,
      runs: engine.runs,
      records: engine.records,
      actions: () => this.#options.actions ?? {},
    });
    router.tap(['*'], (event) => {
      if (life.alive) this.events.push(event);
    });
    router.tap(['*'], engine.take);
    const daemon = { life, clock, db, router, engine, jobs, receivers: new Map() };
    this.#receive(daemon);
    return daemon;
  }

  #receive({ receivers, router, engine }: Daemon): void {
    for (const { id } of this.rules) {
      if (receivers.has(id)) continue;
      receivers.set(
        id,
        router.subscribe(`rule:${id}`, [], (event) => engine.redeliver(id, event)),
      );
    }
  }

  /** Other rules hold, as after a reload. */
  reconfigure(...rules: object[]): void {
    this.rules = rulesOf(...rules);
    this.engine.reconfigure(this.rules);
    this.#receive(this.#daemon);
  }

  /** The daemon is gone in the middle of whatever it did. */
  kill(): void {
    const { life, db, engine } = this.#daemon;
    if (!life.alive && life.killAt === 0) return;
    life.alive = false;
    life.killAt = 0;
    db.close();
    engine.close();
  }

  /** The daemon stops as it should. */
  async stop(): Promise<void> {
    const { life, db, engine, router } = this.#daemon;
    engine.close();
    await this.idle();
    const closed = router.close({ graceMs: 0 });
    this.clock.advance(0);
    await closed;
    life.alive = false;
    life.killAt = 0;
    db.close();
  }

  /** The next daemon on the same files, `later` ms after; the one before is killed where it still lives. */
  async reopen({ later = 0, rules }: { later?: number; rules?: object[] } = {}): Promise<void> {
    const now = this.clock.now() + later;
    this.kill();
    if (rules !== undefined) this.rules = rulesOf(...rules);
    this.#daemon = this.#make(now);
    await this.engine.start();
    await this.idle();
  }

  publish(type: string, payload: Record<string, unknown> = {}, more: Partial<NewEvent> = {}): AiwgEvent {
    return this.router.publish({ type, source: 'rpc', payload, ...more });
  }

  /** A change of a file, as the watcher tells it. */
  change(path: string, kind: 'create' | 'modify' | 'delete' = 'modify'): AiwgEvent {
    return this.publish(`file.${kind}`, { path }, { source: 'file_watcher' });
  }

  /** A source's transaction, in which it publishes all of them. */
  batch<T>(work: () => T): T {
    return this.db.transaction(work);
  }

  /** Lets everything happen that needs no time. */
  async idle(turns = 6): Promise<void> {
    for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Lets time pass, in steps, with everything that happens meanwhile. */
  async pass(ms: number, steps = 1): Promise<void> {
    for (let step = 0; step < steps; step += 1) {
      this.clock.advance(ms / steps);
      await this.idle();
    }
  }

  startTask(task: FakeTask): void {
    task.state = 'running';
    this.router.publish(eventOf(task, 'task:started'));
  }

  async endTask(
    task: FakeTask | undefined,
    state: 'completed' | 'failed' | 'timeout' | 'cancelled' = 'completed',
    more: { result?: string; error?: string } = {},
  ): Promise<void> {
    if (task === undefined) throw new Error('there is no such task');
    Object.assign(task, { state, ...more });
    this.router.publish(eventOf(task, `task:${state}`));
    await this.idle();
  }

  /** Ends the tasks that are open, and those that follow from that, until none is. */
  async endAll(most = 100): Promise<void> {
    for (let round = 0; round < most; round += 1) {
      await this.idle();
      const [task] = this.tasks.open;
      if (task === undefined) return;
      await this.endTask(task);
    }
    throw new Error(`after ${most} tasks there are still more`);
  }

  /** Newest first, without what is beside the point. */
  trace(ruleId = 'r0'): TraceEntry[] {
    return this.engine.trace(ruleId, 100).entries;
  }

  outcomesOf(ruleId = 'r0'): string[] {
    return this.trace(ruleId).map(({ outcome }) => outcome);
  }

  states(): string[] {
    return this.engine
      .status()
      .recentExecutions.map(({ state }) => state)
      .toReversed();
  }

  topics(glob: RegExp): AiwgEvent[] {
    return this.events.filter(({ type }) => glob.test(type));
  }

  letters() {
    return this.router.deadLetters.list().map(({ subscriber, attempts, error, event, id }) => ({
      id,
      subscriber,
      attempts,
      error,
      eventId: event.id,
    }));
  }
}
