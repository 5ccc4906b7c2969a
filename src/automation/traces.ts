import type { Row, StateDatabase } from '../database/state-database.js';
import type { Clock, Timer } from '../platform/clock.js';
import type { ActionReport, ConditionReport, TraceEntry, TraceOutcome } from '../protocol/automation.js';
import type { AiwgEvent } from '../protocol/event.js';
import { cut } from './rules/shown-text.js';

export interface Explanation {
  why: string;
  conditions: ConditionReport[];
}

export interface TraceNote {
  ruleId: string;
  outcome: TraceOutcome;
  event: AiwgEvent;
  /** How many events this is about; 1 where not given. */
  count?: number;
  runId?: string | null;
  /** Asked when the entry is written, not for each of a thousand events a second. */
  explain: () => Explanation;
}

interface Pending extends TraceNote {
  firstAt: number;
  lastAt: number;
  count: number;
}

/** Entries that are kept: of all rules, and shown at once. */
const MOST_ENTRIES = 5_000;
/** An event from outside may call a megabyte its path. */
const LONGEST_PATH = 4_096;
/** What a rule has of these even where other rules have made all the rest. */
const LEAST_OF_A_RULE = 10;
const FLUSH_MS = 1_000;
/** Outcomes of one rule with the same reason become one entry while they follow each other within this time. */
const MERGE_MS = 3_600_000;
const PRUNE_EVERY = 200;

const TABLE = `
CREATE TABLE IF NOT EXISTS traces (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  rule_id TEXT NOT NULL,
  at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  count INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  why TEXT NOT NULL,
  run_id TEXT,
  event TEXT NOT NULL,
  conditions TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS traces_by_rule ON traces (rule_id, id);
`;

/**
 * Why rules fired, or did not. Events that a rule passes over within a second are one entry with a count, and explained
 * once: a storm costs a counter. On disk a second after they happened.
 */
export class Traces {
  readonly #db: StateDatabase;
  readonly #clock: Clock;
  readonly #actionsOf: (runId: string) => ActionReport[];
  /** By rule and outcome; what fired is never merged. */
  readonly #pending = new Map<string, Pending>();
  #fired = 0;
  #timer: Timer | undefined;
  #sincePruned = 0;

  constructor(db: StateDatabase, clock: Clock, actionsOf: (runId: string) => ActionReport[]) {
    this.#db = db;
    this.#clock = clock;
    this.#actionsOf = actionsOf;
    db.exec(TABLE);
  }

  note(note: TraceNote): void {
    const { ruleId, outcome, count = 1 } = note;
    const now = this.#clock.now();
    const single = outcome === 'fired' || note.runId !== undefined;
    const key = single ? `${ruleId} #${(this.#fired += 1)}` : `${ruleId} ${outcome}`;
    const pending = this.#pending.get(key);
    if (pending === undefined) {
      this.#pending.set(key, { ...note, count, firstAt: now, lastAt: now });
    } else {
      pending.count += count;
      pending.lastAt = now;
      pending.event = note.event;
      pending.explain = note.explain;
    }
    this.#timer ??= this.#clock.setTimer(FLUSH_MS, () => this.flush());
  }

  /** The newest first, those of one rule or of all. */
  list(ruleId: string | undefined, limit: number): TraceEntry[] {
    this.flush();
    const rows =
      ruleId === undefined
        ? this.#db.all('SELECT * FROM traces ORDER BY id DESC LIMIT ?', limit)
        : this.#db.all('SELECT * FROM traces WHERE rule_id = ? ORDER BY id DESC LIMIT ?', ruleId, limit);
    return rows.map((row) => this.#entryOf(row));
  }

  has(ruleId: string): boolean {
    this.flush();
    return this.#db.get('SELECT 1 FROM traces WHERE rule_id = ? LIMIT 1', ruleId) !== undefined;
  }

  /** Writes what is pending; while nothing can be written it is kept, one entry for each rule and outcome. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#pending.size === 0) return;
    try {
      this.#db.transaction(() => {
        for (const pending of this.#pending.values()) this.#write(pending);
        this.#prune();
      });
      this.#pending.clear();
    } catch {
      // The database has told its fault; a trace is worth no more than another try.
      this.#forgetOldest();
      this.#timer = this.#clock.setTimer(FLUSH_MS, () => this.flush());
    }
  }

  close(): void {
    this.flush();
    this.#timer?.cancel();
  }

  #write({ ruleId, outcome, event, count, firstAt, lastAt, runId = null, explain }: Pending): void {
    const { why, conditions } = explain();
    const known = runId === null ? this.#sameAs(ruleId, outcome, why, firstAt) : undefined;
    this.#sincePruned += 1;
    const shown = JSON.stringify({ id: event.id, type: event.type, path: pathOf(event) });
    if (known === undefined) {
      this.#db.run(
        `INSERT INTO traces (rule_id, at, last_at, count, outcome, why, run_id, event, conditions)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        ruleId,
        firstAt,
        lastAt,
        count,
        outcome,
        why,
        runId,
        shown,
        JSON.stringify(conditions),
      );
    } else {
      this.#db.run(
        'UPDATE traces SET last_at = ?, count = count + ?, event = ?, conditions = ? WHERE id = ?',
        lastAt,
        count,
        shown,
        JSON.stringify(conditions),
        known,
      );
    }
  }

  /** The rule's newest entry, where this one only repeats it. */
  #sameAs(ruleId: string, outcome: string, why: string, at: number): number | undefined {
    const row = this.#db.get(
      'SELECT id, outcome, why, run_id, last_at FROM traces WHERE rule_id = ? ORDER BY id DESC LIMIT 1',
      ruleId,
    );
    if (row === undefined || row['outcome'] !== outcome || row['why'] !== why) return undefined;
    return row['run_id'] === null && at - Number(row['last_at']) < MERGE_MS ? Number(row['id']) : undefined;
  }

  #prune(): void {
    if (this.#sincePruned < PRUNE_EVERY) return;
    this.#sincePruned = 0;
    this.#db.run(
      `DELETE FROM traces WHERE id <= (SELECT id FROM traces ORDER BY id DESC LIMIT 1 OFFSET ?)
         AND id NOT IN (SELECT id FROM
           (SELECT id, row_number() OVER (PARTITION BY rule_id ORDER BY id DESC) AS place FROM traces) WHERE place <= ?)`,
      MOST_ENTRIES,
      LEAST_OF_A_RULE,
    );
  }

  #forgetOldest(): void {
    for (const key of this.#pending.keys()) {
      if (this.#pending.size <= MOST_ENTRIES) return;
      this.#pending.delete(key);
    }
  }

  #entryOf(row: Row): TraceEntry {
    const runId = row['run_id'] as string | null;
    return {
      id: Number(row['id']),
      ruleId: String(row['rule_id']),
      at: new Date(Number(row['at'])).toISOString(),
      lastAt: new Date(Number(row['last_at'])).toISOString(),
      count: Number(row['count']),
      event: JSON.parse(String(row['event'])) as TraceEntry['event'],
      outcome: row['outcome'] as TraceOutcome,
      why: String(row['why']),
      conditions: JSON.parse(String(row['conditions'])) as ConditionReport[],
      runId,
      actions: runId === null ? [] : this.#actionsOf(runId),
    };
  }
}

function pathOf(event: AiwgEvent): string | null {
  const { path } = event.payload;
  return typeof path === 'string' ? cut(path, LONGEST_PATH) : null;
}
