import type { AgentSupervisor } from '../agents/agent-supervisor.js';
import { ShortCommands } from '../agents/short-command.js';
import { AutomationEngine } from '../automation/automation-engine.js';
import type { AgentQuestions } from '../automation/gates/agent-questions.js';
import { JobRuns } from '../automation/job-runs.js';
import type { BuiltIn } from '../automation/ports.js';
import { StateDatabase } from '../database/state-database.js';
import type { Config } from '../protocol/config/config-schema.js';
import type { DaemonStatus } from '../protocol/status.js';
import { VERSION } from '../protocol/version.js';
import type { TaskStore } from '../tasks/task-store.js';
import { automationHandlers } from './automation-handlers.js';
import type { AutomationHostOptions } from './automation-host.js';
import { builtInActions } from './built-in-actions.js';
import { tellMissedEnds } from './missed-ends.js';
import type { AutomationHandlers } from './rpc-handlers.js';
import { runOutcomes } from './run-outcomes.js';
import { Sources } from './sources.js';
import { sourcesStatus } from './sources-status.js';
import type { Ground } from './subsystems.js';

/** All of it, at work. */
export interface OpenAutomation {
  handlers: AutomationHandlers;
  questions: AgentQuestions;
  /** Tells rules the ends of tasks that an earlier daemon stored, and could not tell any more. */
  tellMissedEnds: () => Promise<void>;
  startSources: () => Promise<void>;
  reconfigure: (config: Config, before: Config) => Promise<void>;
  status: () => Pick<DaemonStatus['subsystems'], 'automation' | 'file_watcher' | 'scheduler' | 'webhook'>;
  check: () => void;
  close: () => Promise<void>;
}

/** Opens the database and takes up what an earlier daemon was at. Throws STORAGE_FULL or STORAGE_FAILED. */
export async function openAutomation({
  ground,
  store,
  supervisor,
  configFile,
  config,
}: AutomationHostOptions): Promise<OpenAutomation> {
  const db = openDatabase(ground);
  let automation: AutomationParts | undefined;
  try {
    const builtIns = builtInActions(ground, { configFile, config });
    const made = makeAutomation(ground, { db, store, supervisor, config, builtIns: builtIns.actions });
    automation = made;
    const sources = new Sources({ ground, db, jobs: made.jobs, config });
    await made.engine.start();
    return {
      handlers: automationHandlers({
        project: ground.paths.root,
        automation: made,
        sources,
        now: () => ground.clock.now(),
        jobConfigs: () => config().schedule.jobs,
      }),
      questions: made.engine.questions,
      tellMissedEnds: () =>
        tellMissedEnds({ store, ends: made.engine.ends, tell: (task) => supervisor.tellEnd(task) }),
      startSources: () => sources.start(),
      reconfigure: async (next, before) => {
        made.engine.reconfigure(next.rules);
        made.receiveFor(next.rules.map(({ id }) => id));
        await sources.reconfigure(next, before);
      },
      status: () => ({
        automation: { ...made.engine.status(), gatesPending: made.engine.gates.pendingCount },
        ...sourcesStatus(sources),
      }),
      check: () => void db.check(),
      close: async () => {
        await sources.close();
        await made.close();
        await builtIns.ended();
        db.close();
      },
    };
  } catch (error) {
    // Else the next try would find its rules subscribed already.
    await automation?.close();
    db.close();
    throw error;
  }
}

export interface AutomationParts {
  engine: AutomationEngine;
  jobs: JobRuns;
  /** Makes the dead letters of these rules deliverable, and of no others. */
  receiveFor: (ruleIds: readonly string[]) => void;
  close: () => Promise<void>;
}

function openDatabase({ paths, clock, log, health }: Ground): StateDatabase {
  const db = new StateDatabase({
    path: paths.automation,
    clock,
    log,
    onFault: (error) => health.fault('automation.storage', error),
  });
  if (db.keptAside !== undefined) {
    health.raise(
      'automation_damaged',
      `The database of rules, jobs and gates was damaged. It is kept as ${db.keptAside}; a new one was begun: gates that waited, and what rules remembered, are gone.`,
    );
  }
  return db;
}

/** The engine, fed by the router; not started yet. */
function makeAutomation(
  ground: Ground,
  parts: {
    db: StateDatabase;
    store: TaskStore;
    supervisor: AgentSupervisor;
    config: () => Config;
    builtIns: Readonly<Record<string, BuiltIn>>;
  },
): AutomationParts {
  const { paths, clock, log, router } = ground;
  const { db, store, supervisor, config, builtIns } = parts;
  const engine = new AutomationEngine({
    db,
    clock,
    log,
    rules: config().rules,
    publish: (event) => router.publish(event),
    tasks: {
      submit: (task) => supervisor.submit(task),
      get: (taskId) => store.get(taskId),
      cancel: (taskId) => supervisor.cancel(taskId),
    },
    commands: new ShortCommands({ clock, projectRoot: paths.root, environment: process.env }),
    deadLetters: {
      add: (letter) => router.deadLetters.add(letter),
      has: (subscriber, eventId) => router.deadLetters.has(subscriber, eventId),
    },
    builtIns,
    environment: process.env,
    version: VERSION,
    gateMinutes: () => config().gates.expire_minutes,
    outcomes: runOutcomes(paths.actions, log),
    history: () => router.history.query({ limit: 1_000 }),
  });
  const jobs = new JobRuns({
    db,
    clock,
    log,
    runs: engine.runs,
    records: engine.records,
    actions: () => config().actions,
  });
  const tap = router.tap(['*'], engine.take);
  const receivers = new Map<string, { close(): void }>();
  const receiveFor = (ruleIds: readonly string[]): void => {
    for (const [ruleId, receiver] of receivers) {
      if (ruleIds.includes(ruleId)) continue;
      receiver.close();
      receivers.delete(ruleId);
    }
    for (const ruleId of ruleIds) {
      if (receivers.has(ruleId)) continue;
      // It gets nothing but what is delivered again.
      receivers.set(
        ruleId,
        router.subscribe(`rule:${ruleId}`, [], (event) => engine.redeliver(ruleId, event)),
      );
    }
  };
  receiveFor(config().rules.map(({ id }) => id));
  const close = async (): Promise<void> => {
    tap.close();
    receiveFor([]);
    await engine.close();
  };
  return { engine, jobs, receiveFor, close };
}
