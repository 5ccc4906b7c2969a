import type { Row, StateDatabase } from '../../database/state-database.js';
import type { ActionReport, Execution, RunState } from '../../protocol/automation.js';
import type { JobAction, RuleAction } from '../../protocol/config/config-schema.js';
import type { AiwgEvent } from '../../protocol/event.js';

/** What a run does at one step. */
export type Step = (RuleAction | JobAction | { type: 'built_in'; name: string }) & {
  /** Its templates are filled in: nothing about it changes any more. */
  rendered?: true;
  /** A gate that was not among the actions: it stands before all of them. */
  whole?: true;
};

/** What the action before left for the templates of the next. */
export interface Previous {
  taskId: string | null;
  state: string;
  result: string | null;
}

export interface RunRecord {
  id: string;
  /** `rule:<id>` or `job:<id>`. */
  owner: string;
  state: RunState;
  createdAt: number;
  endedAt: number | null;
  event: AiwgEvent;
  /** The paths of all events that this run stands for. */
  files: string[];
  /** How many events those are. */
  count: number;
  /** The rules that brought it about, its own included. */
  rules: readonly string[];
  steps: Step[];
  /** Index of the step at work. */
  step: number;
  /** Tries of that step that have failed. */
  tries: number;
  /** When the next try is due, in ms since 1970. */
  retryAt: number | null;
  /** The task, or the gate, that the step at work waits for. */
  waitsFor: string | null;
  taskIds: string[];
  previous: Previous | null;
  reports: ActionReport[];
  error: string | null;
  /** Why it is to end before its time, from when that is decided. */
  cancelReason: string | null;
  /** `pending` from the failure until its dead letter is safely kept. */
  letter: 'pending' | 'kept' | null;
}

export type NewRun = Pick<
  RunRecord,
  'owner' | 'state' | 'createdAt' | 'event' | 'files' | 'count' | 'rules' | 'steps'
>;

const TABLE = `
CREATE TABLE IF NOT EXISTS runs (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  owner TEXT NOT NULL,
  state TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  ended_at INTEGER,
  event_id TEXT NOT NULL,
  letter TEXT,
  progress TEXT NOT NULL,
  steps TEXT NOT NULL,
  event TEXT NOT NULL,
  files TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_active ON runs (state) WHERE ended_at IS NULL;
CREATE INDEX IF NOT EXISTS runs_by_owner ON runs (owner, seq);
CREATE INDEX IF NOT EXISTS runs_letters ON runs (letter) WHERE letter = 'pending';
`;

/** Ended runs that are kept, in all. */
const MOST_ENDED = 2_000;
const PRUNE_EVERY = 100;

/** The part of a record that changes from step to step; small, whatever the event is. */
type Progress = Pick<
  RunRecord,
  | 'count'
  | 'rules'
  | 'step'
  | 'tries'
  | 'retryAt'
  | 'waitsFor'
  | 'taskIds'
  | 'previous'
  | 'reports'
  | 'error'
  | 'cancelReason'
>;

/** The runs of rules and jobs on disk. What is not ended is taken up again by the next daemon. */
export class RunRecords {
  readonly #db: StateDatabase;
  /** Told which runs are forgotten, so that their files can go too. */
  readonly #onForgotten: (ids: readonly string[]) => void;
  #sincePruned = 0;

  constructor(db: StateDatabase, onForgotten: (ids: readonly string[]) => void) {
    this.#db = db;
    this.#onForgotten = onForgotten;
    db.exec(TABLE);
  }

