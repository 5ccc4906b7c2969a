import type { StateDatabase } from '../database/state-database.js';
import type { Clock, Timer } from '../platform/clock.js';
import type { AiwgEvent } from '../protocol/event.js';
import { watchedPathOf } from './rules/triggers.js';

/** Events that a rule acts on together. */
export interface Batch {
  ruleId: string;
  /** The newest. */
  event: AiwgEvent;
  /** Paths of all of them, each once, in the order of their first change. */
  files: string[];
  count: number;
  /** The rules that brought them about. */
  rules: readonly string[];
  /** By which it is taken out of the database; null where it never was there. */
  rows: { upTo: number; alone: boolean; size: number } | null;
}

/** An event that came for a rule. */
export interface Arrival {
  event: AiwgEvent;
  /** The rules that brought it about. */
  rules: readonly string[];
}

/** A storm that never ends is acted upon after so many times the quiet that was asked for, but not within a minute. */
const LONGEST_WAIT_FACTOR = 10;
const LEAST_LONGEST_WAIT_MS = 60_000;
/** Events of one rule that may wait; beyond, the oldest count no more than their number. */
export const MOST_WAITING = 100_000;
/** Events of one rule, each judged by itself, that may wait for their turn. */
export const MOST_ALONE = 10_000;
/** What all of those may take together, in UTF-16 units of JSON: they stand in memory. */
export const MOST_ALONE_SIZE = 64 * 1024 * 1024;
/** Of a larger event that others have followed only what counts stays on disk. */
const LARGE = 4_096;

const TABLE = `
CREATE TABLE IF NOT EXISTS rule_inbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  rule_id TEXT NOT NULL,
  at INTEGER NOT NULL,
  due_ms INTEGER NOT NULL,
  rules TEXT NOT NULL,
  event TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS rule_inbox_by_rule ON rule_inbox (rule_id, id);
`;

interface Waiting {
  event: AiwgEvent;
  files: Set<string>;
  count: number;
  rules: Set<string>;
  lastId: number;
  /** What stands on disk under that. */
  lastStored: AiwgEvent;
  /** By the monotonic clock. */
  firstAt: number;
  dueAt: number;
  overflown: boolean;
}

export interface BatchesOptions {
  db: StateDatabase;
  clock: Clock;
  /** The time of a batch has come. The batch stays on disk until `done`; a new one is begun for what comes meanwhile. */
  onDue: (batch: Batch) => void;
  /** More paths wait than there is room for: told once for each batch. */
  onOverflow: (ruleId: string) => void;
}

/** Events that wait: for quiet, or for the answer of a command. On disk with the transaction in which they came. */
export class Batches {
  readonly #options: BatchesOptions;
  readonly #waiting = new Map<string, Waiting>();
  /** How many events of a rule wait to be judged by themselves. */
  readonly #alone = new Map<string, number>();
  #aloneSize = 0;
  /** What is newer came to this daemon, which has it in memory. */
  readonly #lastOfBefore: number;
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(options: BatchesOptions) {
    this.#options = options;
    options.db.exec(TABLE);
    this.#lastOfBefore = Number(options.db.get('SELECT max(id) AS id FROM rule_inbox')?.['id'] ?? 0);
  }

  /** Takes up what waited when the daemon went down: the quiet is counted anew. Rules that are gone are forgotten. */
  load(isKnown: (ruleId: string) => boolean): void {
    const { db } = this.#options;
    for (const row of db.all('SELECT DISTINCT rule_id FROM rule_inbox')) {
      const ruleId = String(row['rule_id']);
      if (!isKnown(ruleId)) {
        db.run('DELETE FROM rule_inbox WHERE rule_id = ?', ruleId);
        continue;
      }
      const rows = db.all(
        'SELECT id, due_ms, rules, event FROM rule_inbox WHERE rule_id = ? AND id <= ? ORDER BY id',
        ruleId,
        this.#lastOfBefore,
      );
      for (const one of rows) {
        const rules = JSON.parse(String(one['rules'])) as string[];
        const arrival = { event: JSON.parse(String(one['event'])) as AiwgEvent, rules };
        const quietMs = Number(one['due_ms']);
        if (quietMs > 0) {
          this.#join(ruleId, arrival, quietMs, Number(one['id']));
        } else {
          const size = String(one['event']).length;
          this.#countAlone(ruleId, 1, size);
          this.#hand(ruleId, arrival, { id: Number(one['id']), size });
        }
      }
    }
  }

