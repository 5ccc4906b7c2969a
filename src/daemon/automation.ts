import type { AgentSupervisor } from '../agents/agent-supervisor.js';
import { ShortCommands } from '../agents/short-command.js';
import { AutomationEngine } from '../automation/automation-engine.js';
import { JobRuns } from '../automation/job-runs.js';
import type { BuiltIn } from '../automation/ports.js';
import { StateDatabase } from '../database/state-database.js';
import type { Config } from '../protocol/config/config-schema.js';
import type { DeadLetter } from '../protocol/event.js';
import { VERSION } from '../protocol/version.js';
import type { TaskStore } from '../tasks/task-store.js';
import { runOutcomes } from './run-outcomes.js';
import type { Ground } from './subsystems.js';

export interface AutomationParts {
  db: StateDatabase;
  engine: AutomationEngine;
  jobs: JobRuns;
  /** Makes the dead letters of these rules deliverable, and of no others. */
  receiveFor: (ruleIds: readonly string[]) => void;
  close: () => Promise<void>;
}

export function openAutomationDatabase({ paths, clock, log, health }: Ground): StateDatabase {
  return new StateDatabase({
    path: paths.automation,
    clock,
    log,
    onFault: (error) => health.fault('automation.storage', error),
  });
}

/** The engine, fed by the router; not started yet. */
export function makeAutomation(
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
      has: (subscriber, eventId) =>
        router.deadLetters
          .list()
          .some((letter: DeadLetter) => letter.subscriber === subscriber && letter.event.id === eventId),
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
  return { db, engine, jobs, receiveFor, close };
}