  insert(run: NewRun): RunRecord {
    const rest = {
      endedAt: null,
      step: 0,
      tries: 0,
      retryAt: null,
      waitsFor: null,
      taskIds: [],
      previous: null,
      reports: run.steps.map(({ type }) => ({ type, state: 'waiting' as const, detail: '' })),
      error: null,
      cancelReason: null,
      letter: null,
    };
    const record: RunRecord = { id: '', ...run, ...rest };
    const { id } = this.#db.run(
      `INSERT INTO runs (owner, state, created_at, event_id, progress, steps, event, files)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      run.owner,
      run.state,
      run.createdAt,
      run.event.id,
      JSON.stringify(progressOf(record)),
      JSON.stringify(run.steps),
      JSON.stringify(run.event),
      JSON.stringify(run.files),
    );
    return { ...record, id: runId(id) };
  }

  /** Writes what a step has changed. */
  save(run: RunRecord): void {
    this.#db.run(
      'UPDATE runs SET state = ?, ended_at = ?, letter = ?, progress = ? WHERE seq = ?',
      run.state,
      run.endedAt,
      run.letter,
      JSON.stringify(progressOf(run)),
      seqOf(run.id),
    );
    if (run.endedAt === null) return;
    // Only what may be tried again needs them; there may be many.
    if (run.state !== 'failed') this.#db.run("UPDATE runs SET files = '[]' WHERE seq = ?", seqOf(run.id));
    this.#prune();
  }

  /** Writes steps whose templates were filled in. */
  saveSteps(run: RunRecord): void {
    this.#db.run('UPDATE runs SET steps = ? WHERE seq = ?', JSON.stringify(run.steps), seqOf(run.id));
  }

  /** What has not ended, the oldest first. */
  active(): RunRecord[] {
    return this.#db.all('SELECT * FROM runs WHERE ended_at IS NULL ORDER BY seq').map(recordOf);
  }

  get(id: string): RunRecord | undefined {
    const row = this.#db.get('SELECT * FROM runs WHERE seq = ?', seqOf(id));
    return row && recordOf(row);
  }

  /** The newest run of an owner, ended or not. */
  newestOf(owner: string): RunRecord | undefined {
    const row = this.#db.get('SELECT * FROM runs WHERE owner = ? ORDER BY seq DESC LIMIT 1', owner);
    return row && recordOf(row);
  }

  /** The newest run of an owner for an event. */
  newestOn(owner: string, eventId: string): RunRecord | undefined {
    const row = this.#db.get(
      'SELECT * FROM runs WHERE owner = ? AND event_id = ? ORDER BY seq DESC LIMIT 1',
      owner,
      eventId,
    );
    return row && recordOf(row);
  }

  /** The dead letter of the run is safe; nothing else about the run changes, whatever became of it meanwhile. */
  letterKept(id: string): void {
    this.#db.run("UPDATE runs SET letter = 'kept' WHERE seq = ? AND letter = 'pending'", seqOf(id));
  }

  withPendingLetter(): RunRecord[] {
    return this.#db.all("SELECT * FROM runs WHERE letter = 'pending' ORDER BY seq").map(recordOf);
  }

  /** The newest first. */
  recent(limit: number): Execution[] {
    return this.#db
      .all(
        `SELECT seq, owner, state, created_at, ended_at, event_id, progress FROM runs ORDER BY seq DESC LIMIT ?`,
        limit,
      )
      .map(executionOf);
  }

  #prune(): void {
    this.#sincePruned += 1;
    if (this.#sincePruned < PRUNE_EVERY) return;
    this.#sincePruned = 0;
    const rows = this.#db.all(
      `DELETE FROM runs WHERE ended_at IS NOT NULL AND letter IS NOT 'pending' AND seq <=
         (SELECT seq FROM runs ORDER BY seq DESC LIMIT 1 OFFSET ?) RETURNING seq`,
      MOST_ENDED,
    );
    this.#db.afterCommit(() => this.#onForgotten(rows.map(({ seq }) => runId(Number(seq)))));
  }
}

function progressOf(run: RunRecord): Progress {
  const { count, rules, step, tries, retryAt, waitsFor, taskIds, previous, reports, error } = run;
  const { cancelReason } = run;
  return { count, rules, step, tries, retryAt, waitsFor, taskIds, previous, reports, error, cancelReason };
}

function recordOf(row: Row): RunRecord {
  return {
    ...(JSON.parse(String(row['progress'])) as Progress),
    id: runId(Number(row['seq'])),
    owner: String(row['owner']),
    state: row['state'] as RunState,
    createdAt: Number(row['created_at']),
    endedAt: row['ended_at'] as number | null,
    event: JSON.parse(String(row['event'])) as AiwgEvent,
    files: JSON.parse(String(row['files'])) as string[],
    steps: JSON.parse(String(row['steps'])) as Step[],
    letter: row['letter'] as RunRecord['letter'],
  };
}

function executionOf(row: Row): Execution {
  const { taskIds, error } = JSON.parse(String(row['progress'])) as Progress;
  const [kind, id] = splitOwner(String(row['owner']));
  const endedAt = row['ended_at'] as number | null;
  return {
    runId: runId(Number(row['seq'])),
    ruleId: kind === 'rule' ? id : null,
    jobId: kind === 'job' ? id : null,
    state: row['state'] as RunState,
    startedAt: new Date(Number(row['created_at'])).toISOString(),
    endedAt: endedAt === null ? null : new Date(endedAt).toISOString(),
    eventId: String(row['event_id']),
    taskIds,
    error,
  };
}

/** `rule:lint` is the rule `lint`; ids may hold colons themselves. */
export function splitOwner(owner: string): ['rule' | 'job', string] {
  const colon = owner.indexOf(':');
  return [owner.slice(0, colon) as 'rule' | 'job', owner.slice(colon + 1)];
}

function runId(seq: number): string {
  return `run-${String(seq).padStart(4, '0')}`;
}

function seqOf(id: string): number {
  return Number(id.slice('run-'.length));
}
