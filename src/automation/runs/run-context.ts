import type { StateDatabase } from '../../database/state-database.js';
import type { Clock } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import type { Gate } from '../../protocol/automation.js';
import type { AiwgEvent, NewEvent } from '../../protocol/event.js';
import type { GateQuestion } from '../gates/gate-question.js';
import type { BuiltIn, DeadLetterPort, TaskPort } from '../ports.js';
import type { RunRecords } from './run-records.js';
import type { TaskWaits } from './task-waits.js';

/** The gates, as far as a run needs them. */
export interface GatePort {
  ask(question: GateQuestion): Gate;
  get(id: string): Gate | undefined;
  /** Whether the gate asks for exactly this. */
  covers(id: string, action: string): boolean;
  withdraw(runId: string, reason: string): void;
}

/** What every run works with. */
export interface RunContext {
  db: StateDatabase;
  clock: Clock;
  log: Log;
  records: RunRecords;
  tasks: TaskPort;
  waits: TaskWaits;
  gates: GatePort;
  deadLetters: DeadLetterPort;
  builtIns: Readonly<Record<string, BuiltIn>>;
  /** The daemon's environment, for secrets to sign with. */
  environment: Readonly<Record<string, string | undefined>>;
  version: string;
  /** Minutes that a gate waits for an answer where it does not say. */
  gateMinutes: () => number;
  /** Publishes an event that descends from `rules`. */
  publish: (event: NewEvent, rules: readonly string[]) => AiwgEvent;
  /** Notes the rules that a task or event descends from. */
  recordLineage: (id: string, rules: readonly string[]) => void;
  /** Keeps what a built-in action said, as the files of an attempt. */
  writeOutcome: (runId: string, outcome: { stdout: string; result: unknown }) => void;
  /** In [0, 1), for the jitter of retries. */
  random: () => number;
}
