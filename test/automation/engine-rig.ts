import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { TaskEvents } from '#aiwgd/agents/task-events.js';
import { AutomationEngine } from '#aiwgd/automation/automation-engine.js';
import { JobRuns } from '#aiwgd/automation/job-runs.js';
import type { BuiltIn, CommandPort } from '#aiwgd/automation/ports.js';
import { tellMissedEnds } from '#aiwgd/daemon/missed-ends.js';
import { EventRouter } from '#aiwgd/events/event-router.js';
import type { Log } from '#aiwgd/platform/log.js';
import type { TraceEntry } from '#aiwgd/protocol/automation.js';
import type { JobAction, RuleConfig } from '#aiwgd/protocol/config/config-schema.js';
import { parseConfig } from '#aiwgd/protocol/config/read-config.js';
import type { AiwgEvent, NewEvent } from '#aiwgd/protocol/event.js';
import type { FinalState } from '#aiwgd/protocol/task.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { tempFolder } from '../support/temp.js';
import { type FakeTask, Life, MortalDatabase, Tasks, taskEvent } from './engine-world.js';
import { NOON } from './rule-kit.js';

export interface RigOptions {
  rules?: object[];
  builtIns?: Record<string, BuiltIn>;
  actions?: Record<string, JobAction>;
  environment?: Record<string, string>;
  commands?: CommandPort;
}

const SILENT: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

const NO_COMMANDS: CommandPort = {
  run: () => Promise.reject(new Error('no command was expected')),
  endLeft: async () => {},
};

/** Rules as the configuration yields them. */
function rulesOf(...rules: object[]): RuleConfig[] {
  const named = rules.map((rule, index) => ({ id: `r${index}`, ...rule }));
  const parsed = parseConfig(JSON.stringify({ rules: named }), 'daemon.json');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.config.rules;
}

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
      tasks: this.tasks.port(life, clock, publish),
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
    // It may wait for ever for what a kill does not end.
    void engine.close();
  }

  /** The daemon stops as it should. */
  async stop(): Promise<void> {
    const { life, db, engine, router } = this.#daemon;
    await engine.close();
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
    await this.tellMissedEnds();
    await this.idle();
  }

  /** As the daemon does at its start. */
  tellMissedEnds(): Promise<void> {
    const { router, engine } = this;
    const events = new TaskEvents((event) => void router.publish(event), SILENT);
    return tellMissedEnds({
      store: this.tasks.store,
      ends: engine.ends,
      tell: (task) => events.endedEarlier(task),
    });
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
    this.router.publish(taskEvent(task, 'task:started'));
  }

  async endTask(
    task: FakeTask | undefined,
    state: FinalState = 'completed',
    more: { result?: string; error?: string } = {},
  ): Promise<void> {
    if (task === undefined) throw new Error('there is no such task');
    this.storeEnd(task, state, more);
    // A daemon that is killed now tells it to nobody.
    this.life.step();
    this.router.publish(taskEvent(task, `task:${state}`));
    await this.idle();
  }

  /** The end is in the queue, and not told. */
  storeEnd(task: FakeTask, state: FinalState = 'completed', more: object = {}): void {
    Object.assign(task, { state, endedAt: this.clock.now(), ...more });
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
