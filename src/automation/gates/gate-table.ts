import type { Row, StateDatabase } from '../../database/state-database.js';
import type { Gate, GateState } from '../../protocol/automation.js';
import { visibleLine, visibleText } from '../../protocol/visible-text.js';

/** A gate as it is kept, with the texts as they were given. Times are milliseconds since 1970. */
export interface StoredGate {
  number: number;
  state: GateState;
  kind: Gate['kind'];
  summary: string;
  action: string;
  /** What "always" would stand for; null where it is not offered. */
  always: string | null;
  /** Of action and run, made when the question was asked. */
  fingerprint: string;
  runId: string;
  ruleId: string | null;
  taskId: string | null;
  causeEventId: string | null;
  createdAt: number;
  expiresAt: number;
  endedAt: number | null;
  answeredBy: string | null;
  reason: string | null;
}

export type NewGate = Omit<StoredGate, 'number' | 'state' | 'endedAt' | 'answeredBy' | 'reason'> & {
  /** Of the gate as it is shown, in bytes. */
  size: number;
};

export interface GateEnd {
  state: Exclude<GateState, 'pending'>;
  at: number;
  by: string | null;
  reason: string | null;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS gates (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    state TEXT NOT NULL DEFAULT 'pending',
    kind TEXT NOT NULL,
    summary TEXT NOT NULL,
    -- As JSON: a text with NUL in it would come back cut.
    action TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    run_id TEXT NOT NULL,
    rule_id TEXT,
    task_id TEXT,
    cause_event_id TEXT,
    size INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER,
    answered_by TEXT,
    reason TEXT,
    always_rule TEXT
  );
  CREATE INDEX IF NOT EXISTS gates_by_state ON gates (state, expires_at);
`;
const ENDED = "state <> 'pending'";

/** The gates in the database; ids are never used twice. */
export class GateTable {
  readonly #db: StateDatabase;

  constructor(db: StateDatabase) {
    this.#db = db;
    db.exec(SCHEMA);
    // A database of an earlier version lacks it.
    if (!db.all('PRAGMA table_info(gates)').some(({ name }) => name === 'always_rule'))
      db.exec('ALTER TABLE gates ADD COLUMN always_rule TEXT');
  }

  insert(gate: NewGate): StoredGate {
    const { id } = this.#db.run(
      `INSERT INTO gates (kind, summary, action, fingerprint, run_id, rule_id, task_id, cause_event_id, size, created_at, expires_at, always_rule)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      gate.kind,
      gate.summary,
      JSON.stringify(gate.action),
      gate.fingerprint,
      gate.runId,
      gate.ruleId,
      gate.taskId,
      gate.causeEventId,
      gate.size,
      gate.createdAt,
      gate.expiresAt,
      gate.always,
    );
    return { ...gate, number: id, state: 'pending', endedAt: null, answeredBy: null, reason: null };
  }

  get(id: string): StoredGate | undefined {
    const number = Number(/^gate-(\d{4,15})$/.exec(id)?.[1]);
    if (Number.isNaN(number) || gateId(number) !== id) return undefined;
    const row = this.#db.get('SELECT * FROM gates WHERE number = ?', number);
    return row && fromRow(row);
  }

  /** Newest first. Ended ones only as long as all together are shown in at most `bytes`; pending ones always. */
  list(state: GateState | 'all', bytes: number): StoredGate[] {
    const rows = this.#db.all(
      `SELECT * FROM (
         SELECT *, sum(size + ifnull(length(CAST(reason AS BLOB)), 0))
           OVER (ORDER BY state <> 'pending', number DESC) AS until_here FROM gates
         WHERE ?1 = 'all' OR state = ?1
       ) WHERE state = 'pending' OR until_here <= ?2 ORDER BY number DESC`,
      state,
      bytes,
    );
    return rows.map(fromRow);
  }

  pendingOf(runId: string): StoredGate[] {
    return this.#db
      .all("SELECT * FROM gates WHERE state = 'pending' AND run_id = ? ORDER BY number", runId)
      .map(fromRow);
  }

  /** The newest gate of a run that asked for exactly this. */
  find(runId: string, fingerprint: string): StoredGate | undefined {
    const row = this.#db.get(
      'SELECT * FROM gates WHERE run_id = ? AND fingerprint = ? ORDER BY number DESC LIMIT 1',
      runId,
      fingerprint,
    );
    return row && fromRow(row);
  }

  /** Pending gates that end by `now`. */
  due(now: number): StoredGate[] {
    return this.#db
      .all("SELECT * FROM gates WHERE state = 'pending' AND expires_at <= ? ORDER BY expires_at, number", now)
      .map(fromRow);
  }

  /** How many are pending, how much room all of them take when shown, and when the next one ends. */
  pending(): { count: number; size: number; nextExpiry: number | null } {
    const row = this.#db.get(
      "SELECT count(*) AS count, total(size) AS size, min(expires_at) AS next FROM gates WHERE state = 'pending'",
    );
    return {
      count: Number(row?.['count']),
      size: Number(row?.['size']),
      nextExpiry: (row?.['next'] ?? null) as number | null,
    };
  }

  /** Answers the gate as it is from now on. */
  end(gate: StoredGate, { state, at, by, reason }: GateEnd): StoredGate {
    this.#db.run(
      'UPDATE gates SET state = ?, ended_at = ?, answered_by = ?, reason = ? WHERE number = ?',
      state,
      at,
      by,
      reason,
      gate.number,
    );
    return { ...gate, state, endedAt: at, answeredBy: by, reason };
  }

  /** Forgets gates that ended before `endedBefore`, and all but the newest `most` of the ended ones. */
  prune(endedBefore: number, most: number): void {
    this.#db.run(
      `DELETE FROM gates WHERE ${ENDED} AND (ended_at < ? OR number NOT IN (
         SELECT number FROM gates WHERE ${ENDED} ORDER BY ended_at DESC, number DESC LIMIT ?
       ))`,
      endedBefore,
      most,
    );
  }
}

function gateId(number: number): string {
  return `gate-${String(number).padStart(4, '0')}`;
}

/** The gate as people and programs get it: nothing in its texts is hidden. */
export function shownGate(gate: StoredGate): Gate {
  return {
    id: gateId(gate.number),
    state: gate.state,
    kind: gate.kind,
    summary: visibleLine(gate.summary),
    action: visibleText(gate.action),
    always: gate.always,
    ruleId: gate.ruleId,
    taskId: gate.taskId,
    createdAt: new Date(gate.createdAt).toISOString(),
    expiresAt: new Date(gate.expiresAt).toISOString(),
    answeredBy: gate.answeredBy,
    reason: gate.reason,
  };
}

function fromRow(row: Row): StoredGate {
  return {
    number: row['number'],
    state: row['state'],
    kind: row['kind'],
    summary: row['summary'],
    action: JSON.parse(row['action'] as string) as string,
    always: row['always_rule'],
    fingerprint: row['fingerprint'],
    runId: row['run_id'],
    ruleId: row['rule_id'],
    taskId: row['task_id'],
    causeEventId: row['cause_event_id'],
    createdAt: row['created_at'],
    expiresAt: row['expires_at'],
    endedAt: row['ended_at'],
    answeredBy: row['answered_by'],
    reason: row['reason'],
  } as StoredGate;
}