  /**
   * Adds an event that waits for `quietMs` without another; with 0 it is a batch of its own, at once. False where too many
   * of those wait already.
   */
  add(ruleId: string, arrival: Arrival, quietMs: number): boolean {
    const { db } = this.#options;
    if (quietMs === 0) return this.#addAlone(ruleId, arrival);
    const waiting = this.#waiting.get(ruleId);
    if (waiting !== undefined && addsNothing(waiting, arrival)) {
      db.afterCommit(() => this.#join(ruleId, arrival, quietMs, waiting.lastId));
    } else {
      const id = this.#insert(ruleId, arrival, { quietMs, json: JSON.stringify(arrival.event) });
      if (waiting !== undefined) this.#slim(waiting);
      db.afterCommit(() => this.#join(ruleId, arrival, quietMs, id));
    }
    return true;
  }

  #addAlone(ruleId: string, arrival: Arrival): boolean {
    const { db } = this.#options;
    const json = JSON.stringify(arrival.event);
    const size = json.length;
    if ((this.#alone.get(ruleId) ?? 0) >= MOST_ALONE) return false;
    if (this.#aloneSize > 0 && this.#aloneSize + size > MOST_ALONE_SIZE) return false;
    const id = this.#insert(ruleId, arrival, { quietMs: 0, json });
    this.#countAlone(ruleId, 1, size);
    db.onRollback(() => this.#countAlone(ruleId, -1, -size));
    db.afterCommit(() => this.#hand(ruleId, arrival, { id, size }));
    return true;
  }

  #countAlone(ruleId: string, more: number, size: number): void {
    this.#alone.set(ruleId, (this.#alone.get(ruleId) ?? 0) + more);
    this.#aloneSize += size;
  }

  /** The newest event is acted upon; of those before it only their number and their paths count. */
  #slim({ lastStored, lastId }: Waiting): void {
    const { path } = lastStored.payload;
    const slim = JSON.stringify({ ...lastStored, payload: { path } });
    if (JSON.stringify(lastStored).length < slim.length + LARGE) return;
    this.#options.db.run('UPDATE rule_inbox SET event = ? WHERE id = ?', slim, lastId);
  }

  #insert(ruleId: string, { rules }: Arrival, { quietMs, json }: { quietMs: number; json: string }): number {
    const { db, clock } = this.#options;
    const { id } = db.run(
      'INSERT INTO rule_inbox (rule_id, at, due_ms, rules, event) VALUES (?, ?, ?, ?, ?)',
      ruleId,
      clock.now(),
      quietMs,
      JSON.stringify(rules),
      json,
    );
    return id;
  }

  /** Takes the events of a batch out of the database, in the transaction that says what became of them. */
  done({ ruleId, rows }: Batch): void {
    const { db } = this.#options;
    if (rows?.alone) {
      db.run('DELETE FROM rule_inbox WHERE id = ?', rows.upTo);
      db.afterCommit(() => this.#countAlone(ruleId, -1, -rows.size));
    } else if (rows) {
      db.run('DELETE FROM rule_inbox WHERE rule_id = ? AND id <= ? AND due_ms > 0', ruleId, rows.upTo);
    }
  }

  waiting(ruleId: string): number {
    return (this.#waiting.get(ruleId)?.count ?? 0) + (this.#alone.get(ruleId) ?? 0);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #hand(ruleId: string, { event, rules }: Arrival, { id, size }: { id: number; size: number }): void {
    const path = watchedPathOf(event);
    const files = path === undefined ? [] : [path];
    this.#options.onDue({ ruleId, event, files, count: 1, rules, rows: { upTo: id, alone: true, size } });
  }

  #join(ruleId: string, { event, rules }: Arrival, quietMs: number, id: number): void {
    const now = this.#options.clock.monotonic();
    let waiting = this.#waiting.get(ruleId);
    if (waiting === undefined) {
      waiting = {
        event,
        files: new Set(),
        count: 0,
        rules: new Set(),
        lastId: id,
        lastStored: event,
        firstAt: now,
        dueAt: now,
        overflown: false,
      };
      this.#waiting.set(ruleId, waiting);
    }
    const path = watchedPathOf(event);
    if (path !== undefined) waiting.files.add(path);
    for (const rule of rules) waiting.rules.add(rule);
    waiting.event = event;
    waiting.count += 1;
    if (id > waiting.lastId) Object.assign(waiting, { lastId: id, lastStored: event });
    const longest = Math.max(LONGEST_WAIT_FACTOR * quietMs, LEAST_LONGEST_WAIT_MS);
    waiting.dueAt = Math.min(now + quietMs, waiting.firstAt + longest);
    if (waiting.files.size > MOST_WAITING) this.#dropOldest(ruleId, waiting);
    this.#arm(waiting.dueAt);
  }

  #dropOldest(ruleId: string, waiting: Waiting): void {
    const [oldest] = waiting.files;
    if (oldest === undefined) return;
    waiting.files.delete(oldest);
    if (!waiting.overflown) this.#options.onOverflow(ruleId);
    waiting.overflown = true;
  }

  /** A later due time lets the timer stand: it looks again then. */
  #arm(at: number): void {
    if (this.#closed || at >= this.#timerAt) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    const ms = at - this.#options.clock.monotonic();
    this.#timer = this.#options.clock.setTimer(ms, () => this.#look());
  }

  #look(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = this.#options.clock.monotonic();
    let next = Number.POSITIVE_INFINITY;
    for (const [ruleId, { event, files, count, rules, lastId, dueAt }] of this.#waiting) {
      if (dueAt > now) {
        next = Math.min(next, dueAt);
        continue;
      }
      this.#waiting.delete(ruleId);
      const rows = { upTo: lastId, alone: false, size: 0 };
      this.#options.onDue({ ruleId, event, files: [...files], count, rules: [...rules], rows });
    }
    if (next < Number.POSITIVE_INFINITY) this.#arm(next);
  }
}

/** Whether what waits on disk says all that this event would add to it, but for its number. */
function addsNothing(waiting: Waiting, { event, rules }: Arrival): boolean {
  const path = watchedPathOf(event);
  const counts = path === undefined ? waiting.count >= MOST_WAITING : waiting.files.has(path);
  return counts && rules.every((rule) => waiting.rules.has(rule));
}
